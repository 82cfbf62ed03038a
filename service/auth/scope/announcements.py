"""What became of announcements at the customers within."""

from collections.abc import Sequence
from uuid import UUID

from notifications.errors import required
from notifications.incident import AnnouncementState
from notifications.ports import AnnouncedCustomer, LetterTask
from service.auth.scope.visibility import ScopedRepository


class ScopedAnnouncements(ScopedRepository):
    """The customers of announcements, and letter tasks; a customer reads its own, once it has the notice."""

    _name = "announcements"

    def state(self, announcement_id: UUID) -> AnnouncementState | None:
        shown = any(self._shows(notice) for notice in self._tx.notices.of_incident(announcement_id))
        return self._tx.announcements.state(announcement_id) if shown else None

    def customers(self, announcement_id: UUID) -> Sequence[AnnouncedCustomer]:
        self._verify_at_provider("customers")
        return [
            each
            for each in self._tx.announcements.customers(announcement_id)
            if self._scope.covers(None, each.decided_at, served=False)
        ]

    def customer(self, announcement_id: UUID, customer_id: UUID) -> AnnouncedCustomer | None:
        shown = any(self._shows(notice) for notice in self._tx.notices.of_incident(announcement_id, customer_id))
        return self._tx.announcements.customer(announcement_id, customer_id) if shown else None

    def save_customer(self, customer: AnnouncedCustomer, expected_version: int) -> None:
        required(
            "announcement", customer.announcement_id, self.customer(customer.announcement_id, customer.customer_id)
        )
        self._tx.announcements.save_customer(customer, expected_version)

    def letter(self, task_id: UUID) -> LetterTask | None:
        self._verify_at_provider("letter")
        task = self._tx.announcements.letter(task_id)
        return task if task is not None and self._notice(task.notice_id) is not None else None

    def require_letter(self, task_id: UUID) -> LetterTask:
        return required("letter task", task_id, self.letter(task_id))

    def letters_of_notice(self, notice_id: UUID) -> Sequence[LetterTask]:
        self._verify_at_provider("letters_of_notice")
        return () if self._notice(notice_id) is None else self._tx.announcements.letters_of_notice(notice_id)

    def open_letters(self, limit: int) -> Sequence[LetterTask]:
        self._verify_at_provider("open_letters")
        return [each for each in self._tx.announcements.open_letters(limit) if self._notice(each.notice_id) is not None]
