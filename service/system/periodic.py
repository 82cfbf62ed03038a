"""A task that runs again and again for as long as the process runs: when a commit wakes it, and after a while."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from datetime import datetime
from typing import ClassVar

import structlog

from notifications.ports import Clock

_log = structlog.get_logger(__name__)


class PeriodicTask(ABC):
    """Calls ``look`` again and again. A failure does not end it; every failure is logged and shown by ``health``."""

    #: its name in the log
    name: ClassVar[str]
    #: kinds of things whose change wakes it
    kinds: ClassVar[frozenset[str]]
    #: how often it looks when nothing wakes it
    poll_seconds: float = 30.0
    #: how long it looks away at least: what many commits change is looked at once
    shortest_seconds: float
    #: after a failure it waits so long, twice as long each time, and no longer than the second number; no commit cuts
    #: that wait short. None: it waits as after any look.
    retry_seconds: tuple[float, float] | None = None

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wake = asyncio.Event()
        self._failure: str | None = None

    @abstractmethod
    async def look(self) -> datetime | None:
        """Do what there is to do now; returns when to look again at the latest, None for after ``poll_seconds``."""

    def wake(self, changed: set[str]) -> None:
        """Run soon if a commit changed one of ``kinds``; called in the event loop with the kinds that it changed."""
        if changed & self.kinds:
            self._wake.set()

    def health(self) -> str | None:
        """Return why the last look failed, or None."""
        return self._failure

    def failed(self, error: Exception) -> None:
        """Show and log that a look failed."""
        self._failure = f"{type(error).__name__}: {error}"
        _log.error(f"{self.name}.stalled", exc_info=error)

    async def run(self) -> None:
        """Run until cancelled."""
        retry = self.retry_seconds
        while True:
            self._wake.clear()
            wait_seconds = self.poll_seconds
            try:
                following = await self.look()
                self._failure, retry = None, self.retry_seconds
                if following is not None:
                    wait_seconds = min(wait_seconds, max(0.0, (following - self._clock.now()).total_seconds()))
            except Exception as error:  # noqa: BLE001 - the loop outlives any failure; it is logged and shown
                self.failed(error)
                if retry is not None:
                    await asyncio.sleep(retry[0])
                    retry = (min(2 * retry[0], retry[1]), retry[1])
                    continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):
                    await self._wake.wait()
            await asyncio.sleep(self.shortest_seconds)
