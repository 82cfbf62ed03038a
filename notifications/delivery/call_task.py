"""Call tasks: a person must call a customer that no channel reaches, and records the result."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class CallReason(StrEnum):
    """Why a person must call the customer."""

    NOBODY_REACHABLE = "nobody_reachable"
    ALL_FAILED = "all_failed"
    DEADLINE_NEAR = "deadline_near"
    NOT_ACKNOWLEDGED = "not_acknowledged"


class CallTaskState(StrEnum):
    """The state of a call task."""

    OPEN = "open"
    DONE = "done"
    #: the customer was notified by another way in the meantime
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class CallTask:
    """One customer to be called about one notice. At most one is open per notice."""

    id: UUID
    notice_id: UUID
    customer_id: UUID
    reason: CallReason
    opened_at: datetime
    due_at: datetime
    state: CallTaskState = CallTaskState.OPEN
    closed_at: datetime | None = None
    #: from 1; the entity tag
    version: int = 1


class CallOutcome(StrEnum):
    """The result of a call."""

    REACHED = "reached"
    MESSAGE_LEFT = "message_left"
    NO_ANSWER = "no_answer"
    WRONG_NUMBER = "wrong_number"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class CallRecord:
    """Evidence of one call, as the caller stated it."""

    id: UUID
    task_id: UUID
    #: None if the number that was called does not belong to a contact
    contact_id: UUID | None
    #: as dialled
    number: str
    called_at: datetime
    #: who called, as in the audit log
    called_by: str
    outcome: CallOutcome
    #: the name that the other side gave
    spoke_to: str | None = None
    note: str | None = None
