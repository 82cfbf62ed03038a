"""Notices as the people of customers list them, beside what the domain asks of notices."""

from collections.abc import Collection, Mapping
from typing import Protocol
from uuid import UUID

from notifications.notice.inbox import InboxCounts, InboxFilter, InboxNotice
from notifications.ports import NoticeRepository, Page


class InboxRepository(NoticeRepository, Protocol):
    """Notices, and the inboxes that they are in."""

    def inbox(
        self, customers: Collection[UUID], reader: str, wanted: InboxFilter, page: Page
    ) -> Mapping[UUID, tuple[list[InboxNotice], str | None]]:
        """Return a page of each customer's sealed notices as a reader (an actor) finds them, in one statement.

        Unread ones come first, then those to be acknowledged, then those of open incidents, then the others; each the
        newest first. The page's cursor is of one customer: with several it raises InvalidInputError.
        """
        ...

    def inbox_counts(self, customers: Collection[UUID], reader: str, page: Page) -> Mapping[UUID, InboxCounts]:
        """Return for each customer what waits for a reader, within the extents of the page."""
        ...
