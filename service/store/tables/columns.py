"""Kinds of columns, and the names of constraints."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text
from sqlalchemy import text as condition
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# No row is made or validated as a model: statements are compiled once. A start does not build 77 validators.
SQLModel.model_config["defer_build"] = True

metadata = SQLModel.metadata

#: SQLite uses only a column of type INTEGER as its row number.
ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")
_ID_BYTES = 16


def position() -> Any:
    """The insertion order, set by the engine."""
    return Field(default=None, sa_column=Column(ROW_NUMBER, primary_key=True, autoincrement=True))


def integer(references: str | None = None, **options: Any) -> Any:
    """A number, or a time in microseconds; a foreign key if ``references`` names a column."""
    constraints = [] if references is None else [ForeignKey(references)]
    return Field(sa_column=Column(BigInteger(), *constraints, **{"nullable": False, "autoincrement": False} | options))


def text(**options: Any) -> Any:
    """Text, or JSON text."""
    return Field(sa_column=Column(Text(), **{"nullable": False} | options))


def binary(**options: Any) -> Any:
    """Bytes."""
    return Field(sa_column=Column(LargeBinary(), **{"nullable": False} | options))


def boolean(**options: Any) -> Any:
    """True or false."""
    return Field(sa_column=Column(Boolean(), **{"nullable": False} | options))


def identifier(references: str | None = None, **options: Any) -> Any:
    """An identifier; a foreign key if ``references`` names a column."""
    constraints = [] if references is None else [ForeignKey(references)]
    return Field(sa_column=Column(LargeBinary(_ID_BYTES), *constraints, **{"nullable": False} | options))


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of the rows that meet a condition.

    It has the same condition on PostgreSQL, where the migrations make it. To say so here would load that dialect.
    """
    return Index(name, *columns, unique=unique, sqlite_where=condition(where))


def table(row: type[SQLModel]) -> Table:
    """Return the table of a row class."""
    return metadata.tables[str(row.__tablename__)]
