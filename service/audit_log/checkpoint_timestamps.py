"""Runs on the leader only: get a timestamp over the log's head from time to time. The log never waits for it.

A head that an authority timestamped cannot be replaced later, not even by the holder of the log's key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import structlog

from notifications.errors import TimestampUnavailableError
from notifications.ports import Clock, TimestampAuthority
from service.ports.log import LogStore, LogTransaction
from service.system.periodic import PeriodicTask

_log = structlog.get_logger(__name__)

#: Wait after the first failure; it doubles up to the second value.
_FIRST_RETRY, _LAST_RETRY = timedelta(seconds=5), timedelta(minutes=5)


@dataclass(slots=True)
class TimestampingState:
    """The state of timestamping, as far as this process knows."""

    #: when the newest timestamp was obtained; None if there is none, or if this is not known yet
    stamped_at: datetime | None = None
    #: since when due timestamps fail, and why; None if the last one succeeded
    failing_since: datetime | None = None
    reason: str | None = None
    #: failed attempts since the process started
    failures: int = 0


class CheckpointTimestamper(PeriodicTask):
    """Gets a timestamp over the latest head: the first at once, further ones after an interval each."""

    name = "head_timestamping"
    kinds: ClassVar[frozenset[str]] = frozenset({"log"})
    shortest_seconds = 1.0

    def __init__(
        self,
        store: LogStore,
        authority: TimestampAuthority,
        *,
        every_seconds: float,
        clock: Clock,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """``failed`` is called after each failed attempt."""
        super().__init__(clock)
        self._store, self._authority, self._failed = store, authority, failed
        self._every = timedelta(seconds=every_seconds)
        self._retry = _FIRST_RETRY
        #: time of the next attempt after a failure
        self._again_at: datetime | None = None
        self.state = TimestampingState()

    async def look(self) -> datetime | None:
        """Get a timestamp over the latest head if it is due; return when the next is due, None for an empty log.

        1. Read the latest head and the time of the newest timestamp. Nothing is due if there is no newer head.
        2. Ask for a token over the exact bytes of the signed checkpoint, outside any transaction. The port verifies it.
        3. Store the token.
        """
        now = self._clock.now()
        # 1.
        size, note, stamped_size, self.state.stamped_at = await self._store.read(_newest_heads)
        if note is None or size == stamped_size:
            self.state.failing_since = self.state.reason = None
            return None
        if self.state.stamped_at is not None and now < (due_at := self.state.stamped_at + self._every):
            return due_at
        if self._again_at is not None and now < self._again_at:
            return self._again_at
        # 2.
        try:
            token = await self._authority.timestamp(note)
        except TimestampUnavailableError as error:
            return self._fail(now, str(error))
        except Exception as error:
            self._fail(now, f"{type(error).__name__}: {error}")
            raise
        # 3.
        made_at = self._clock.now()
        await self._store.write(lambda tx: tx.log.add_timestamp(size, token, made_at))
        self.state.stamped_at, self.state.failing_since, self.state.reason = made_at, None, None
        self._again_at, self._retry = None, _FIRST_RETRY
        _log.debug("head.timestamped", size=size)
        return made_at + self._every

    def _fail(self, now: datetime, reason: str) -> datetime:
        state = self.state
        state.failing_since, state.reason, state.failures = state.failing_since or now, reason, state.failures + 1
        self._failed()
        _log.warning("head.not_timestamped", reason=reason, failures=state.failures)
        self._again_at, self._retry = self._clock.now() + self._retry, min(2 * self._retry, _LAST_RETRY)
        return self._again_at


def _newest_heads(tx: LogTransaction) -> tuple[int, bytes | None, int, datetime | None]:
    """Return size and note of the latest head, size and time of the newest that was timestamped."""
    newest = tx.log.timestamped_checkpoint()
    size, made_at = (0, None) if newest is None else (newest.size, newest.made_at)
    return tx.log.size(), tx.log.checkpoint(), size, made_at
