"""Kinds of columns, and the names of constraints."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, Table, Text
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

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


def table(row: type[SQLModel]) -> Table:
    """Return the table of a row class."""
    return metadata.tables[str(row.__tablename__)]
