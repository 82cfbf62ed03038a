"""Alerts and the service's own mails: a column for each field of ``Alert`` and ``ServiceMail``, under its name."""

from sqlmodel import SQLModel

from service.store.tables import columns

_QUEUED = "state = 'queued'"
_TROUBLED = "state = 'failed' OR (state = 'queued' AND last_error IS NOT NULL)"
_MAILING = "mailing_id IS NOT NULL"
_UNSEEN = "seen_at IS NULL"


class ServiceMailRow(SQLModel, table=True):
    """``ServiceMail``."""

    __tablename__ = "service_mails"
    __table_args__ = (
        columns.partial_index("ix_service_mails_queued", "position", where=_QUEUED),
        columns.partial_index("ix_service_mails_mailing_id", "mailing_id", where=_MAILING),
        columns.partial_index("ix_service_mails_troubled", "position", where=_TROUBLED),
    )
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    purpose: str = columns.text()
    recipient: str = columns.text()
    recipient_name: str = columns.text()
    language: str = columns.text()
    subject: str = columns.text()
    text: str = columns.text()
    created_at: int = columns.integer()
    state: str = columns.text()
    attempts: int = columns.integer()
    next_attempt_at: int | None = columns.integer(nullable=True)
    last_error: str | None = columns.text(nullable=True)
    mailing_id: bytes | None = columns.identifier(nullable=True)


class AlertRow(SQLModel, table=True):
    """``Alert``."""

    __tablename__ = "alerts"
    __table_args__ = (columns.partial_index("ix_alerts_unseen", "position", where=_UNSEEN),)
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    key: str = columns.text(unique=True)
    kind: str = columns.text()
    raised_at: int = columns.integer()
    incident_id: bytes | None = columns.identifier(nullable=True)
    notice_id: bytes | None = columns.identifier(nullable=True)
    customer_id: bytes | None = columns.identifier(nullable=True)
    what: str = columns.text()
    seen_at: int | None = columns.integer(nullable=True)
    seen_by: str | None = columns.text(nullable=True)
    mailing_id: bytes | None = columns.identifier(nullable=True)
