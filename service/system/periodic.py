"""A task that runs periodically for as long as the process runs, and also when a commit wakes it."""

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
    #: longest time between two runs when nothing wakes it
    poll_seconds: ClassVar[float] = 30.0
    #: shortest time between two runs, so that many commits cause only one run
    shortest_seconds: ClassVar[float]

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wake = asyncio.Event()
        self._failure: str | None = None

    @abstractmethod
    async def look(self) -> datetime | None:
        """Do the work that is due; return the latest time of the next run, or None if there is none."""

    def wake(self, changed: set[str]) -> None:
        """Run soon if a commit changed one of ``kinds``; called in the event loop with the kinds that it changed."""
        if changed & self.kinds:
            self._wake.set()

    def health(self) -> str | None:
        """Return why the task fails, or None."""
        return self._failure

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self._wake.clear()
            wait_seconds = self.poll_seconds
            try:
                following = await self.look()
                self._failure = None
                if following is not None:
                    wait_seconds = min(wait_seconds, max(0.0, (following - self._clock.now()).total_seconds()))
            except Exception as error:  # noqa: BLE001 - the loop outlives any failure; it is logged and shown
                self._failure = f"{type(error).__name__}: {error}"
                _log.error(f"{self.name}.stalled", exc_info=error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):
                    await self._wake.wait()
            await asyncio.sleep(self.shortest_seconds)
