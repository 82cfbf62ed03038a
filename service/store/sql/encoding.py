"""Encode and decode the domain's frozen records for the store, without loss: times are exact to the microsecond.

Columns: a time is an integer, microseconds since 1970-01-01T00:00:00Z (exact, sorts, portable); an identifier is its
16 bytes. Nested records are compact JSON text with the record's field names as keys; in JSON a time is ISO 8601 in
UTC and an identifier its text. A field that a stored record lacks takes the default of the type: records written
before the field existed stay readable. Not checked: values of the right Python type but outside the domain's rules.
"""

import json
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

ValueT = TypeVar("ValueT")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ATOMS = (str, int, bool)

_Convert = Callable[[Any], Any]
#: (to JSON, from JSON) of a value or a record; None if the value is already JSON
_Pair = tuple[_Convert | None, _Convert | None]


def to_microseconds(moment: datetime) -> int:
    """Return microseconds since the epoch; raises ValueError for a naive time."""
    if moment.tzinfo is None:
        raise ValueError("a naive time cannot be stored")
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Return the aware UTC time."""
    return _EPOCH + timedelta(microseconds=microseconds)


def to_optional_microseconds(moment: datetime | None) -> int | None:
    """As ``to_microseconds``; None stays None."""
    return None if moment is None else to_microseconds(moment)


def from_optional_microseconds(microseconds: int | None) -> datetime | None:
    """As ``from_microseconds``; None stays None."""
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def to_optional_bytes(identifier: UUID | None) -> bytes | None:
    """Return the 16 bytes of an identifier; None stays None."""
    return None if identifier is None else identifier.bytes


def from_optional_bytes(identifier: bytes | None) -> UUID | None:
    """Return the identifier of 16 bytes; None stays None."""
    return None if identifier is None else UUID(bytes=identifier)


_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False, allow_nan=False).encode


class JsonCodec(Generic[ValueT]):
    """Turns values of one type into compact JSON text and back.

    Raises TypeError for a type that it does not support. ``decode`` raises KeyError, TypeError or ValueError for text
    that ``encode`` did not write.
    """

    def __init__(self, kind: Any) -> None:
        self._to_json, self._from_json = _pair(kind)

    def encode(self, value: ValueT) -> str:
        """Return the JSON text of a value."""
        return _dumps(value if self._to_json is None else self._to_json(value))

    def decode(self, text: str) -> ValueT:
        """Return the value of a JSON text."""
        raw: Any = json.loads(text)
        value: ValueT = raw if self._from_json is None else self._from_json(raw)
        return value


def _time_to_json(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a naive time cannot be stored")
    return moment.astimezone(UTC).isoformat()


@cache
def _pair(kind: Any) -> _Pair:
    """Return the converters of a type."""
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        return _text_or_record(get_args(kind)) or _optional(get_args(kind))
    if origin is tuple:
        return _sequence(get_args(kind))
    if kind in _ATOMS:
        return None, None
    if kind is datetime:
        return _time_to_json, datetime.fromisoformat
    if kind is UUID:
        return str, UUID
    if isinstance(kind, type) and issubclass(kind, str) and issubclass(kind, Enum):
        return None, {member.value: member for member in kind}.__getitem__
    if is_dataclass(kind):
        return _record(kind)
    raise TypeError(f"no JSON shape for {kind!r}")


def _optional(members: tuple[Any, ...]) -> _Pair:
    kinds = [member for member in members if member is not NoneType]
    if len(kinds) != 1 or len(members) != 2:  # noqa: PLR2004 - X | None has two members
        raise TypeError(f"no JSON shape for a union of {members!r}")
    to_json, from_json = _pair(kinds[0])
    return (
        None if to_json is None else lambda value: None if value is None else to_json(value),
        None if from_json is None else lambda value: None if value is None else from_json(value),
    )


def _text_or_record(members: tuple[Any, ...]) -> _Pair | None:
    """Return the converters of a record that earlier releases stored as plain text; text stays text."""
    records = [member for member in members if is_dataclass(member)]
    if set(members) != {str, *records} or len(records) != 1:
        return None
    to_json, from_json = _record(records[0])
    return (
        lambda value: value if isinstance(value, str) else to_json(value),
        lambda value: value if isinstance(value, str) else from_json(value),
    )


def _sequence(members: tuple[Any, ...]) -> _Pair:
    if len(members) == 2 and members[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...] has two members
        to_item, from_item = _pair(members[0])
        return (
            None if to_item is None else lambda value: [to_item(item) for item in value],
            tuple if from_item is None else lambda value: tuple([from_item(item) for item in value]),
        )
    if any(_pair(member) != (None, None) for member in members):
        raise TypeError(f"no JSON shape for a tuple of {members!r}")
    return None, tuple


def _record(kind: Any) -> tuple[_Convert, _Convert]:
    hints = get_type_hints(kind)
    members = fields(kind)
    pairs = [(member.name, *_pair(hints[member.name])) for member in members]
    order = tuple(name for name, _, _ in pairs)
    values_of = attrgetter(*order) if len(order) > 1 else lambda value: (getattr(value, order[0]),)
    converted = [(name, to_json) for name, to_json, _ in pairs if to_json is not None]
    loaded = [(name, from_json) for name, _, from_json in pairs if from_json is not None]
    names = frozenset(order)
    required = {member.name for member in members if member.default is MISSING and member.default_factory is MISSING}

    def to_json(value: Any) -> dict[str, Any]:
        shape = dict(zip(order, values_of(value), strict=True))
        for name, convert in converted:
            shape[name] = convert(shape[name])
        return shape

    def from_json(shape: dict[str, Any]) -> Any:
        for name, convert in loaded:
            if name in shape:
                shape[name] = convert(shape[name])
        if not shape.keys() <= names or not shape.keys() >= required:
            odd = sorted((shape.keys() - names) | (required - shape.keys()))
            raise ValueError(f"a stored {kind.__name__} has other fields than the type: {', '.join(odd)}")
        return kind(**shape)

    return to_json, from_json
