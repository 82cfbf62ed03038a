"""Notices within a scope: to a customer's side they exist once they are sealed."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from notifications.delivery.acknowledgement import Acknowledgement, NoticeOpening
from notifications.errors import Fault, InvalidInputError, required
from notifications.notice import Notice
from notifications.notice.inbox import InboxCounts, InboxFilter, InboxNotice
from notifications.notice.seal import SealedNotice
from notifications.ports import Page
from service.auth.scope.visibility import ScopedRepository
from service.ports.notice_lists import NoticeCounts, NoticeFilter, NoticeReaders


class ScopedNotices(ScopedRepository):
    """The notices within, with their seals, openings and acknowledgements."""

    _name = "notices"

    def get(self, notice_id: UUID) -> Notice | None:
        return self._notice(notice_id)

    def require(self, notice_id: UUID) -> Notice:
        return required("notice", notice_id, self.get(notice_id))

    def page(
        self,
        page: Page,
        *,
        incident_id: UUID | None = None,
        customer_id: UUID | None = None,
        state: str | None = None,
    ) -> tuple[list[Notice], str | None]:
        """Return a page of the notices within.

        A caller that acts for several customers states which one it means: a page shows notices of one customer only.
        """
        ids = self._scope.customer_ids
        if ids is not None and customer_id is None:
            if len(ids) > 1:
                raise InvalidInputError(Fault("customer_id", "state which of your customers is meant"))
            (customer_id,) = ids
        if customer_id is not None and not self._scope.covers_customer(customer_id):
            return [], None
        page = self._of_customer(page, customer_id)
        return self._tx.notices.page(page, incident_id=incident_id, customer_id=customer_id, state=state)

    def inbox(
        self, customers: Collection[UUID], reader: str, wanted: InboxFilter, page: Page
    ) -> Mapping[UUID, tuple[list[InboxNotice], str | None]]:
        return self._tx.notices.inbox(self._covered(customers), reader, wanted, self._of_customer(page, None))

    def inbox_counts(self, customers: Collection[UUID], reader: str, page: Page) -> Mapping[UUID, InboxCounts]:
        return self._tx.notices.inbox_counts(self._covered(customers), reader, self._of_customer(page, None))

    def _covered(self, customers: Collection[UUID]) -> list[UUID]:
        return [customer_id for customer_id in customers if self._scope.covers_customer(customer_id)]

    def of_incident(self, incident_id: UUID, customer_id: UUID | None = None) -> Sequence[Notice]:
        found = self._tx.notices.of_incident(incident_id, customer_id)
        return [notice for notice in found if self._shows(notice)]

    def listed(self, incident_id: UUID, wanted: NoticeFilter, page: Page) -> tuple[list[Notice], str | None]:
        return self._tx.notices.listed(incident_id, wanted, self._of_customer(page, None))

    def counted(self, incident_id: UUID, wanted: NoticeFilter, page: Page) -> NoticeCounts:
        return self._tx.notices.counted(incident_id, wanted, self._of_customer(page, None))

    def readers(self, incident_id: UUID, wanted: NoticeFilter, page: Page) -> Sequence[NoticeReaders]:
        return self._tx.notices.readers(incident_id, wanted, self._of_customer(page, None))

    def is_of_more_than(self, number: int, incident_id: UUID, facts_version: int) -> bool:
        self._verify_at_provider("is_of_more_than")
        return self._tx.notices.is_of_more_than(number, incident_id, facts_version)

    def seal(self, notice_id: UUID) -> SealedNotice | None:
        return None if self.get(notice_id) is None else self._tx.notices.seal(notice_id)

    def seal_entry_id(self, notice_id: UUID) -> UUID | None:
        return None if self.get(notice_id) is None else self._tx.notices.seal_entry_id(notice_id)

    def openings(self, notice_id: UUID) -> Sequence[NoticeOpening]:
        return () if self.get(notice_id) is None else self._tx.notices.openings(notice_id)

    def add_opening(self, opening: NoticeOpening) -> bool:
        self._verify_notice(opening.notice_id, opening.customer_id)
        return self._tx.notices.add_opening(opening)

    def acknowledgements(self, notice_id: UUID) -> Sequence[Acknowledgement]:
        return () if self.get(notice_id) is None else self._tx.notices.acknowledgements(notice_id)

    def add_acknowledgement(self, acknowledgement: Acknowledgement) -> bool:
        self._verify_notice(acknowledgement.notice_id, acknowledgement.customer_id)
        return self._tx.notices.add_acknowledgement(acknowledgement)
