"""Leader election: which process does the work that only one process should do at a time.

The leader extends the log, raises alerts and sends the service's own mails. With the embedded store this process is
always the leader. On PostgreSQL the leader is the process that holds an advisory lock. The server gives the lock to one
session and releases it when that session ends for any reason. Leader election only avoids duplicate work and noise.
Safety does not depend on it: the head is replaced by compare-and-swap, an alert has a unique key, a mail a Message-ID.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import psycopg
import structlog

_log = structlog.get_logger(__name__)

#: Number of the leader's advisory lock in the database: the letters ``greffier``.
LEADER_LOCK = int.from_bytes(b"greffier")
#: With these settings a machine that disappears keeps the lock only for seconds. They are ignored on a local socket.
_SERVER_LOOKS_FOR_US = (
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
    "SET tcp_user_timeout = 11000",
)


class Leadership(Protocol):
    """Knows whether this process is the leader. Only ``leads`` may be called from any thread."""

    #: called in the event loop after this process became the leader, and after it stopped being the leader
    on_change: list[Callable[[], None]]

    @property
    def leads(self) -> bool:
        """Return whether this process is the leader, as far as it knows."""
        ...

    async def gained(self) -> None:
        """Return as soon as this process is the leader."""
        ...

    async def lost(self) -> None:
        """Return as soon as this process is not the leader."""
        ...

    def health(self) -> str | None:
        """Return why this process cannot take part in the election, or None."""
        ...


class SoleLeadership:
    """Implements ``Leadership`` for the only process of a store: it is always the leader."""

    def __init__(self) -> None:
        self.on_change: list[Callable[[], None]] = []

    @property
    def leads(self) -> bool:
        """Return True."""
        return True

    async def gained(self) -> None:
        """Return at once."""

    async def lost(self) -> None:
        """Never return."""
        await asyncio.Event().wait()

    def health(self) -> str | None:
        """Return None."""
        return None


class AdvisoryLockLeadership:
    """Implements ``Leadership`` by a session-level advisory lock, on a connection that is used for nothing else.

    With ``candidate`` false the process never asks for the lock. ``address`` must be the server's, or that of a pooler
    in session mode. In transaction mode a pooler releases the lock after each transaction, and every process would
    lead.
    """

    def __init__(
        self, address: str, *, candidate: bool = True, retry_seconds: float = 1.0, answer_seconds: float = 5.0
    ) -> None:
        """Ask for the lock every ``retry_seconds``. Without an answer in ``answer_seconds`` the connection is lost."""
        self._address, self._candidate = address, candidate
        self._retry_seconds, self._answer_seconds = retry_seconds, answer_seconds
        self.on_change: list[Callable[[], None]] = []
        self._leading, self._following = asyncio.Event(), asyncio.Event()
        self._following.set()
        self._leads = False
        self._failure: str | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def leads(self) -> bool:
        """Return whether the lock was held at the last check, at most ``retry_seconds`` plus ``answer_seconds`` ago."""
        return self._leads

    async def gained(self) -> None:
        """Return as soon as this process is the leader."""
        await self._leading.wait()

    async def lost(self) -> None:
        """Return as soon as this process is not the leader."""
        await self._following.wait()

    def health(self) -> str | None:
        """Return why the lock cannot be asked for, or None."""
        return self._failure

    async def start(self) -> None:
        """Start asking for the lock in the background."""
        if self._candidate:
            self._task = asyncio.create_task(self._run(), name="leadership")

    async def stop(self) -> None:
        """Stop asking for the lock, and release it; it is free on return."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._answer_seconds):
                    connection = await psycopg.AsyncConnection.connect(self._address, autocommit=True)
                try:
                    await self._hold(connection)
                finally:
                    # This must happen before another process can get the lock.
                    self._set(leads=False)
                    await connection.close()
            except (psycopg.Error, OSError, TimeoutError) as error:
                self._failure = f"the lock of the leader cannot be asked for: {str(error) or type(error).__name__}"
                _log.warning("leadership.unavailable", reason=self._failure)
            await asyncio.sleep(self._retry_seconds)

    async def _hold(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Ask for the lock until it is granted, then check that it is still held; raises if the connection is lost."""
        for statement in _SERVER_LOOKS_FOR_US:
            await self._answer(connection, statement)
        while not await self._answer(connection, f"SELECT pg_try_advisory_lock({LEADER_LOCK})"):
            self._failure = None
            await self._listen(connection)
        self._failure = None
        self._set(leads=True)
        while True:
            await self._listen(connection)
            await self._answer(connection, "SELECT true")

    async def _answer(self, connection: psycopg.AsyncConnection[Any], statement: str) -> bool:
        """Return the server's answer to a statement; raises TimeoutError if there is none in time."""
        asking = asyncio.create_task(_asked(connection, statement))
        try:
            await asyncio.wait({asking}, timeout=self._answer_seconds)
            if not asking.done():
                # This comes first, because closing the connection to a silent server takes time.
                self._set(leads=False)
                raise TimeoutError("the server does not answer")
            return asking.result()
        finally:
            asking.cancel()

    async def _listen(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Wait until the next check; raises at once if the server closes the connection in the meantime."""
        async for _ in connection.notifies(timeout=self._retry_seconds):
            pass

    def _set(self, *, leads: bool) -> None:
        if leads == self._leads:
            return
        self._leads = leads
        _log.info("leadership.gained" if leads else "leadership.lost")
        for now, event in ((leads, self._leading), (not leads, self._following)):
            event.set() if now else event.clear()
        for hook in self.on_change:
            hook()


async def _asked(connection: psycopg.AsyncConnection[Any], statement: str) -> bool:
    cursor = await connection.execute(statement.encode())
    row = await cursor.fetchone() if cursor.description else None
    return row is not None and bool(row[0])


async def while_leading(leadership: Leadership, duty: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a leader task while this process is the leader, and cancel it when that ends; runs until cancelled.

    Raises what the task raises.
    """
    while True:
        await leadership.gained()
        doing, losing = asyncio.create_task(duty()), asyncio.create_task(leadership.lost())
        try:
            await asyncio.wait({doing, losing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (doing, losing):
                task.cancel()
            await asyncio.wait({doing, losing})
        if not doing.cancelled():
            doing.result()
