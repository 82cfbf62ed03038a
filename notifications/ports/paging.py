"""A page of a list."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """A request for one page of a list."""

    #: maximum number of items
    limit: int
    #: opaque position that the previous page returned; None for the first page
    cursor: str | None = None
