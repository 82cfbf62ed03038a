"""A customer's inbox: its sealed notices, what still waits for somebody first."""

from dataclasses import dataclass
from datetime import datetime

from notifications.notice.life import Notice


@dataclass(frozen=True, slots=True)
class InboxFilter:
    """Which notices of an inbox are wanted; the default is all of them."""

    #: words that ticket or title must contain, in any case of letters
    contains: str = ""
    unread: bool = False
    to_acknowledge: bool = False
    #: of incidents without a final notice to this customer, and of announcements that have not ended
    open: bool = False


@dataclass(frozen=True, slots=True)
class InboxNotice:
    """A notice as one reader's inbox shows it."""

    notice: Notice
    #: the signed document
    document: bytes
    #: when it was placed in the console; None while it is on its way there
    placed_at: datetime | None
    #: whether this reader opened it before
    read: bool
    acknowledged: bool
    #: by when the customer wants to have acknowledged it; None where it asks for nothing
    acknowledge_by: datetime | None
    #: whether the customer has no final notice of the incident, or the announcement has not ended
    open: bool

    @property
    def to_acknowledge(self) -> bool:
        """Whether the customer asks for an acknowledgement that nobody gave."""
        return self.acknowledge_by is not None and not self.acknowledged


@dataclass(frozen=True, slots=True)
class InboxCounts:
    """How many notices of one customer still wait for one reader, and how many there are."""

    unread: int = 0
    to_acknowledge: int = 0
    open: int = 0
    all: int = 0
