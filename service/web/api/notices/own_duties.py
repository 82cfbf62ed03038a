"""The legal duties of the customer that a notice may start, with what the notice can fill of each report."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from notifications.duties.dora_report import Submission
from notifications.errors import Fault, InvalidInputError
from notifications.ports import Transaction
from notifications.use_cases.duties.customer_duties import (
    DORA_REPORTS,
    CustomerDuties,
    customer_dora_report,
    customer_duties,
)
from service.web.api.duty_schemas import ClockOut, LegalProfileOut, clock_out, legal_profile_out
from service.web.api.fields import CountedMoment, Language, Out
from service.web.api.requests import Context, MayReadNotices, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/notices", tags=["duties"])

_EXAMPLE = "2026-06-01T08:00:00Z"

#: The customer's own moments. They are only used for this answer and not stored: they are the customer's to know.
AwareAt = Annotated[CountedMoment | None, Query(description="When the customer itself became aware, if it says so.")]
ClassifiedAt = Annotated[
    CountedMoment | None, Query(description="When the customer classified the incident as major (DORA).")
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


class OwnDutyOut(Out):
    """One duty of the customer."""

    clock: ClockOut
    items: list[FilledItemOut]
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
        )
        return own_duties_out(found)

    return json_response(await access.read(work))


@router.get("/{notice_id}/dora-report", response_model=DoraReportOut, summary="The draft of a DORA report")
async def read_dora_report(
    context: Context, access: MayReadNotices, notice_id: UUID, submission: Submission = Submission.INITIAL
) -> Response:
    """Return the DORA template (2025/302) as JSON, filled with what the notice says, and the fields left empty."""

    def work(tx: Transaction) -> DoraReportOut:
        made = customer_dora_report(tx, notice_id, submission, context.agreements.duties)
        return DoraReportOut(
            report=dict(made.content),
            empty=[
                EmptyFieldOut(number=each.number, path=each.path, title=each.title.as_mapping()) for each in made.empty
            ],
        )

    return json_response(await access.read(work))


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
        if moment is None or moment.tzinfo is None:
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
                dora=DORA_REPORTS[each.clock.duty.id].value if each.clock.duty.id in DORA_REPORTS else None,
            )
            for each in found.duties
        ],
    )
