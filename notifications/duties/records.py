"""What is recorded of the provider's own duties on an incident. Every record stays; a change is a new one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from notifications.duties.clocks import Moments
from notifications.duties.significance import Question
from notifications.duties.terms import Start
from notifications.incident import Answer


@dataclass(frozen=True, slots=True)
class DutyAssessment:
    """One version of what the analyst says of an incident beside its facts, for the provider's duties."""

    incident_id: UUID
    #: from 1, per incident
    version: int
    #: (question, answer) of the significance test, sorted; a question that is left out is open
    answers: tuple[tuple[str, str], ...]
    #: known or expected direct loss; None if it is not known
    loss_eur: int | None
    #: in the provider's own words, the same for the same cause; None if it is not known
    apparent_cause: str | None
    #: since when a high risk for people is known (GDPR 34), a corrective measure is available (CRA 14), and the
    #: incident is handled; None if it is not so, or not known
    high_risk_at: datetime | None
    fix_at: datetime | None
    handled_at: datetime | None
    #: the reasons, in the analyst's words
    note: str | None
    recorded_at: datetime
    recorded_by: str

    def answered(self) -> dict[Question, Answer]:
        """Return the answers by question."""
        return {Question(question): Answer(answer) for question, answer in self.answers}


@dataclass(frozen=True, slots=True)
class ReportSubmission:
    """A report that was submitted, or the correction of such a record."""

    id: UUID
    incident_id: UUID
    duty_id: str
    submitted_at: datetime
    #: the authority, as the person who submitted it names it
    recipient: str
    #: the authority's reference number; None if it gave none
    reference: str | None
    #: who submitted it, in words
    submitted_by: str
    #: (item, text) of the report as submitted
    items: tuple[tuple[str, str], ...]
    #: the record that this one corrects; None for a report of its own
    corrects: UUID | None
    #: why the record is corrected; None unless it corrects one
    reason: str | None
    #: the record is taken back: nothing was submitted
    withdrawn: bool
    recorded_at: datetime
    recorded_by: str


@dataclass(frozen=True, slots=True)
class ReportDraft:
    """One version of a report that is being written."""

    incident_id: UUID
    duty_id: str
    #: from 1, per incident and duty
    version: int
    #: (item, text), sorted by item
    items: tuple[tuple[str, str], ...]
    recorded_at: datetime
    recorded_by: str


@dataclass(frozen=True, slots=True)
class CustomerSubmission:
    """A report that a customer says it submitted to its own authority, or the correction of such a record."""

    id: UUID
    customer_id: UUID
    #: the notice on whose page it was recorded
    notice_id: UUID
    duty_id: str
    submitted_at: datetime
    #: the authority, in the customer's words
    recipient: str
    #: the authority's reference number; None if it gave none
    reference: str | None
    #: the record that this one corrects; None for a report of its own
    corrects: UUID | None
    #: the record is taken back: nothing was submitted
    withdrawn: bool
    recorded_at: datetime
    recorded_by: str


class _Record(Protocol):
    @property
    def id(self) -> UUID: ...
    @property
    def corrects(self) -> UUID | None: ...
    @property
    def withdrawn(self) -> bool: ...


RecordT = TypeVar("RecordT", bound=_Record)


def submissions_in_force(submissions: Sequence[RecordT]) -> list[RecordT]:
    """Return the submissions without those that a later record corrects, and without those taken back."""
    corrected = {each.corrects for each in submissions}
    return [each for each in submissions if each.id not in corrected and not each.withdrawn]


def moments_of(
    aware_at: datetime,
    assessment: DutyAssessment | None,
    submissions: Sequence[ReportSubmission],
    closed_at: datetime | None,
) -> Moments:
    """Return the moments of the provider's clocks. An incident that was closed is handled, unless stated otherwise."""
    at: dict[Start, datetime] = {Start.AWARENESS: aware_at}
    stated: Mapping[Start, datetime | None] = (
        {Start.HANDLED: closed_at}
        if assessment is None
        else {
            Start.HIGH_RISK: assessment.high_risk_at,
            Start.FIX: assessment.fix_at,
            Start.HANDLED: assessment.handled_at or closed_at,
        }
    )
    at |= {start: moment for start, moment in stated.items() if moment is not None}
    sent: dict[str, list[datetime]] = {}
    for each in submissions_in_force(submissions):
        sent.setdefault(each.duty_id, []).append(each.submitted_at)
    return Moments(at, sent)
