"""Copy everything from SQLite to PostgreSQL: all or nothing, and the log verifies as before.

Bytes are copied and never computed again. So leaves, signatures, proofs and checkpoints stay equal to those that
customers and witnesses have.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Boolean, Table

from notifications.audit.checkpoint import parse_checkpoint_note
from notifications.audit.merkle import leaf_hash, tree_root
from notifications.errors import StateConflictError, StoreUnavailableError, VerificationError
from service.store.engines.opening import migrate_store
from service.store.engines.postgresql_session import PostgresqlSession, PostgresqlTransaction
from service.store.sql.directory import Directory
from service.store.tables import metadata

_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """The result of copying one table."""

    name: str
    rows: int


def copy_store(source: Path, target: str, on_copied: Callable[[CopiedTable], None] = lambda _table: None) -> int:
    """Copy the database file into an empty PostgreSQL database; return the number of rows.

    The caller must ensure that no service runs on the source. Raises StateConflictError if the target has rows,
    VerificationError if the copy differs from the source, StoreUnavailableError if an engine fails.

    1. Create the tables in the target; it must not have a row.
    2. In one transaction, copy every table row by row, in the order of references, and compute a digest of its rows.
    3. Set the counters to the source's values.
    4. Read every table back: rows and digest must be equal. Hash the leaves again: the tree must have the root of the
       newest checkpoint. Then commit.
    """
    # 1.
    migrate_store(target)
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as reading,
            psycopg.connect(target, connect_timeout=5) as writing,
        ):
            reading.execute("BEGIN")
            _verify_same_version(reading, writing)
            _verify_empty(writing)
            # 2.
            total = 0
            digests: dict[str, tuple[int, str]] = {}
            for table in metadata.sorted_tables:
                digests[table.name] = _copy_table(table, reading, writing)
                on_copied(CopiedTable(table.name, digests[table.name][0]))
                total += digests[table.name][0]
            # 3.
            for table in metadata.sorted_tables:
                _set_counter(table, writing)
            # 4.
            for table in metadata.sorted_tables:
                if _digest(table, _postgresql_rows(table, writing)) != digests[table.name]:
                    raise VerificationError("copy", f"{table.name} reads otherwise in the copy")
            _verify_tree(writing)
            return total
    except (sqlite3.Error, psycopg.Error) as error:
        raise StoreUnavailableError(f"nothing was copied: {' '.join(str(error).split())}") from error


def _verify_same_version(reading: sqlite3.Connection, writing: psycopg.Connection[Any]) -> None:
    statement = "SELECT version_num FROM alembic_version"
    if reading.execute(statement).fetchall() != writing.execute(statement).fetchall():
        raise StateConflictError("the source is not at the newest version of the tables: run greffier migrate on it")


def _verify_empty(writing: psycopg.Connection[Any]) -> None:
    for table in metadata.sorted_tables:
        held = writing.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(table.name))).fetchone()
        if held is not None:
            raise StateConflictError(f"the target is in use: {table.name} holds rows")


def _copy_table(table: Table, reading: sqlite3.Connection, writing: psycopg.Connection[Any]) -> tuple[int, str]:
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)

    def copied() -> Iterator[Sequence[object]]:
        for row in _sqlite_rows(table, reading):
            copy.write_row(row)
            yield row

    with writing.cursor().copy(statement) as copy:
        return _digest(table, copied())


def _sqlite_rows(table: Table, reading: sqlite3.Connection) -> Iterator[Sequence[object]]:
    truths = [isinstance(column.type, Boolean) for column in table.columns]
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    cursor = reading.execute(f'SELECT {names} FROM "{table.name}" ORDER BY {_order(table)}')  # noqa: S608 - names of the models
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        for row in rows:
            yield [
                bool(value) if is_truth and value is not None else value
                for value, is_truth in zip(row, truths, strict=True)
            ]


def _postgresql_rows(table: Table, writing: psycopg.Connection[Any]) -> Iterator[Sequence[object]]:
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    # Texts are ordered by their bytes, as in SQLite.
    order = sql.SQL(", ").join(
        sql.SQL('{} COLLATE "C"').format(sql.Identifier(column.name))
        if column.type.python_type is str
        else sql.Identifier(column.name)
        for column in table.primary_key.columns
    )
    with writing.cursor(name="copied") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(sql.SQL("SELECT {} FROM {} ORDER BY {}").format(names, sql.Identifier(table.name), order))
        yield from cursor


def _order(table: Table) -> str:
    return ", ".join(f'"{column.name}"' for column in table.primary_key.columns)


def _digest(_table: Table, rows: Iterator[Sequence[object]]) -> tuple[int, str]:
    digest, count = hashlib.sha256(), 0
    for row in rows:
        count += 1
        for value in row:
            part = value if isinstance(value, bytes) else repr(value).encode()
            digest.update(f"{type(value).__name__} {len(part)}\n".encode())
            digest.update(part)
    return count, digest.hexdigest()


def _set_counter(table: Table, writing: psycopg.Connection[Any]) -> None:
    for column in table.columns:
        if column.autoincrement is True:
            name = sql.Identifier(table.name)
            writing.execute(
                sql.SQL(
                    "SELECT setval(pg_get_serial_sequence({}, {}), greatest(1, (SELECT max({}) FROM {})),"
                    " EXISTS (SELECT 1 FROM {}))"
                ).format(sql.Literal(table.name), sql.Literal(column.name), sql.Identifier(column.name), name, name)
            )


def _verify_tree(writing: psycopg.Connection[Any]) -> None:
    """Raise VerificationError unless the copied leaves and nodes give the root of the newest checkpoint."""
    tx = PostgresqlTransaction(PostgresqlSession(writing, Directory()))
    size, note = tx.log.size(), tx.log.checkpoint()
    if note is None:
        return
    checkpoint = parse_checkpoint_note(note)
    if checkpoint.size != size or tree_root(size, tx.log.node_hashes) != checkpoint.root:
        raise VerificationError("copy", "the tree does not give the root of the newest checkpoint")
    for start in range(0, size, _ROWS_AT_ONCE):
        entries = tx.audit.entries(start, min(_ROWS_AT_ONCE, size - start))
        stored = tx.log.node_hashes([(0, entry.index) for entry in entries])
        if [leaf_hash(entry.leaf) for entry in entries] != stored:
            raise VerificationError("copy", f"a leaf from {start} on is not what the tree holds")
