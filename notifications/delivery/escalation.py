"""The clock of one sealed notice: when to look next whether the customer was told."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Escalation:
    """What watches over one sealed notice until the customer has it."""

    notice_id: UUID
    customer_id: UUID
    #: the notice's own deadline
    due_at: datetime
    #: by when the customer wants to have acknowledged; None where it need not
    acknowledge_by: datetime | None
    #: when to look again; None when nothing more is to come
    next_look_at: datetime | None
    version: int = 1
