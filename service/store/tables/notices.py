"""Notices, seals and deliveries."""

from sqlalchemy import Index
from sqlmodel import SQLModel

from service.store.tables import columns


class NoticeRow(SQLModel, table=True):
    """``notifications.notice.Notice``."""

    __tablename__ = "notices"
    __table_args__ = (
        Index("ix_notices_incident_id_customer_id_sequence", "incident_id", "customer_id", "sequence"),
        # One notice per incident, customer and sequence; the number of a withdrawn draft is used again.
        columns.partial_index(
            "uq_notices_standing",
            "incident_id",
            "customer_id",
            "sequence",
            unique=True,
            where="state <> 'withdrawn'",
        ),
        Index("ix_notices_customer_id_position", "customer_id", "position"),
        Index("ix_notices_state_position", "state", "position"),
        Index("ix_notices_state_due_at_position", "state", "due_at", "position"),
    )
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    incident_id: bytes = columns.identifier("incidents.id")
    customer_id: bytes = columns.identifier("customers.id")
    sequence: int = columns.integer()
    kind: str = columns.text()
    state: str = columns.text()
    facts_version: int = columns.integer()
    due_at: int = columns.integer()
    due_kind: str = columns.text()
    created_at: int = columns.integer()
    created_by: str = columns.text()
    released_at: int | None = columns.integer(nullable=True)
    released_by: str | None = columns.text(nullable=True)
    sealed_at: int | None = columns.integer(nullable=True)
    hold_reason: str | None = columns.text(nullable=True)
    version: int = columns.integer()
    drafted_by: str = columns.text()
    override_reason: str | None = columns.text(nullable=True)
    override_reviewed_by: str | None = columns.text(nullable=True)
    override_reviewed_at: int | None = columns.integer(nullable=True)
    exercise: bool = columns.boolean()
    binding: str | None = columns.text(nullable=True)
    leased_until: int | None = columns.integer(nullable=True)


class SealedNoticeRow(SQLModel, table=True):
    """``notifications.notice.seal.SealedNotice`` as sealed; evidence that is obtained later is in other tables."""

    __tablename__ = "sealed_notices"
    position: int | None = columns.position()
    notice_id: bytes = columns.identifier("notices.id", unique=True)
    entry_id: bytes = columns.identifier()
    document: bytes = columns.binary()
    signature: bytes = columns.binary()
    timestamp_independent: bool = columns.boolean()
    resources_csv: bytes | None = columns.binary(nullable=True)
    renderings: str = columns.text()
    sealed_at: int = columns.integer()
    shares_timestamp: bool = columns.boolean()


class SealTimestampRow(SQLModel, table=True):
    """The timestamp of a seal, obtained at sealing or later."""

    __tablename__ = "seal_timestamps"
    notice_id: bytes = columns.identifier("sealed_notices.notice_id", primary_key=True)
    token: bytes = columns.binary()
    independent: bool = columns.boolean()


class SharedTimestampRow(SQLModel, table=True):
    """The timestamped checkpoint that dates a seal together with others; its token is in ``checkpoint_timestamps``."""

    __tablename__ = "shared_timestamps"
    notice_id: bytes = columns.identifier("sealed_notices.notice_id", primary_key=True)
    size: int = columns.integer(references="checkpoint_timestamps.size")
    independent: bool = columns.boolean()
    #: the log proof under this checkpoint; null if that of ``seal_proofs`` is under it
    proof: bytes | None = columns.binary(nullable=True)


class SealProofRow(SQLModel, table=True):
    """The log proof of a seal."""

    __tablename__ = "seal_proofs"
    notice_id: bytes = columns.identifier("sealed_notices.notice_id", primary_key=True)
    proof: bytes = columns.binary()


class OwedEvidenceRow(SQLModel, table=True):
    """Missing evidence of seals: a short list, so that the next one is found quickly."""

    __tablename__ = "owed_evidence"
    __table_args__ = (
        Index("uq_owed_evidence_notice_id_kind", "notice_id", "kind", unique=True),
        Index("ix_owed_evidence_kind_position", "kind", "position"),
    )
    position: int | None = columns.position()
    kind: str = columns.text()
    notice_id: bytes = columns.identifier("sealed_notices.notice_id")
    #: why it is not there yet, as far as that is known
    reason: str | None = columns.text(nullable=True)


class NoticePdfRow(SQLModel, table=True):
    """The entry that commits to the PDF of a notice. The bytes are the opening ``pdf`` of the entry."""

    __tablename__ = "notice_pdfs"
    notice_id: bytes = columns.identifier("sealed_notices.notice_id", primary_key=True)
    language: str = columns.text(primary_key=True)
    #: IANA time zone of its times; empty for the customer's time zone
    time_zone: str = columns.text(primary_key=True)
    entry_id: bytes = columns.identifier()


class NoticeSubjectRow(SQLModel, table=True):
    """The subject lines of a sealed notice in every language, with case folded: what an inbox is searched by."""

    __tablename__ = "notice_subjects"
    notice_id: bytes = columns.identifier("sealed_notices.notice_id", primary_key=True)
    lines: str = columns.text()


class DeliveryRow(SQLModel, table=True):
    """``notifications.delivery.delivery.Delivery``, its lease, and its place in the queue.

    The place is the notice's deadline, then ``turn`` (``notifications.delivery.delivery.turn_of``). ``lane`` is the
    destination, whose limits apply to the delivery.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        columns.partial_index(
            "ix_deliveries_queued_due_at",
            "due_at",
            "turn",
            "position",
            where="state = 'queued'",
        ),
        columns.partial_index(
            "ix_deliveries_troubled_due_at",
            "due_at",
            "position",
            where="last_error IS NOT NULL",
        ),
        columns.partial_index(
            "ix_deliveries_too_large_notice_id",
            "notice_id",
            where="too_large_at IS NOT NULL",
        ),
    )
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    notice_id: bytes = columns.identifier("notices.id", index=True)
    customer_id: bytes = columns.identifier("customers.id")
    channel: str = columns.text()
    contact_id: bytes | None = columns.identifier("contacts.id", nullable=True)
    message_id: str = columns.text()
    state: str = columns.text()
    attempts: int = columns.integer()
    next_attempt_at: int | None = columns.integer(nullable=True)
    last_error: str | None = columns.text(nullable=True)
    created_at: int = columns.integer()
    endpoint_id: bytes | None = columns.identifier("webhook_endpoints.id", nullable=True)
    cause: str = columns.text()
    sent_at: int | None = columns.integer(nullable=True)
    lane: str = columns.text()
    due_at: int = columns.integer()
    turn: int = columns.integer()
    leased_until: int | None = columns.integer(nullable=True)
    too_large_at: int | None = columns.integer(nullable=True)


class DeliveryAttemptRow(SQLModel, table=True):
    """``notifications.delivery.delivery.DeliveryAttempt``."""

    __tablename__ = "delivery_attempts"
    __table_args__ = (Index("uq_delivery_attempts_delivery_id_number", "delivery_id", "number", unique=True),)
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    delivery_id: bytes = columns.identifier("deliveries.id")
    number: int = columns.integer()
    started_at: int = columns.integer()
    ended_at: int = columns.integer()
    outcome: str = columns.text()
    evidence_event: str = columns.text()
    message_sha256: str | None = columns.text(nullable=True)


class SentMessageRow(SQLModel, table=True):
    """The bytes that were sent in an attempt."""

    __tablename__ = "sent_messages"
    delivery_id: bytes = columns.identifier("deliveries.id", primary_key=True)
    number: int = columns.integer(primary_key=True)
    content: bytes = columns.binary()


class InboxItemRow(SQLModel, table=True):
    """``notifications.ports.InboxItem``."""

    __tablename__ = "inbox_items"
    __table_args__ = (Index("ix_inbox_items_customer_id_position", "customer_id", "position"),)
    position: int | None = columns.position()
    notice_id: bytes = columns.identifier("notices.id", unique=True)
    customer_id: bytes = columns.identifier("customers.id")
    placed_at: int = columns.integer()
