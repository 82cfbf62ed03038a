"""The life of a notice before and after it is sent."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class NoticeKind(StrEnum):
    """What a notice is to the customer that reads it."""

    INITIAL = "initial"
    UPDATE = "update"
    CORRECTION = "correction"
    FINAL = "final"


class NoticeState(StrEnum):
    """Life of a notice. Only a draft may still be withdrawn; what is released is served."""

    DRAFT = "draft"
    WITHDRAWN = "withdrawn"
    RELEASED = "released"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice owed to one customer."""

    id: UUID
    incident_id: UUID
    customer_id: UUID
    #: from 1 per (incident, customer); no gaps among notices that were released
    sequence: int
    kind: NoticeKind
    state: NoticeState
    #: version of the incident's facts that the document states; a draft follows the newest
    facts_version: int
    due_at: datetime
    #: a ``decision.DueKind`` value
    due_kind: str
    created_at: datetime
    created_by: str
    released_at: datetime | None = None
    released_by: str | None = None
    sealed_at: datetime | None = None
    #: why it is not going out although released (no usable key, log unavailable); None when nothing holds it
    hold_reason: str | None = None
    #: from 1; the entity tag
    version: int = 1
    #: who wrote last what it says: declared or changed the facts that it states; what four eyes is measured against
    drafted_by: str = ""
    #: why it was released past four eyes, by whoever released it; None for a release by the rules
    override_reason: str | None = None
    #: who looked at that release afterwards, and when
    override_reviewed_by: str | None = None
    override_reviewed_at: datetime | None = None
