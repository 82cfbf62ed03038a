"""Canonical JSON (RFC 8785), restricted to the types that notices and audit entries use.

They contain no floats: counts are integers, times and identifiers are text. So the one difficult part of RFC 8785, the
shortest form of a double, is not needed.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from notifications.errors import Fault, InvalidInputError

#: A JSON value without floats. Mappings and sequences are only read; parsing returns dicts and lists.
Json = Mapping[str, Any] | Sequence[Any] | str | int | bool | None

#: The largest integer that every JSON reader represents exactly (RFC 8785, I-JSON).
MAX_INTEGER = 2**53 - 1
#: Deepest nesting of objects and arrays, so that everything that is written can be read again.
MAX_DEPTH = 64
#: Longest text that the parser accepts.
MAX_BYTES = 64 * 1024 * 1024

_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False, allow_nan=False)
_SORTING_ENCODER = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), check_circular=False, allow_nan=False, sort_keys=True
)


def canonicalize(value: Json) -> bytes:
    """Return the canonical bytes of a value.

    Raises InvalidInputError with the path of a float, an integer beyond ±(2^53-1), a lone surrogate, a key that is no
    text, any other type, or a nesting deeper than ``MAX_DEPTH``. A value that contains itself is nested too deeply.
    """
    try:
        if _is_plain(value, MAX_DEPTH):
            return _SORTING_ENCODER.encode(value).encode("utf-8")
        return _ENCODER.encode(_ordered(value, ())).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInputError(Fault(_place(_surrogate_path(value, ())), "holds a lone surrogate")) from None


def _is_plain(value: Any, depth: int) -> bool:
    """Return whether the encoder's own sorting is enough: plain JSON types with ASCII keys only.

    Returns False for every other value, also for an invalid one. ``_ordered`` then reports an invalid value.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is dict:
        if depth <= 0:  # checked first, because the value may contain itself
            return False
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                return False
            if type(item) is not str and item is not None and not _is_plain(item, depth - 1):
                return False
        return True
    if kind is list or kind is tuple:
        return depth > 0 and all(_is_plain(item, depth - 1) for item in value)
    return kind is int and -MAX_INTEGER <= value <= MAX_INTEGER


def _place(path: tuple[str, ...]) -> str:
    """Return a path as text that can be displayed and encoded, whatever characters the keys contain."""
    return ".".join(path).encode("utf-8", "backslashreplace").decode("utf-8")


def _ordered(value: Any, path: tuple[str, ...]) -> Any:
    """Return the value with the keys of every object in UTF-16 order; raises InvalidInputError."""
    if value is None or value is True or value is False or type(value) is str:
        return value
    if isinstance(value, str):
        # Not str(value): for a member of a text enumeration, that may return the member's name.
        return str.__str__(value)
    if len(path) >= MAX_DEPTH and isinstance(value, Mapping | Sequence):
        raise InvalidInputError(Fault(_place(path[:4]), f"is nested deeper than {MAX_DEPTH}"))
    if isinstance(value, Mapping):
        for key in value:
            if type(key) is not str:
                raise InvalidInputError(Fault(_place(path), "has a key that is no text"))
        keys = sorted(value)
        if keys and max(map(max, filter(None, keys)), default="") > "\ud7ff":
            # Code points and UTF-16 code units have the same order up to the surrogate range.
            keys.sort(key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return {key: _ordered(value[key], (*path, key)) for key in keys}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_ordered(item, (*path, str(index))) for index, item in enumerate(value)]
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise InvalidInputError(Fault(_place(path), "is an integer beyond ±(2^53-1), which some readers round"))
        return int(value)
    raise InvalidInputError(
        Fault(_place(path), f"is a {type(value).__name__}, which canonical JSON does not contain here")
    )


def _surrogate_path(value: Any, path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the path of the first text with a lone surrogate; empty if the value itself is that text."""
    items: Iterable[tuple[str, Any]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        items = ((str(index), item) for index, item in enumerate(value))
    for key, item in items:
        if _has_surrogate(key) or (isinstance(item, str) and _has_surrogate(item)):
            return (*path, key)
        found = _surrogate_path(item, (*path, key))
        if found:
            return found
    return ()


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


def parse_canonical(data: bytes) -> Json:
    """Return the value of canonical JSON bytes; raises InvalidInputError unless they are exactly canonical.

    Duplicate keys, floats, another order, other escapes and surrounding space are all refused, because the bytes must
    be equal to the canonical bytes of the value.
    """
    if len(data) > MAX_BYTES:
        raise InvalidInputError(Fault("", f"is longer than {MAX_BYTES} bytes"))
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(Fault("", f"is not canonical JSON: {error}")) from None
    if canonicalize(value) != data:
        raise InvalidInputError(Fault("", "is JSON, but not in its canonical form"))
    parsed: Json = value
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return members


def _refuse(literal: str) -> Any:
    raise ValueError(f"{literal[:40]} is no integer")


#: Characters before ``+00:00``.
_WITHOUT_OFFSET = 26


def timestamp_text(moment: datetime) -> str:
    """Return a time as text, always in the form ``2026-11-23T04:45:18.123456Z``.

    Raises InvalidInputError for a naive time, and for one outside of the years 1 to 9999 in UTC.
    """
    if moment.tzinfo is UTC:
        # Nearly every time is in UTC: it needs no conversion, and there are too many of them to cache.
        return moment.isoformat(timespec="microseconds")[:_WITHOUT_OFFSET] + "Z"
    if moment.utcoffset() is None:
        raise InvalidInputError(Fault("", "is a time without an offset"))
    try:
        return _utc_text(moment.astimezone(UTC))
    except OverflowError:
        raise InvalidInputError(Fault("", "is a time before year 1 or after year 9999 in UTC")) from None


@lru_cache(maxsize=4096)
def _utc_text(moment: datetime) -> str:
    # Cached for times in UTC only: in a zone with summer time, the two times of a repeated hour compare as equal.
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_timestamp(text: str) -> datetime:
    """Return the time of a text in the form of ``timestamp_text``; raises InvalidInputError for any other form."""
    if not _TIMESTAMP.fullmatch(text):
        raise InvalidInputError(Fault("", "is no time in the form 2026-11-23T04:45:18.123456Z"))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(Fault("", f"is no time: {error}")) from None
    if timestamp_text(moment) != text:  # newer interpreters read 24:00:00 as midnight of the next day
        raise InvalidInputError(Fault("", "is no time: 24:00:00 is written as the next day"))
    return moment
