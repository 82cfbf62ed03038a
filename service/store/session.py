"""One connection at work: runs constant SQL, names constraint failures, remembers what kinds of things changed."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from notifications.errors import StateConflictError
from service.store.directory import Directory

Row = tuple[Any, ...]

_CONFLICTS = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: "a record with this identity exists already",
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: "a record with this identity exists already",
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: "the record refers to one that does not exist",
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: "the record refers to one that does not exist",
}


class Session:
    """Runs statements of one transaction on one connection.

    A broken unique or foreign key raises StateConflictError; every other failure of the engine comes through as it is.
    """

    __slots__ = ("_connection", "changed", "directory", "directory_changed")

    def __init__(self, connection: sqlite3.Connection, directory: Directory) -> None:
        self._connection = connection
        self.directory = directory
        #: kinds of things that this transaction changed, for the hooks after commit
        self.changed: set[str] = set()
        #: whether customers, bindings or profiles changed since the last commit: the kept listing does not hold here
        self.directory_changed = False

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        try:
            return self._connection.execute(statement, parameters)
        except sqlite3.IntegrityError as error:
            raise _named(error) from error

    def execute_many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for every row."""
        try:
            self._connection.executemany(statement, rows)
        except sqlite3.IntegrityError as error:
            raise _named(error) from error

    def one(self, statement: str, parameters: Sequence[object] = ()) -> Row | None:
        """Return the first row or None."""
        row: Row | None = self.execute(statement, parameters).fetchone()
        return row

    def all(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return all rows."""
        return self.execute(statement, parameters).fetchall()

    @staticmethod
    def skip_locked(statement: str, of: str) -> str:
        """Return a SELECT that locks the rows it returns of a table, passing over those that somebody else locked.

        Here the statement as it is: this engine has one writer at a time.
        """
        del of
        return statement


def _named(error: sqlite3.IntegrityError) -> Exception:
    reason = _CONFLICTS.get(error.sqlite_errorcode)
    if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_TRIGGER and str(error).endswith(": exists already"):
        reason = _CONFLICTS[sqlite3.SQLITE_CONSTRAINT_UNIQUE]
    return error if reason is None else StateConflictError(f"{reason} ({error})")
