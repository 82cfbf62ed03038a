"""Attempts that end together are recorded together; what fails for one is nobody else's."""

import asyncio
from dataclasses import dataclass

import pytest

from service.delivery import attempt_recorder
from service.delivery.attempt_recorder import AttemptRecorder


@dataclass
class Store:
    """Takes groups and single attempts, and keeps them; refuses those that are named, and groups that hold one."""

    refused: frozenset = frozenset()

    def __post_init__(self):
        self.groups, self.alone = [], []
        self.taking, self.asked = asyncio.Event(), asyncio.Event()
        self.taking.set()

    async def record_attempts(self, made, _delivering):
        self.groups.append([due for due, _ in made])
        self.asked.set()
        await self.taking.wait()
        if self.refused & set(self.groups[-1]):
            raise LookupError("one of them")
        return [(due, sent) for due, sent in made]

    async def record_attempt(self, due, _delivering, sent):
        self.alone.append(due)
        if due in self.refused:
            raise LookupError(due)
        return due, sent


@pytest.fixture
def store(monkeypatch):
    made = Store()
    monkeypatch.setattr(attempt_recorder, "record_attempts", made.record_attempts)
    monkeypatch.setattr(attempt_recorder, "record_attempt", made.record_attempt)
    return made


async def recorded(recorder, *names):
    return await asyncio.gather(*(recorder.record(name, f"made {name}") for name in names), return_exceptions=True)


async def test_what_ends_while_a_group_is_written_makes_the_next(store):
    recorder = AttemptRecorder(None)
    store.taking.clear()
    first = asyncio.create_task(recorder.record("a", "made a"))
    await store.asked.wait()
    others = asyncio.create_task(recorded(recorder, "b", "c"))
    await asyncio.sleep(0)
    store.taking.set()
    assert await first == ("a", "made a")
    assert await others == [("b", "made b"), ("c", "made c")]
    assert store.groups == [["a"], ["b", "c"]]


async def test_one_that_cannot_be_recorded_fails_alone(store):
    store.refused = frozenset({"b"})
    good, bad, other = await recorded(AttemptRecorder(None), "a", "b", "c")
    assert (good, other) == (("a", "made a"), ("c", "made c"))
    assert isinstance(bad, LookupError)
    assert store.alone == ["a", "b", "c"]


async def test_a_group_has_an_end(store):
    recorder = AttemptRecorder(None)
    names = [str(number) for number in range(300)]
    assert len(await recorded(recorder, *names)) == 300
    assert [len(group) for group in store.groups] == [128, 128, 44]


async def test_whoever_goes_away_takes_nobody_along(store):
    recorder = AttemptRecorder(None)
    store.taking.clear()
    tasks = [asyncio.create_task(recorder.record(name, "made")) for name in "abc"]
    await store.asked.wait()
    tasks[1].cancel()
    store.taking.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [tuple, asyncio.CancelledError, tuple]
