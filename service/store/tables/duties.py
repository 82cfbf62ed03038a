"""Legal profiles of customers, and the provider's own duties; the fields are those of the domain's records."""

from sqlalchemy import Index
from sqlmodel import SQLModel

from service.store.tables import columns


class LegalProfileRow(SQLModel, table=True):
    """``notifications.customer.legal_profile.LegalProfile``."""

    __tablename__ = "legal_profiles"
    __table_args__ = (Index("uq_legal_profiles_customer_id_version", "customer_id", "version", unique=True),)
    position: int | None = columns.position()
    customer_id: bytes = columns.identifier("customers.id")
    version: int = columns.integer()
    member_state: str | None = columns.text(nullable=True)
    region: str | None = columns.text(nullable=True)
    sectors: str = columns.text()
    lei: str | None = columns.text(nullable=True)
    recorded_at: int = columns.integer()
    recorded_by: str = columns.text()


class DutyAssessmentRow(SQLModel, table=True):
    """``notifications.duties.records.DutyAssessment``."""

    __tablename__ = "duty_assessments"
    __table_args__ = (Index("uq_duty_assessments_incident_id_version", "incident_id", "version", unique=True),)
    position: int | None = columns.position()
    incident_id: bytes = columns.identifier("incidents.id")
    version: int = columns.integer()
    answers: str = columns.text()
    loss_eur: int | None = columns.integer(nullable=True)
    apparent_cause: str | None = columns.text(nullable=True)
    high_risk_at: int | None = columns.integer(nullable=True)
    fix_at: int | None = columns.integer(nullable=True)
    handled_at: int | None = columns.integer(nullable=True)
    note: str | None = columns.text(nullable=True)
    recorded_at: int = columns.integer(index=True)
    recorded_by: str = columns.text()


class ReportSubmissionRow(SQLModel, table=True):
    """``notifications.duties.records.ReportSubmission``."""

    __tablename__ = "report_submissions"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    incident_id: bytes = columns.identifier("incidents.id", index=True)
    duty_id: str = columns.text()
    submitted_at: int = columns.integer()
    recipient: str = columns.text()
    reference: str | None = columns.text(nullable=True)
    submitted_by: str = columns.text()
    items: str = columns.text()
    corrects: bytes | None = columns.identifier(nullable=True)
    reason: str | None = columns.text(nullable=True)
    withdrawn: bool = columns.boolean()
    recorded_at: int = columns.integer()
    recorded_by: str = columns.text()


class ReportDraftRow(SQLModel, table=True):
    """``notifications.duties.records.ReportDraft``."""

    __tablename__ = "report_drafts"
    __table_args__ = (
        Index("uq_report_drafts_incident_id_duty_id_version", "incident_id", "duty_id", "version", unique=True),
    )
    position: int | None = columns.position()
    incident_id: bytes = columns.identifier("incidents.id")
    duty_id: str = columns.text()
    version: int = columns.integer()
    items: str = columns.text()
    recorded_at: int = columns.integer()
    recorded_by: str = columns.text()


class CustomerSubmissionRow(SQLModel, table=True):
    """``notifications.duties.records.CustomerSubmission``."""

    __tablename__ = "customer_submissions"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    customer_id: bytes = columns.identifier("customers.id", index=True)
    notice_id: bytes = columns.identifier("notices.id", index=True)
    duty_id: str = columns.text()
    submitted_at: int = columns.integer()
    recipient: str = columns.text()
    reference: str | None = columns.text(nullable=True)
    corrects: bytes | None = columns.identifier(nullable=True)
    withdrawn: bool = columns.boolean()
    recorded_at: int = columns.integer()
    recorded_by: str = columns.text()


class DutyTimerRow(SQLModel, table=True):
    """When to look at the duties of an incident next."""

    __tablename__ = "duty_timers"
    incident_id: bytes = columns.identifier("incidents.id", primary_key=True)
    look_at: int = columns.integer(index=True)
