"""Who acts and when: what every use case needs to leave its trace in the audit log."""

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
    """Return the JSON shape of a domain record: keys as in the API, times as text, localized texts as objects.

    Raises TypeError for a type that has none.
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
    return {str(key): as_json(item) for key, item in value.items()}


def _texts(value: Any) -> Json:
    return dict(value.texts)


def _shape_of(kind: type) -> Callable[[Any], Json]:
    """Return how values of a type are shaped; looked up once per type."""
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
        return lambda value: {name: as_json(getattr(value, name)) for name in names}
    raise TypeError(f"no JSON shape for {kind.__name__}")


_SHAPES: dict[type, Callable[[Any], Json]] = {
    str: _as_it_is,
    int: _as_it_is,
    bool: _as_it_is,
    type(None): _as_it_is,
    UUID: str,
    LocalizedText: _texts,
}


@dataclass(frozen=True, slots=True)
class AuditContext:
    """One act of one actor at one moment; makes the audit entries of it."""

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
    ) -> AuditEntry:
        """Return an entry of this act.

        ``private`` becomes one commitment, ``payload``, to its canonical JSON: names, addresses and free text belong
        there. ``digests`` become a commitment each, to the bytes given.
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
            detail=dict(detail or {}),
            openings=tuple(openings),
        )
