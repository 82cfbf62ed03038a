"""One connection: runs constant SQL, translates constraint errors, and records the kinds of things that changed."""

import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from notifications.errors import StateConflictError
from service.store.sql import full_text
from service.store.sql.directory import Directory

Row = tuple[Any, ...]

_CONFLICTS = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: "a record with this identity exists already",
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: "a record with this identity exists already",
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: "the record refers to one that does not exist",
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: "the record refers to one that does not exist",
}


#: Rows per INSERT. Each statement releases and retakes the GIL, so fewer, larger statements are faster.
_ROWS_AT_ONCE = (256, 64, 8)
_PLAIN_VALUES = re.compile(r"(?P<begin>INSERT .* VALUES )(?P<row>\((?:\?, )*\?\))(?P<end>( RETURNING .*)?)", re.DOTALL)


@lru_cache(maxsize=256)
def _inserting(statement: str, rows: int) -> str | None:
    """Return an INSERT of plain values as an INSERT of ``rows`` rows; None for any other statement."""
    match = _PLAIN_VALUES.fullmatch(statement)
    return None if match is None else match["begin"] + ", ".join([match["row"]] * rows) + match["end"]


@lru_cache(maxsize=32)
def _updating(given: str, columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    # Not WITH, because the driver counts rows only for statements that begin with UPDATE.
    return given.replace("FROM given", f"FROM (VALUES {', '.join([row] * rows)}) AS given")


class Session:
    """Runs statements of one transaction on one connection.

    A violated unique or foreign key raises StateConflictError; every other error of the engine is raised unchanged.
    """

    __slots__ = ("_connection", "changed", "directory", "directory_changed")

    #: order of documents, newest first
    SEARCH_ORDER = "search_index.rowid DESC"

    def __init__(self, connection: sqlite3.Connection, directory: Directory) -> None:
        self._connection = connection
        self.directory = directory
        #: kinds of things that this transaction changed, for the hooks after commit
        self.changed: set[str] = set()
        #: whether customers, bindings or profiles changed since the last commit; the cached listing is invalid then
        self.directory_changed = False

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        try:
            return self._connection.execute(statement, parameters)
        except sqlite3.IntegrityError as error:
            raise _named(error) from error

    def execute_many(self, statement: str, rows: Iterable[Sequence[object]]) -> int:
        """Run one statement for every row; return the number of affected rows."""
        return self._by_lists(statement, list(rows), lambda count: _inserting(statement, count))

    def insert_returning(self, statement: str, rows: Sequence[Sequence[object]]) -> list[Row]:
        """Run one INSERT of plain values with RETURNING for every row; return what it returns, in no order."""
        found: list[Row] = []
        at = 0
        for count in (*_ROWS_AT_ONCE, 1):
            while len(rows) - at >= count:
                whole = _inserting(statement, count)
                if whole is None:
                    raise ValueError(f"no INSERT of plain values: {statement}")
                found += self.all(whole, list(chain.from_iterable(rows[at : at + count])))
                at += count
        return found

    def update_many(self, statement: str, given: str, rows: Sequence[Sequence[object]]) -> int:
        """Run one UPDATE for every row; return the number of affected rows.

        ``given`` is the same UPDATE for many rows at once: FROM a list named ``given`` with columns ``column1``, ….
        """
        return self._by_lists(statement, list(rows), lambda count: _updating(given, len(rows[0]), count))

    def _by_lists(self, statement: str, left: list[Sequence[object]], of_many: Callable[[int], str | None]) -> int:
        touched = at = 0
        for count in _ROWS_AT_ONCE:
            while len(left) - at >= count and (whole := of_many(count)) is not None:
                touched += self.execute(whole, list(chain.from_iterable(left[at : at + count]))).rowcount
                at += count
        return touched + (self._row_by_row(statement, left[at:]) if at < len(left) else 0)

    def _row_by_row(self, statement: str, rows: Sequence[Sequence[object]]) -> int:
        try:
            return self._connection.executemany(statement, rows).rowcount
        except sqlite3.IntegrityError as error:
            raise _named(error) from error

    def one(self, statement: str, parameters: Sequence[object] = ()) -> Row | None:
        """Return the first row or None."""
        row: Row | None = self.execute(statement, parameters).fetchone()
        return row

    def all(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return all rows."""
        return self.execute(statement, parameters).fetchall()

    # -- the full-text index

    @staticmethod
    def search_from(kind: str | None) -> str:
        """Return what follows FROM to find documents ``d``; more conditions may follow.

        Its parameters are ``search_query``, and a position if a kind is given: of this kind, documents before it.
        """
        return full_text.matching(kind)

    @staticmethod
    def search_query(kind: str | None, required: list[list[str]], words: list[str]) -> str:
        """Return the query: one term of each required group, and every word as the beginning of a term."""
        del kind
        return full_text.match_of(required, words)

    def index_terms(self, documents: Sequence[tuple[str, int, str]]) -> None:
        """Index the terms of documents that were written: kind, position and terms of each."""
        rows = [(full_text.row_number(kind, position), terms) for kind, position, terms in documents]
        self.execute_many(full_text.INDEX_TERMS, rows)

    def unindex_terms(self, kind: str, position: int, terms: str) -> None:
        """Take the terms of a document out of the index, before the document changes."""
        self.execute(full_text.UNINDEX_TERMS, (full_text.row_number(kind, position), terms))

    @staticmethod
    def skip_locked(statement: str, of: str) -> str:
        """Return a SELECT that locks its rows of a table and skips rows that another transaction locked.

        Here the statement is unchanged, because this engine has one writer at a time.
        """
        del of
        return statement


def _named(error: sqlite3.IntegrityError) -> Exception:
    reason = _CONFLICTS.get(error.sqlite_errorcode)
    if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_TRIGGER and str(error).endswith(": exists already"):
        reason = _CONFLICTS[sqlite3.SQLITE_CONSTRAINT_UNIQUE]
    return error if reason is None else StateConflictError(f"{reason} ({error})")
