"""Lists of the notices of one incident, and what they come to, beside the inboxes that notices are in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifications.notice import Notice
from notifications.ports import Page
from service.ports.inbox import InboxRepository


@dataclass(frozen=True, slots=True)
class NoticeFilter:
    """Which notices of an incident are wanted; the default is all of them."""

    state: str | None = None
    #: the moment of one release: everything that it released
    released_at: datetime | None = None
    #: only what a person has to look at: held after its release, or with a delivery that failed for good and without
    #: an acknowledgement
    failing: bool = False


@dataclass(frozen=True, slots=True)
class NoticeCounts:
    """What the notices of a list come to."""

    total: int = 0
    #: state -> notices, without states that no notice is in
    by_state: Mapping[str, int] = field(default_factory=dict)
    #: reason -> notices that it holds, the most frequent first
    by_hold_reason: Mapping[str, int] = field(default_factory=dict)
    #: notices that ``NoticeFilter.failing`` leaves
    failing: int = 0
    #: the nearest deadline of what is not sealed and not withdrawn
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NoticeReaders:
    """The languages that the notices of one customer are written in."""

    customer_id: UUID
    name: str
    #: the customer's own, then those of its active contacts
    languages: tuple[str, ...]


class NoticeListRepository(InboxRepository, Protocol):
    """Notices, their inboxes, and the lists of one incident."""

    def listed(self, incident_id: UUID, wanted: NoticeFilter, page: Page) -> tuple[list[Notice], str | None]:
        """Return a page of the notices of an incident, sorted by customer creation, then sequence.

        This order never changes. A page takes one statement.
        """
        ...

    def counted(self, incident_id: UUID, wanted: NoticeFilter, page: Page) -> NoticeCounts:
        """Return what the whole list comes to, within the extents of the page, with two statements.

        ``by_hold_reason`` has the ``limit`` most frequent reasons.
        """
        ...

    def readers(self, incident_id: UUID, wanted: NoticeFilter, page: Page) -> Sequence[NoticeReaders]:
        """Return who reads the notices of the whole list, within the extents of the page, with one statement."""
        ...
