"""Records around deliveries: webhooks, bounces, acknowledgements, escalation, calls, checks, pauses.

One column per field of the domain's record, with its name.
"""

from sqlalchemy import Index
from sqlmodel import SQLModel

from service.store.tables import columns

_OPEN = "state = 'open'"
_WATCHED = "next_look_at IS NOT NULL"


class WebhookEndpointRow(SQLModel, table=True):
    """``notifications.delivery.webhook.WebhookEndpoint``."""

    __tablename__ = "webhook_endpoints"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    customer_id: bytes = columns.identifier("customers.id", index=True)
    url: str = columns.text()
    description: str = columns.text()
    state: str = columns.text()
    state_reason: str | None = columns.text(nullable=True)
    created_at: int = columns.integer()
    created_by: str = columns.text()
    failing_since: int | None = columns.integer(nullable=True)
    last_success_at: int | None = columns.integer(nullable=True)
    version: int = columns.integer()
    takes_exercises: bool = columns.boolean()


class WebhookSecretRow(SQLModel, table=True):
    """``notifications.delivery.webhook.WebhookSecret``."""

    __tablename__ = "webhook_secrets"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    endpoint_id: bytes = columns.identifier("webhook_endpoints.id", index=True)
    kind: str = columns.text()
    sealed: bytes = columns.binary()
    public_key: str | None = columns.text(nullable=True)
    created_at: int = columns.integer()
    expires_at: int | None = columns.integer(nullable=True)


class BounceRow(SQLModel, table=True):
    """``notifications.mail.bounce_record.Bounce``."""

    __tablename__ = "returned_messages"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    delivery_id: bytes | None = columns.identifier("deliveries.id", nullable=True, index=True)
    received_at: int = columns.integer()
    kind: str = columns.text()
    status: str | None = columns.text(nullable=True)
    diagnostic: str | None = columns.text(nullable=True)
    reporting_mta: str | None = columns.text(nullable=True)
    content: bytes = columns.binary()


class NoticeOpeningRow(SQLModel, table=True):
    """``notifications.delivery.acknowledgement.NoticeOpening``."""

    __tablename__ = "notice_openings"
    __table_args__ = (Index("uq_notice_openings_notice_id_by", "notice_id", "by", unique=True),)
    position: int | None = columns.position()
    notice_id: bytes = columns.identifier("notices.id")
    customer_id: bytes = columns.identifier("customers.id")
    by: str = columns.text()
    opened_at: int = columns.integer()


class QuestionRow(SQLModel, table=True):
    """``notifications.delivery.question.Question``."""

    __tablename__ = "questions"
    __table_args__ = (
        columns.partial_index(
            "ix_questions_unanswered_position",
            "position",
            where="answered_at IS NULL",
        ),
    )
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    notice_id: bytes = columns.identifier("notices.id", index=True)
    customer_id: bytes = columns.identifier("customers.id", index=True)
    asked_by: str = columns.text()
    asked_at: int = columns.integer()
    text: str = columns.text()
    reply: str | None = columns.text(nullable=True)
    answering_notice_id: bytes | None = columns.identifier("notices.id", nullable=True)
    answered_by: str | None = columns.text(nullable=True)
    answered_at: int | None = columns.integer(nullable=True)
    version: int = columns.integer()


class FeedbackRow(SQLModel, table=True):
    """``notifications.delivery.question.Feedback``; the person who gave it may change it."""

    __tablename__ = "feedback"
    __table_args__ = (Index("uq_feedback_notice_id_by", "notice_id", "by", unique=True),)
    position: int | None = columns.position()
    notice_id: bytes = columns.identifier("notices.id")
    customer_id: bytes = columns.identifier("customers.id", index=True)
    by: str = columns.text()
    helped: str = columns.text()
    words: str | None = columns.text(nullable=True)
    given_at: int = columns.integer()


class AcknowledgementRow(SQLModel, table=True):
    """``notifications.delivery.acknowledgement.Acknowledgement``."""

    __tablename__ = "acknowledgements"
    __table_args__ = (Index("uq_acknowledgements_notice_id_by", "notice_id", "by", unique=True),)
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    notice_id: bytes = columns.identifier("notices.id")
    customer_id: bytes = columns.identifier("customers.id")
    contact_id: bytes | None = columns.identifier("contacts.id", nullable=True)
    by: str = columns.text()
    via: str = columns.text()
    acknowledged_at: int = columns.integer()
    note: str | None = columns.text(nullable=True)


class EscalationRow(SQLModel, table=True):
    """``notifications.delivery.escalation.Escalation``."""

    __tablename__ = "escalations"
    __table_args__ = (columns.partial_index("ix_escalations_next_look_at", "next_look_at", where=_WATCHED),)
    notice_id: bytes = columns.identifier("notices.id", primary_key=True)
    customer_id: bytes = columns.identifier("customers.id")
    due_at: int = columns.integer()
    acknowledge_by: int | None = columns.integer(nullable=True)
    next_look_at: int | None = columns.integer(nullable=True)
    version: int = columns.integer()


class CallTaskRow(SQLModel, table=True):
    """``notifications.delivery.call_task.CallTask``."""

    __tablename__ = "call_tasks"
    __table_args__ = (
        columns.partial_index("uq_call_tasks_open", "notice_id", unique=True, where=_OPEN),
        Index("ix_call_tasks_notice_id", "notice_id"),
        Index("ix_call_tasks_state_position", "state", "position"),
    )
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    notice_id: bytes = columns.identifier("notices.id")
    customer_id: bytes = columns.identifier("customers.id")
    reason: str = columns.text()
    opened_at: int = columns.integer()
    due_at: int = columns.integer()
    state: str = columns.text()
    closed_at: int | None = columns.integer(nullable=True)
    version: int = columns.integer()


class CallRecordRow(SQLModel, table=True):
    """``notifications.delivery.call_task.CallRecord``."""

    __tablename__ = "call_records"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    task_id: bytes = columns.identifier("call_tasks.id", index=True)
    contact_id: bytes | None = columns.identifier("contacts.id", nullable=True)
    number: str = columns.text()
    called_at: int = columns.integer()
    called_by: str = columns.text()
    outcome: str = columns.text()
    spoke_to: str | None = columns.text(nullable=True)
    note: str | None = columns.text(nullable=True)


class ReachabilityCheckRow(SQLModel, table=True):
    """``notifications.delivery.reachability.ReachabilityCheck``."""

    __tablename__ = "reachability_checks"
    __table_args__ = (
        Index("ix_reachability_checks_customer_id_subject_id", "customer_id", "subject", "subject_id", "position"),
    )
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    customer_id: bytes = columns.identifier("customers.id")
    subject: str = columns.text()
    subject_id: bytes = columns.identifier()
    checked_at: int = columns.integer()
    ok: bool = columns.boolean()
    code: int | None = columns.integer(nullable=True)
    reason: str | None = columns.text(nullable=True)


class ChannelPauseRow(SQLModel, table=True):
    """``notifications.delivery.delivery.ChannelPause``."""

    __tablename__ = "channel_pauses"
    channel: str = columns.text(primary_key=True)
    paused_at: int = columns.integer()
    paused_by: str = columns.text()
    reason: str = columns.text()
    until: int | None = columns.integer(nullable=True)
