"""One PostgreSQL connection: runs the store's statements, and translates errors into those of the store."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import lru_cache
from typing import Any
from uuid import UUID

import psycopg
from psycopg import errors

from notifications.audit.entry import AuditEntry, leaf_bytes
from notifications.errors import StateConflictError, StoreUnavailableError
from service.store.engines.transaction import Repository, SqlTransaction
from service.store.log.audit import INSERT_ENTRY, AuditRecords, row_of_entry
from service.store.search.terms import kind_facet
from service.store.sql.directory import Directory
from service.store.sql.session import Row, Session

Connection = psycopg.Connection[tuple[Any, ...]]

#: Held until the end of the transaction: exclusively by serialised jobs, shared by concurrent ones.
WORKS_LOCK = 7_310_201
#: How often two connections are asked which server process serves them.
_LOOKS_AT_SESSIONS = 4
#: Held while log entries get their positions, so that positions are in the order of commits.
AUDIT_LOCK = 7_310_202

_CONFLICTS = {
    errors.UniqueViolation: "a record with this identity exists already",
    errors.ForeignKeyViolation: "the record refers to one that does not exist",
    errors.NotNullViolation: "the record refers to one that does not exist",
}
_ARE_APPENDED = "SELECT 1 FROM audit_entries WHERE id = ANY(?) LIMIT 1"
_LAST_POSITION = "SELECT coalesce(max(position), 0) FROM audit_entries"
_INSERT_SUBJECT = "INSERT INTO audit_subjects (kind, identifier, position) VALUES (?, ?, ?)"
_INSERT_OPENING = "INSERT INTO audit_openings (position, name, salt, value) VALUES (?, ?, ?, ?)"


@lru_cache(maxsize=1024)
def in_words_of_the_driver(statement: str) -> str:
    """Return a statement of the store with the driver's parameter marks instead of question marks."""
    return statement.replace("%", "%%").replace("?", "%s")


def connect(address: str, seconds: Mapping[str, float], **parameters: Any) -> Connection:
    """Return a connection in autocommit mode whose session has time limits, by the server's names, in seconds.

    The limits go with the connection's first message: a later message that is lost would be waited for without them.
    Poolers refuse parameters that they do not know (PgBouncer 1.18: ``unsupported startup parameter: options``); then
    the limits are set by a statement. Raises psycopg.Error.
    """
    limits = {name: int(1000 * value) for name, value in seconds.items()}
    options = " ".join(f"-c {name}={milliseconds}" for name, milliseconds in limits.items())
    try:
        return psycopg.connect(address, autocommit=True, options=options, **parameters)
    except psycopg.OperationalError as error:
        if "unsupported startup parameter" not in str(error):
            raise
    connection = psycopg.connect(address, autocommit=True, **parameters)
    try:
        for name, milliseconds in limits.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, str(milliseconds)))
    except psycopg.Error:
        connection.close()
        raise
    return connection


def verify_own_sessions(address: str, *, connect_seconds: int, idle_seconds: float) -> None:
    """Raise StoreUnavailableError unless each of two connections to an address has a session of its own.

    A pooler that gives a session to each transaction (PgBouncer with ``pool_mode`` transaction or statement) would make
    every process the leader, since the leader's lock belongs to a session, and would lose what ``LISTEN`` waits for.
    Connections that share a server while it is idle are found; under load two may be kept apart for a moment.
    Raises psycopg.Error where the address cannot be reached.
    """
    with ExitStack() as stack:
        limits = {"idle_session_timeout": idle_seconds}
        pair = [stack.enter_context(connect(address, limits, connect_timeout=connect_seconds)) for _ in range(2)]
        first = _server_processes(*pair)
        shared = len(set(first)) == 1 or any(_server_processes(*pair) != first for _ in range(_LOOKS_AT_SESSIONS))
    if shared:
        raise StoreUnavailableError(
            "the database address leads to a pooler that shares one session among its clients: set pool_mode = session"
            " in PgBouncer, or name the server's own address"
        )


def _server_processes(*connections: Connection) -> list[int]:
    return [row[0] for item in connections for row in item.execute("SELECT pg_backend_pid()").fetchall()]


class PostgresqlSession(Session):
    """Runs statements of one transaction on one connection; errors and changed kinds are as in ``Session``."""

    __slots__ = ("appended", "connection")

    def __init__(self, connection: Connection, directory: Directory) -> None:
        self.connection = connection
        self.directory = directory
        self.changed: set[str] = set()
        self.directory_changed = False
        #: log entries of this transaction with their leaves; they get their positions at its end
        self.appended: list[tuple[AuditEntry, bytes]] = []

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> Any:
        """Run one statement."""
        try:
            return self.connection.execute(in_words_of_the_driver(statement), parameters)
        except psycopg.IntegrityError as error:
            raise _named(error) from error

    def _row_by_row(self, statement: str, rows: Sequence[Sequence[object]]) -> int:
        try:
            with self.connection.cursor() as cursor:
                cursor.executemany(in_words_of_the_driver(statement), rows)
                return cursor.rowcount
        except psycopg.IntegrityError as error:
            raise _named(error) from error

    def one(self, statement: str, parameters: Sequence[object] = ()) -> Row | None:
        """Return the first row or None."""
        row: Row | None = self.execute(statement, parameters).fetchone()
        return row

    def all(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return all rows."""
        rows: list[Row] = self.execute(statement, parameters).fetchall()
        return rows

    @staticmethod
    def skip_locked(statement: str, of: str) -> str:
        """Return a SELECT that locks its rows of a table and skips rows that another transaction locked."""
        return f"{statement} FOR UPDATE OF {of} SKIP LOCKED"

    # -- the full-text index: the engine keeps it by itself

    SEARCH_ORDER = "d.position DESC"

    @staticmethod
    def search_from(kind: str | None) -> str:
        """As ``Session.search_from``. The expression is as in the migration; otherwise its index is not used."""
        matching = "search_documents d WHERE array_to_tsvector(string_to_array(d.terms, ' ')) @@ ?::text::tsquery"
        return matching if kind is None else f"{matching} AND d.position < ?"

    @staticmethod
    def search_query(kind: str | None, required: list[list[str]], words: list[str]) -> str:
        """As ``Session.search_query``."""
        groups = required if kind is None else [[kind_facet(kind)], *required]
        terms = ["(" + " | ".join(f"'{term}'" for term in group) + ")" for group in groups]
        return " & ".join([*terms, *(f"'{word}':*" if len(word) > 1 else f"'{word}'" for word in words)])

    def index_terms(self, documents: Sequence[tuple[str, int, str]]) -> None:
        """Do nothing."""

    def unindex_terms(self, kind: str, position: int, terms: str) -> None:
        """Do nothing."""

    # -- the log

    def append(self, entries: Iterable[AuditEntry]) -> bool:
        """Collect entries for the end of the transaction; raises StateConflictError for an existing entry."""
        new = [(entry, leaf_bytes(entry)) for entry in entries]
        if not new:
            return False
        ids = {entry.id for entry, _ in new}
        taken = ids & {entry.id for entry, _ in self.appended}
        if taken or len(ids) < len(new) or self.one(_ARE_APPENDED, ([entry_id.bytes for entry_id in ids],)):
            raise StateConflictError(_CONFLICTS[errors.UniqueViolation])
        self.appended.extend(new)
        return True

    def is_appended_here(self, entry_id: UUID) -> bool:
        """Return whether this transaction collected the entry."""
        return any(entry.id == entry_id for entry, _ in self.appended)

    def write_appended(self) -> None:
        """Give the collected entries their positions and write them: the last step before the commit.

        Other transactions wait here until this one is over, so positions are always in the order of commits.
        """
        if not self.appended:
            return
        self.execute("SELECT pg_advisory_xact_lock(?)", (AUDIT_LOCK,))
        row = self.one(_LAST_POSITION)
        last = 0 if row is None else int(row[0])
        numbered = list(enumerate(self.appended, last + 1))
        self.execute_many(INSERT_ENTRY, [row_of_entry(position, entry, leaf) for position, (entry, leaf) in numbered])
        subjects = [
            (kind, identifier, position)
            for position, (entry, _) in numbered
            for kind, identifier in entry.subjects.items()
        ]
        openings = [
            (position, opening.name, opening.salt, opening.value)
            for position, (entry, _) in numbered
            for opening in entry.openings
        ]
        self.execute_many(_INSERT_SUBJECT, subjects)
        self.execute_many(_INSERT_OPENING, openings)
        self.appended.clear()


class _AuditRecords(AuditRecords):
    """As ``AuditRecords``, but that entries are written at the end of the transaction."""

    _session: PostgresqlSession

    def append(self, entries: Iterable[AuditEntry]) -> None:
        """Append entries, pending, in the order given."""
        if self._session.append(entries):
            self._changed("audit")

    def is_appended(self, entry_id: UUID) -> bool:
        """Whether the entry exists, pending or sequenced."""
        return self._session.is_appended_here(entry_id) or super().is_appended(entry_id)


class PostgresqlTransaction(SqlTransaction):
    """As ``SqlTransaction``, but that entries of the log are written at the end of the transaction."""

    audit = Repository(_AuditRecords)


def _named(error: psycopg.IntegrityError) -> Exception:
    for kind, reason in _CONFLICTS.items():
        if isinstance(error, kind):
            return StateConflictError(f"{reason} ({error.diag.constraint_name or error.diag.message_primary})")
    return error
