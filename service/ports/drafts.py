"""Drafts: what a person has typed and not declared yet, and what alerts have filled in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

#: The purpose under which the secret box encrypts the content, of every kind; the owner is the draft's id.
SEALED_FOR = "incident_draft"


class DraftKind(StrEnum):
    """What a draft becomes."""

    INCIDENT = "incident"
    ANNOUNCEMENT = "announcement"


@dataclass(frozen=True, slots=True)
class Draft:
    """One draft. Its content is encrypted like a secret: it holds facts that nobody has released."""

    id: UUID
    #: the account that it belongs to; None for a draft that an alert made: every analyst may work on it
    owner_id: UUID | None
    #: digest that names the alert; None for a person's draft
    alert_key: str | None
    sealed: bytes
    created_at: datetime
    changed_at: datetime
    #: who changed it last, as in ``AuditEntry.actor``
    changed_by: str
    #: whether a person has changed a draft that an alert made; an alert then changes its words no more
    is_touched: bool = False
    #: when its alert was resolved
    resolved_at: datetime | None = None
    #: since when its alert fires
    fired_at: datetime | None = None
    #: when a person declared or discarded a draft of an alert. Its content is erased then; what is left keeps the same
    #: alert from opening it again
    closed_at: datetime | None = None
    #: an alert makes drafts of incidents only
    kind: DraftKind = DraftKind.INCIDENT
    #: from 1; the entity tag
    version: int = 1


class DraftRepository(Protocol):
    """Drafts. They are no part of the log: what is declared is."""

    def add(self, draft: Draft) -> None:
        """Store a new draft; raises StateConflictError where its id or its alert has one already."""
        ...

    def get(self, draft_id: UUID) -> Draft | None:
        """Return the draft."""
        ...

    def by_alert(self, alert_key: str) -> Draft | None:
        """Return the draft of an alert."""
        ...

    def save(self, draft: Draft, expected_version: int) -> None:
        """Replace the draft; ``Transaction`` has the rule for versions."""
        ...

    def reseal(self, draft: Draft) -> None:
        """Replace only the encrypted content, under another key; raises NotFoundError."""
        ...

    def remove(self, draft_id: UUID) -> bool:
        """Erase the draft, so that its bytes are overwritten in the file; returns whether there was one."""
        ...

    def of_owner(self, owner_id: UUID) -> Sequence[Draft]:
        """Return the drafts of an account, the last one that was changed first."""
        ...

    def of_alerts(self, limit: int) -> Sequence[Draft]:
        """Return open drafts that alerts made, the last one that was changed first."""
        ...

    def alerts_count(self) -> int:
        """Return how many open drafts alerts have made."""
        ...

    def changed_before(self, at: datetime, limit: int) -> Sequence[UUID]:
        """Return drafts that nobody has changed since a time."""
        ...

    def all(self) -> Sequence[Draft]:
        """Return every draft, for the change of the key that encrypts them."""
        ...
