"""The provider's first intervention on an incident: when it started, and corrections of a wrong record."""

from uuid import UUID

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from notifications.incident import Intervention
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.record_intervention import record_intervention
from service.web.api.fields import Moment, Out, Prose, Schema
from service.web.api.requests import (
    Answer,
    IdempotencyKey,
    MayChangeIncidents,
    MayReadIncidents,
    change,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/incidents", tags=["incidents"])


class InterventionIn(Schema):
    """When the first intervention started."""

    started_at: Moment | None = Field(default=None, description="Without it: now. Not before `aware_at`.")
    reason: Prose | None = Field(
        default=None, description="Why the earlier record is wrong. Required for a correction, and only for one."
    )


class InterventionOut(Out):
    """One record of when the first intervention started."""

    number: int = Field(description="From 1. The highest number counts; the others are kept.")
    started_at: Moment
    recorded_at: Moment
    recorded_by: str
    reason: str | None


class InterventionList(Out):
    """The records of the first intervention of an incident."""

    items: list[InterventionOut]


def _out(made: Intervention) -> InterventionOut:
    return InterventionOut.model_construct(
        number=made.number,
        started_at=made.started_at,
        recorded_at=made.recorded_at,
        recorded_by=made.recorded_by,
        reason=made.reason,
    )


@router.get("/{incident_id}/interventions", response_model=InterventionList, summary="Read the first intervention")
async def read_interventions(access: MayReadIncidents, incident_id: UUID) -> Response:
    """Return every record of the first intervention, by number; the last one counts."""

    def work(tx: Transaction) -> list[InterventionOut]:
        tx.incidents.require(incident_id)
        return [_out(each) for each in tx.incidents.interventions(incident_id)]

    return json_response(InterventionList.model_construct(items=await access.read(work)))


@router.post(
    "/{incident_id}/interventions",
    response_model=InterventionOut,
    status_code=201,
    summary="Record the first intervention",
)
async def post_intervention(
    request: Request,
    access: MayChangeIncidents,
    incident_id: UUID,
    stated: InterventionIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record when the first intervention started; the GTI runs from the opening of the ticket until then.

    409 if it is recorded already and no `reason` corrects it.
    """

    def work(tx: Transaction, act: AuditContext) -> Answer:
        return Answer(_out(record_intervention(tx, act, incident_id, stated.started_at, stated.reason)), 201)

    return await change(request, access, idempotency_key, work)
