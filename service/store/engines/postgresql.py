"""The PostgreSQL store: any number of processes, each with two writer threads that commit in groups, and readers.

An advisory lock, held until the end of the transaction, serialises write jobs across all processes. Jobs that may run
concurrently hold the lock shared: they exclude the serialised jobs but not each other. So a serialised job sees the
same state as on SQLite, whatever other processes do.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from time import monotonic
from typing import TypeVar
from uuid import uuid4

import psycopg
import structlog
from psycopg import errors, sql

from notifications.errors import StoreUnavailableError
from service.store.engines.compaction import compact_postgresql
from service.store.engines.postgresql_session import (
    WORKS_LOCK,
    Connection,
    PostgresqlSession,
    PostgresqlTransaction,
    connect,
)
from service.store.engines.write_jobs import WriteJob, answer, taken, tell
from service.store.sql.directory import Directory

ResultT = TypeVar("ResultT")

_log = structlog.get_logger(__name__)

_CHANNEL = "greffier"
#: All kinds of changes. They are all reported after notifications of other processes may have been missed.
_ALL_KINDS = frozenset({
    "access", "acknowledgements", "audit", "call_tasks", "checks", "customers", "decisions", "deliveries", "duties",
    "erasures", "escalations", "incidents", "log", "messages", "notices", "questions", "returns", "webhooks",
})  # fmt: skip
#: Greatest number of runs of a group of jobs that conflicts with another group.
_RUNS = 5
_LOST_RACES = (errors.SerializationFailure, errors.DeadlockDetected)
_LISTEN_SECONDS = 0.25
#: Time without a message after which a keepalive is sent to the server; ignored on a local socket.
_QUIET_SECONDS = 5
_RECONNECT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PostgresqlLimits:
    """The timeouts of a connection."""

    connect_seconds: int = 5
    statement_seconds: float = 30
    lock_seconds: float = 20
    idle_in_transaction_seconds: float = 60
    #: after a lost message both sides wait for each other; the server closes the connection after this time
    idle_session_seconds: float = 600
    #: the same between statements that are sent together, when the server is not idle: this process then closes it
    transaction_seconds: float = 600


class PostgresqlStore:
    """Implements ``notifications.ports.UnitOfWork`` on one PostgreSQL database, for one of many processes.

    Any event loop can submit jobs. Hooks in ``on_commit`` are also called for commits of other processes.
    """

    def __init__(self, address: str, *, readers: int = 2, limits: PostgresqlLimits | None = None) -> None:
        self._address, self._limits = address, limits or PostgresqlLimits()
        self._directory = Directory()
        #: marks the notifications of this process, so that it can ignore its own
        self._name = uuid4().hex
        self._to_write: dict[bool, SimpleQueue[WriteJob | None]] = {alone: SimpleQueue() for alone in (True, False)}
        self._to_read: SimpleQueue[WriteJob | None] = SimpleQueue()
        self._to_read_behind: SimpleQueue[WriteJob | None] = SimpleQueue()
        #: like ``SqliteStore.on_commit``
        self.on_commit: list[Callable[[set[str]], None]] = []
        self._closed = False
        #: connections in a transaction, and the start of it (monotonic), by thread
        self._at_work: dict[int, tuple[Connection, float]] = {}
        #: ensures that no job is submitted after the end marker of a queue, and guards ``_listening``
        self._handing_in = threading.Lock()
        self._closing = threading.Event()
        #: set once the listener receives notifications, or has found that it cannot
        self._listens = threading.Event()
        #: the connection on which the listener waits
        self._listening: Connection | None = None
        #: the event loop in which hooks are called for other processes: the loop of the last job
        self._loop: asyncio.AbstractEventLoop | None = None
        # A missing database raises an error at once.
        with self._connected("greffier opens"):
            pass
        self._threads = [
            threading.Thread(target=self._write_until_closed, args=(alone,), name=f"store-writer-{alone}", daemon=True)
            for alone in (True, False)
        ]
        self._threads += [
            threading.Thread(target=self._read_until_closed, args=(queue,), name=f"store-reader-{name}", daemon=True)
            for queue, name in (
                *((self._to_read, str(number)) for number in range(readers)),
                (self._to_read_behind, "background"),
            )
        ]
        self._readers = readers
        self._listener = threading.Thread(target=self._listen_until_closed, name="store-listener", daemon=True)
        for thread in (*self._threads, self._listener):
            thread.start()
        # Commits of other processes are noticed from the moment this store is open.
        self._listens.wait(self._limits.connect_seconds)

    async def write(self, work: Callable[..., ResultT], *, concurrently: bool = False) -> ResultT:
        """Run ``work`` in a transaction and return its result once it is durable; see the port.

        Raises every error of ``work`` after rolling it back; StoreUnavailableError if the server could not commit, did
        not confirm the commit, or the store is closed.
        """
        return await self._hand_in(self._to_write[not concurrently], work)

    async def read(self, work: Callable[..., ResultT]) -> ResultT:
        """Run ``work`` against one consistent snapshot; an attempt to write raises RuntimeError."""
        return await self._hand_in(self._to_read, work)

    async def read_in_background(self, work: Callable[..., ResultT]) -> ResultT:
        """Like ``read``, one after the other and by a reader of its own: no other read waits for it."""
        return await self._hand_in(self._to_read_behind, work)

    async def compact(self) -> None:
        """Rewrite the tables that an erasure changes; see ``compact_postgresql``."""
        await asyncio.to_thread(compact_postgresql, self._address)

    async def close(self) -> None:
        """Finish the submitted jobs, then close the connections. Later jobs are refused."""
        with self._handing_in:
            if self._closed:
                return
            self._closed = True
            self._closing.set()
            if self._listening is not None:
                # Nobody waits for the listener's next look.
                _hang_up(self._listening)
        for queue in self._to_write.values():
            queue.put(None)
        for _ in range(self._readers):
            self._to_read.put(None)
        self._to_read_behind.put(None)
        for thread in (*self._threads, self._listener):
            await asyncio.to_thread(thread.join)

    async def _hand_in(self, queue: SimpleQueue[WriteJob | None], run: Callable[..., ResultT]) -> ResultT:
        loop = asyncio.get_running_loop()
        work = WriteJob(run, loop, loop.create_future())
        with self._handing_in:
            if self._closed:
                raise StoreUnavailableError("the store is closed")
            self._loop = loop
            queue.put(work)
        result: ResultT = await work.future
        return result

    # -- connections

    def _connect(self, name: str) -> Connection:
        """Return a connection with the settings of this store; raises StoreUnavailableError."""
        limits = self._limits
        seconds = {
            "statement_timeout": limits.statement_seconds,
            "lock_timeout": limits.lock_seconds,
            "idle_in_transaction_session_timeout": limits.idle_in_transaction_seconds,
            "idle_session_timeout": limits.idle_session_seconds,
        }
        try:
            return connect(
                self._address,
                seconds,
                connect_timeout=limits.connect_seconds,
                application_name=name,
                # Detects a server that disappeared; libpq by default waits for ever.
                keepalives_idle=_QUIET_SECONDS,
                keepalives_interval=_QUIET_SECONDS,
                keepalives_count=3,
                tcp_user_timeout=4000 * _QUIET_SECONDS,
            )
        except psycopg.Error as error:
            raise StoreUnavailableError(f"the database cannot be reached: {_one_line(error)}") from error

    @contextmanager
    def _connected(self, name: str) -> Iterator[Connection]:
        connection = self._connect(name)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _working(self, connection: Connection) -> Iterator[None]:
        """Close the connection from the watching thread if the transaction takes too long."""
        self._at_work[threading.get_ident()] = connection, monotonic()
        try:
            yield
        finally:
            del self._at_work[threading.get_ident()]

    def _hang_up_on_what_takes_too_long(self) -> None:
        for connection, began in list(self._at_work.values()):
            if monotonic() - began > self._limits.transaction_seconds:
                _log.error("store.hung_up", seconds=self._limits.transaction_seconds)
                _hang_up(connection)

    # -- the writer threads

    def _write_until_closed(self, alone: bool) -> None:
        queue = self._to_write[alone]
        connection: Connection | None = None
        closing = False
        while not closing and (first := queue.get()) is not None:
            works, closing = taken(first, queue)
            connection = self._commit_together(works, connection, alone=alone)
        if connection is not None:
            connection.close()

    def _commit_together(
        self, works: list[WriteJob], connection: Connection | None, *, alone: bool
    ) -> Connection | None:
        """Run jobs in one transaction, each in a savepoint, and commit them together; return the connection to keep.

        Jobs run again after a conflict, and if the connection was already dead when they began.
        """
        changed: set[str] = set()
        wanted = [work for work in works if not work.future.cancelled()]
        for run in range(_RUNS):
            try:
                fresh = connection is None or connection.closed
                if connection is None or connection.closed:
                    connection = self._connect("greffier writes")
                with self._working(connection):
                    changed = self._run_group(wanted, connection, alone=alone)
                break
            except Exception as error:  # noqa: BLE001 - the thread outlives it, and nobody waits for ever
                lost = isinstance(error, _LOST_RACES)
                dead = (
                    connection is not None and connection.closed and not fresh and not isinstance(error, _UnsureError)
                )
                _let_go(connection)
                connection = None if connection is None or connection.closed else connection
                if (lost or dead) and run + 1 < _RUNS:
                    continue
                _log.error("store.commit_failed", works=len(works), exc_info=error)
                for work in wanted:
                    work.error = _unavailable(error)
                changed = set()
                break
        answer(wanted, before=lambda: self._tell(changed) if changed else None)
        return connection

    def _run_group(self, works: list[WriteJob], connection: Connection, *, alone: bool) -> set[str]:
        """Run jobs and commit them; return the kinds of things that they changed."""
        changed: set[str] = set()
        session = PostgresqlSession(connection, self._directory)
        connection.execute("BEGIN")
        lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        connection.execute(f"SELECT {lock}({WORKS_LOCK})")
        for work in works:
            work.error = None
            self._run_in_savepoint(work, session)
            if work.error is None:
                changed |= session.changed
        session.write_appended()
        if changed:
            connection.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, f"{self._name} {' '.join(sorted(changed))}"))
        try:
            connection.execute("COMMIT")
        except psycopg.OperationalError as error:
            if connection.closed:
                # It is unknown whether the server has committed.
                raise _UnsureError("the connection was lost while the server committed") from error
            raise
        return changed

    def _run_in_savepoint(self, work: WriteJob, session: PostgresqlSession) -> None:
        """Run one job; its failure rolls back only this job. Raises errors that end the whole transaction."""
        session.changed = set()
        appended = len(session.appended)
        session.connection.execute("SAVEPOINT work")
        try:
            work.result = work.run(PostgresqlTransaction(session))
        except _LOST_RACES:
            raise
        except BaseException as error:
            if session.connection.closed:
                raise
            work.error = _named(error)
            del session.appended[appended:]
            session.connection.execute("ROLLBACK TO SAVEPOINT work")
        session.connection.execute("RELEASE SAVEPOINT work")

    def _tell(self, changed: set[str]) -> None:
        tell(self.on_commit, changed)

    # -- the reader threads

    def _read_until_closed(self, queue: SimpleQueue[WriteJob | None]) -> None:
        connection: Connection | None = None
        while (work := queue.get()) is not None:
            if work.future.cancelled():
                continue
            connection = self._read_one(work, connection)
            answer([work])
        if connection is not None:
            connection.close()

    def _read_one(self, work: WriteJob, connection: Connection | None) -> Connection | None:
        for kept in (True, False):
            try:
                if connection is None or connection.closed or not kept:
                    connection = self._connect("greffier reads")
                with self._working(connection):
                    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    work.result = work.run(PostgresqlTransaction(PostgresqlSession(connection, self._directory)))
                    connection.execute("COMMIT")
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller, not to this thread
                dead = connection is not None and connection.closed
                _let_go(connection)
                if dead and kept:
                    connection = None
                    continue
                work.error = _named(error)
            return connection
        return connection

    # -- what other processes commit

    def _listen_until_closed(self) -> None:
        """Hear of other processes' commits; after a time of deafness everything may have changed."""
        deaf = False
        while not self._closing.is_set():
            try:
                with self._connected("greffier listens") as connection:
                    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(_CHANNEL)))
                    self._listens.set()
                    if deaf:
                        self._tell_in_loop(set(_ALL_KINDS))
                        deaf = False
                    with self._hung_up_on_by_close(connection):
                        self._listen_on(connection)
            except (StoreUnavailableError, psycopg.Error) as error:
                if self._closing.is_set():
                    break
                deaf = True
                self._listens.set()
                _log.warning("store.deaf", reason=_one_line(error))
                self._hang_up_on_what_takes_too_long()
                self._closing.wait(_RECONNECT_SECONDS)

    @contextmanager
    def _hung_up_on_by_close(self, connection: Connection) -> Iterator[None]:
        """Let ``close`` end the wait on a connection; it does not touch the connection afterwards."""
        with self._handing_in:
            self._listening = connection
        try:
            yield
        finally:
            with self._handing_in:
                self._listening = None

    def _listen_on(self, connection: Connection) -> None:
        while not self._closing.is_set():
            self._hang_up_on_what_takes_too_long()
            until = monotonic() + _LISTEN_SECONDS
            for notification in connection.notifies(timeout=_LISTEN_SECONDS, stop_after=64):
                name, _, kinds = notification.payload.partition(" ")
                if name != self._name:
                    self._tell_in_loop(set(kinds.split()))
            if monotonic() >= until:
                # Only a query detects a server that is gone; waiting does not.
                connection.execute("SELECT 1")

    def _tell_in_loop(self, changed: set[str]) -> None:
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._tell, changed)


class _UnsureError(Exception):
    """It is unknown whether the transaction was committed."""


def _let_go(connection: Connection | None) -> None:
    """Roll back an open transaction; if that fails, close the connection."""
    if connection is None or connection.closed:
        return
    try:
        connection.execute("ROLLBACK")
    except psycopg.Error:
        connection.close()


def _hang_up(connection: Connection) -> None:
    """Close a connection that another thread waits on; that thread gets the error of a lost connection."""
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as ours:
        ours.shutdown(socket.SHUT_RDWR)


def _unavailable(error: BaseException) -> BaseException:
    if isinstance(error, StoreUnavailableError):
        return error
    failure = StoreUnavailableError(f"the store could not commit: {_one_line(error)}")
    failure.__cause__ = error
    return failure


def _named(error: BaseException) -> BaseException:
    """Return the error for the caller: errors of the engine become errors of the domain."""
    if isinstance(error, errors.ReadOnlySqlTransaction):
        failure: Exception = RuntimeError("a read must not write")
    elif isinstance(error, psycopg.OperationalError | errors.IdleInTransactionSessionTimeout):
        failure = StoreUnavailableError(f"the store could not do it: {_one_line(error)}")
    else:
        return error
    failure.__cause__ = error
    return failure


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


__all__ = ["PostgresqlLimits", "PostgresqlStore"]
