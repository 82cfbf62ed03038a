"""Schemas of the provider's own legal duties."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from notifications.duties.records import DutyAssessment, ReportSubmission
from notifications.duties.significance import Question
from notifications.incident import Answer as FactAnswer
from notifications.use_cases.duties.one_line import NAME_MAX_CHARACTERS
from notifications.use_cases.duties.provider_clocks import ProviderDuties
from notifications.use_cases.duties.provider_report import ProviderReport
from notifications.use_cases.duties.record_duties import (
    NOTE_MAX_CHARACTERS,
    TEXT_MAX_CHARACTERS,
    AssessmentInput,
    SubmissionInput,
)
from service.web.api.duty_schemas import ClockOut, clock_out
from service.web.api.fields import Code, Line, Moment, Out, Prose, Schema

_ANSWER = Literal["yes", "no", "unknown"]


class CriterionOut(Out):
    """One question of the significance test."""

    question: str
    clause: str
    answer: _ANSWER
    answered_by: Literal["facts", "analyst", "nobody"]


class AssessmentIn(Schema):
    """What the analyst states beside the facts; it replaces the version before."""

    answers: dict[Question, _ANSWER] = Field(default_factory=dict)
    loss_eur: int | None = Field(None, ge=0, le=10**12, description="Known or expected direct loss.")
    apparent_cause: Line | None = Field(None, description="The same words for the same cause (2024/2690 art. 4).")
    high_risk_at: Moment | None = Field(None, description="Since when a high risk for people is known (GDPR 34).")
    fix_at: Moment | None = Field(None, description="Since when a corrective measure is available (CRA 14).")
    handled_at: Moment | None = Field(None, description="When handling ended; the closing of the incident otherwise.")
    note: Prose | None = Field(None, max_length=NOTE_MAX_CHARACTERS)


class AssessmentOut(Out):
    """One version of an assessment."""

    version: int
    answers: dict[str, str]
    loss_eur: int | None
    apparent_cause: str | None
    high_risk_at: Moment | None
    fix_at: Moment | None
    handled_at: Moment | None
    note: str | None
    recorded_at: Moment
    recorded_by: str


class SubmissionIn(Schema):
    """A report that was submitted."""

    submitted_at: Moment
    recipient: Line = Field(max_length=NAME_MAX_CHARACTERS, description="The authority.")
    submitted_by: Line = Field(max_length=NAME_MAX_CHARACTERS, description="Who submitted it.")
    reference: Line | None = Field(None, description="The authority's reference number.")
    items: dict[Code, Annotated[str, Field(max_length=TEXT_MAX_CHARACTERS)]] | None = Field(
        None, description="The report as submitted; the latest draft if it is left out."
    )


class CorrectionIn(Schema):
    """What is right; without ``submission`` the record is taken back: nothing was submitted."""

    reason: Line
    submission: SubmissionIn | None = None


class SubmissionOut(Out):
    """A record of a submission; a correction names the record that it corrects."""

    id: UUID
    duty: str
    submitted_at: Moment
    recipient: str
    submitted_by: str
    reference: str | None
    items: dict[str, str]
    corrects: UUID | None
    reason: str | None
    withdrawn: bool
    in_force: bool
    recorded_at: Moment
    recorded_by: str


class DutiesOut(Out):
    """The provider's duties on an incident."""

    significant: _ANSWER
    criteria: list[CriterionOut]
    clocks: list[ClockOut]
    assessment: AssessmentOut | None
    assessments: list[AssessmentOut] = Field(description="Every version, oldest first.")
    submissions: list[SubmissionOut] = Field(description="Every record, oldest first; corrections as their own.")


class ReportItemOut(Out):
    """One item of a report."""

    id: str
    clause: str
    title: dict[str, str]
    text: str
    origin: Literal["draft", "carried", "facts", "nothing"]
    facts_now: str = Field(description="What the facts say now, where it differs from the text.")


class ReportOut(Out):
    """A report that is being written."""

    duty: str
    version: int
    items: list[ReportItemOut]


class ReportIn(Schema):
    """The texts of a report by item."""

    items: dict[Code, Annotated[str, Field(max_length=TEXT_MAX_CHARACTERS)]] = Field(max_length=60)


def assessment_input(stated: AssessmentIn) -> AssessmentInput:
    """Return an assessment as the use case takes it."""
    return AssessmentInput(
        answers={question: FactAnswer(answer) for question, answer in stated.answers.items()},
        loss_eur=stated.loss_eur,
        apparent_cause=stated.apparent_cause,
        high_risk_at=stated.high_risk_at,
        fix_at=stated.fix_at,
        handled_at=stated.handled_at,
        note=stated.note,
    )


def submission_input(stated: SubmissionIn) -> SubmissionInput:
    """Return a submission as the use case takes it."""
    return SubmissionInput(
        submitted_at=stated.submitted_at,
        recipient=stated.recipient,
        submitted_by=stated.submitted_by,
        reference=stated.reference,
        items=stated.items,
    )


def duties_out(found: ProviderDuties) -> DutiesOut:
    """Return the schema of the provider's duties."""
    in_force = {each.id for each in found.in_force}
    assessments = [assessment_out(each) for each in found.assessments]
    return DutiesOut.model_construct(
        significant=found.significance.significant.value,
        criteria=[
            CriterionOut.model_construct(
                question=each.question.value,
                clause=each.clause,
                answer=each.answer.value,
                answered_by=each.answered_by.value,
            )
            for each in found.significance.criteria
        ],
        clocks=[clock_out(clock) for clock in found.clocks],
        assessment=assessments[-1] if assessments else None,
        assessments=assessments,
        submissions=[submission_out(each, in_force=each.id in in_force) for each in found.submissions],
    )


def assessment_out(assessment: DutyAssessment) -> AssessmentOut:
    """Return the schema of an assessment."""
    return AssessmentOut.model_construct(
        version=assessment.version,
        answers=dict(assessment.answers),
        loss_eur=assessment.loss_eur,
        apparent_cause=assessment.apparent_cause,
        high_risk_at=assessment.high_risk_at,
        fix_at=assessment.fix_at,
        handled_at=assessment.handled_at,
        note=assessment.note,
        recorded_at=assessment.recorded_at,
        recorded_by=assessment.recorded_by,
    )


def submission_out(submission: ReportSubmission, *, in_force: bool) -> SubmissionOut:
    """Return the schema of a record of a submission."""
    return SubmissionOut.model_construct(
        id=submission.id,
        duty=submission.duty_id,
        submitted_at=submission.submitted_at,
        recipient=submission.recipient,
        submitted_by=submission.submitted_by,
        reference=submission.reference,
        items=dict(submission.items),
        corrects=submission.corrects,
        reason=submission.reason,
        withdrawn=submission.withdrawn,
        in_force=in_force,
        recorded_at=submission.recorded_at,
        recorded_by=submission.recorded_by,
    )


def report_out(report: ProviderReport) -> ReportOut:
    """Return the schema of a report that is being written."""
    return ReportOut.model_construct(
        duty=report.clock.duty.id,
        version=report.version,
        items=[
            ReportItemOut.model_construct(
                id=each.item.id,
                clause=each.item.clause,
                title=each.item.text.as_mapping(),
                text=each.text,
                origin=each.origin.value,
                facts_now=each.facts_now,
            )
            for each in report.items
        ],
    )
