"""Incidents, decisions, and stored responses to requests."""

from sqlalchemy import Index
from sqlmodel import SQLModel

from service.store.tables import columns

_PENDING = "pending > 0"


class TicketCounterRow(SQLModel, table=True):
    """The last ticket number given in a year; the year is negative for exercises, which have numbers of their own.

    Announcements have the year plus 10,000.
    """

    __tablename__ = "ticket_counters"
    year: int = columns.integer(primary_key=True)
    last_number: int = columns.integer()


class IncidentRow(SQLModel, table=True):
    """``notifications.incident.Incident`` without its facts; also announcements, which have the same life."""

    __tablename__ = "incidents"
    __table_args__ = (Index("ix_incidents_state_position", "state", "position"),)
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    ticket: str = columns.text(unique=True)
    state: str = columns.text()
    version: int = columns.integer()
    opened_at: int = columns.integer()
    updated_at: int = columns.integer()
    opened_by: str = columns.text()
    closed_at: int | None = columns.integer(nullable=True)
    exercise: bool = columns.boolean()
    #: ``incident``, or ``announcement``: a notice of the agreement that is about no incident
    subject: str = columns.text()


class IncidentFactsRow(SQLModel, table=True):
    """Every version of the facts of an incident."""

    __tablename__ = "incident_facts"
    incident_id: bytes = columns.identifier("incidents.id", primary_key=True)
    version: int = columns.integer(primary_key=True)
    facts: str = columns.text()


class FactsExcerptRow(SQLModel, table=True):
    """The excerpt for lists of the facts in force; only of an incident that names more customers than a list does."""

    __tablename__ = "facts_excerpts"
    incident_id: bytes = columns.identifier("incidents.id", primary_key=True)
    #: number of customers that the facts name
    customers: int = columns.integer()
    facts: str = columns.text()


class IncidentOverviewRow(SQLModel, table=True):
    """``notifications.ports.IncidentOverview``. Services and regions are JSON lists."""

    __tablename__ = "incident_overviews"
    __table_args__ = (columns.partial_index("ix_incident_overviews_pending", "incident_id", where=_PENDING),)
    incident_id: bytes = columns.identifier("incidents.id", primary_key=True)
    nature: str = columns.text()
    priority: str | None = columns.text(nullable=True)
    provisional: bool = columns.boolean()
    to_notify: int = columns.integer()
    pending: int = columns.integer()
    pending_due_at: int | None = columns.integer(nullable=True)
    missing: str = columns.text()
    services: str = columns.text()
    regions: str = columns.text()
    pending_binding: str | None = columns.text(nullable=True)


class InterventionRow(SQLModel, table=True):
    """``notifications.incident.Intervention``: the first intervention, and its corrections."""

    __tablename__ = "interventions"
    __table_args__ = (Index("uq_interventions_incident_id_number", "incident_id", "number", unique=True),)
    position: int | None = columns.position()
    incident_id: bytes = columns.identifier("incidents.id")
    number: int = columns.integer()
    started_at: int = columns.integer()
    recorded_at: int = columns.integer()
    recorded_by: str = columns.text()
    reason: str | None = columns.text(nullable=True)


class DecisionRow(SQLModel, table=True):
    """``notifications.ports.StoredDecision``; a customer's decision with the highest position is in force."""

    __tablename__ = "decisions"
    __table_args__ = (Index("ix_decisions_incident_id_customer_id_position", "incident_id", "customer_id", "position"),)
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    incident_id: bytes = columns.identifier("incidents.id")
    customer_id: bytes = columns.identifier("customers.id")
    facts_version: int = columns.integer()
    recorded_at: int = columns.integer()
    verdict: str = columns.text()
    decision: str = columns.text()


class IncidentDraftRow(SQLModel, table=True):
    """``service.ports.drafts.Draft``; no foreign key, because the account may be deleted before it."""

    __tablename__ = "incident_drafts"
    __table_args__ = (
        columns.partial_index(
            "ix_incident_drafts_waiting_changed_at",
            "changed_at",
            "position",
            where="alert_key IS NOT NULL AND closed_at IS NULL",
        ),
    )
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    owner_id: bytes | None = columns.identifier(nullable=True, index=True)
    alert_key: str | None = columns.text(nullable=True, unique=True)
    sealed: bytes = columns.binary()
    created_at: int = columns.integer()
    changed_at: int = columns.integer(index=True)
    changed_by: str = columns.text()
    is_touched: bool = columns.boolean()
    resolved_at: int | None = columns.integer(nullable=True)
    fired_at: int | None = columns.integer(nullable=True)
    closed_at: int | None = columns.integer(nullable=True)
    kind: str = columns.text()
    version: int = columns.integer()


class StoredResponseRow(SQLModel, table=True):
    """``notifications.ports.StoredResponse`` with its idempotency key."""

    __tablename__ = "stored_responses"
    key: str = columns.text(primary_key=True)
    fingerprint: bytes = columns.binary()
    status: int = columns.integer()
    body: bytes = columns.binary()
    headers: str = columns.text()
    stored_at: int = columns.integer()


class AnnouncedCustomerRow(SQLModel, table=True):
    """``notifications.ports.AnnouncedCustomer``."""

    __tablename__ = "announced_customers"
    __table_args__ = (
        Index("uq_announced_customers_announcement_id_customer_id", "announcement_id", "customer_id", unique=True),
    )
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    announcement_id: bytes = columns.identifier("incidents.id")
    customer_id: bytes = columns.identifier("customers.id", index=True)
    facts_version: int = columns.integer()
    concern: str = columns.text()
    agreement_id: str | None = columns.text(nullable=True)
    clause: str | None = columns.text(nullable=True)
    due_at: int | None = columns.integer(nullable=True)
    binding: str | None = columns.text(nullable=True)
    due_clause: str | None = columns.text(nullable=True)
    decided_at: int = columns.integer()
    consent: str | None = columns.text(nullable=True)
    consent_name: str | None = columns.text(nullable=True)
    consent_reason: str | None = columns.text(nullable=True)
    consent_by: str | None = columns.text(nullable=True)
    consent_at: int | None = columns.integer(nullable=True)
    version: int = columns.integer()


class LetterTaskRow(SQLModel, table=True):
    """``notifications.ports.LetterTask``. The return slip is the opening ``slip`` of its entry."""

    __tablename__ = "letter_tasks"
    __table_args__ = (
        columns.partial_index(
            "ix_letter_tasks_open_due_at",
            "due_at",
            "position",
            where="state = 'open'",
        ),
    )
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    notice_id: bytes = columns.identifier("notices.id", index=True)
    customer_id: bytes = columns.identifier("customers.id", index=True)
    state: str = columns.text()
    due_at: int = columns.integer()
    created_at: int = columns.integer()
    posting_number: str | None = columns.text(nullable=True)
    posted_on: str | None = columns.text(nullable=True)
    posted_by: str | None = columns.text(nullable=True)
    slip_type: str | None = columns.text(nullable=True)
    slip_sha256: str | None = columns.text(nullable=True)
    slip_entry_id: bytes | None = columns.identifier(nullable=True)
    outcome: str | None = columns.text(nullable=True)
    outcome_on: str | None = columns.text(nullable=True)
    served_on: str | None = columns.text(nullable=True)
    closed_at: int | None = columns.integer(nullable=True)
    closed_by: str | None = columns.text(nullable=True)
    version: int = columns.integer()
