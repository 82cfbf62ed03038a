"""Which part of a list is wanted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is wanted."""

    #: at most so many items
    limit: int
    #: opaque position returned by the previous page, or None for the first
    cursor: str | None = None
