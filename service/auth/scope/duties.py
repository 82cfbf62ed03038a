"""Legal profiles of the customers within; for the provider's side, its own duties on the incidents within."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from notifications.customer.legal_profile import LegalProfile
from notifications.duties.records import CustomerSubmission, DutyAssessment, ReportDraft, ReportSubmission
from service.auth.scope.visibility import ScopedRepository


class ScopedDuties(ScopedRepository):
    """What customers state of themselves, and the records on the incidents within."""

    _name = "duties"

    def add_legal_profile(self, profile: LegalProfile) -> None:
        self._verify_customer(profile.customer_id)
        self._tx.duties.add_legal_profile(profile)

    def legal_profile(self, customer_id: UUID) -> LegalProfile | None:
        return self._tx.duties.legal_profile(customer_id) if self._scope.covers_customer(customer_id) else None

    def legal_profiles(self, customer_id: UUID) -> Sequence[LegalProfile]:
        return self._tx.duties.legal_profiles(customer_id) if self._scope.covers_customer(customer_id) else ()

    def assessments(self, incident_id: UUID) -> Sequence[DutyAssessment]:
        return self._tx.duties.assessments(incident_id) if self._shows_incident(incident_id) else ()

    def assessments_since(self, moment: datetime, limit: int) -> Sequence[DutyAssessment]:
        self._verify_at_provider("assessments_since")
        found = self._tx.duties.assessments_since(moment, limit)
        return [each for each in found if self._shows_incident(each.incident_id)]

    def submissions(self, incident_id: UUID) -> Sequence[ReportSubmission]:
        return self._tx.duties.submissions(incident_id) if self._shows_incident(incident_id) else ()

    def drafts(self, incident_id: UUID) -> Sequence[ReportDraft]:
        return self._tx.duties.drafts(incident_id) if self._shows_incident(incident_id) else ()

    def add_customer_submission(self, submission: CustomerSubmission) -> None:
        self._verify_notice(submission.notice_id, submission.customer_id)
        self._verify_customer(submission.customer_id)
        self._tx.duties.add_customer_submission(submission)

    def customer_submissions(self, notice_id: UUID) -> Sequence[CustomerSubmission]:
        """Return what the customer recorded; nobody of the provider reads it: it is between customer and authority."""
        if self._scope.at_provider or self._notice(notice_id) is None:
            return ()
        return self._tx.duties.customer_submissions(notice_id)

    def _shows_incident(self, incident_id: UUID) -> bool:
        """Whether an incident is within, on the provider's side: a customer sees nothing of the provider's duties."""
        incident = self._tx.incidents.get(incident_id) if self._scope.at_provider else None
        return incident is not None and self._scope.covers(None, incident.opened_at, served=False)
