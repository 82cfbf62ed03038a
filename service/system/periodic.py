"""A duty that is looked after for as long as the process runs: when a commit wakes it, and when the clock strikes."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from datetime import datetime
from typing import ClassVar

import structlog

from notifications.ports import Clock

_log = structlog.get_logger(__name__)


class PeriodicTask(ABC):
    """Looks, does what there is to do, and looks again; no failure ends it, every one is logged and shown."""

    #: what it is called in the log
    name: ClassVar[str]
    #: kinds of things whose change it looks at
    kinds: ClassVar[frozenset[str]]
    #: how often it looks when nothing wakes it
    poll_seconds: ClassVar[float] = 30.0
    #: how long it looks away at least: what many commits change is looked at once
    shortest_seconds: ClassVar[float]

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wake = asyncio.Event()
        self._failure: str | None = None

    @abstractmethod
    async def look(self) -> datetime | None:
        """Do what there is to do now; returns when to look again at the latest, None for no such moment."""

    def wake(self, changed: set[str]) -> None:
        """Look again after a commit; called in the event loop with the kinds of things it changed."""
        if changed & self.kinds:
            self._wake.set()

    def health(self) -> str | None:
        """Return why the duty is not done, or None."""
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
