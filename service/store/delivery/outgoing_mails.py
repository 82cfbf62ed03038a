"""The service's own mails and alerts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, exists, select, text

from service.ports.alerts_and_mail import Alert, ServiceMail, UnreleasedDrafts
from service.store.sql.encoding import from_microseconds, from_optional_microseconds, to_microseconds
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled_text, limited
from service.store.tables import AlertRow, ContactRow, CustomerRow, ServiceMailRow, table

_MICROSECOND = timedelta(microseconds=1)

_MAILS, _ALERTS = FlatTable(ServiceMail, ServiceMailRow), FlatTable(Alert, AlertRow)
_customers, _contacts = table(CustomerRow).c, table(ContactRow).c
_mails, _alerts = table(ServiceMailRow).c, table(AlertRow).c

_MAIL, _ALERT, _ALERT_BY_KEY = _MAILS.by("id"), _ALERTS.by("id"), _ALERTS.by("key")
_RAISE_ALERT = f"{_ALERTS.insert} ON CONFLICT (key) DO NOTHING"
# The conditions are written as in the partial indexes, because only then are the indexes used.
_DUE = limited(
    select(*_MAILS.columns)
    .where(text("state = 'queued'"))
    .where(_mails.next_attempt_at.is_(None) | (_mails.next_attempt_at <= bindparam("now")))
    .order_by(_mails.position),
    "now",
)
_TROUBLED = limited(
    select(*_MAILS.columns)
    .where(text("state = 'failed' OR (state = 'queued' AND last_error IS NOT NULL)"))
    .order_by(_mails.position)
)
_SAVE_MAIL = _MAILS.update("text", "state", "attempts", "next_attempt_at", "last_error")
_OPEN_ALERTS = limited(select(*_ALERTS.columns).where(text("seen_at IS NULL")).order_by(_alerts.position))
_WITHOUT_CONTACT = limited(
    select(_customers.id)
    .where(~exists().where(_contacts.customer_id == _customers.id, text("contacts.active")))
    .order_by(_customers.position)
)
_UNRELEASED = compiled_text(
    "SELECT incident_id, due_at, created_at, count(*) FROM notices"
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


class MessageRecords(Records):
    """Mails and alerts; see ``service.ports.store``."""

    def add_service_mail(self, mail: ServiceMail) -> None:
        """Queue a mail."""
        self._session.execute(_MAILS.insert, _MAILS.values(mail))
        self._changed("messages")

    def service_mail(self, mail_id: UUID) -> ServiceMail | None:
        """Return the mail."""
        row = self._session.one(_MAIL, (mail_id.bytes,))
        return None if row is None else _MAILS.record(row)

    def due_service_mails(self, now: datetime, limit: int) -> Sequence[ServiceMail]:
        """Return queued mails whose time has come, oldest first."""
        return [_MAILS.record(row) for row in self._session.all(_DUE, (to_microseconds(now), limit))]

    def troubled_service_mails(self, limit: int) -> Sequence[ServiceMail]:
        """Return mails that failed for good, or whose last attempt failed, oldest first."""
        return [_MAILS.record(row) for row in self._session.all(_TROUBLED, (limit,))]

    def save_service_mail(self, mail: ServiceMail) -> None:
        """Replace text (empty once it is no longer needed), state, attempts, next attempt and last error."""
        values = _MAILS.some_values(mail, "text", "state", "attempts", "next_attempt_at", "last_error", "id")
        self._session.execute(_SAVE_MAIL, values)
        self._changed("messages")

    def add_alert(self, alert: Alert) -> bool:
        """Store an alert; returns False and stores nothing if its key exists."""
        if self._session.execute(_RAISE_ALERT, _ALERTS.values(alert)).rowcount == 0:
            return False
        self._changed("messages")
        return True

    def alert_by_key(self, key: str) -> Alert | None:
        """Return the alert by its key."""
        row = self._session.one(_ALERT_BY_KEY, (key,))
        return None if row is None else _ALERTS.record(row)

    def unreleased_drafts(self, now: datetime, made_before: datetime, limit: int) -> Sequence[UnreleasedDrafts]:
        """Return drafts made before a moment that are past half of the time to their deadline; by deadline."""
        rows = self._session.all(_UNRELEASED, (2 * to_microseconds(now), to_microseconds(made_before), limit))
        return [
            UnreleasedDrafts(UUID(bytes=row[0]), from_microseconds(row[1]), from_microseconds(row[2]), row[3])
            for row in rows
        ]

    def next_draft_moment(self, now: datetime, lead: timedelta, grace: timedelta) -> datetime | None:
        """Return when a draft next reaches a stage."""
        at, before, after = to_microseconds(now), lead // _MICROSECOND, grace // _MICROSECOND
        row = self._session.one(_NEXT_MOMENT, (after, at, after, at, before, at, before, at))
        return None if row is None else from_optional_microseconds(row[0])

    def customers_without_contact(self, limit: int) -> Sequence[UUID]:
        """Return customers that have no active contact, oldest first."""
        return [UUID(bytes=row[0]) for row in self._session.all(_WITHOUT_CONTACT, (limit,))]

    def alert(self, alert_id: UUID) -> Alert | None:
        """Return the alert."""
        row = self._session.one(_ALERT, (alert_id.bytes,))
        return None if row is None else _ALERTS.record(row)

    def open_alerts(self, limit: int) -> Sequence[Alert]:
        """Return alerts that nobody has seen yet, oldest first."""
        return [_ALERTS.record(row) for row in self._session.all(_OPEN_ALERTS, (limit,))]

    def see_alert(self, alert_id: UUID, at: datetime, by: str) -> None:
        """Record who acknowledged an alert first."""
        self._session.execute(_SEE_ALERT, (to_microseconds(at), by, alert_id.bytes))
        self._changed("messages")
