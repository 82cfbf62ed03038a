"""Who acts and when: what every use case needs to leave its trace in the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

from notifications.audit.entry import AuditEntry, Opening
from notifications.canonical_json import Json, canonicalize, timestamp_text
from notifications.incident import LocalizedText
from notifications.ports import Identifiers


def as_json(value: object) -> Json:
    """Return the JSON shape of a domain record: keys as in the API, times as text, localized texts as objects."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return timestamp_text(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, LocalizedText):
        return dict(value.texts)
    if isinstance(value, tuple | list | set | frozenset):
        return [as_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {member.name: as_json(getattr(value, member.name)) for member in fields(value)}
    raise TypeError(f"no JSON shape for {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class Act:
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
