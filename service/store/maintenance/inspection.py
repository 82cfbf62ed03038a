"""Read a database for a check of the whole log, on a separate connection, without the store.

Rows are read in ranges, in the order of the log. Rows of the log never change, so different ranges need no common
snapshot. Rows that change are read within ``snapshot``.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from notifications.errors import StoreUnavailableError
from service.store.engines.postgresql_session import PostgresqlSession, PostgresqlTransaction
from service.store.engines.sqlite import connect
from service.store.engines.transaction import SqlTransaction
from service.store.engines.triggers import sqlite_triggers
from service.store.sql.directory import Directory
from service.store.sql.session import Row, Session

_POSTGRESQL = ("postgresql://", "postgres://")

_ENTRIES = (
    "SELECT l.leaf_index, e.position, e.id, e.leaf, e.recorded_at, e.incident_id, e.notice_id, e.type, e.actor "
    "FROM log_leaves l JOIN audit_entries e ON e.position = l.position "
    "WHERE l.leaf_index >= ? AND l.leaf_index < ? ORDER BY l.leaf_index"
)
# Each entry has one index, in the order of positions. So the difference of index and position is the same everywhere.
_SPAN = (
    "SELECT count(*), min(position), max(position), min(position - leaf_index), max(position - leaf_index) "
    "FROM log_leaves WHERE leaf_index >= ? AND leaf_index < ?"
)
_LEAVES = "SELECT leaf FROM audit_entries WHERE position >= ? AND position <= ? ORDER BY position"
_APPENDED = "SELECT count(*) FROM audit_entries WHERE position >= ? AND position <= ?"
_PENDING = "SELECT leaf FROM audit_entries WHERE position > ? ORDER BY position"
_NODES_SQLITE = (
    "SELECT CAST(group_concat(hash, '') AS BLOB) FROM (SELECT hash FROM log_nodes "
    "WHERE level = ? AND node_index >= ? AND node_index < ? ORDER BY node_index)"
)
_NODES_POSTGRESQL = (
    "SELECT string_agg(hash, ''::bytea ORDER BY node_index) FROM log_nodes "
    "WHERE level = ? AND node_index >= ? AND node_index < ?"
)
_HIGHEST_NODE = "SELECT max(node_index) FROM log_nodes WHERE level = ?"
_HIGHEST_LEVEL = "SELECT max(level) FROM log_nodes"
_HIGHEST_LEAF = "SELECT max(leaf_index) FROM log_leaves"
_CHECKPOINTS = "SELECT size, note FROM log_checkpoints WHERE size > ? AND size <= ? ORDER BY size"
_OPENINGS = (
    "SELECT position, name, salt, value FROM audit_openings WHERE position >= ? AND position <= ? ORDER BY position"
)
# As a leaf writes them between its first and its last quotation mark.
_SUBJECTS = """SELECT kind || '":"' || identifier, position FROM audit_subjects WHERE position <= ?"""
_TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
_TRIGGERS_OFF = (
    "SELECT c.relname || '.' || t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "WHERE NOT t.tgisinternal AND t.tgenabled = 'D' ORDER BY 1"
)
_TRIGGERED = "SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal"


class Inspection:
    """A database, read only."""

    def __init__(self, session: Session, tx: SqlTransaction, *, embedded: bool) -> None:
        self._session, self.tx, self.embedded = session, tx, embedded

    def entries(self, start: int, end: int) -> list[Row]:
        """Return the entries with indices from ``start`` to before ``end``, in order.

        Each is (index, position, id, leaf, recorded_at, incident_id, notice_id, type, actor).
        """
        return self._session.all(_ENTRIES, (start, end))

    def first_position(self, start: int, end: int) -> int | None:
        """Return the position of the first of some indices; None if their positions have a gap."""
        row = self._session.one(_SPAN, (start, end))
        if row is None or row[0] != end - start or row[3] != row[4] or row[2] - row[1] != end - start - 1:
            return None
        return int(row[1])

    def leaves(self, first: int, last: int) -> list[Row]:
        """Return the leaves of the entries at positions from first to last, one per row, in order."""
        return self._session.all(_LEAVES, (first, last))

    def appended(self, first: int, last: int) -> int:
        """Return how many entries have a position from ``first`` to ``last``, with or without an index."""
        return self._number(_APPENDED, (first, last))

    def leaves_after(self, position: int) -> Iterator[bytes]:
        """Yield the leaves of the entries after a position."""
        for (leaf,) in self._session.execute(_PENDING, (position,)):
            yield bytes(leaf)

    def nodes(self, level: int, first: int, count: int) -> bytes:
        """Return the concatenated hashes of the existing nodes of a level."""
        statement = _NODES_SQLITE if self.embedded else _NODES_POSTGRESQL
        row = self._session.one(statement, (level, first, first + count))
        return b"" if row is None or row[0] is None else bytes(row[0])

    def nodes_of_level(self, level: int) -> int:
        """Return the number of nodes of a level, taken from its highest index."""
        return self._number(_HIGHEST_NODE, (level,), -1) + 1

    def levels(self) -> int:
        """Return the number of levels that have a node."""
        return self._number(_HIGHEST_LEVEL, (), -1) + 1

    def indices(self) -> int:
        """Return the number of indices given, taken from the highest."""
        return self._number(_HIGHEST_LEAF, (), -1) + 1

    def checkpoints(self, after: int, until: int) -> Sequence[tuple[int, bytes]]:
        """Return size and note of the checkpoints with sizes above ``after`` and up to ``until``."""
        return [(size, bytes(note)) for size, note in self._session.all(_CHECKPOINTS, (after, until))]

    def openings(self, first: int, last: int) -> list[Row]:
        """Return (position, name, salt, value) of the openings of entries at positions from first to last."""
        return self._session.all(_OPENINGS, (first, last))

    def subjects(self, last: int) -> Iterator[tuple[str, int]]:
        """Return the subjects of the entries up to a position, in no order: ``kind":"identifier`` and position."""
        return iter(self._session.execute(_SUBJECTS, (last,)))

    def all(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return all rows of a SELECT in portable SQL."""
        return self._session.all(statement, parameters)

    def unguarded(self) -> list[str]:
        """Return the names of missing or changed triggers that protect rows from changes."""
        if self.embedded:
            existing: dict[str, Any] = dict(self._session.all(_TRIGGERS))
            return [name for name, sql in sqlite_triggers().items() if existing.get(name) != sql]
        off = [str(name) for (name,) in self._session.all(_TRIGGERS_OFF)]
        guarded = {str(name) for (name,) in self._session.all(_TRIGGERED)}
        needed = {name.rsplit("_no_", 1)[0] for name in sqlite_triggers()}
        return off + sorted(needed - guarded)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read one snapshot of the database inside."""
        self._session.execute("BEGIN" if self.embedded else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            self._session.execute("ROLLBACK")

    def _number(self, statement: str, parameters: Sequence[object], nothing: int = 0) -> int:
        row = self._session.one(statement, parameters)
        return nothing if row is None or row[0] is None else int(row[0])


@contextmanager
def inspected(location: str | Path) -> Iterator[Inspection]:
    """Open a database for reading; raises StoreUnavailableError if it cannot be opened or read."""
    try:
        if isinstance(location, str) and location.startswith(_POSTGRESQL):
            with psycopg.connect(location, autocommit=True, application_name="greffier inspects") as connection:
                connection.execute("SET default_transaction_read_only = on")
                session = PostgresqlSession(connection, Directory())
                yield Inspection(session, PostgresqlTransaction(session), embedded=False)
            return
        path = Path(location.removeprefix("sqlite:///")) if isinstance(location, str) else location
        if not path.exists():
            raise StoreUnavailableError(f"{path} does not exist")
        with contextlib.closing(connect(path, read_only=True)) as embedded:
            plain = Session(embedded, Directory())
            yield Inspection(plain, SqlTransaction(plain), embedded=True)
    except (sqlite3.Error, psycopg.Error) as error:
        raise StoreUnavailableError(f"the database cannot be read: {' '.join(str(error).split())}") from error
