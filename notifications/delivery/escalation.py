"""The escalation of one sealed notice: when to check next whether the customer was notified."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Escalation:
    """The schedule by which one sealed notice is checked until the customer has it."""

    notice_id: UUID
    customer_id: UUID
    #: the notice's own deadline
    due_at: datetime
    #: time by which the customer wants to acknowledge; None if no acknowledgement is asked for
    acknowledge_by: datetime | None
    #: time of the next check; None when no further check is needed
    next_look_at: datetime | None
    version: int = 1
