"""The contract of announcements and registered letters, on the store in memory, SQLite and PostgreSQL."""

from dataclasses import replace
from uuid import uuid4

import pytest

from notifications.errors import NotFoundError, StateConflictError, VersionMismatchError
from notifications.incident import AnnouncementState, IncidentState
from notifications.ports import Consent, LetterState
from support.announcement_records import make_announced, make_announcement, make_letter
from support.opened_store import opened_store
from support.records import NOBODY, NOW, SALT, after, make_customer, make_incident, make_notice


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
async def told(store):
    """An announcement with its notice to one customer."""
    customer, announcement = make_customer(), make_announcement()
    notice = make_notice(announcement, customer)

    def work(tx):
        tx.customers.add(customer, SALT)
        tx.incidents.add(announcement)
        tx.notices.add([notice])

    await store.write(work)
    return announcement, customer, notice


async def test_letters_come_back_as_written_and_the_earliest_first(store, told):
    *_, notice = told
    later = make_letter(notice, due_at=after(days=9))
    posted = make_letter(
        notice,
        due_at=after(days=1),
        posting_number="1A 2345",
        posted_on="2026-11-29",
        posted_by="account:ada",
        slip_type="application/pdf",
        slip_sha256="ab" * 32,
        slip_entry_id=uuid4(),
        outcome="refused",
        outcome_on="2026-12-03",
        served_on="2026-12-03",
    )
    for task in (later, posted):
        await store.write(lambda tx, task=task: tx.announcements.add_letter(task))
    assert await store.read(lambda tx: tx.announcements.letter(posted.id)) == posted
    assert list(await store.read(lambda tx: tx.announcements.letters_of_notice(notice.id))) == [later, posted]
    assert list(await store.read(lambda tx: tx.announcements.open_letters(9))) == [posted, later]
    assert list(await store.read(lambda tx: tx.announcements.open_letters(1))) == [posted]
    closed = replace(posted, state=LetterState.CLOSED, closed_at=NOW, closed_by="account:ada", version=2)
    await store.write(lambda tx: tx.announcements.save_letter(closed, 1))
    assert await store.read(lambda tx: tx.announcements.require_letter(posted.id)) == closed
    assert list(await store.read(lambda tx: tx.announcements.open_letters(9))) == [later]
    with pytest.raises(VersionMismatchError):
        await store.write(lambda tx: tx.announcements.save_letter(closed, 1))
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.announcements.add_letter(later))
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.announcements.add_letter(make_letter(notice, notice_id=NOBODY)))
    assert await store.read(lambda tx: tx.announcements.letter(NOBODY)) is None
    with pytest.raises(NotFoundError):
        await store.read(lambda tx: tx.announcements.require_letter(NOBODY))


async def test_the_customers_of_an_announcement(store, told):
    announcement, customer, _ = told
    given = make_announced(announcement, customer)
    await store.write(lambda tx: tx.announcements.add_customers([given]))
    assert list(await store.read(lambda tx: tx.announcements.customers(announcement.id))) == [given]
    refused = replace(given, consent=Consent.REFUSED, consent_reason=None, version=2)
    await store.write(lambda tx: tx.announcements.save_customer(refused, 1))
    assert await store.read(lambda tx: tx.announcements.customer(announcement.id, customer.id)) == refused
    with pytest.raises(VersionMismatchError):
        await store.write(lambda tx: tx.announcements.save_customer(refused, 1))
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.announcements.add_customers([replace(given, id=uuid4())]))
    assert await store.read(lambda tx: tx.announcements.customer(announcement.id, NOBODY)) is None


@pytest.mark.parametrize(
    ("said", "closed", "state"),
    [
        ({}, False, AnnouncementState.OPEN),
        ({}, True, AnnouncementState.CARRIED_OUT),
        ({"cancelled": True}, True, AnnouncementState.CANCELLED),
        ({"elapsed": True}, True, AnnouncementState.ELAPSED),
    ],
)
async def test_what_became_of_it(store, told, said, closed, state):
    announcement, *_ = told
    facts = replace(announcement.facts, announcement=replace(announcement.facts.announcement, **said))
    after_it = replace(
        announcement, facts=facts, version=2, state=IncidentState.CLOSED if closed else IncidentState.OPEN
    )
    incident = make_incident(ticket="INC-2026-000777")
    await store.write(lambda tx: (tx.incidents.save(after_it, 1), tx.incidents.add(incident)))
    assert await store.read(lambda tx: tx.announcements.state(announcement.id)) is state
    assert await store.read(lambda tx: tx.announcements.state(incident.id)) is None
    assert await store.read(lambda tx: tx.announcements.state(NOBODY)) is None
