"""Deliveries and escalation of the notices within a scope."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from notifications.delivery.call_task import CallRecord, CallTask
from notifications.delivery.delivery import ChannelPause, Delivery, DeliveryAttempt
from notifications.delivery.escalation import Escalation
from notifications.errors import NotFoundError, required
from notifications.mail.bounce_record import Bounce
from notifications.ports import InboxItem, Page
from service.auth.scope.visibility import ScopedRepository


class ScopedDeliveries(ScopedRepository):
    """The deliveries of the notices within."""

    _name = "deliveries"

    def of_notice(self, notice_id: UUID) -> Sequence[Delivery]:
        return () if self._notice(notice_id) is None else self._tx.deliveries.of_notice(notice_id)

    def get(self, delivery_id: UUID) -> Delivery | None:
        delivery = self._tx.deliveries.get(delivery_id)
        return delivery if delivery is not None and self._notice(delivery.notice_id) is not None else None

    def add(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._verify_notice(delivery.notice_id, delivery.customer_id)
        self._tx.deliveries.add(deliveries)

    def save(self, delivery: Delivery, expected_attempts: int) -> None:
        if self.get(delivery.id) is None:
            raise NotFoundError("delivery", delivery.id)
        self._tx.deliveries.save(delivery, expected_attempts)

    def attempts(self, delivery_id: UUID) -> Sequence[DeliveryAttempt]:
        # Reached only through ``of_notice``, and named by an identifier that nobody can guess.
        return self._tx.deliveries.attempts(delivery_id)

    def message_sent(self, delivery_id: UUID) -> bytes | None:
        # As ``attempts``.
        return self._tx.deliveries.message_sent(delivery_id)

    def inbox(self, customer_id: UUID, page: Page) -> tuple[list[InboxItem], str | None]:
        if not self._scope.covers_customer(customer_id):
            return [], None
        return self._tx.deliveries.inbox(customer_id, self._of_customer(page, customer_id))

    def bounces(self, delivery_id: UUID | None) -> Sequence[Bounce]:
        if delivery_id is None:
            self._verify_at_provider("bounces of no delivery")
            return self._tx.deliveries.bounces(None)
        return () if self.get(delivery_id) is None else self._tx.deliveries.bounces(delivery_id)

    def channel_pauses(self) -> Sequence[ChannelPause]:
        self._verify_at_provider("channel_pauses")
        return self._tx.deliveries.channel_pauses()


class ScopedEscalations(ScopedRepository):
    """The escalation clocks of the notices within, and their calls."""

    _name = "escalations"

    def get(self, notice_id: UUID) -> Escalation | None:
        return None if self._notice(notice_id) is None else self._tx.escalations.get(notice_id)

    def save(self, escalation: Escalation, expected_version: int) -> None:
        self._verify_notice(escalation.notice_id, escalation.customer_id)
        self._tx.escalations.save(escalation, expected_version)

    def hasten(self, notice_id: UUID, at: datetime) -> bool:
        return self._notice(notice_id) is not None and self._tx.escalations.hasten(notice_id, at)

    def call_tasks_of_notice(self, notice_id: UUID) -> Sequence[CallTask]:
        return () if self._notice(notice_id) is None else self._tx.escalations.call_tasks_of_notice(notice_id)

    def call_task(self, task_id: UUID) -> CallTask | None:
        task = self._tx.escalations.call_task(task_id)
        return task if task is not None and self._shows_call(task) else None

    def require_call_task(self, task_id: UUID) -> CallTask:
        return required("call task", task_id, self.call_task(task_id))

    def call_tasks(self, page: Page, *, state: str | None = None) -> tuple[list[CallTask], str | None]:
        """Return a page of the tasks within, for the provider's side; what is hidden leaves no gap."""
        self._verify_at_provider("call_tasks")
        found, cursor = list[CallTask](), page.cursor
        while True:
            read, cursor = self._tx.escalations.call_tasks(Page(page.limit - len(found), cursor), state=state)
            found += filter(self._shows_call, read)
            if cursor is None or len(found) == page.limit:
                return found, cursor

    def call_records(self, task_id: UUID) -> Sequence[CallRecord]:
        return () if self.call_task(task_id) is None else self._tx.escalations.call_records(task_id)

    def _shows_call(self, task: CallTask) -> bool:
        """Whether a task is within: its notice, and the incident that is named with it."""
        notice = self._notice(task.notice_id)
        incident = None if notice is None else self._tx.incidents.get(notice.incident_id)
        return incident is not None and self._scope.covers(None, incident.opened_at, served=False)

    def save_call_task(self, task: CallTask, expected_version: int) -> None:
        self._verify_notice(task.notice_id, task.customer_id)
        self._tx.escalations.save_call_task(task, expected_version)
