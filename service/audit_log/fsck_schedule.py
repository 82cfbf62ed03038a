"""Runs on the leader only: check the whole log from time to time, slowly, in a separate process.

So a changed record is found while people still remember, not at the next audit. A check reads and hashes everything. In
a separate process it does not delay requests, and its memory is released at its end. It pauses for most of its time.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import structlog

from notifications.canonical_json import parse_timestamp, timestamp_text
from notifications.errors import GreffierError
from notifications.ports import Clock
from service.settings import Settings
from service.system.atomic_files import replace_file
from service.system.periodic import PeriodicTask

_log = structlog.get_logger(__name__)

#: No check runs right after a start, because a start has other work, and repeated starts must not repeat the check.
_FIRST_AFTER = timedelta(minutes=10)
#: Wait after a check that failed to run.
_RETRY = timedelta(hours=1)
#: Share of the time in which a check works; it pauses for the rest.
_SHARE = 0.25
_NICENESS = 15
_SAID_CHARACTERS = 500
_DIFFERS = 1


@dataclass(frozen=True, slots=True)
class FsckState:
    """The result of the last check."""

    completed_at: datetime
    entries: int
    #: number of differences, and the first one as text; None if there is none
    differences: int = 0
    first: str | None = None


class CheckFailedError(GreffierError):
    """The check could not run. This says nothing about the log."""


class FsckSchedule(PeriodicTask):
    """Runs a check an interval after the last one, even if another process on this machine made the last one."""

    name = "log_checking"
    #: no commit wakes it
    kinds: ClassVar[frozenset[str]] = frozenset()
    poll_seconds = 600.0
    shortest_seconds = 1.0

    def __init__(
        self,
        check: Callable[[], Awaitable[dict[str, Any]]],
        result_path: Path,
        *,
        every_hours: float,
        clock: Clock,
    ) -> None:
        """``check`` returns the output of ``greffier fsck --json``; raises CheckFailedError."""
        super().__init__(clock)
        self._check, self._result_path, self._every = check, result_path, timedelta(hours=every_hours)
        self._started_at = clock.now()
        #: time of the next attempt after a failed check
        self._again_at: datetime | None = None
        #: result of the last check; None if there was none
        self.last = _read(result_path)

    async def look(self) -> datetime:
        """Check the log if a check is due; return when the next is due.

        1. A check is due an interval after the last one, but not right after a start, nor soon after a failure.
        2. Run the check in a separate process.
        3. Store its result in the data folder and log it; alerts read the stored result.
        """
        # 1.
        due_at = self._started_at + _FIRST_AFTER
        if self.last is not None:
            due_at = max(due_at, self.last.completed_at + self._every)
        if self._again_at is not None:
            due_at = max(due_at, self._again_at)
        if self._clock.now() < due_at:
            return due_at
        # 2.
        try:
            said = await self._check()
        except CheckFailedError:
            self._again_at = self._clock.now() + _RETRY
            raise
        self._again_at = None
        # 3.
        found = said["differences"]
        first = None if not found else f"{found[0]['step']}: {found[0]['where']} {found[0]['what']}"
        self.last = FsckState(self._clock.now(), said["entries"], len(found), first)
        await asyncio.to_thread(_write, self._result_path, self.last)
        if first is None:
            _log.info("log.checked", entries=self.last.entries)
        else:
            _log.critical("log.differs", differences=len(found), first=first)
        return self.last.completed_at + self._every


def check_by_process(settings: Settings) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Return a function that runs ``greffier fsck`` on the data of these settings, slowly and with low priority.

    When the task is cancelled, the process is killed. This is safe, because it only reads.
    """

    async def check() -> dict[str, Any]:
        environment = dict(os.environ)
        if settings.database.url is not None:
            environment["GREFFIER_DATABASE__URL"] = settings.database.url
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service.cli", "fsck", "--data", str(settings.data), "--json", "--processes", "1",
            "--share", str(_SHARE), "--niceness", str(_NICENESS),
            env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, said = await process.communicate()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode not in {0, _DIFFERS}:
            reason = " ".join(said.decode(errors="replace").split())[-_SAID_CHARACTERS:]
            raise CheckFailedError(f"greffier fsck ended with {process.returncode}: {reason}")
        try:
            found: dict[str, Any] = json.loads(out)
        except ValueError as error:
            raise CheckFailedError(f"greffier fsck said what is no JSON: {error}") from None
        return found

    return check


def _read(path: Path) -> FsckState | None:
    """Return the stored result of the last check, or None if there is none that can be read."""
    try:
        kept = json.loads(path.read_bytes())
        return FsckState(parse_timestamp(kept.pop("completed_at")), **kept)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, GreffierError) as error:
        _log.warning("log_check.unreadable", path=str(path), reason=str(error))
        return None


def _write(path: Path, check: FsckState) -> None:
    text = json.dumps(asdict(check) | {"completed_at": timestamp_text(check.completed_at)})
    replace_file(path, text.encode(), 0o644)
