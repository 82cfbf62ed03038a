"""Who leads, on a real PostgreSQL: one at a time, replaced within seconds, and it knows at once."""

import asyncio
from contextlib import AsyncExitStack

import psycopg
import pytest

from service.system.advisory_lock import LEADER_LOCK, AdvisoryLockLeadership
from support.postgresql_server import postgresql_server

#: As often as a test can bear: what is waited for comes as soon as it can.
SOON = {"retry_seconds": 0.02, "answer_seconds": 5.0}


@pytest.fixture
def postgresql_address():
    return postgresql_server().address()


@pytest.fixture
async def candidates(postgresql_address):
    """Return a way to have one more process stand for the lead."""
    async with AsyncExitStack() as stack:

        async def stand(**changes):
            leadership = AdvisoryLockLeadership(postgresql_address, **SOON | changes)
            await leadership.start()
            stack.push_async_callback(leadership.stop)
            return leadership

        yield stand


async def within(seconds, waiting):
    async with asyncio.timeout(seconds):
        return await waiting


async def one_of(*several):
    """Wait until one of them leads."""
    tasks = [asyncio.create_task(item.gained()) for item in several]
    await within(10, asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))
    for task in tasks:
        task.cancel()


def end_of_lead(*several):
    """Return an event that is set when one of them ceases to lead, also where it leads again a moment later."""
    ended = asyncio.Event()
    for item in several:
        item.on_change.append(lambda item=item: item.leads or ended.set())
    return ended


async def terminate_holder(address):
    """End the session that holds the lock, as a failing server or network does."""
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
        cursor = await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND (classid::bigint << 32 | objid::bigint) = %s",
            (LEADER_LOCK,),
        )
        assert await cursor.fetchall() == [(True,)]


async def test_one_leads_and_another_follows_when_it_stops(candidates):
    one = await candidates()
    await within(10, one.gained())
    two = await candidates()
    await asyncio.sleep(0)
    assert (one.leads, two.leads) == (True, False)
    await one.stop()
    await within(10, two.gained())
    assert (one.leads, two.leads) == (False, True)


async def test_a_leader_whose_session_ends_knows_it_and_stops_before_another_begins(candidates, postgresql_address):
    one = await candidates()
    await within(10, one.gained())
    two = await candidates()
    order = []
    one.on_change.append(lambda: order.append(("one", one.leads)))
    two.on_change.append(lambda: order.append(("two", two.leads)))
    ended = end_of_lead(one)
    await terminate_holder(postgresql_address)
    await within(10, ended.wait())
    assert order.count(("one", False)) == 1
    await one_of(one, two)
    assert one.leads != two.leads


async def test_one_leads_again_however_often_sessions_end(candidates, postgresql_address):
    several = [await candidates() for _ in range(4)]
    for _ in range(6):
        await one_of(*several)
        assert sum(item.leads for item in several) == 1
        ended = end_of_lead(*several)
        await terminate_holder(postgresql_address)
        await within(10, ended.wait())


async def test_who_does_not_stand_never_leads(candidates):
    aside = await candidates(candidate=False)
    one = await candidates()
    await within(10, one.gained())
    await one.stop()
    assert not aside.leads
    assert aside.health() is None


async def test_a_server_that_is_not_there_shows(tmp_path):
    leadership = AdvisoryLockLeadership(f"postgresql:///none?host={tmp_path}", **SOON)
    await leadership.start()
    async with asyncio.timeout(60):
        while leadership.health() is None:  # noqa: ASYNC110 - it has no event for a failure
            await asyncio.sleep(0.001)
    assert not leadership.leads
    assert "cannot be asked for" in leadership.health()
    await leadership.stop()
