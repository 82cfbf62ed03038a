"""A periodic task outlives its failures, shows them, and waits as long as it says."""

import asyncio
import contextlib

import pytest

from service.system.periodic import PeriodicTask
from support.clocks import SteppedClock

#: Longer than any test runs: what waits for it does not look again.
NEVER_SECONDS = 3600.0


class Task(PeriodicTask):
    name = "task"
    kinds = frozenset({"things"})
    poll_seconds = NEVER_SECONDS
    shortest_seconds = 0.0

    def __init__(self, *fails, retry_seconds=None):
        super().__init__(SteppedClock())
        self.retry_seconds = retry_seconds
        self.fails, self.looks, self.looked = list(fails), 0, asyncio.Event()

    async def look(self):
        self.looks += 1
        self.looked.set()
        if self.fails and self.fails.pop(0):
            raise RuntimeError("the disk is full")

    async def next_look(self):
        async with asyncio.timeout(30):
            await self.looked.wait()
        self.looked.clear()
        # The loop takes in what the look came to.
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def running(task):
    doing = asyncio.create_task(task.run())
    try:
        yield
    finally:
        doing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doing


async def test_a_failure_is_shown_and_ends_nothing(service_log):
    task = Task(True)
    async with running(task):
        await task.next_look()
        assert task.health() == "RuntimeError: the disk is full"
        assert "task.stalled" in service_log.getvalue()
        task.wake({"things"})
        await task.next_look()
        assert task.health() is None
    assert task.looks == 2


async def test_a_commit_of_other_things_wakes_nothing():
    task = Task()
    async with running(task):
        await task.next_look()
        task.wake({"others"})
        for _ in range(20):
            await asyncio.sleep(0)
    assert task.looks == 1


async def test_no_commit_cuts_the_wait_after_a_failure_short():
    task = Task(True, retry_seconds=(NEVER_SECONDS, NEVER_SECONDS))
    async with running(task):
        await task.next_look()
        for _ in range(20):
            task.wake({"things"})
            await asyncio.sleep(0)
    assert task.looks == 1


async def test_it_is_tried_again_after_the_wait_until_it_works():
    task = Task(True, True, True, retry_seconds=(0.001, 0.002))
    async with running(task):
        for _ in range(4):
            await task.next_look()
        assert task.health() is None
        # What works again waits as it did before.
        for _ in range(20):
            await asyncio.sleep(0)
    assert task.looks == 4
