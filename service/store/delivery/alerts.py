"""What is to be alerted of and was not yet, by the keys of ``service.monitoring.notice_findings``."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, select, text

from notifications.customer.records import Contact
from notifications.ports import Page
from service.ports.alerts_and_mail import (
    ContactToCheck,
    FailedDelivery,
    FailedMail,
    UnreachableCustomer,
    WaitingNotices,
)
from service.store.incidents.contacts import CONTACT, contact_of_row
from service.store.sql.encoding import from_microseconds, to_microseconds
from service.store.sql.paging import FIRST, paged, start_of
from service.store.sql.records import Records
from service.store.sql.statements import compiled_text, limited
from service.store.tables import ContactRow, table

_contacts = table(ContactRow).c

# What failed stays in its table for good: what was alerted is left out here, not by whoever asks.
_HELD = compiled_text(
    "SELECT incident_id, coalesce(hold_reason, ''), min(due_at), count(*) FROM notices WHERE state = 'released'"
    " AND (hold_reason IS NOT NULL OR (due_at <= :near AND released_at <= :made_before))"
    " GROUP BY incident_id, coalesce(hold_reason, '') ORDER BY min(due_at), incident_id LIMIT :limit",
    "near", "made_before", "limit",
)  # fmt: skip
_LATE = compiled_text(
    "SELECT notices.incident_id, '', deliveries.due_at, count(*) FROM deliveries"
    " JOIN notices ON notices.id = deliveries.notice_id"
    " WHERE deliveries.state = 'queued' AND deliveries.due_at <= :near AND deliveries.created_at <= :made_before"
    " GROUP BY notices.incident_id, deliveries.due_at ORDER BY deliveries.due_at, notices.incident_id LIMIT :limit",
    "near", "made_before", "limit",
)  # fmt: skip
_FAILED = compiled_text(
    "SELECT deliveries.id, deliveries.notice_id FROM deliveries"
    " WHERE deliveries.last_error IS NOT NULL AND deliveries.state = 'failed' AND NOT EXISTS"
    " (SELECT 1 FROM alerts WHERE alerts.key = 'delivery_failed:' || lower(hex(deliveries.id)))"
    " ORDER BY deliveries.due_at, deliveries.position LIMIT :limit",
    "limit",
)  # fmt: skip
_TOO_LARGE = compiled_text(
    "SELECT deliveries.notice_id FROM deliveries WHERE deliveries.too_large_at IS NOT NULL AND NOT EXISTS"
    " (SELECT 1 FROM alerts WHERE alerts.key = 'delivery_too_large:' || lower(hex(deliveries.notice_id)))"
    " GROUP BY deliveries.notice_id ORDER BY deliveries.notice_id LIMIT :limit",
    "limit",
)  # fmt: skip
_UNREACHABLE = compiled_text(
    "SELECT customers.id, customers.name,"
    " (SELECT coalesce(sum(contacts.version), 0) FROM contacts WHERE contacts.customer_id = customers.id)"
    " FROM customers WHERE customers.created_at <= :made_before AND NOT EXISTS"
    " (SELECT 1 FROM contacts WHERE contacts.customer_id = customers.id AND contacts.active) AND NOT EXISTS"
    " (SELECT 1 FROM alerts WHERE alerts.key = 'customer_unreachable:' || lower(hex(customers.id)) || ':' ||"
    " (SELECT coalesce(sum(contacts.version), 0) FROM contacts WHERE contacts.customer_id = customers.id))"
    " ORDER BY customers.position LIMIT :limit",
    "made_before", "limit",
)  # fmt: skip
_FAILED_MAILS = compiled_text(
    "SELECT service_mails.id, service_mails.purpose FROM service_mails"
    " WHERE (state = 'failed' OR (state = 'queued' AND last_error IS NOT NULL)) AND state = 'failed' AND NOT EXISTS"
    " (SELECT 1 FROM alerts WHERE alerts.key = 'service_mail_failed:' || lower(hex(service_mails.id)))"
    " ORDER BY service_mails.position LIMIT :limit",
    "limit",
)  # fmt: skip
_TO_CHECK = compiled_text(
    "SELECT contacts.customer_id, contacts.id, EXISTS (SELECT 1 FROM reachability_checks AS earlier"
    " WHERE earlier.customer_id = contacts.customer_id AND earlier.subject = 'contact'"
    " AND earlier.subject_id = contacts.id) FROM contacts"
    " WHERE contacts.active AND contacts.verified_at <= :confirmed_before AND NOT EXISTS"
    " (SELECT 1 FROM reachability_checks AS recent WHERE recent.customer_id = contacts.customer_id"
    " AND recent.subject = 'contact' AND recent.subject_id = contacts.id AND recent.checked_at > :checked_before)"
    " ORDER BY contacts.position LIMIT :limit",
    "confirmed_before", "checked_before", "limit",
)  # fmt: skip
_WITH_CERTIFICATE = limited(
    select(_contacts.position, *CONTACT)
    .where(_contacts.position > bindparam("after"))
    .where(text("contacts.active AND contacts.smime_certificate IS NOT NULL"))
    .order_by(_contacts.position),
    "after",
)


class AlertingRecords(Records):
    """What alerts are raised of; see ``service.ports.store``."""

    def notices_held(self, near: datetime, made_before: datetime, limit: int) -> Sequence[WaitingNotices]:
        """Return released notices that something holds, or that are not sealed although due."""
        return self._waiting(_HELD, near, made_before, limit)

    def deliveries_late(self, near: datetime, made_before: datetime, limit: int) -> Sequence[WaitingNotices]:
        """Return deliveries that are due and not done."""
        return self._waiting(_LATE, near, made_before, limit)

    def _waiting(self, statement: str, near: datetime, made_before: datetime, limit: int) -> Sequence[WaitingNotices]:
        rows = self._session.all(statement, (to_microseconds(near), to_microseconds(made_before), limit))
        return [WaitingNotices(UUID(bytes=row[0]), row[1], from_microseconds(row[2]), row[3]) for row in rows]

    def failed_deliveries_to_alert(self, limit: int) -> Sequence[FailedDelivery]:
        """Return deliveries that failed for good and were not alerted."""
        rows = self._session.all(_FAILED, (limit,))
        return [FailedDelivery(UUID(bytes=row[0]), UUID(bytes=row[1])) for row in rows]

    def too_large_to_alert(self, limit: int) -> Sequence[UUID]:
        """Return notices of which a delivery was refused for its size and that were not alerted."""
        return [UUID(bytes=row[0]) for row in self._session.all(_TOO_LARGE, (limit,))]

    def unreachable_to_alert(self, made_before: datetime, limit: int) -> Sequence[UnreachableCustomer]:
        """Return customers without an active contact that were not alerted as they are now."""
        rows = self._session.all(_UNREACHABLE, (to_microseconds(made_before), limit))
        return [UnreachableCustomer(UUID(bytes=row[0]), row[1], row[2]) for row in rows]

    def failed_mails_to_alert(self, limit: int) -> Sequence[FailedMail]:
        """Return mails that failed for good and were not alerted."""
        return [FailedMail(UUID(bytes=row[0]), row[1]) for row in self._session.all(_FAILED_MAILS, (limit,))]

    def contacts_to_check(
        self, confirmed_before: datetime, checked_before: datetime, limit: int
    ) -> Sequence[ContactToCheck]:
        """Return active contacts with a confirmed address that were not checked of late."""
        rows = self._session.all(_TO_CHECK, (to_microseconds(confirmed_before), to_microseconds(checked_before), limit))
        return [ContactToCheck(UUID(bytes=row[0]), UUID(bytes=row[1]), was_checked=bool(row[2])) for row in rows]

    def contacts_with_certificate(self, page: Page) -> tuple[list[Contact], str | None]:
        """Return a page of the active contacts that have a certificate."""
        after = start_of("certificates", page, FIRST)
        rows = self._session.all(_WITH_CERTIFICATE, (after, page.limit + 1))
        return paged("certificates", page, rows, contact_of_row)
