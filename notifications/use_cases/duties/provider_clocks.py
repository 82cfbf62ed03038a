"""provider_duties(...): the provider's own duties on one incident, from its facts and records."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from notifications.duties import Clock, ClockState, Occasion, Owner, clocks
from notifications.duties.records import (
    DutyAssessment,
    ReportSubmission,
    moments_of,
    submissions_in_force,
)
from notifications.duties.significance import Occurrence, Question, Significance, recurring, significance
from notifications.incident import (
    AffectedCustomer,
    Answer,
    Controller,
    Incident,
    IncidentFacts,
    UnlistedCustomers,
)
from notifications.ports import Transaction
from notifications.use_cases.legal_duties import LegalDuties

#: Six months at most, with a margin: ``recurring`` counts exactly.
_LOOK_BACK = timedelta(days=190)
_ASSESSMENTS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class ProviderDuties:
    """The provider's duties on one incident."""

    incident: Incident
    significance: Significance
    clocks: tuple[Clock, ...]
    #: every version, oldest first
    assessments: Sequence[DutyAssessment]
    #: every record, oldest first
    submissions: Sequence[ReportSubmission]

    @property
    def assessment(self) -> DutyAssessment | None:
        """Return the version in force."""
        return self.assessments[-1] if self.assessments else None

    @property
    def in_force(self) -> list[ReportSubmission]:
        """Return the submissions that are neither corrected nor taken back."""
        return submissions_in_force(self.submissions)

    def clock(self, duty_id: str) -> Clock | None:
        """Return the clock of a duty, or None if the provider does not have it on this incident."""
        return next((clock for clock in self.clocks if clock.duty.id == duty_id), None)


def provider_duties(tx: Transaction, incident: Incident, duties: LegalDuties) -> ProviderDuties:
    """Return the provider's duties on an incident. Those whose occasion is known to be absent are left out.

    1. Read what was recorded.
    2. Test whether the incident is significant, by itself or with others of the same cause.
    3. Count: as a cloud provider, as a controller, and as a processor.
    """
    # 1.
    assessments, submissions = tx.duties.assessments(incident.id), tx.duties.submissions(incident.id)
    assessment = assessments[-1] if assessments else None
    # 2.
    result = significance(
        incident.facts,
        {} if assessment is None else assessment.answered(),
        loss_eur=None if assessment is None else assessment.loss_eur,
        turnover_eur=duties.turnover_eur,
        recurring=_recurring(tx, incident, assessment, duties),
    )
    # 3.
    moments = moments_of(incident.facts.aware_at, assessment, submissions, incident.closed_at)
    high_risk = Answer.YES if assessment is not None and assessment.high_risk_at is not None else Answer.UNKNOWN
    controlled = _breach(incident.facts, {Controller.PROVIDER, Controller.JOINT})
    if _risk_unlikely(assessment):
        controlled = Answer.NO
    by_owner = {
        Owner.CLOUD_PROVIDER: {Occasion.SIGNIFICANT_INCIDENT: result.significant},
        Owner.PROVIDER_AS_CONTROLLER: {
            Occasion.PERSONAL_DATA_BREACH: controlled,
            Occasion.HIGH_RISK_BREACH: Answer.NO if controlled is Answer.NO else high_risk,
        },
        Owner.PROCESSOR: {Occasion.PERSONAL_DATA_BREACH: _breach(incident.facts, {Controller.CUSTOMER})},
    }
    found = [
        clock
        for owner, occasions in by_owner.items()
        for clock in clocks(duties.law, duties.provider, {owner}, occasions, moments, incident.facts.aware_at)
    ]
    return ProviderDuties(incident, result, tuple(found), assessments, submissions)


def is_open(clock: Clock) -> bool:
    """Return whether something is still to be done for a clock."""
    return clock.state in {ClockState.RUNNING, ClockState.WITHOUT_DELAY}


def _risk_unlikely(assessment: DutyAssessment | None) -> bool:
    """Return whether the analyst says that a risk is unlikely (GDPR 33(1)); a high risk that is stated counts more."""
    return (
        assessment is not None
        and assessment.high_risk_at is None
        and assessment.answered().get(Question.RISK_UNLIKELY) is Answer.YES
    )


def _recurring(tx: Transaction, incident: Incident, assessment: DutyAssessment | None, duties: LegalDuties) -> Answer:
    """Return the answer of article 4, or unknown while no cause is recorded for this incident."""
    if assessment is None or assessment.apparent_cause is None:
        return Answer.UNKNOWN
    since = incident.facts.aware_at - _LOOK_BACK
    latest: dict[object, DutyAssessment] = {}
    for each in tx.duties.assessments_since(since, _ASSESSMENTS_MAX):
        known = latest.get(each.incident_id)
        if known is None or known.version < each.version:
            latest[each.incident_id] = each
    latest.pop(incident.id, None)
    others = []
    for each in latest.values():
        other = tx.incidents.get(each.incident_id)
        if other is not None and not other.exercise and each.apparent_cause is not None:
            others.append(Occurrence(other.facts.aware_at.date(), each.apparent_cause, each.loss_eur))
    current = Occurrence(incident.facts.aware_at.date(), assessment.apparent_cause, assessment.loss_eur)
    return recurring(current, others, turnover_eur=duties.turnover_eur)


def _breach(facts: IncidentFacts, controllers: set[Controller]) -> Answer:
    """Return whether personal data is breached of which one of these is the controller."""
    answers = [_breach_of(stated, controllers) for stated in facts.affected_customers]
    if facts.unlisted_customers is not UnlistedCustomers.NOT_AFFECTED:
        answers.append(Answer.UNKNOWN)
    return _any(answers)


def _breach_of(stated: AffectedCustomer, controllers: set[Controller]) -> Answer:
    data = stated.personal_data
    if data.breach.of_data is Answer.NO or (
        data.controller is not Controller.UNKNOWN and data.controller not in controllers
    ):
        return Answer.NO
    sure = data.breach.of_data is Answer.YES and data.controller is not Controller.UNKNOWN
    return Answer.YES if sure else Answer.UNKNOWN


def _any(answers: Iterable[Answer]) -> Answer:
    given = set(answers)
    if Answer.YES in given:
        return Answer.YES
    return Answer.UNKNOWN if Answer.UNKNOWN in given else Answer.NO
