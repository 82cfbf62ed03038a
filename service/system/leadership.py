"""Leadership: which process does what only one may do at a time.

The leader grows the log, raises alerts and sends the service's own mails. With the embedded store this process leads,
always. On PostgreSQL whoever holds an advisory lock does: the server gives it to one session, and takes it back when
that session ends, however it ends. Leadership spares work and noise; it is not what safety rests on: a head is
compared-and-swapped, an alert has its key, a mail its Message-ID.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import psycopg
import structlog

_log = structlog.get_logger(__name__)

#: The lock of the leader, among all advisory locks of one database: the letters ``greffier``.
LEADER_LOCK = int.from_bytes(b"greffier")
#: So that a machine that vanished without a word keeps the lock for seconds only; ignored on a local socket.
_SERVER_LOOKS_FOR_US = (
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
    "SET tcp_user_timeout = 11000",
)


class Leadership(Protocol):
    """Tells whether this process leads; usable from any thread for that alone."""

    #: called in the event loop after this process began to lead, and after it ceased to
    on_change: list[Callable[[], None]]

    @property
    def leads(self) -> bool:
        """Whether this process leads, as far as it knows."""
        ...

    async def gained(self) -> None:
        """Return once this process leads."""
        ...

    async def lost(self) -> None:
        """Return once this process does not lead."""
        ...

    def health(self) -> str | None:
        """Return why this process can neither lead nor know who does, or None."""
        ...


class SoleLeadership:
    """Implements ``Leadership`` for a process that has its store to itself."""

    def __init__(self) -> None:
        self.on_change: list[Callable[[], None]] = []

    @property
    def leads(self) -> bool:
        """Always."""
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
    """Implements ``Leadership`` by a session-level advisory lock, on a connection that does nothing else.

    ``stands`` false never asks for the lock. The address must be the server's own, or that of a pooler that keeps one
    session per connection: a lock that is given back after each transaction would make every process a leader.
    """

    def __init__(
        self, address: str, *, stands: bool = True, retry_seconds: float = 1.0, answer_seconds: float = 5.0
    ) -> None:
        """The lock is asked for every ``retry_seconds``; a silence of ``answer_seconds`` is a lost connection."""
        self._address, self._stands = address, stands
        self._retry_seconds, self._answer_seconds = retry_seconds, answer_seconds
        self.on_change: list[Callable[[], None]] = []
        self._leading, self._following = asyncio.Event(), asyncio.Event()
        self._following.set()
        self._leads = False
        self._failure: str | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def leads(self) -> bool:
        """Whether the lock was held when it was last looked at: ``retry_seconds`` and a silence ago, at most."""
        return self._leads

    async def gained(self) -> None:
        """Return once this process leads."""
        await self._leading.wait()

    async def lost(self) -> None:
        """Return once this process does not lead."""
        await self._following.wait()

    def health(self) -> str | None:
        """Return why the lock cannot even be asked for, or None."""
        return self._failure

    async def start(self) -> None:
        """Stand for the lock in the background."""
        if self._stands:
            self._task = asyncio.create_task(self._run(), name="leadership")

    async def stop(self) -> None:
        """Stand no more; the lock is free on return."""
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
                    # Before the lock can be anybody else's.
                    self._set(leads=False)
                    await connection.close()
            except (psycopg.Error, OSError, TimeoutError) as error:
                self._failure = f"the lock of the leader cannot be asked for: {str(error) or type(error).__name__}"
                _log.warning("leadership.unavailable", reason=self._failure)
            await asyncio.sleep(self._retry_seconds)

    async def _hold(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Ask for the lock until it is ours, then see to it that it still is; raises when the connection is lost."""
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
        """Return what the server says to a question; raises TimeoutError when it says nothing."""
        asking = asyncio.create_task(_asked(connection, statement))
        try:
            await asyncio.wait({asking}, timeout=self._answer_seconds)
            if not asking.done():
                # First of all: hanging up on a server that is silent takes its time.
                self._set(leads=False)
                raise TimeoutError("the server does not answer")
            return asking.result()
        finally:
            asking.cancel()

    async def _listen(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Let the time between two looks pass; raises at once when the server closes the connection meanwhile."""
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
    """Do a duty whenever this process leads, and stop it when it does not any more; runs until cancelled.

    Raises what the duty raises.
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
