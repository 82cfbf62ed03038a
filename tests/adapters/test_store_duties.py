"""The repository of legal duties, on the store in memory, SQLite and PostgreSQL."""

from datetime import timedelta

import pytest

from notifications.customer.legal_profile import Entity
from notifications.errors import StateConflictError
from notifications.incident import IncidentState
from support.announcement_records import make_announcement
from support.duty_records import make_assessment, make_draft, make_legal_profile, make_own_submission, make_submission
from support.opened_store import opened_store
from support.records import NOBODY, NOW, SALT, make_customer, make_incident, make_notice


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
async def incident(store):
    made = make_incident()
    await store.write(lambda tx: tx.incidents.add(made))
    return made


async def test_versions_of_a_legal_profile(store):
    customer = make_customer()
    first, second = make_legal_profile(customer), make_legal_profile(customer, version=2, sectors=(), lei=None)
    await store.write(lambda tx: tx.customers.add(customer, SALT))
    assert await store.read(lambda tx: tx.duties.legal_profile(customer.id)) is None
    for each in (first, second):
        await store.write(lambda tx, each=each: tx.duties.add_legal_profile(each))
    assert await store.read(lambda tx: tx.duties.legal_profile(customer.id)) == second
    assert await store.read(lambda tx: list(tx.duties.legal_profiles(customer.id))) == [first, second]
    assert first.entity == Entity(
        "DE", "DE-BY", frozenset({"credit_institution", "nis2_essential"}), "969500TJ5KRTCJQWXH05"
    )
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.duties.add_legal_profile(second))
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.duties.add_legal_profile(make_legal_profile(make_customer())))


async def test_assessments_drafts_and_submissions_come_back_as_written(store, incident):
    other = make_incident()
    await store.write(lambda tx: tx.incidents.add(other))
    assessments = [
        make_assessment(incident),
        make_assessment(incident, version=2, loss_eur=None, answers=(), note=None),
    ]
    drafts = [make_draft(incident), make_draft(incident, duty_id="nis2_final"), make_draft(incident, version=2)]
    submissions = [make_submission(incident, corrects=None, reason=None, reference=None), make_submission(incident)]

    def work(tx):
        for each in assessments:
            tx.duties.add_assessment(each)
        for each in drafts:
            tx.duties.add_draft(each)
        for each in submissions:
            tx.duties.add_submission(each)

    await store.write(work)
    assert await store.read(lambda tx: list(tx.duties.assessments(incident.id))) == assessments
    assert await store.read(lambda tx: list(tx.duties.drafts(incident.id))) == drafts
    assert await store.read(lambda tx: list(tx.duties.submissions(incident.id))) == submissions
    assert await store.read(lambda tx: list(tx.duties.submissions(other.id))) == []
    for again in (
        lambda tx: tx.duties.add_assessment(assessments[1]),
        lambda tx: tx.duties.add_draft(drafts[2]),
        lambda tx: tx.duties.add_submission(submissions[0]),
    ):
        with pytest.raises(StateConflictError):
            await store.write(again)


async def test_assessments_since_a_moment_newest_first(store, incident):
    made = [make_assessment(incident, version=number, recorded_at=NOW + timedelta(days=number)) for number in (1, 2, 3)]
    for each in made:
        await store.write(lambda tx, each=each: tx.duties.add_assessment(each))
    since = made[1].recorded_at
    assert await store.read(lambda tx: list(tx.duties.assessments_since(since, 9))) == [made[2], made[1]]
    assert await store.read(lambda tx: list(tx.duties.assessments_since(since, 1))) == [made[2]]


async def test_timers_by_time(store, incident):
    other = make_incident()
    await store.write(lambda tx: tx.incidents.add(other))
    assert await store.read(lambda tx: tx.duties.next_timer_at()) is None
    await store.write(lambda tx: tx.duties.set_timer(incident.id, NOW))
    await store.write(lambda tx: tx.duties.set_timer(other.id, NOW - timedelta(hours=1)))
    due = await store.read(lambda tx: list(tx.duties.due_timers(NOW, 9)))
    assert due == [other.id, incident.id]
    assert await store.read(lambda tx: list(tx.duties.due_timers(NOW, 1))) == [other.id]
    await store.write(lambda tx: tx.duties.set_timer(other.id, NOW + timedelta(hours=1)))
    assert await store.read(lambda tx: list(tx.duties.due_timers(NOW, 9))) == [incident.id]
    await store.write(lambda tx: tx.duties.set_timer(incident.id, None))
    assert await store.read(lambda tx: tx.duties.next_timer_at()) == NOW + timedelta(hours=1)


async def test_an_incident_gets_its_first_timer_once(store, incident):
    closed_before = make_incident(state=IncidentState.CLOSED, closed_at=NOW - timedelta(days=61))
    closed_since = make_incident(state=IncidentState.CLOSED, closed_at=NOW - timedelta(days=59))
    for each in (closed_before, closed_since, make_announcement()):
        await store.write(lambda tx, each=each: tx.incidents.add(each))
    since = NOW - timedelta(days=60)
    assert await store.read(lambda tx: list(tx.duties.without_timer(since, 9))) == [incident.id, closed_since.id]
    assert await store.read(lambda tx: list(tx.duties.without_timer(since, 1))) == [incident.id]
    assert await store.write(lambda tx: tx.duties.add_timer(incident.id, NOW))
    await store.write(lambda tx: tx.duties.set_timer(incident.id, None))
    # It was looked at and needs no further look: it does not get a first timer again.
    assert not await store.write(lambda tx: tx.duties.add_timer(incident.id, NOW))
    assert await store.read(lambda tx: list(tx.duties.due_timers(NOW + timedelta(days=9_999), 9))) == []
    assert await store.read(lambda tx: tx.duties.next_timer_at()) is None
    assert await store.read(lambda tx: list(tx.duties.without_timer(since, 9))) == [closed_since.id]
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.duties.add_timer(NOBODY, NOW))


async def test_what_a_customer_submitted_comes_back_as_written(store, incident):
    customer = make_customer()
    notice, other = make_notice(incident, customer), make_notice(incident, customer, sequence=2)
    first = make_own_submission(notice, corrects=None, reference=None)
    second = make_own_submission(notice, corrects=first.id, withdrawn=True)

    def build(tx):
        tx.customers.add(customer, SALT)
        tx.notices.add([notice, other])
        for each in (first, second):
            tx.duties.add_customer_submission(each)

    await store.write(build)
    assert await store.read(lambda tx: list(tx.duties.customer_submissions(notice.id))) == [first, second]
    assert await store.read(lambda tx: list(tx.duties.customer_submissions(other.id))) == []
    for refused in (
        first,
        make_own_submission(notice, notice_id=NOBODY),
        make_own_submission(notice, customer_id=NOBODY),
    ):
        with pytest.raises(StateConflictError):
            await store.write(lambda tx, refused=refused: tx.duties.add_customer_submission(refused))
