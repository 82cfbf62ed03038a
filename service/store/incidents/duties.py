"""Legal profiles of customers; assessments, drafts, submissions and timers of the provider's own duties."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, select

from notifications.customer.legal_profile import LegalProfile
from notifications.duties.records import CustomerSubmission, DutyAssessment, ReportDraft, ReportSubmission
from service.store.sql.encoding import from_microseconds, to_microseconds
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled, compiled_text, limited
from service.store.tables import (
    CustomerSubmissionRow,
    DutyAssessmentRow,
    DutyTimerRow,
    LegalProfileRow,
    ReportDraftRow,
    ReportSubmissionRow,
    table,
)

_PROFILES, _ASSESSMENTS = FlatTable(LegalProfile, LegalProfileRow), FlatTable(DutyAssessment, DutyAssessmentRow)
_SUBMISSIONS, _DRAFTS = FlatTable(ReportSubmission, ReportSubmissionRow), FlatTable(ReportDraft, ReportDraftRow)
_profiles, _assessments, _timers = (
    table(LegalProfileRow).c,
    table(DutyAssessmentRow).c,
    table(DutyTimerRow).c,
)  # fmt: skip

_OF_CUSTOMER = compiled(
    _PROFILES.select().where(_profiles.customer_id == bindparam("customer_id")).order_by(_profiles.version),
    "customer_id",
)
_LATEST = limited(
    _PROFILES.select().where(_profiles.customer_id == bindparam("customer_id")).order_by(_profiles.version.desc()),
    "customer_id",
)
_OF_INCIDENT = compiled(
    _ASSESSMENTS.select().where(_assessments.incident_id == bindparam("incident_id")).order_by(_assessments.version),
    "incident_id",
)
_SINCE = limited(
    _ASSESSMENTS.select()
    .where(_assessments.recorded_at >= bindparam("moment"))
    .order_by(_assessments.recorded_at.desc(), _assessments.position.desc()),
    "moment",
)
_SENT, _WRITTEN = _SUBMISSIONS.by("incident_id", ordered=True), _DRAFTS.by("incident_id", ordered=True)
_OWN = FlatTable(CustomerSubmission, CustomerSubmissionRow)
_OWN_OF_NOTICE = _OWN.by("notice_id", ordered=True)
_SET_TIMER = compiled_text(
    "INSERT INTO duty_timers (incident_id, look_at) VALUES (:incident_id, :look_at)"
    " ON CONFLICT (incident_id) DO UPDATE SET look_at = excluded.look_at",
    "incident_id", "look_at",
)  # fmt: skip
#: The time of an incident that needs no further look, in microseconds: its row says that it was looked at.
_NEVER = 2**63 - 1
_WITHOUT_TIMER = (
    "SELECT i.id FROM incidents i WHERE i.subject = 'incident' AND (i.state <> 'closed' OR i.closed_at >= ?)"
    " AND NOT EXISTS (SELECT 1 FROM duty_timers t WHERE t.incident_id = i.id) ORDER BY i.position LIMIT ?"
)
_ADD_TIMER = compiled_text(
    "INSERT INTO duty_timers (incident_id, look_at) VALUES (:incident_id, :look_at)"
    " ON CONFLICT (incident_id) DO NOTHING",
    "incident_id", "look_at",
)  # fmt: skip
_DUE_TIMERS = limited(
    select(_timers.incident_id)
    .where(_timers.look_at <= bindparam("now"))
    .order_by(_timers.look_at, _timers.incident_id),
    "now",
)
_NEXT_TIMER = "SELECT min(look_at) FROM duty_timers WHERE look_at < ?"


class DutyRecords(Records):
    """Implements ``notifications.ports.duties.DutyRepository``."""

    def add_legal_profile(self, profile: LegalProfile) -> None:
        """Store the next version."""
        self._session.execute(_PROFILES.insert, _PROFILES.values(profile))
        self._changed("customers")

    def legal_profile(self, customer_id: UUID) -> LegalProfile | None:
        """Return the latest version."""
        row = self._session.one(_LATEST, (customer_id.bytes, 1))
        return None if row is None else _PROFILES.record(row)

    def legal_profiles(self, customer_id: UUID) -> Sequence[LegalProfile]:
        """Return every version, oldest first."""
        return [_PROFILES.record(row) for row in self._session.all(_OF_CUSTOMER, (customer_id.bytes,))]

    def add_assessment(self, assessment: DutyAssessment) -> None:
        """Store the next version."""
        self._session.execute(_ASSESSMENTS.insert, _ASSESSMENTS.values(assessment))
        self._changed("duties")

    def assessments(self, incident_id: UUID) -> Sequence[DutyAssessment]:
        """Return every version, oldest first."""
        return [_ASSESSMENTS.record(row) for row in self._session.all(_OF_INCIDENT, (incident_id.bytes,))]

    def assessments_since(self, moment: datetime, limit: int) -> Sequence[DutyAssessment]:
        """Return versions recorded since a moment, newest first."""
        return [_ASSESSMENTS.record(row) for row in self._session.all(_SINCE, (to_microseconds(moment), limit))]

    def add_submission(self, submission: ReportSubmission) -> None:
        """Store a submission, or the correction of one."""
        self._session.execute(_SUBMISSIONS.insert, _SUBMISSIONS.values(submission))
        self._changed("duties")

    def submissions(self, incident_id: UUID) -> Sequence[ReportSubmission]:
        """Return every record, oldest first."""
        return [_SUBMISSIONS.record(row) for row in self._session.all(_SENT, (incident_id.bytes,))]

    def add_draft(self, draft: ReportDraft) -> None:
        """Store the next version."""
        self._session.execute(_DRAFTS.insert, _DRAFTS.values(draft))
        self._changed("duties")

    def drafts(self, incident_id: UUID) -> Sequence[ReportDraft]:
        """Return every version of every report's draft, oldest first."""
        return [_DRAFTS.record(row) for row in self._session.all(_WRITTEN, (incident_id.bytes,))]

    def add_customer_submission(self, submission: CustomerSubmission) -> None:
        """Store what a customer submitted to its own authority."""
        self._session.execute(_OWN.insert, _OWN.values(submission))
        self._changed("duties")

    def customer_submissions(self, notice_id: UUID) -> Sequence[CustomerSubmission]:
        """Return every record on a notice, oldest first."""
        return [_OWN.record(row) for row in self._session.all(_OWN_OF_NOTICE, (notice_id.bytes,))]

    def set_timer(self, incident_id: UUID, look_at: datetime | None) -> None:
        """Set when to look at the duties of an incident next; None for never."""
        moment = _NEVER if look_at is None else to_microseconds(look_at)
        self._session.execute(_SET_TIMER, (incident_id.bytes, moment))
        self._changed("duties")

    def without_timer(self, closed_since: datetime, limit: int) -> Sequence[UUID]:
        """Return incidents that never had a timer, oldest first: open ones, and those closed since a moment."""
        rows = self._session.all(_WITHOUT_TIMER, (to_microseconds(closed_since), limit))
        return [UUID(bytes=row[0]) for row in rows]

    def add_timer(self, incident_id: UUID, look_at: datetime) -> bool:
        """Set the first timer of an incident; return False if it had one already, which then stays."""
        added = self._session.execute(_ADD_TIMER, (incident_id.bytes, to_microseconds(look_at))).rowcount > 0
        if added:
            self._changed("duties")
        return added

    def due_timers(self, now: datetime, limit: int) -> Sequence[UUID]:
        """Return the incidents whose time has come, earliest first."""
        return [UUID(bytes=row[0]) for row in self._session.all(_DUE_TIMERS, (to_microseconds(now), limit))]

    def next_timer_at(self) -> datetime | None:
        """Return the earliest time of all, or None."""
        row = self._session.one(_NEXT_TIMER, (_NEVER,))
        return None if row is None or row[0] is None else from_microseconds(row[0])
