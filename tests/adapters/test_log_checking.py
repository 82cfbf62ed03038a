"""The whole log is checked now and then by a process of its own, and what it finds is told."""

import asyncio
import signal
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from service.audit_log.fsck_schedule import CheckFailedError, FsckSchedule, FsckState, check_by_process
from service.settings import load_settings
from support.clocks import SteppedClock
from support.records import NOW

CLEAN = {"clean": True, "entries": 7, "differences": []}
FOUND = {
    "clean": False,
    "entries": 7,
    "differences": [
        {"step": "tree", "where": "node 5 of level 0", "what": "is not the hash"},
        {"step": "entries", "where": "index 1", "what": "x"},
    ],
}


class Checks:
    """Answers one by one, and counts how often it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    async def __call__(self):
        self.asked += 1
        said = self.answers.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


def checking(checks, path, clock):
    return FsckSchedule(checks, path, every_hours=24, clock=clock)


async def test_it_is_checked_a_while_after_the_start_and_again_after_a_day(tmp_path):
    clock, checks = SteppedClock(NOW), Checks(CLEAN, CLEAN, CLEAN)
    duty = checking(checks, tmp_path / "log-check.json", clock)
    assert await duty.look() == NOW + timedelta(minutes=10)
    assert (checks.asked, duty.last) == (0, None)
    clock.step(timedelta(minutes=10))
    assert await duty.look() == clock.now() + timedelta(hours=24)
    assert duty.last == FsckState(clock.now(), 7)
    clock.step(timedelta(hours=23))
    # Another process, on the same data: the last check is remembered, and a start is no reason for one.
    later = checking(checks, tmp_path / "log-check.json", clock)
    assert later.last == duty.last
    assert await later.look() == duty.last.completed_at + timedelta(hours=24)
    assert checks.asked == 1
    clock.step(timedelta(hours=1))
    await later.look()
    assert checks.asked == 2


async def test_what_differs_is_kept_and_told_with_the_first(tmp_path):
    clock = SteppedClock(NOW)
    duty = checking(Checks(FOUND, CLEAN), tmp_path / "log-check.json", clock)
    clock.step(timedelta(minutes=10))
    await duty.look()
    assert duty.last == FsckState(clock.now(), 7, 2, "tree: node 5 of level 0 is not the hash")
    assert checking(Checks(), tmp_path / "log-check.json", clock).last == duty.last
    clock.step(timedelta(hours=24))
    await duty.look()
    assert duty.last.first is None


async def test_a_check_that_could_not_be_made_is_no_check_and_is_made_again(tmp_path):
    clock, checks = SteppedClock(NOW), Checks(CheckFailedError("no memory"), CLEAN)
    duty = checking(checks, tmp_path / "log-check.json", clock)
    clock.step(timedelta(minutes=10))
    with pytest.raises(CheckFailedError):
        await duty.look()
    assert duty.last is None
    assert await duty.look() == clock.now() + timedelta(hours=1)
    clock.step(timedelta(hours=1))
    await duty.look()
    assert (checks.asked, duty.last.entries) == (2, 7)


@pytest.mark.parametrize("text", ["", "{}", '{"completed_at": 3}', '{"completed_at": "x", "entries": 1}'])
def test_what_was_kept_and_cannot_be_read_was_no_check(tmp_path, text):
    path = tmp_path / "log-check.json"
    path.write_text(text)
    assert checking(Checks(), path, SteppedClock(NOW)).last is None


async def test_a_process_of_its_own_checks_the_data_and_says_what_it_found(data_folder):
    settings = load_settings(data_folder)
    check = check_by_process(settings)
    said = await check()
    assert (said["clean"], said["entries"]) == (True, 0)
    with closing(sqlite3.connect(data_folder / "greffier.sqlite3")) as connection:
        connection.execute("DROP TRIGGER log_nodes_no_update")
    assert (await check())["differences"][0]["step"] == "append-only rules"


async def test_a_check_that_says_nothing_is_a_failure_of_the_check(data_folder, tmp_path):
    settings = load_settings(data_folder).model_copy(update={"data": tmp_path / "elsewhere"})
    with pytest.raises(CheckFailedError, match="is no data folder"):
        await check_by_process(settings)()


async def test_one_that_is_given_up_leaves_no_process_behind(data_folder, monkeypatch):
    begun, begin = [], asyncio.create_subprocess_exec

    async def watched(*arguments, **options):
        begun.append(await begin(*arguments, **options))
        task.cancel()
        return begun[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    task = asyncio.create_task(check_by_process(load_settings(data_folder))())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert begun[0].returncode == -signal.SIGKILL
