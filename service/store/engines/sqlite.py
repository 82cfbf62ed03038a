"""The SQLite store: one writer thread that commits in groups, a few reader threads on snapshots."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import structlog

from notifications.errors import StoreUnavailableError
from service.store.engines.transaction import SqlTransaction
from service.store.engines.write_jobs import WriteJob, answer, taken, tell
from service.store.sql.directory import Directory
from service.store.sql.full_text import REBUILD
from service.store.sql.session import Session

ResultT = TypeVar("ResultT")

_log = structlog.get_logger(__name__)

#: How long a statement waits for a lock that another process holds.
_BUSY_TIMEOUT_SECONDS = 10.0
_CACHED_STATEMENTS = 512
#: 16 MiB of page cache per connection; SQLite takes a negative number as KiB.
_CACHE_SIZE = -16 * 1024
#: Number of WAL pages before a checkpoint (16 MiB); a page that many commits change is then copied only once.
_CHECKPOINT_PAGES = 4096


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open a connection with the settings of this store: WAL, every commit flushed to disk, foreign keys enforced."""
    connection = sqlite3.connect(
        path,
        timeout=_BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_CACHED_STATEMENTS,
    )
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "recursive_triggers = ON",
        "trusted_schema = OFF",
        # What is deleted is overwritten with zeros, such as a draft that was declared.
        "secure_delete = ON",
        f"cache_size = {_CACHE_SIZE}",
        f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
        f"query_only = {'ON' if read_only else 'OFF'}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


class SqliteStore:
    """Implements ``notifications.ports.UnitOfWork`` on one SQLite file, for one serving process.

    Any event loop can submit jobs. Other processes may read, and write between commits.
    """

    def __init__(self, path: Path, *, readers: int = 2) -> None:
        self._path = path
        self._directory = Directory()
        self._to_write: SimpleQueue[WriteJob | None] = SimpleQueue()
        self._to_read: SimpleQueue[WriteJob | None] = SimpleQueue()
        self._to_read_behind: SimpleQueue[WriteJob | None] = SimpleQueue()
        #: called with the kinds of things that a commit changed (``audit``, ``log``, ``incidents``, ``decisions``,
        #: ``customers``, ``notices``, ``deliveries``, ``access``, ``messages``), in the event loop of one of the jobs,
        #: before callers continue
        self.on_commit: list[Callable[[set[str]], None]] = []
        self._closed = False
        #: ensures that no job is submitted after the end marker of a queue
        self._handing_in = threading.Lock()
        self._writing = threading.Thread(target=self._write_until_closed, name="store-writer", daemon=True)
        self._readers = [self._reader(self._to_read, str(number)) for number in range(readers)]
        #: None until something is read in the background
        self._background_reader: threading.Thread | None = None
        self._writer = connect(path, read_only=False)
        for thread in (self._writing, *self._readers):
            thread.start()

    @property
    def path(self) -> Path:
        """The database file."""
        return self._path

    async def write(self, work: Callable[[SqlTransaction], ResultT], *, concurrently: bool = False) -> ResultT:
        """Run ``work`` in a transaction and return its result once it is durable on disk.

        ``concurrently`` has no effect here, because this engine has one writer at a time.

        Raises every error of ``work`` after rolling it back; StoreUnavailableError if the engine could not commit (disk
        full, locked by another process) or the store is closed. If the caller is cancelled before its job starts, the
        job does not run; a job that has started is finished.
        """
        del concurrently
        return await self._hand_in(self._to_write, work)

    async def read(self, work: Callable[[SqlTransaction], ResultT]) -> ResultT:
        """Run ``work`` against one consistent snapshot; an attempt to write raises RuntimeError."""
        return await self._hand_in(self._to_read, work)

    async def read_in_background(self, work: Callable[[SqlTransaction], ResultT]) -> ResultT:
        """Like ``read``, one after the other and by a reader of its own: no other read waits for it."""
        with self._handing_in:
            if self._background_reader is None and not self._closed:
                self._background_reader = self._reader(self._to_read_behind, "background")
                self._background_reader.start()
        return await self._hand_in(self._to_read_behind, work)

    async def compact(self) -> None:
        """Rewrite the file, so that nothing of deleted rows is left in it or in its write-ahead log.

        Jobs wait in the meantime, some seconds per gigabyte, and the disk must have room for a second copy. Raises
        StoreUnavailableError if the engine fails, or if another process keeps reading an older state.
        """
        await self._hand_in(self._to_write, _rewritten)

    async def close(self) -> None:
        """Finish the submitted jobs, then close the file. Later jobs are refused.

        On return the database file contains everything. SQLite moves the write-ahead log into it when the last
        connection closes. Two connections that close at the same moment may each assume that the other is the last, so
        the writer closes after the readers.
        """
        with self._handing_in:
            if self._closed:
                return
            self._closed = True
        for _ in self._readers:
            self._to_read.put(None)
        self._to_read_behind.put(None)
        for reader in (*self._readers, self._background_reader):
            if reader is not None:
                await asyncio.to_thread(reader.join)
        self._to_write.put(None)
        await asyncio.to_thread(self._writing.join)

    async def _hand_in(self, queue: SimpleQueue[WriteJob | None], run: Callable[..., ResultT]) -> ResultT:
        loop = asyncio.get_running_loop()
        work = WriteJob(run, loop, loop.create_future())
        with self._handing_in:
            if self._closed:
                raise StoreUnavailableError("the store is closed")
            queue.put(work)
        result: ResultT = await work.future
        return result

    # -- the writer thread

    def _write_until_closed(self) -> None:
        while (first := self._to_write.get()) is not None:
            works, closing = taken(first, self._to_write)
            rewriting = [work for work in works if work.run is _rewritten]
            if len(rewriting) < len(works):
                self._commit_together([work for work in works if work.run is not _rewritten])
            for work in rewriting:
                self._rewrite(work)
            if closing:
                break
        self._writer.close()

    def _commit_together(self, works: list[WriteJob]) -> None:
        """Run jobs in one transaction, each in a savepoint, and commit them together."""
        session = Session(self._writer, self._directory)
        changed: set[str] = set()
        done: list[WriteJob] = []
        try:
            with _transaction(self._writer, "BEGIN IMMEDIATE"):
                for work in works:
                    if work.future.cancelled():
                        continue
                    done.append(work)
                    self._run_in_savepoint(work, session)
                    if work.error is None:
                        changed |= session.changed
        except Exception as error:  # noqa: BLE001 - the thread outlives it, and nobody waits for ever
            _log.error("store.commit_failed", works=len(works), exc_info=error)
            for work in works:
                work.error = StoreUnavailableError(f"the store could not commit: {error}")
                work.error.__cause__ = error
            done, changed = works, set()
        answer(done, before=lambda: self._tell(changed) if changed else None)

    def _rewrite(self, work: WriteJob) -> None:
        """Rewrite the file and empty the write-ahead log; both still contain deleted data before this."""
        try:
            for statement in REBUILD:
                self._writer.execute(statement)
            self._writer.execute("VACUUM")
            row = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if row[0]:
                raise sqlite3.OperationalError("a reader keeps the write-ahead log from being emptied")
        except sqlite3.Error as error:
            work.error = StoreUnavailableError(f"the store could not make its file anew: {error}")
            work.error.__cause__ = error
        answer([work])

    def _run_in_savepoint(self, work: WriteJob, session: Session) -> None:
        """Run one job; its failure rolls back only this job.

        Raises sqlite3.Error if the engine rolled back the whole transaction.
        """
        session.changed = set()
        self._writer.execute("SAVEPOINT work")
        try:
            work.result = work.run(SqlTransaction(session))
        except BaseException as error:
            work.error = _named(error)
            if not self._writer.in_transaction:
                raise sqlite3.OperationalError(f"the engine gave up the transaction: {error}") from error
            self._writer.execute("ROLLBACK TO work")
        self._writer.execute("RELEASE work")

    def _tell(self, changed: set[str]) -> None:
        tell(self.on_commit, changed)

    # -- the reader threads

    def _reader(self, queue: SimpleQueue[WriteJob | None], name: str) -> threading.Thread:
        return threading.Thread(target=self._read_until_closed, args=(queue,), name=f"store-reader-{name}", daemon=True)

    def _read_until_closed(self, queue: SimpleQueue[WriteJob | None]) -> None:
        connection = connect(self._path, read_only=True)
        while (work := queue.get()) is not None:
            if work.future.cancelled():
                continue
            try:
                with _transaction(connection, "BEGIN"):
                    work.result = work.run(SqlTransaction(Session(connection, self._directory)))
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller, not to this thread
                work.error = _named(error)
            answer([work])
        connection.close()


def _rewritten(_tx: SqlTransaction) -> None:
    """Placeholder job for rewriting the file, which cannot run in a transaction."""


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    """Begin a transaction and commit it at the end; after an error no transaction is open."""
    try:
        connection.execute(begin)
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _named(error: BaseException) -> BaseException:
    """Return the error for the caller: errors of the engine become errors of the domain."""
    if not isinstance(error, sqlite3.OperationalError):
        return error
    failure: Exception = StoreUnavailableError(f"the store could not do it: {error}")
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY:
        failure = RuntimeError("a read must not write")
    failure.__cause__ = error
    return failure
