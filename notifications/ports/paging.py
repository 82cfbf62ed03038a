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
    #: the customer's name in the log, for lists of the log
    pseudonym: str | None = None

    def intersection(self, other: "Extent") -> "Extent | None":
        """Return what both extents cover; None if they are about different customers."""
        if None not in {self.customer_id, other.customer_id} and self.customer_id != other.customer_id:
            return None
        starts = [extent.starts_at for extent in (self, other) if extent.starts_at is not None]
        ends = [extent.ends_at for extent in (self, other) if extent.ends_at is not None]
        return Extent(
            self.customer_id or other.customer_id,
            max(starts, default=None),
            min(ends, default=None),
            served_only=self.served_only or other.served_only,
            pseudonym=self.pseudonym or other.pseudonym,
        )


def intersected(first: tuple[Extent, ...] | None, second: tuple[Extent, ...]) -> tuple[Extent, ...]:
    """Return the extents of what is in at least one of the first (None: everything) and in at least one of the second.

    A scope within a scope, such as a customer's evidence for an auditor of a period, is limited by both.
    """
    if first is None:
        return second
    shared = (one.intersection(other) for one in first for other in second)
    return tuple(dict.fromkeys(extent for extent in shared if extent is not None))


@dataclass(frozen=True, slots=True)
class Page:
    """A request for one page of a list."""

    #: maximum number of items
    limit: int
    #: opaque position that the previous page returned; None for the first page
    cursor: str | None = None
    #: the list contains what is in at least one extent; None for everything
    within: tuple[Extent, ...] | None = None
