"""The queue of the service's own mails."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, select, text

from service.ports.mails import ServiceMail
from service.store.sql.encoding import to_microseconds
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import limited
from service.store.tables import ServiceMailRow, table

_MAILS = FlatTable(ServiceMail, ServiceMailRow)
_mails = table(ServiceMailRow).c

_MAIL = _MAILS.by("id")
# The conditions are written as in the indexes, so that the indexes are used.
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
_OF_MAILING = _MAILS.by("mailing_id", ordered=True)
_SAVE_MAIL = _MAILS.update("text", "state", "attempts", "next_attempt_at", "last_error")


class MailRecords(Records):
    """Implements ``service.ports.mails.MailRepository``."""

    def add(self, mail: ServiceMail) -> None:
        """Queue a mail."""
        self._session.execute(_MAILS.insert, _MAILS.values(mail))
        self._changed("messages")

    def get(self, mail_id: UUID) -> ServiceMail | None:
        """Return the mail."""
        row = self._session.one(_MAIL, (mail_id.bytes,))
        return None if row is None else _MAILS.record(row)

    def of_mailing(self, mailing_id: UUID) -> Sequence[ServiceMail]:
        """Return the mails of one mailing, in the order in which they were queued."""
        return [_MAILS.record(row) for row in self._session.all(_OF_MAILING, (mailing_id.bytes,))]

    def due(self, now: datetime, limit: int) -> Sequence[ServiceMail]:
        """Return queued mails whose time has come, oldest first."""
        return [_MAILS.record(row) for row in self._session.all(_DUE, (to_microseconds(now), limit))]

    def troubled(self, limit: int) -> Sequence[ServiceMail]:
        """Return mails that failed for good, or whose last attempt failed, oldest first."""
        return [_MAILS.record(row) for row in self._session.all(_TROUBLED, (limit,))]

    def save(self, mail: ServiceMail) -> None:
        """Replace words (blanked once they are of no use), state, attempts, next attempt and last error."""
        values = _MAILS.some_values(mail, "text", "state", "attempts", "next_attempt_at", "last_error", "id")
        self._session.execute(_SAVE_MAIL, values)
        self._changed("messages")
