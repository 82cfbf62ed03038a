"""Tables of the store. Shapes only: what a row means stands with the domain type that it holds.

Conventions: ``position`` is the order in which rows were stored and the sort key of lists; ``*_at``, ``*_until`` are
microseconds since the epoch, UTC; identifiers are 16 bytes; columns that hold nested values are JSON text. Which
tables refuse UPDATE and DELETE stands in ``triggers``.
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, text
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = SQLModel.metadata

#: SQLite makes only a column of type INTEGER its row number.
_ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")
_ID_BYTES = 16


def _position() -> Any:
    return Field(default=None, sa_column=Column(_ROW_NUMBER, primary_key=True, autoincrement=True))


def _integer(**options: Any) -> Any:
    return Field(sa_column=Column(BigInteger(), **{"nullable": False, "autoincrement": False} | options))


def _text(**options: Any) -> Any:
    return Field(sa_column=Column(Text(), **{"nullable": False} | options))


def _bytes(**options: Any) -> Any:
    return Field(sa_column=Column(LargeBinary(), **{"nullable": False} | options))


def _boolean(**options: Any) -> Any:
    return Field(sa_column=Column(Boolean(), **{"nullable": False} | options))


def _id(references: str | None = None, **options: Any) -> Any:
    constraints = [] if references is None else [ForeignKey(references)]
    return Field(sa_column=Column(LargeBinary(_ID_BYTES), *constraints, **{"nullable": False} | options))


class CustomerRow(SQLModel, table=True):
    """``notifications.customer.Customer``."""

    __tablename__ = "customers"
    position: int | None = _position()
    id: bytes = _id(unique=True)
    name: str = _text()
    language: str = _text()
    time_zone: str = _text()
    services: str = _text()
    regions: str = _text()
    availability_zones: str = _text()
    created_at: int = _integer()
    version: int = _integer()


class CustomerSaltRow(SQLModel, table=True):
    """The salt of a customer's pseudonym in the log; erasable, and with it the link to the log."""

    __tablename__ = "customer_salts"
    customer_id: bytes = _id("customers.id", primary_key=True)
    salt: bytes = _bytes()


class AgreementBindingRow(SQLModel, table=True):
    """``notifications.customer.AgreementBinding``."""

    __tablename__ = "agreement_bindings"
    position: int | None = _position()
    customer_id: bytes = _id("customers.id", index=True)
    agreement_id: str = _text()
    effective_at: int = _integer()
    recorded_at: int = _integer()


class ProfileRow(SQLModel, table=True):
    """``notifications.customer.ProfileVersion``."""

    __tablename__ = "profiles"
    __table_args__ = (Index("uq_profiles_customer_id_version", "customer_id", "version", unique=True),)
    position: int | None = _position()
    id: bytes = _id(unique=True)
    customer_id: bytes = _id("customers.id")
    version: int = _integer()
    choices: str | None = _text(nullable=True)
    effective_at: int = _integer()
    recorded_at: int = _integer()
    recorded_by: str = _text()


class ContactRow(SQLModel, table=True):
    """``notifications.customer.Contact``."""

    __tablename__ = "contacts"
    position: int | None = _position()
    id: bytes = _id(unique=True)
    customer_id: bytes = _id("customers.id", index=True)
    name: str = _text()
    role: str = _text()
    email: str = _text()
    language: str = _text()
    order: int = _integer()
    active: bool = _boolean()
    created_at: int = _integer()
    version: int = _integer()


class DirectoryVersionRow(SQLModel, table=True):
    """One row, counted up with every change of customers, bindings or profiles, so that they can be kept decoded."""

    __tablename__ = "directory_version"
    id: int = _integer(primary_key=True)
    version: int = _integer()


class TicketCounterRow(SQLModel, table=True):
    """The last ticket number given in a year."""

    __tablename__ = "ticket_counters"
    year: int = _integer(primary_key=True)
    last_number: int = _integer()


class IncidentRow(SQLModel, table=True):
    """``notifications.incident.Incident`` but its facts."""

    __tablename__ = "incidents"
    __table_args__ = (Index("ix_incidents_state_position", "state", "position"),)
    position: int | None = _position()
    id: bytes = _id(unique=True)
    ticket: str = _text(unique=True)
    state: str = _text()
    version: int = _integer()
    opened_at: int = _integer()
    updated_at: int = _integer()
    opened_by: str = _text()
    closed_at: int | None = _integer(nullable=True)


class IncidentFactsRow(SQLModel, table=True):
    """Every version of the facts of an incident."""

    __tablename__ = "incident_facts"
    incident_id: bytes = _id("incidents.id", primary_key=True)
    version: int = _integer(primary_key=True)
    facts: str = _text()


class DecisionRow(SQLModel, table=True):
    """``notifications.ports.StoredDecision``; the one of a customer with the highest position is in force."""

    __tablename__ = "decisions"
    __table_args__ = (Index("ix_decisions_incident_id_customer_id_position", "incident_id", "customer_id", "position"),)
    position: int | None = _position()
    id: bytes = _id(unique=True)
    incident_id: bytes = _id("incidents.id")
    customer_id: bytes = _id("customers.id")
    facts_version: int = _integer()
    recorded_at: int = _integer()
    verdict: str = _text()
    decision: str = _text()


class NoticeRow(SQLModel, table=True):
    """``notifications.notice.Notice``."""

    __tablename__ = "notices"
    __table_args__ = (
        Index("ix_notices_incident_id_customer_id_sequence", "incident_id", "customer_id", "sequence"),
        # One document per incident, customer and sequence: a withdrawn draft leaves its number to the next.
        Index(
            "uq_notices_standing",
            "incident_id",
            "customer_id",
            "sequence",
            unique=True,
            sqlite_where=text("state <> 'withdrawn'"),
            postgresql_where=text("state <> 'withdrawn'"),
        ),
        Index("ix_notices_customer_id_position", "customer_id", "position"),
        Index("ix_notices_state_position", "state", "position"),
        Index(
            "ix_notices_released_due_at",
            "due_at",
            "position",
            sqlite_where=text("state = 'released'"),
            postgresql_where=text("state = 'released'"),
        ),
    )
    position: int | None = _position()
    id: bytes = _id(unique=True)
    incident_id: bytes = _id("incidents.id")
    customer_id: bytes = _id("customers.id")
    sequence: int = _integer()
    kind: str = _text()
    state: str = _text()
    facts_version: int = _integer()
    due_at: int = _integer()
    due_kind: str = _text()
    created_at: int = _integer()
    created_by: str = _text()
    released_at: int | None = _integer(nullable=True)
    released_by: str | None = _text(nullable=True)
    sealed_at: int | None = _integer(nullable=True)
    hold_reason: str | None = _text(nullable=True)
    version: int = _integer()


class SealedNoticeRow(SQLModel, table=True):
    """``notifications.seal.SealedNotice`` as it was at sealing; what is obtained later stands in its own tables."""

    __tablename__ = "sealed_notices"
    position: int | None = _position()
    notice_id: bytes = _id("notices.id", unique=True)
    entry_id: bytes = _id()
    document: bytes = _bytes()
    signature: bytes = _bytes()
    timestamp_independent: bool = _boolean()
    resources_csv: bytes | None = _bytes(nullable=True)
    renderings: str = _text()
    sealed_at: int = _integer()


class SealTimestampRow(SQLModel, table=True):
    """The timestamp of a seal, obtained at sealing or later."""

    __tablename__ = "seal_timestamps"
    notice_id: bytes = _id("sealed_notices.notice_id", primary_key=True)
    token: bytes = _bytes()
    independent: bool = _boolean()


class SealProofRow(SQLModel, table=True):
    """The log proof of a seal."""

    __tablename__ = "seal_proofs"
    notice_id: bytes = _id("sealed_notices.notice_id", primary_key=True)
    proof: bytes = _bytes()


class OwedEvidenceRow(SQLModel, table=True):
    """What a seal still lacks: a to-do list that stays short, so that finding the next costs nothing."""

    __tablename__ = "owed_evidence"
    __table_args__ = (
        Index("uq_owed_evidence_notice_id_kind", "notice_id", "kind", unique=True),
        Index("ix_owed_evidence_kind_position", "kind", "position"),
    )
    position: int | None = _position()
    kind: str = _text()
    notice_id: bytes = _id("sealed_notices.notice_id")


class DeliveryRow(SQLModel, table=True):
    """``notifications.delivery.Delivery``, its lease, and the notice's deadline as the order of the queue."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(
            "ix_deliveries_queued_due_at",
            "due_at",
            "position",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
    )
    position: int | None = _position()
    id: bytes = _id(unique=True)
    notice_id: bytes = _id("notices.id", index=True)
    customer_id: bytes = _id("customers.id")
    channel: str = _text()
    contact_id: bytes | None = _id("contacts.id", nullable=True)
    message_id: str = _text()
    state: str = _text()
    attempts: int = _integer()
    next_attempt_at: int | None = _integer(nullable=True)
    last_error: str | None = _text(nullable=True)
    created_at: int = _integer()
    due_at: int = _integer()
    leased_until: int | None = _integer(nullable=True)


class DeliveryAttemptRow(SQLModel, table=True):
    """``notifications.delivery.DeliveryAttempt``."""

    __tablename__ = "delivery_attempts"
    __table_args__ = (Index("uq_delivery_attempts_delivery_id_number", "delivery_id", "number", unique=True),)
    position: int | None = _position()
    id: bytes = _id(unique=True)
    delivery_id: bytes = _id("deliveries.id")
    number: int = _integer()
    started_at: int = _integer()
    ended_at: int = _integer()
    outcome: str = _text()
    evidence_event: str = _text()
    message_sha256: str | None = _text(nullable=True)


class SentMessageRow(SQLModel, table=True):
    """The bytes handed over at an attempt."""

    __tablename__ = "sent_messages"
    delivery_id: bytes = _id("deliveries.id", primary_key=True)
    number: int = _integer(primary_key=True)
    content: bytes = _bytes()


class InboxItemRow(SQLModel, table=True):
    """``notifications.ports.InboxItem``."""

    __tablename__ = "inbox_items"
    __table_args__ = (Index("ix_inbox_items_customer_id_position", "customer_id", "position"),)
    position: int | None = _position()
    notice_id: bytes = _id("notices.id", unique=True)
    customer_id: bytes = _id("customers.id")
    placed_at: int = _integer()


class StoredResponseRow(SQLModel, table=True):
    """``notifications.ports.StoredResponse`` under its idempotency key."""

    __tablename__ = "stored_responses"
    key: str = _text(primary_key=True)
    fingerprint: bytes = _bytes()
    status: int = _integer()
    body: bytes = _bytes()
    headers: str = _text()
    stored_at: int = _integer()


class AuditEntryRow(SQLModel, table=True):
    """An entry of the log: the exact leaf bytes, written with the change and never computed again."""

    __tablename__ = "audit_entries"
    position: int | None = _position()
    id: bytes = _id(unique=True)
    leaf: bytes = _bytes()


class AuditSubjectRow(SQLModel, table=True):
    """What an entry concerns; finds the entries about one thing."""

    __tablename__ = "audit_subjects"
    __table_args__ = {"sqlite_with_rowid": False}
    kind: str = _text(primary_key=True)
    identifier: str = _text(primary_key=True)
    position: int = Field(
        sa_column=Column(_ROW_NUMBER, ForeignKey("audit_entries.position"), primary_key=True, autoincrement=False)
    )


class AuditOpeningRow(SQLModel, table=True):
    """Salt and value behind a commitment; erasable, the leaf holds the digest alone."""

    __tablename__ = "audit_openings"
    position: int = Field(
        sa_column=Column(_ROW_NUMBER, ForeignKey("audit_entries.position"), primary_key=True, autoincrement=False)
    )
    name: str = _text(primary_key=True)
    salt: bytes = _bytes()
    value: bytes = _bytes()


class LogLeafRow(SQLModel, table=True):
    """Which entry stands at which index of the tree."""

    __tablename__ = "log_leaves"
    leaf_index: int = Field(sa_column=Column(_ROW_NUMBER, primary_key=True, autoincrement=False))
    position: int = Field(
        sa_column=Column(_ROW_NUMBER, ForeignKey("audit_entries.position"), nullable=False, unique=True)
    )


class LogNodeRow(SQLModel, table=True):
    """Hash of a complete subtree of 2^level leaves; levels 0, 8, 16 read in order are the C2SP tiles."""

    __tablename__ = "log_nodes"
    __table_args__ = {"sqlite_with_rowid": False}
    level: int = _integer(primary_key=True)
    node_index: int = _integer(primary_key=True)
    hash: bytes = _bytes()


class LogCheckpointRow(SQLModel, table=True):
    """Every signed checkpoint; the one of the greatest size is the head."""

    __tablename__ = "log_checkpoints"
    size: int = Field(sa_column=Column(_ROW_NUMBER, primary_key=True, autoincrement=False))
    note: bytes = _bytes()


def table(row: type[SQLModel]) -> Table:
    """Return the table of a row class."""
    return metadata.tables[str(row.__tablename__)]
