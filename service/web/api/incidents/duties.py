"""The provider's own legal duties on an incident: assessment, reports and their submissions."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from notifications.duties.records import DutyAssessment, ReportSubmission
from notifications.duties.significance import Question
from notifications.errors import NotFoundError
from notifications.incident import Answer as FactAnswer
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.duties.one_line import NAME_MAX_CHARACTERS
from notifications.use_cases.duties.provider_clocks import ProviderDuties, provider_duties
from notifications.use_cases.duties.provider_report import ProviderReport, provider_report
from notifications.use_cases.duties.record_duties import (
    NOTE_MAX_CHARACTERS,
    TEXT_MAX_CHARACTERS,
    AssessmentInput,
    SubmissionInput,
    assess_duties,
    correct_submission,
    record_submission,
    save_draft,
)
from service.web.api.duty_schemas import ClockOut, clock_out
from service.web.api.fields import Code, Language, Line, Moment, Out, Prose, Schema
from service.web.api.requests import (
    Answer,
    ApiContext,
    Context,
    IdempotencyKey,
    IfMatch,
    MayChangeIncidents,
    MayReadIncidents,
    change,
    etag,
    expected_version,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/incidents", tags=["duties"])

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


@router.get("/{incident_id}/duties", response_model=DutiesOut, summary="The provider's own duties")
async def read(context: Context, access: MayReadIncidents, incident_id: UUID) -> Response:
    """Return the significance test, every clock with its steps, and what was recorded."""

    def work(tx: Transaction) -> DutiesOut:
        return duties_out(found_duties(tx, context, incident_id))

    found = await access.read(work)
    return json_response(found, {"ETag": etag(found.assessment.version if found.assessment else 0)})


@router.put("/{incident_id}/duties/assessment", response_model=AssessmentOut, summary="Assess significance")
async def assess(
    request: Request,
    context: Context,
    access: MayChangeIncidents,
    incident_id: UUID,
    stated: AssessmentIn,
    if_match: IfMatch = None,
) -> Response:
    """Record the answers that only a person can give. Earlier versions stay."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        def current() -> int:
            return max((each.version for each in tx.duties.assessments(incident_id)), default=0)

        tx.incidents.require(incident_id)
        version = expected_version(if_match, current)
        made = assess_duties(tx, act, incident_id, assessment_input(stated), version, context.agreements.duties)
        return Answer(assessment_out(made), headers={"ETag": etag(made.version)})

    return await change(request, access, None, work)


@router.get("/{incident_id}/duties/{duty_id}/report", response_model=ReportOut, summary="Read the draft of a report")
async def read_report(
    context: Context,
    access: MayReadIncidents,
    incident_id: UUID,
    duty_id: str,
    language: Annotated[Language | None, Query(description="Language of texts that come from facts.")] = None,
) -> Response:
    """Return each item: as written, else carried over from the report before, else as the facts say it."""

    def work(tx: Transaction) -> ReportOut:
        return report_out(found_report(tx, context, incident_id, duty_id, language))

    found = await access.read(work)
    return json_response(found, {"ETag": etag(found.version)})


@router.put("/{incident_id}/duties/{duty_id}/report", response_model=ReportOut, summary="Write the draft of a report")
async def write_report(
    request: Request,
    context: Context,
    access: MayChangeIncidents,
    incident_id: UUID,
    duty_id: str,
    report: ReportIn,
    if_match: IfMatch = None,
) -> Response:
    """Store a version of the draft. Earlier versions stay."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        def current() -> int:
            return found_report(tx, context, incident_id, duty_id, None).version

        version = expected_version(if_match, current)
        made = save_draft(tx, act, incident_id, duty_id, report.items, version, context.agreements.duties)
        return Answer(
            report_out(found_report(tx, context, incident_id, duty_id, None)), headers={"ETag": etag(made.version)}
        )

    return await change(request, access, None, work)


@router.post(
    "/{incident_id}/duties/{duty_id}/submissions",
    status_code=201,
    response_model=SubmissionOut,
    summary="Record the submission of a report",
)
async def submit(
    request: Request,
    context: Context,
    access: MayChangeIncidents,
    incident_id: UUID,
    duty_id: str,
    stated: SubmissionIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record when, by whom and to whom a report was submitted. Clocks that count from it start."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        made = record_submission(
            tx, act, incident_id, duty_id, submission_input(stated), context.agreements.duties
        )  # fmt: skip
        return Answer(submission_out(made, in_force=True), 201)

    return await change(request, access, idempotency_key, work)


@router.post(
    "/{incident_id}/submissions/{submission_id}/correction",
    status_code=201,
    response_model=SubmissionOut,
    summary="Correct the record of a submission",
)
async def correct(
    request: Request,
    context: Context,
    access: MayChangeIncidents,
    incident_id: UUID,
    submission_id: UUID,
    correction: CorrectionIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record what is right, with the reason. The earlier record stays; clocks count from the new one."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        stated = None if correction.submission is None else submission_input(correction.submission)
        made = correct_submission(
            tx, act, submission_id, incident_id, stated, correction.reason, context.agreements.duties
        )
        return Answer(submission_out(made, in_force=not made.withdrawn), 201)

    return await change(request, access, idempotency_key, work)


def found_duties(tx: Transaction, context: ApiContext, incident_id: UUID) -> ProviderDuties:
    """Return the provider's duties on an incident; raises NotFoundError."""
    return provider_duties(tx, tx.incidents.require(incident_id), context.agreements.duties)


def found_report(
    tx: Transaction, context: ApiContext, incident_id: UUID, duty_id: str, language: str | None
) -> ProviderReport:
    """Return the draft of a report; raises NotFoundError."""
    found = found_duties(tx, context, incident_id)
    clock = found.clock(duty_id)
    if clock is None:
        raise NotFoundError("duty", duty_id)
    return provider_report(
        tx, found, clock, context.agreements, context.sealing.provider, language or context.default_language
    )


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
