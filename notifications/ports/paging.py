"""A page of a list."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Extent:
    """Limits of a list: to one customer, to a period, or to what was served."""

    #: None for every customer
    customer_id: UUID | None = None
    #: start of the period (inclusive); None for no start
    starts_at: datetime | None = None
    #: end of the period (exclusive); None for no end
    ends_at: datetime | None = None
    #: whether the list contains only what was served on its customer, so no draft and no incident
    served_only: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A request for one page of a list."""

    #: maximum number of items
    limit: int
    #: opaque position that the previous page returned; None for the first page
    cursor: str | None = None
    #: the list contains what is in at least one extent; None for everything
    within: tuple[Extent, ...] | None = None
