"""Reads in the background: no other read waits for them, and they keep every promise of a read."""

import asyncio
import threading
from contextlib import ExitStack

import pytest

from notifications.errors import StoreUnavailableError
from service.store import BackgroundUnitOfWork, open_store
from support.postgresql_server import postgresql_server
from support.records import SALT, make_customer
from support.sqlite_file import new_database


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request, tmp_path):
    with ExitStack() as stack:
        if request.param == "sqlite":
            address = new_database(tmp_path / "store.sqlite3")
        else:
            address = stack.enter_context(postgresql_server().lent_database())
        opened = open_store(address, migrate=False, readers=1)
        try:
            yield opened
        finally:
            await opened.close()


@pytest.fixture
def background(store):
    return BackgroundUnitOfWork(store)


async def test_a_read_does_not_wait_for_one_in_the_background(store, background):
    holding, release = threading.Event(), threading.Event()
    made = make_customer()

    def hold(tx):
        before = tx.customers.get(made.id)
        holding.set()
        assert release.wait(30)
        return before, tx.customers.get(made.id)

    held = asyncio.ensure_future(background.read(hold))
    waiting = asyncio.ensure_future(background.read(lambda tx: tx.customers.get(made.id)))
    await asyncio.to_thread(holding.wait, 30)
    await background.write(lambda tx: tx.customers.add(made, SALT), concurrently=True)
    assert await store.read(lambda tx: tx.customers.get(made.id)) == made
    assert not waiting.done()
    release.set()
    # One snapshot each: the first began before the customer was there.
    assert (await held, await waiting) == ((None, None), made)


async def test_a_read_in_the_background_must_not_write_and_its_error_comes_through(background):
    with pytest.raises(RuntimeError, match="a read must not write"):
        await background.read(lambda tx: tx.customers.add(make_customer(), SALT))
    with pytest.raises(ZeroDivisionError):
        await background.read(lambda _tx: 1 // 0)
    assert await background.read(lambda tx: tx.customers.all()) == ()


async def test_a_closed_store_reads_nothing_in_the_background_and_finishes_what_was_accepted(store, background):
    holding, release = threading.Event(), threading.Event()

    def hold(_tx):
        holding.set()
        return release.wait(30)

    accepted = asyncio.ensure_future(background.read(hold))
    await asyncio.to_thread(holding.wait, 30)
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailableError, match="closed"):
        await background.read(lambda _tx: None)
    release.set()
    assert await accepted
    await closing
