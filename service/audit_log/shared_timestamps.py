"""One timestamp over a checkpoint for all notices that wait for one in this process."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from notifications.errors import TimestampUnavailableError
from notifications.ports import Clock, TimestampAuthority, TimestampedCheckpoint
from service.ports.log import LogStore, LogTransaction

_log = structlog.get_logger(__name__)


class SharedTimestamps:
    """Implements ``notifications.ports.CheckpointTimestamps`` on the tokens that the log keeps.

    At most one request is under way, over the newest checkpoint at that moment. Who comes meanwhile waits for it, and
    then finds the entry covered, or shares the next request with all others who came. Other processes do the same: each
    takes a token that another one obtained.
    """

    def __init__(
        self,
        store: LogStore,
        authority: TimestampAuthority,
        clock: Clock,
        *,
        every_seconds: float = 0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``every_seconds``: the least time between the starts of two requests; the first one starts at once."""
        self._store, self._authority, self._clock = store, authority, clock
        self._every_seconds, self._sleep = every_seconds, sleep
        self._asking = asyncio.Lock()
        #: the earliest time of the next request, by the clock of the event loop
        self._next_at = 0.0
        #: number of failed requests, and why the last one failed
        self._failures, self._reason = 0, ""

    async def covering(self, size: int) -> TimestampedCheckpoint:
        """Return a timestamped checkpoint of at least this size; see the port.

        1. Wait until no other request is under way. If one failed meanwhile, this one fails too: a queue of requests
           to an authority that is down would hold up notices one after the other.
        2. Take a token that covers the entry, if there is one.
        3. Wait for the time of the next request. Take a token that another process obtained meanwhile.
        4. Ask for a token over the exact bytes of the newest signed checkpoint. The port verifies it. Store it.
        """
        # 1.
        failures = self._failures
        async with self._asking:
            if self._failures != failures:
                raise TimestampUnavailableError(self._reason)
            # 2.
            if (found := await self._store.read(lambda tx: _covering(tx, size))) is not None:
                return found
            # 3.
            loop = asyncio.get_running_loop()
            if (left := self._next_at - loop.time()) > 0:
                await self._sleep(left)
                if (found := await self._store.read(lambda tx: _covering(tx, size))) is not None:
                    return found
            # 4.
            self._next_at = loop.time() + self._every_seconds
            return await self._ask(size)

    async def _ask(self, wanted: int) -> TimestampedCheckpoint:
        size, note = await self._store.read(lambda tx: (tx.log.size(), tx.log.checkpoint()))
        if note is None or size < wanted:
            raise LookupError(f"the log has no checkpoint of size {wanted} yet")
        try:
            token = await self._authority.timestamp(note)
        except Exception as error:
            unavailable = isinstance(error, TimestampUnavailableError)
            self._failures, self._reason = (
                self._failures + 1,
                str(error) if unavailable else f"{type(error).__name__}: {error}",
            )
            raise
        made_at = self._clock.now()
        await self._store.write(lambda tx: tx.log.add_timestamp(size, token, made_at))
        _log.debug("head.timestamped", size=size)
        stored = await self._store.read(lambda tx: tx.log.timestamped_checkpoint(size))
        if stored is None:
            raise LookupError(f"the timestamp over the checkpoint of size {size} is not stored")
        return stored


def _covering(tx: LogTransaction, size: int) -> TimestampedCheckpoint | None:
    newest = tx.log.timestamped_checkpoint()
    return newest if newest is not None and newest.size >= size else None
