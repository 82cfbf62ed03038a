"""Which part of a list is wanted."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Extent:
    """Records that a list is limited to: of one customer, of a period, or only those that were served."""

    #: None for every customer
    customer_id: UUID | None = None
    #: start of the period (inclusive); None for no start
    starts_at: datetime | None = None
    #: end of the period (exclusive); None for no end
    ends_at: datetime | None = None
    #: whether only what was served on its customer is in the list: no draft, no incident
    served_only: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is wanted."""

    #: at most so many items
    limit: int
    #: opaque position returned by the previous page, or None for the first
    cursor: str | None = None
    #: the list holds what at least one extent covers; None for everything
    within: tuple[Extent, ...] | None = None
