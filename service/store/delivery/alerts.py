"""Alerts, and what has none yet, by the keys of ``service.monitoring.notice_findings``."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from sqlalchemy import bindparam, exists, select, text

from notifications.agreement import DeadlineBinding
from notifications.customer.records import Contact
from notifications.ports import Page
from service.ports.alerts import (
    Alert,
    ContactToCheck,
    FailedDelivery,
    FailedMail,
    UnreachableCustomer,
    UnreleasedDrafts,
    WaitingNotices,
)
from service.store.incidents.contacts import CONTACT, contact_of_row
from service.store.sql.encoding import from_microseconds, from_optional_microseconds, to_microseconds
from service.store.sql.flat import FlatTable
from service.store.sql.paging import FIRST, LAST, paged, start_of
from service.store.sql.records import Records
from service.store.sql.statements import compiled_text, limited
from service.store.tables import AlertRow, ContactRow, CustomerRow, table

_MICROSECOND = timedelta(microseconds=1)

_ALERTS = FlatTable(Alert, AlertRow)
_customers, _contacts, _alerts = table(CustomerRow).c, table(ContactRow).c, table(AlertRow).c

_ALERT, _ALERT_BY_KEY = _ALERTS.by("id"), _ALERTS.by("key")
_RAISE_ALERT = f"{_ALERTS.insert} ON CONFLICT (key) DO NOTHING"
# The conditions are those of the indexes, so that the indexes are used.
_OPEN_ALERTS = limited(select(*_ALERTS.columns).where(text("seen_at IS NULL")).order_by(_alerts.position))
_WITHOUT_CONTACT = limited(
    select(_customers.id)
    .where(~exists().where(_contacts.customer_id == _customers.id, text("contacts.active")))
    .order_by(_customers.position)
)
# The strictest binding of some notices, as an index into ``_BINDINGS``; older records state none (see ``binding_of``).
_BINDINGS = (DeadlineBinding.NO_NUMBER, DeadlineBinding.SOFT, DeadlineBinding.HARD)
_STRICTEST = (
    "max(CASE WHEN notices.binding = 'hard' THEN 2 WHEN notices.binding = 'soft' THEN 1"
    " WHEN notices.binding IS NULL AND notices.due_kind = 'contractual' THEN 1 ELSE 0 END)"
)
_UNRELEASED = compiled_text(
    f"SELECT incident_id, due_at, created_at, count(*), {_STRICTEST} FROM notices"  # noqa: S608 - a constant
    " WHERE state = 'draft' AND created_at + due_at <= :twice_now AND created_at <= :made_before"
    " GROUP BY incident_id, due_at, created_at ORDER BY due_at, incident_id, created_at LIMIT :limit",
    "twice_now", "made_before", "limit",
)  # fmt: skip
_NEXT_MOMENT = compiled_text(
    "SELECT min(CASE WHEN created_at + :grace > :young THEN created_at + :aged"
    " WHEN (created_at + due_at) / 2 > :half THEN (created_at + due_at) / 2"
    " WHEN due_at - :lead > :soon THEN due_at - :led WHEN due_at > :due THEN due_at END)"
    " FROM notices WHERE state = 'draft'",
    "grace", "young", "aged", "half", "lead", "soon", "led", "due",
)  # fmt: skip
_SEE_ALERT = compiled_text(
    "UPDATE alerts SET seen_at = :seen_at, seen_by = :seen_by WHERE id = :id AND seen_at IS NULL",
    "seen_at", "seen_by", "id",
)  # fmt: skip

# Failed records stay in their tables for ever, so these queries leave out those that already have an alert.
_HELD = compiled_text(
    f"SELECT incident_id, coalesce(hold_reason, ''), min(due_at), count(*), {_STRICTEST} FROM notices"  # noqa: S608
    " WHERE state = 'released'"
    " AND (hold_reason IS NOT NULL OR (due_at <= :near AND released_at <= :made_before))"
    " GROUP BY incident_id, coalesce(hold_reason, '') ORDER BY min(due_at), incident_id LIMIT :limit",
    "near", "made_before", "limit",
)  # fmt: skip
_LATE = compiled_text(
    f"SELECT notices.incident_id, '', deliveries.due_at, count(*), {_STRICTEST} FROM deliveries"  # noqa: S608
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
_SECOND_CHANNELS = compiled_text(
    "SELECT customers.id FROM customers WHERE customers.created_at <= :known_before AND NOT EXISTS"
    " (SELECT 1 FROM reachability_checks AS recent WHERE recent.customer_id = customers.id"
    " AND recent.subject = 'second_channel' AND recent.checked_at > :tested_before)"
    " ORDER BY customers.position LIMIT :limit",
    "known_before", "tested_before", "limit",
)  # fmt: skip
_WITH_CERTIFICATE = limited(
    select(_contacts.position, *CONTACT)
    .where(_contacts.position > bindparam("after"))
    .where(text("contacts.active AND contacts.smime_certificate IS NOT NULL"))
    .order_by(_contacts.position),
    "after",
)


@cache
def _page_of(kinds: int | None, unseen: bool) -> str:
    """Return the statement of a page: newest first, of so many kinds or of all."""
    conditions = ["position < :before"] + ["seen_at IS NULL"] * unseen
    names = [f"kind_{number}" for number in range(kinds or 0)]
    if kinds is not None:
        conditions.append(f"kind IN ({', '.join(f':{name}' for name in names)})")
    columns = ", ".join(column.name for column in _ALERTS.columns)
    return compiled_text(
        f"SELECT position, {columns} FROM alerts WHERE {' AND '.join(conditions)} ORDER BY position DESC LIMIT :limit",  # noqa: S608 - names of columns and parameters
        "before", *names, "limit",
    )  # fmt: skip


class AlertRecords(Records):
    """Implements ``service.ports.alerts.AlertRepository``."""

    def add(self, alert: Alert) -> bool:
        """Store an alert; returns False, and stores nothing, where its key was raised before."""
        if self._session.execute(_RAISE_ALERT, _ALERTS.values(alert)).rowcount == 0:
            return False
        self._changed("messages")
        return True

    def by_key(self, key: str) -> Alert | None:
        """Return the alert by what it is about."""
        row = self._session.one(_ALERT_BY_KEY, (key,))
        return None if row is None else _ALERTS.record(row)

    def page(self, page: Page, kinds: Sequence[str] | None, *, unseen: bool) -> tuple[list[Alert], str | None]:
        """Return alerts, newest first."""
        wanted = () if kinds is None else tuple(kinds)
        if kinds is not None and not wanted:
            return [], None
        statement = _page_of(None if kinds is None else len(wanted), unseen)
        rows = self._session.all(statement, (start_of("alerts", page, LAST), *wanted, page.limit + 1))
        return paged("alerts", page, rows, lambda *row: _ALERTS.record(row))

    def unreleased_drafts(self, now: datetime, made_before: datetime, limit: int) -> Sequence[UnreleasedDrafts]:
        """Return drafts made before a moment of whose time half has gone; by deadline."""
        rows = self._session.all(_UNRELEASED, (2 * to_microseconds(now), to_microseconds(made_before), limit))
        return [
            UnreleasedDrafts(
                UUID(bytes=row[0]), from_microseconds(row[1]), from_microseconds(row[2]), row[3], _BINDINGS[row[4]]
            )
            for row in rows
        ]

    def next_draft_at(self, now: datetime, lead: timedelta, grace: timedelta) -> datetime | None:
        """Return when a draft next reaches a stage."""
        at, before, after = to_microseconds(now), lead // _MICROSECOND, grace // _MICROSECOND
        row = self._session.one(_NEXT_MOMENT, (after, at, after, at, before, at, before, at))
        return None if row is None else from_optional_microseconds(row[0])

    def customers_without_contact(self, limit: int) -> Sequence[UUID]:
        """Return customers that have no active contact, oldest first."""
        return [UUID(bytes=row[0]) for row in self._session.all(_WITHOUT_CONTACT, (limit,))]

    def get(self, alert_id: UUID) -> Alert | None:
        """Return the alert."""
        row = self._session.one(_ALERT, (alert_id.bytes,))
        return None if row is None else _ALERTS.record(row)

    def unseen(self, limit: int) -> Sequence[Alert]:
        """Return alerts that nobody has seen yet, oldest first."""
        return [_ALERTS.record(row) for row in self._session.all(_OPEN_ALERTS, (limit,))]

    def mark_seen(self, alert_id: UUID, at: datetime, by: str) -> None:
        """Record who saw an alert first."""
        self._session.execute(_SEE_ALERT, (to_microseconds(at), by, alert_id.bytes))
        self._changed("messages")

    def notices_held(self, near: datetime, made_before: datetime, limit: int) -> Sequence[WaitingNotices]:
        """Return released notices that are held, or due and not sealed."""
        return self._waiting(_HELD, near, made_before, limit)

    def deliveries_late(self, near: datetime, made_before: datetime, limit: int) -> Sequence[WaitingNotices]:
        """Return deliveries that are due and not done."""
        return self._waiting(_LATE, near, made_before, limit)

    def _waiting(self, statement: str, near: datetime, made_before: datetime, limit: int) -> Sequence[WaitingNotices]:
        rows = self._session.all(statement, (to_microseconds(near), to_microseconds(made_before), limit))
        return [
            WaitingNotices(UUID(bytes=row[0]), row[1], from_microseconds(row[2]), row[3], _BINDINGS[row[4]])
            for row in rows
        ]

    def failed_deliveries(self, limit: int) -> Sequence[FailedDelivery]:
        """Return deliveries that failed for good and were not alerted."""
        rows = self._session.all(_FAILED, (limit,))
        return [FailedDelivery(UUID(bytes=row[0]), UUID(bytes=row[1])) for row in rows]

    def too_large_notices(self, limit: int) -> Sequence[UUID]:
        """Return notices of which a delivery was refused for its size and that were not alerted."""
        return [UUID(bytes=row[0]) for row in self._session.all(_TOO_LARGE, (limit,))]

    def unreachable_customers(self, made_before: datetime, limit: int) -> Sequence[UnreachableCustomer]:
        """Return customers without an active contact that were not alerted as they are now."""
        rows = self._session.all(_UNREACHABLE, (to_microseconds(made_before), limit))
        return [UnreachableCustomer(UUID(bytes=row[0]), row[1], row[2]) for row in rows]

    def failed_mails(self, limit: int) -> Sequence[FailedMail]:
        """Return mails that failed for good and were not alerted."""
        return [FailedMail(UUID(bytes=row[0]), row[1]) for row in self._session.all(_FAILED_MAILS, (limit,))]

    def contacts_to_check(
        self, confirmed_before: datetime, checked_before: datetime, limit: int
    ) -> Sequence[ContactToCheck]:
        """Return active contacts with a confirmed address that were not checked recently."""
        rows = self._session.all(_TO_CHECK, (to_microseconds(confirmed_before), to_microseconds(checked_before), limit))
        return [ContactToCheck(UUID(bytes=row[0]), UUID(bytes=row[1]), was_checked=bool(row[2])) for row in rows]

    def second_channels_to_test(self, known_before: datetime, tested_before: datetime, limit: int) -> Sequence[UUID]:
        """Return customers whose second channel was not tested recently."""
        moments = (to_microseconds(known_before), to_microseconds(tested_before), limit)
        return [UUID(bytes=row[0]) for row in self._session.all(_SECOND_CHANNELS, moments)]

    def contacts_with_certificate(self, page: Page) -> tuple[list[Contact], str | None]:
        """Return a page of the active contacts that have a certificate."""
        after = start_of("certificates", page, FIRST)
        rows = self._session.all(_WITH_CERTIFICATE, (after, page.limit + 1))
        return paged("certificates", page, rows, contact_of_row)
