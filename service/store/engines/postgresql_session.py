"""One PostgreSQL connection at work: the statements of the store in its words, failures by the store's names."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import psycopg
from psycopg import errors

from notifications.audit.entry import AuditEntry, leaf_bytes
from notifications.errors import StateConflictError
from service.store.engines.transaction import Repository, SqlTransaction
from service.store.log.audit import AuditRecords
from service.store.sql.directory import Directory
from service.store.sql.session import Row, Session

Connection = psycopg.Connection[tuple[Any, ...]]

#: Held to the end of the transaction: alone by works that are serialised with one another, shared by the others.
WORKS_LOCK = 7_310_201
#: Held while entries of the log get their positions, which rise in the order of commits.
AUDIT_LOCK = 7_310_202

_CONFLICTS = {
    errors.UniqueViolation: "a record with this identity exists already",
    errors.ForeignKeyViolation: "the record refers to one that does not exist",
    errors.NotNullViolation: "the record refers to one that does not exist",
}
_ARE_APPENDED = "SELECT 1 FROM audit_entries WHERE id = ANY(?) LIMIT 1"
_LAST_POSITION = "SELECT coalesce(max(position), 0) FROM audit_entries"
_INSERT_ENTRY = "INSERT INTO audit_entries (position, id, leaf) VALUES (?, ?, ?)"
_INSERT_SUBJECT = "INSERT INTO audit_subjects (kind, identifier, position) VALUES (?, ?, ?)"
_INSERT_OPENING = "INSERT INTO audit_openings (position, name, salt, value) VALUES (?, ?, ?, ?)"


@lru_cache(maxsize=1024)
def in_words_of_the_driver(statement: str) -> str:
    """Return a statement of the store, whose parameters are question marks, as the driver takes it."""
    return statement.replace("%", "%%").replace("?", "%s")


class PostgresqlSession(Session):
    """Runs statements of one transaction on one connection; as ``Session`` for failures and what changed."""

    __slots__ = ("appended", "connection")

    def __init__(self, connection: Connection, directory: Directory) -> None:
        self.connection = connection
        self.directory = directory
        self.changed: set[str] = set()
        self.directory_changed = False
        #: entries of the log that get their positions at the end of the transaction, with their leaves
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
        """Return a SELECT that locks the rows it returns of a table, passing over those that somebody else locked."""
        return f"{statement} FOR UPDATE OF {of} SKIP LOCKED"

    # -- the log

    def append(self, entries: Iterable[AuditEntry]) -> bool:
        """Take entries for the end of the transaction; raises StateConflictError for one that is there already."""
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
        """Whether this transaction took the entry."""
        return any(entry.id == entry_id for entry, _ in self.appended)

    def write_appended(self) -> None:
        """Give the entries taken their positions and write them: the last act before the commit.

        Whoever comes later waits until this transaction is over, so that no position is ever passed by a smaller one.
        """
        if not self.appended:
            return
        self.execute("SELECT pg_advisory_xact_lock(?)", (AUDIT_LOCK,))
        row = self.one(_LAST_POSITION)
        last = 0 if row is None else int(row[0])
        numbered = list(enumerate(self.appended, last + 1))
        self.execute_many(_INSERT_ENTRY, [(position, entry.id.bytes, leaf) for position, (entry, leaf) in numbered])
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
