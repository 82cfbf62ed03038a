"""Leader election on PostgreSQL; apart from ``leadership``, because the embedded store needs no driver of a server."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

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
