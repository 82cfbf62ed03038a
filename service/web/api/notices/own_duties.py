"""The legal duties of the customer that a notice may start, with what the notice can fill of each report."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from notifications.duties import is_countable
from notifications.duties.dora_report import OwnStatements, Submission
from notifications.duties.records import CustomerSubmission
from notifications.errors import Fault, InvalidInputError
from notifications.incident import Answer as YesNo
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.duties.customer_duties import (
    DORA_REPORTS,
    CustomerDuties,
    customer_dora_report,
    customer_duties,
)
from notifications.use_cases.duties.record_own_submission import OwnSubmission, record_own_submission
from service.web.api.duty_schemas import ClockOut, LegalProfileOut, clock_out, legal_profile_out
from service.web.api.fields import CountedMoment, Language, Line, Moment, Out, Schema
from service.web.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
    MayAcknowledgeNotices,
    MayReadNotices,
    change,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/notices", tags=["duties"])

_EXAMPLE = "2026-06-01T08:00:00Z"

#: The customer's own moments. They are only used for this answer and not stored: they are the customer's to know.
AwareAt = Annotated[CountedMoment | None, Query(description="When the customer itself became aware, if it says so.")]
ClassifiedAt = Annotated[
    CountedMoment | None, Query(description="When the customer classified the incident as major (DORA).")
]
TemporaryMeasures = Annotated[
    YesNo,
    Query(
        description="Whether temporary measures for recovery were taken or are planned (field 3.33), in the customer's"
        " own words. `unknown`: yes if the notice names measures, else the field is left out."
    ),
]

Submitted = Annotated[
    list[str],
    Query(
        max_length=100,
        description="A report that the customer submitted, as `duty@moment`: it starts the clocks that count from it.",
    ),
]


class FilledItemOut(Out):
    """One item of a report, and what the notice says of it."""

    id: str
    clause: str
    title: dict[str, str]
    text: str = Field(description="Empty where the notice does not say it.")


class OwnSubmissionIn(Schema):
    """A report that the customer submitted to its own authority."""

    submitted_at: Moment = Field(description="When, not in the future.")
    recipient: Line = Field(description="To which authority.")
    reference: Line | None = Field(None, description="The authority's reference number, if it gave one.")
    corrects: UUID | None = Field(None, description="Id of the record that was wrong.")


class OwnWithdrawalIn(Schema):
    """A record that was wrong: nothing was submitted."""

    withdraws: UUID = Field(description="Id of the record.")


class OwnSubmissionOut(Out):
    """A record of what the customer submitted. Every record stays; a correction is a new one."""

    id: UUID
    duty_id: str
    submitted_at: Moment
    recipient: str
    reference: str | None
    corrects: UUID | None
    withdrawn: bool
    recorded_at: Moment
    recorded_by: str


class OwnDutyOut(Out):
    """One duty of the customer."""

    clock: ClockOut
    items: list[FilledItemOut]
    submissions: list[OwnSubmissionOut] = Field(
        description="What the customer recorded, oldest first. Only the customer's own people read it."
    )
    dora: str | None = Field(description="Kind of the DORA report of this duty, for `dora-report`; null for others.")


class OwnDutiesOut(Out):
    """The duties of the customer that the notice may start."""

    profile: LegalProfileOut
    provider_aware_at: str
    issued_at: str
    items: list[OwnDutyOut]


class EmptyFieldOut(Out):
    """A field of the template that the provider cannot fill."""

    number: str
    path: str
    title: dict[str, str]
    note: dict[str, str] | None = Field(description="Why to fill it, where that is not plain from its title.")


class DoraReportOut(Out):
    """The draft of a DORA report: the document itself, and the fields that are empty."""

    report: dict[str, Any]
    empty: list[EmptyFieldOut]


@router.get("/{notice_id}/own-duties", response_model=OwnDutiesOut, summary="The customer's own legal duties")
async def own_duties(
    context: Context,
    access: MayReadNotices,
    notice_id: UUID,
    aware_at: AwareAt = None,
    classified_at: ClassifiedAt = None,
    submitted: Submitted = [],  # noqa: B006 - FastAPI copies it
    language: Language | None = None,
) -> Response:
    """Return the clocks by what the customer states of itself, with the items of each report that the notice fills."""
    submissions = _submissions(submitted, {duty.id for duty in context.agreements.duties.law.duties})

    def work(tx: Transaction) -> OwnDutiesOut:
        found = customer_duties(
            tx,
            notice_id,
            context.agreements.duties,
            aware_at=aware_at,
            classified_at=classified_at,
            submissions=submissions,
            language=language,
            records=not access.scope.at_provider,
        )
        return own_duties_out(found)

    return json_response(await access.read(work))


@router.get("/{notice_id}/dora-report", response_model=DoraReportOut, summary="The draft of a DORA report")
async def read_dora_report(
    context: Context,
    access: MayReadNotices,
    notice_id: UUID,
    submission: Submission = Submission.INITIAL,
    aware_at: AwareAt = None,
    classified_at: ClassifiedAt = None,
    temporary_measures: TemporaryMeasures = YesNo.UNKNOWN,
) -> Response:
    """Return the DORA template (2025/302) as JSON, filled with what the notice says, and the fields left empty.

    What the customer states of itself fills 2.2, 2.3 and 3.33.
    """
    stated = OwnStatements(aware_at, classified_at, temporary_measures)

    def work(tx: Transaction) -> DoraReportOut:
        made = customer_dora_report(tx, notice_id, submission, context.agreements.duties, stated)
        return DoraReportOut(
            report=dict(made.content),
            empty=[
                EmptyFieldOut(
                    number=each.number,
                    path=each.path,
                    title=each.title.as_mapping(),
                    note=None if each.note is None else each.note.as_mapping(),
                )
                for each in made.empty
            ],
        )

    return json_response(await access.read(work))


@router.post(
    "/{notice_id}/own-duties/{duty_id}/submissions",
    response_model=OwnSubmissionOut,
    status_code=201,
    summary="Record a report to the customer's own authority",
)
async def record(
    request: Request,
    context: Context,
    access: MayAcknowledgeNotices,
    notice_id: UUID,
    duty_id: Annotated[str, Path(max_length=64)],
    stated: OwnSubmissionIn | OwnWithdrawalIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record when the customer submitted a report, to whom, and its reference; or take a record back.

    Only the customer's own people record and read it. The entry of the log commits to authority and reference.
    """

    def work(tx: Transaction, act: AuditContext) -> Answer:
        made: OwnSubmission | None
        corrects: UUID | None
        if isinstance(stated, OwnWithdrawalIn):
            made, corrects = None, stated.withdraws
        else:
            made, corrects = OwnSubmission(stated.submitted_at, stated.recipient, stated.reference), stated.corrects
        duties = context.agreements.duties
        return Answer(
            own_submission_out(record_own_submission(tx, act, notice_id, duty_id, made, duties, corrects=corrects)),
            201,
        )

    return await change(request, access, idempotency_key, work)


def own_submission_out(record: CustomerSubmission) -> OwnSubmissionOut:
    """Return the schema of a record."""
    return OwnSubmissionOut.model_construct(
        id=record.id,
        duty_id=record.duty_id,
        submitted_at=record.submitted_at,
        recipient=record.recipient,
        reference=record.reference,
        corrects=record.corrects,
        withdrawn=record.withdrawn,
        recorded_at=record.recorded_at,
        recorded_by=record.recorded_by,
    )


def _submissions(stated: list[str], known: set[str]) -> dict[str, list[datetime]]:
    found: dict[str, list[datetime]] = {}
    for each in stated:
        duty_id, _, text = each.partition("@")
        if duty_id not in known:
            raise InvalidInputError(Fault("submitted", f"{duty_id!r} is no duty"))
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None or not is_countable(moment):
            raise InvalidInputError(Fault("submitted", f"{text!r} is no moment with an offset, such as {_EXAMPLE}"))
        found.setdefault(duty_id, []).append(moment.astimezone(UTC))
    return found


def own_duties_out(found: CustomerDuties) -> OwnDutiesOut:
    """Return the schema of a customer's duties."""
    return OwnDutiesOut(
        profile=legal_profile_out(found.profile),
        provider_aware_at=found.document["times"]["aware_at"],
        issued_at=found.document["issued_at"],
        items=[
            OwnDutyOut(
                clock=clock_out(each.clock),
                items=[
                    FilledItemOut(
                        id=item.id,
                        clause=item.clause,
                        title=item.text.as_mapping(),
                        text=each.filled.get(item.id, ""),
                    )
                    for item in each.clock.duty.items
                ],
                submissions=[
                    own_submission_out(record) for record in found.submissions if record.duty_id == each.clock.duty.id
                ],
                dora=DORA_REPORTS[each.clock.duty.id].value if each.clock.duty.id in DORA_REPORTS else None,
            )
            for each in found.duties
        ],
    )
