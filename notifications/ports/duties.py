"""What customers state of themselves, and what is recorded of the provider's own duties."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifications.customer.legal_profile import LegalProfile
from notifications.duties.records import CustomerSubmission, DutyAssessment, ReportDraft, ReportSubmission


class DutyRepository(Protocol):
    """Legal profiles of customers; assessments, drafts, submissions and timers of incidents."""

    def add_legal_profile(self, profile: LegalProfile) -> None:
        """Store the next version; raises StateConflictError for one that exists."""
        ...

    def legal_profile(self, customer_id: UUID) -> LegalProfile | None:
        """Return the latest version."""
        ...

    def legal_profiles(self, customer_id: UUID) -> Sequence[LegalProfile]:
        """Return every version, oldest first."""
        ...

    def add_assessment(self, assessment: DutyAssessment) -> None:
        """Store the next version; raises StateConflictError for one that exists."""
        ...

    def assessments(self, incident_id: UUID) -> Sequence[DutyAssessment]:
        """Return every version, oldest first."""
        ...

    def assessments_since(self, moment: datetime, limit: int) -> Sequence[DutyAssessment]:
        """Return versions recorded since a moment, newest first."""
        ...

    def add_submission(self, submission: ReportSubmission) -> None:
        """Store a submission, or the correction of one."""
        ...

    def submissions(self, incident_id: UUID) -> Sequence[ReportSubmission]:
        """Return every record, oldest first."""
        ...

    def add_draft(self, draft: ReportDraft) -> None:
        """Store the next version; raises StateConflictError for one that exists."""
        ...

    def drafts(self, incident_id: UUID) -> Sequence[ReportDraft]:
        """Return every version of every report's draft, oldest first."""
        ...

    def add_customer_submission(self, submission: CustomerSubmission) -> None:
        """Store what a customer submitted to its own authority; raises StateConflictError for a record that exists."""
        ...

    def customer_submissions(self, notice_id: UUID) -> Sequence[CustomerSubmission]:
        """Return every record on a notice, oldest first."""
        ...

    def set_timer(self, incident_id: UUID, look_at: datetime | None) -> None:
        """Set when to look at the duties of an incident next; None for never."""
        ...

    def without_timer(self, closed_since: datetime, limit: int) -> Sequence[UUID]:
        """Return incidents that never had a timer, oldest first: open ones, and those closed since a moment."""
        ...

    def add_timer(self, incident_id: UUID, look_at: datetime) -> bool:
        """Set the first timer of an incident; return False if it had one already, which then stays."""
        ...

    def due_timers(self, now: datetime, limit: int) -> Sequence[UUID]:
        """Return the incidents whose time has come, earliest first."""
        ...

    def next_timer_at(self) -> datetime | None:
        """Return the earliest time of all, or None."""
        ...
