"""Statements: written once with the tables, and compiled once to constant SQL text for the engine.

A statement lists its parameters in the order of the text. This order is checked at import, so that parameters can be
passed as plain tuples.
"""

from functools import lru_cache
from typing import Any

from sqlalchemy import ClauseElement, ColumnElement, Dialect, Insert, Select, bindparam, insert
from sqlalchemy import text as sql_text
from sqlalchemy.dialects import sqlite
from sqlmodel import SQLModel

from service.store.tables import table

_SQLITE = sqlite.dialect(paramstyle="qmark")


def compiled(statement: ClauseElement, *parameters: str, dialect: Dialect = _SQLITE) -> str:
    """Return the SQL text of a statement; raises ValueError unless its parameters are these, in this order."""
    result: Any = statement.compile(dialect=dialect)
    found = tuple(result.positiontup or ())
    if found != parameters:
        raise ValueError(f"parameters are {found}, not {parameters}: {result}")
    valued = [name for name in found if result.params[name] is not None]
    if valued:
        raise ValueError(f"literal values must stand in the text, not in parameters: {valued}: {result}")
    return str(result)


def limited(statement: ClauseElement, *parameters: str) -> str:
    """Like ``compiled``, with the greatest number of rows as an additional last parameter."""
    # Written here because the SQLite construct adds an OFFSET with a literal parameter.
    return f"{compiled(statement, *parameters)} LIMIT ?"


@lru_cache(maxsize=256)
def among(statement: Select[Any], column: ColumnElement[Any], count: int) -> str:
    """Return a SELECT of the rows whose column has one of ``count`` values, which are its parameters."""
    names = tuple(f"value_{number}" for number in range(count))
    return compiled(statement.where(column.in_([bindparam(name) for name in names])), *names)


def compiled_text(statement: str, *parameters: str) -> str:
    """Like ``compiled``, for portable SQL text with ``:name`` parameters, where no portable construct exists."""
    return compiled(sql_text(statement), *parameters)


def inserted_columns(row: type[SQLModel], *without: str) -> tuple[str, ...]:
    """Return the columns of a table in order, without ``position``, which the engine sets, and without those named."""
    return tuple(
        column.name for column in table(row).columns if column.autoincrement is not True and column.name not in without
    )


def insert_of(row: type[SQLModel], *without: str) -> str:
    """Return the INSERT of a row without the columns named, parameters in the order of ``inserted_columns``."""
    names = inserted_columns(row, *without)
    statement: Insert = insert(table(row))
    result: Any = statement.compile(dialect=_SQLITE, column_keys=names)
    if tuple(result.positiontup) != names:
        raise ValueError(f"columns are {result.positiontup}, not {names}")
    return str(result)
