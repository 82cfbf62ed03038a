"""Flat records: the table has a column for each field of a frozen record, with the field's name."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from enum import Enum
from types import NoneType
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlmodel import SQLModel

from service.store.sql.encoding import JsonCodec, from_microseconds, to_microseconds
from service.store.sql.statements import compiled, compiled_text, insert_of, inserted_columns
from service.store.tables import table

RecordT = TypeVar("RecordT")
_Convert = Callable[[Any], Any]


class FlatTable(Generic[RecordT]):
    """Statements and conversions of one table of flat records."""

    def __init__(
        self,
        kind: type[RecordT],
        row: type[SQLModel],
        *,
        extra: Mapping[str, Callable[[RecordT], object]] | None = None,
    ) -> None:
        """``extra``: columns without a field, with a function for their value. Raises ValueError if the two differ."""
        self._kind, self._row = kind, row
        self._extra = dict(extra or {})
        hints = get_type_hints(kind)
        self._fields = tuple(member.name for member in fields(kind))  # type: ignore[arg-type]  # every record is one
        self._pairs = {name: _pair(hints[name]) for name in self._fields}
        self._inserted = inserted_columns(row)
        if set(self._inserted) != {*self._fields, *self._extra}:
            raise ValueError(f"{row.__name__} and {kind.__name__} differ")
        #: the columns of a record, in the order of its fields
        self.columns = tuple(table(row).c[name] for name in self._fields)
        #: the INSERT of a whole record, with the parameters of ``values``
        self.insert = insert_of(row)

    def values(self, record: RecordT) -> tuple[object, ...]:
        """Return a record as the parameters of ``insert``."""
        return tuple(
            self._extra[name](record) if name in self._extra else self._pairs[name][0](getattr(record, name))
            for name in self._inserted
        )

    def some_values(self, record: RecordT, *names: str) -> tuple[object, ...]:
        """Return some fields of a record as parameters."""
        return tuple(self._pairs[name][0](getattr(record, name)) for name in names)

    def record(self, row: tuple[Any, ...]) -> RecordT:
        """Return the record of a selected row."""
        converted = (self._pairs[name][1](value) for name, value in zip(self._fields, row, strict=True))
        return self._kind(*converted)

    def by(self, *names: str, ordered: bool = False) -> str:
        """Return the SELECT of the records whose columns equal parameters, optionally in insertion order."""
        columns = table(self._row).c
        statement = select(*self.columns).where(*(columns[name] == bindparam(name) for name in names))
        return compiled(statement.order_by(columns.position) if ordered else statement, *names)

    def select(self) -> Any:
        """Return the SELECT of records, to be narrowed, ordered and compiled."""
        return select(*self.columns)

    def page(self) -> Any:
        """Return the SELECT of position and record, to be narrowed, ordered and compiled."""
        return select(table(self._row).c.position, *self.columns)

    def upsert(self, *key: str) -> str:
        """Return the INSERT that replaces the record with the same key; parameters as for ``insert``."""
        replaced = ", ".join(f"{name} = excluded.{name}" for name in self._inserted if name not in key)
        return f"{self.insert} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {replaced}"

    def update(self, *names: str, key: str = "id") -> str:
        """Return the UPDATE of some fields by a key; parameters are these fields, then the key."""
        assigned = ", ".join(f"{name} = :{name}" for name in names)
        statement = f"UPDATE {self._row.__tablename__} SET {assigned} WHERE {key} = :key"  # noqa: S608 - names of columns, from this package
        return compiled_text(statement, *names, "key")


def _pair(kind: Any) -> tuple[_Convert, _Convert]:
    """Return the conversions of a type to and from a column's value."""
    members = get_args(kind)
    if NoneType in members:
        (only,) = (member for member in members if member is not NoneType)
        to_column, from_column = _pair(only)
        return (
            lambda value: None if value is None else to_column(value),
            lambda value: None if value is None else from_column(value),
        )
    if kind is UUID:
        return (lambda value: value.bytes), (lambda value: UUID(bytes=value))
    if kind is datetime:
        return to_microseconds, from_microseconds
    if kind is bool:
        return bool, bool
    if isinstance(kind, type) and issubclass(kind, Enum):
        return (lambda value: value.value), kind
    if get_origin(kind) is tuple:
        codec: JsonCodec[Any] = JsonCodec(kind)
        return codec.encode, codec.decode
    if kind in {str, int, bytes}:
        return _as_it_is, _as_it_is
    raise TypeError(f"no column for {kind!r}")


def _as_it_is(value: Any) -> Any:
    return value
