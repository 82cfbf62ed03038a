"""The actor and the time of an act: every use case makes its audit entries from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from notifications.audit.entry import AuditEntry, Opening
from notifications.canonical_json import Json, canonicalize, timestamp_text
from notifications.incident import LocalizedText
from notifications.ports import Identifiers


def as_json(value: object) -> Json:
    """Return the JSON form of a domain record: keys as in the API, times as text, localized texts as objects.

    Raises TypeError for a type that has no JSON form.
    """
    kind = type(value)
    shape = _SHAPES.get(kind)
    if shape is None:
        shape = _SHAPES[kind] = _shape_of(kind)
    return shape(value)


def _as_it_is(value: Any) -> Json:
    plain: Json = value
    return plain


def _member(value: Any) -> Json:
    return str(value.value)


def _items(value: Any) -> Json:
    return [as_json(item) for item in value]


def _members(value: Any) -> Json:
    return {str(key): item if type(item) in _PLAIN else as_json(item) for key, item in value.items()}


def _texts(value: Any) -> Json:
    return dict(value.texts)


def _shape_of(kind: type) -> Callable[[Any], Json]:
    """Return the function that gives the JSON form of a type's values. ``as_json`` calls this once per type."""
    if issubclass(kind, Enum):
        return _member
    if issubclass(kind, datetime):
        return timestamp_text
    if issubclass(kind, Mapping):
        return _members
    if issubclass(kind, tuple | list | set | frozenset):
        return _items
    if is_dataclass(kind):
        names = tuple(member.name for member in fields(kind))
        return lambda value: {
            name: item if type(item := getattr(value, name)) in _PLAIN else as_json(item) for name in names
        }
    raise TypeError(f"no JSON form for the type {kind.__name__}")


#: Types whose values are their own JSON form.
_PLAIN: frozenset[type] = frozenset({str, int, bool, type(None)})
_SHAPES: dict[type, Callable[[Any], Json]] = {
    **dict.fromkeys(_PLAIN, _as_it_is),
    UUID: str,
    LocalizedText: _texts,
}


@dataclass(frozen=True, slots=True)
class AuditContext:
    """One actor at one time. Makes the audit entries of what the actor does."""

    #: ``<kind>:<opaque id>``, as in ``AuditEntry.actor``
    actor: str
    now: datetime
    identifiers: Identifiers

    def entry(
        self,
        kind: str,
        *,
        subjects: Mapping[str, str],
        detail: Mapping[str, str | int | bool | list[str] | None] | None = None,
        private: Mapping[str, object] | None = None,
        digests: Mapping[str, bytes] | None = None,
        exercise: bool = False,
    ) -> AuditEntry:
        """Return an audit entry with this actor and time; ``exercise`` marks it as a part of one.

        ``private`` holds names, addresses and free text. The entry holds one commitment to its canonical JSON, named
        ``payload``. The entry also holds one commitment for each of the ``digests``, to exactly these bytes.
        """
        openings = [
            Opening(name=name, salt=self.identifiers.new_salt(), value=value) for name, value in (digests or {}).items()
        ]
        if private is not None:
            payload = canonicalize(as_json(private))
            openings.append(Opening(name="payload", salt=self.identifiers.new_salt(), value=payload))
        return AuditEntry(
            id=self.identifiers.new_id(),
            type=kind,
            at=self.now,
            actor=self.actor,
            subjects=dict(subjects),
            detail=dict(detail or {}) | ({"exercise": True} if exercise else {}),
            openings=tuple(openings),
        )
