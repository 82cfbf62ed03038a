"""The lifecycle of a notice, before and after it is sent."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from notifications.agreement import DeadlineBinding
from notifications.decision import DueKind, binding_of


class NoticeKind(StrEnum):
    """The kind of a notice."""

    INITIAL = "initial"
    UPDATE = "update"
    CORRECTION = "correction"
    FINAL = "final"


class NoticeState(StrEnum):
    """Lifecycle of a notice. Only a draft can be withdrawn; a released notice is always served."""

    DRAFT = "draft"
    WITHDRAWN = "withdrawn"
    RELEASED = "released"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice to one customer about one incident."""

    id: UUID
    incident_id: UUID
    customer_id: UUID
    #: from 1 per (incident, customer); no gaps among notices that were released
    sequence: int
    kind: NoticeKind
    state: NoticeState
    #: version of the incident's facts that the document states; for a draft always the newest one
    facts_version: int
    due_at: datetime
    #: a ``decision.DueKind`` value
    due_kind: str
    created_at: datetime
    created_by: str
    released_at: datetime | None = None
    released_by: str | None = None
    sealed_at: datetime | None = None
    #: why a released notice is not sent (no usable key, log unavailable); None if it is not held
    hold_reason: str | None = None
    #: from 1; the entity tag
    version: int = 1
    #: its last author, who declared or changed the facts that it states; four eyes requires another person to release
    drafted_by: str = ""
    #: reason given by the person who released it without a second person; None for a regular release
    override_reason: str | None = None
    #: who reviewed such a release afterwards, and when
    override_reviewed_by: str | None = None
    override_reviewed_at: datetime | None = None
    #: as of its incident
    exercise: bool = False
    #: how strictly ``due_at`` binds, a ``DeadlineBinding`` value; None in notices of earlier releases
    stated_binding: str | None = None

    @property
    def announces(self) -> bool:
        """Whether it is about an announcement and not about an incident."""
        return self.due_kind == DueKind.ANNOUNCED

    @property
    def is_news(self) -> bool:
        """Whether it only brings news of the handling: no first notice, no correction, no duty with a time."""
        follows_up = self.kind in {NoticeKind.UPDATE, NoticeKind.FINAL}
        return follows_up and self.binding is DeadlineBinding.NO_NUMBER and not self.exercise and not self.announces

    @property
    def binding(self) -> DeadlineBinding:
        """How strictly ``due_at`` binds."""
        return binding_of(self.due_kind, self.stated_binding)
