"""Reminders of the provider's own duties: exactly once, also with three processes at once and after a time down."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from notifications.use_cases.legal_duties import LegalDuties
from service.monitoring.duty_reminders import DutyReminders
from service.settings.provider import ProviderSettings
from service.store import open_store
from service.system.logging import SystemIdentifiers
from support.clocks import SteppedClock
from support.duty_records import make_assessment, make_submission
from support.opened_store import lent_address
from support.records import NOW, make_incident

LATE = ("nis2_early_warning", "nis2_notification")


@pytest.fixture(params=["sqlite", "postgresql"])
async def stores(request, tmp_path):
    """The stores of three processes on one database."""
    with lent_address(request.param, tmp_path) as where:
        opened = [open_store(where, migrate=False) for _ in range(3)]
        yield opened
        for store in opened:
            await store.close()


@pytest.fixture
async def incident(stores):
    """A significant incident of which the provider became aware now."""
    made = make_incident()
    made = replace(made, facts=replace(made.facts, aware_at=NOW))

    def build(tx):
        tx.incidents.add(made)
        tx.duties.add_assessment(
            make_assessment(made, answers=(("death", "yes"),), high_risk_at=None, fix_at=None, handled_at=None)
        )
        tx.duties.set_timer(made.id, NOW)

    await stores[0].write(build)
    return made


def tasks(stores, clock):
    return [
        DutyReminders(store, LegalDuties(), ProviderSettings(), clock=clock, identifiers=SystemIdentifiers())
        for store in stores
    ]


async def reminders(store, *, unseen=False):
    """Return (duty, percent) of each reminder, and the number of mails."""

    def work(tx):
        found = [key.split(":") for key in keys(tx)]
        return sorted((duty, int(percent)) for _, _, duty, _, percent, *_ in found)

    def keys(tx):
        rows = tx._session.all("SELECT key, seen_at FROM alerts WHERE kind = 'duty_reminder' ORDER BY position")
        return [key for key, seen_at in rows if not unseen or seen_at is None]

    return await store.read(work)


async def mails(store):
    row = await store.read(lambda tx: tx._session.one("SELECT count(*) FROM service_mails"))
    return row[0]


async def test_each_part_of_each_clock_reminds_once_however_often_it_is_looked_at(stores, incident):
    clock = SteppedClock(NOW)
    (task, *_) = tasks(stores, clock)
    following = await task.look()
    assert await reminders(stores[0]) == []
    assert following == NOW + timedelta(hours=12)
    for hours, expected in (
        (11.9, []),
        (12, [50]),
        (17, [50]),
        (18, [50, 75]),
        (21.6, [50, 75, 90]),
        (24, [50, 75, 90, 100]),
        (30, [50, 75, 90, 100]),
    ):
        clock.step(NOW + timedelta(hours=hours) - clock.now())
        for _ in range(3):
            await task.look()
        found = [percent for duty, percent in await reminders(stores[0]) if duty == "nis2_early_warning"]
        assert found == expected, hours


async def test_a_process_that_was_down_over_several_parts_reminds_of_the_latest_when_it_is_back(stores, incident):
    clock = SteppedClock(NOW + timedelta(hours=23))
    (task, *_) = tasks(stores, clock)
    await task.look()
    found = await reminders(stores[0])
    assert [each for each in found if each[0] == "nis2_early_warning"] == [("nis2_early_warning", 90)]


async def test_three_processes_at_once_remind_once(stores, incident):
    clock = SteppedClock(NOW + timedelta(hours=37))
    await asyncio.gather(*(task.look() for task in tasks(stores, clock)))
    found = await reminders(stores[0])
    assert [each for each in found if each[0] in LATE] == [("nis2_early_warning", 100), ("nis2_notification", 50)]
    assert len(found) == len(set(found))
    # One mail for all reminders of one incident, to the provider's mailbox.
    assert await mails(stores[0]) == 1


async def test_a_submission_ends_the_reminders_and_closes_the_open_one(stores, incident):
    clock = SteppedClock(NOW + timedelta(hours=13))
    (task, *_) = tasks(stores, clock)
    await task.look()
    assert ("nis2_early_warning", 50) in await reminders(stores[0], unseen=True)
    sent = make_submission(incident, submitted_at=clock.now(), corrects=None, reason=None)

    def submit(tx):
        tx.duties.add_submission(sent)
        tx.duties.set_timer(incident.id, clock.now())

    await stores[0].write(submit)
    await task.look()
    assert ("nis2_early_warning", 50) not in await reminders(stores[0], unseen=True)
    clock.step(NOW + timedelta(hours=25) - clock.now())
    await task.look()
    found = await reminders(stores[0])
    assert [each for each in found if each[0] == "nis2_early_warning"] == [("nis2_early_warning", 50)]


async def test_an_incident_on_which_it_fails_keeps_no_other_from_its_reminders(stores, incident):
    # Half a year before its awareness is no date: the look at incidents with the same cause fails.
    broken = make_incident()
    broken = replace(broken, facts=replace(broken.facts, aware_at=datetime(1, 2, 1, tzinfo=UTC)))

    def build(tx):
        tx.incidents.add(broken)
        tx.duties.add_assessment(make_assessment(broken, apparent_cause="disk"))
        tx.duties.set_timer(broken.id, NOW - timedelta(days=1))

    await stores[0].write(build)
    (task, *_) = tasks(stores, SteppedClock(NOW + timedelta(hours=13)))
    with pytest.raises(OverflowError):
        await task.look()
    assert ("nis2_early_warning", 50) in await reminders(stores[0])


async def test_a_submission_that_is_taken_back_reminds_again(stores, incident):
    """The reminder was closed with the submission; without a new one nobody would see that the time is over."""
    clock = SteppedClock(NOW + timedelta(hours=25))
    (task, *_) = tasks(stores, clock)
    await task.look()
    sent = make_submission(incident, submitted_at=clock.now(), corrects=None, reason=None)

    def record(submission):
        def work(tx):
            tx.duties.add_submission(submission)
            tx.duties.set_timer(incident.id, clock.now())

        return stores[0].write(work)

    await record(sent)
    await task.look()
    assert ("nis2_early_warning", 100) not in await reminders(stores[0], unseen=True)
    await record(replace(sent, id=uuid4(), corrects=sent.id, reason="not sent", withdrawn=True))
    for _ in range(2):
        await asyncio.gather(*(each.look() for each in tasks(stores, clock)))
        assert ("nis2_early_warning", 100) in await reminders(stores[0], unseen=True)
    found = [each for each in await reminders(stores[0]) if each[0] == "nis2_early_warning"]
    assert found == [("nis2_early_warning", 100)] * 2


async def test_incidents_of_an_earlier_release_get_their_timers_once(stores, incident):
    """Three processes start at once, and one dies between the timers and the reminders."""
    old = [replace(make_incident(), facts=replace(incident.facts, aware_at=NOW)) for _ in range(25)]

    def build(tx):
        for each in old:
            tx.incidents.add(each)
            tx.duties.add_assessment(
                make_assessment(each, answers=(("death", "yes"),), high_risk_at=None, fix_at=None, handled_at=None)
            )

    await stores[0].write(build)
    clock = SteppedClock(NOW + timedelta(hours=13))
    dying = tasks(stores, clock)[0]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dying, "_remind", broken_off)
        with pytest.raises(BrokenOffError):
            await dying.look()
    counted = "SELECT count(*) FROM duty_timers"
    assert await stores[0].read(lambda tx: tx._session.one(counted)[0]) == 26
    assert await reminders(stores[0]) == []
    for _ in range(2):
        # Processes that start again: each looks for incidents without a timer.
        await asyncio.gather(*(task.look() for task in tasks(stores, clock)))
        found = [each for each in await reminders(stores[0]) if each[0] == "nis2_early_warning"]
        assert found == [("nis2_early_warning", 50)] * 26
        assert await mails(stores[0]) == 26


class BrokenOffError(BaseException):
    """The process ends here."""


async def broken_off(_incident_id):
    raise BrokenOffError


async def test_an_exercise_reminds_nobody(stores):
    exercise = replace(make_incident(), exercise=True)

    def build(tx):
        tx.incidents.add(exercise)
        tx.duties.set_timer(exercise.id, NOW)

    await stores[0].write(build)
    clock = SteppedClock(NOW + timedelta(days=5))
    (task, *_) = tasks(stores, clock)
    assert await task.look() is None
    assert await reminders(stores[0]) == []
