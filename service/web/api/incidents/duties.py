"""The provider's own legal duties on an incident: assessment, reports and their submissions."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from starlette.responses import Response

from notifications.errors import NotFoundError
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.duties.provider_clocks import ProviderDuties, provider_duties
from notifications.use_cases.duties.provider_report import ProviderReport, provider_report
from notifications.use_cases.duties.record_duties import (
    assess_duties,
    correct_submission,
    record_submission,
    save_draft,
)
from service.web.api.context import ApiContext
from service.web.api.fields import Language
from service.web.api.incidents.provider_duty_schemas import (
    AssessmentIn,
    AssessmentOut,
    CorrectionIn,
    DutiesOut,
    ReportIn,
    ReportOut,
    SubmissionIn,
    SubmissionOut,
    assessment_input,
    assessment_out,
    duties_out,
    report_out,
    submission_input,
    submission_out,
)
from service.web.api.requests import (
    Answer,
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
