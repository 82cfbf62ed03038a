"""Acknowledgements: a customer confirms a notice; customer and provider read who has confirmed and who has not."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from notifications.delivery.acknowledgement import AcknowledgedVia, Acknowledgement
from notifications.evidence.evidence import EVENT_OF_ACT, EvidenceEvent
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.acknowledge_notice import NOTE_MAX_CHARACTERS, acknowledge_notice
from service.auth.route_guard import Access
from service.delivery.acknowledgements import (
    AcknowledgementsGiven,
    AcknowledgementStatus,
    IncidentAcknowledgementStatus,
    NoticeOpened,
    acknowledgement_status,
    incident_acknowledgement_status,
)
from service.ports.store import AccessTransaction
from service.web.api.fields import Moment, Out, Prose, Schema
from service.web.api.requests import (
    Answer,
    IdempotencyKey,
    MayAcknowledgeNotices,
    MayReadIncidents,
    MayReadNotices,
    change,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1", tags=["notices"])


class AcknowledgementIn(Schema):
    """An acknowledgement, with an optional note."""

    note: Prose | None = Field(None, max_length=NOTE_MAX_CHARACTERS, description="Kept with it, for the provider.")


class AcknowledgementOut(Out):
    """An acknowledgement."""

    id: UUID
    notice_id: UUID
    customer_id: UUID
    by: str = Field(description="`account:…`, or `contact:…` where its mailed link or a call speaks for a contact.")
    name: str | None = Field(description="Of the account or contact; null where it is not the caller's to know.")
    contact_id: UUID | None
    via: str = Field(description="`console`, `api`, `call`, or `link`: by the link that was mailed to the contact.")
    acknowledged_at: Moment
    note: str | None
    event: str = Field(description="ETSI EN 319 522 event.")
    event_uri: str


class OpeningOut(Out):
    """The first time that a person of the customer opened the notice. An opening acknowledges nothing."""

    by: str
    name: str | None
    opened_at: Moment
    event: str
    event_uri: str


class WaitedForOut(Out):
    """A contact that the notice was mailed to and that did not acknowledge it."""

    contact_id: UUID
    name: str


class AcknowledgementList(Out):
    """The acknowledgement status of a notice."""

    acknowledged: bool
    wanted_by: Moment | None = Field(description="By when the customer wants to have acknowledged; null: it need not.")
    items: list[AcknowledgementOut] = Field(description="Oldest first.")
    openings: list[OpeningOut]
    not_acknowledged_by: list[WaitedForOut]


class IncidentAcknowledgementOut(Out):
    """The acknowledgement status of the latest notice about an incident to one customer."""

    notice_id: UUID
    sequence: int
    customer_id: UUID
    customer_name: str | None
    due_at: Moment
    binding: str = Field(description="How strictly `due_at` binds: `hard`, `soft` (where possible), `no_number`.")
    acknowledged: bool
    wanted_by: Moment | None
    items: list[AcknowledgementOut]
    openings: list[OpeningOut]
    not_acknowledged_by: list[WaitedForOut]


class IncidentAcknowledgements(Out):
    """Who has acknowledged and who has not: notices without an acknowledgement first, nearest wanted time first."""

    acknowledged: int
    not_acknowledged: int
    items: list[IncidentAcknowledgementOut]


@router.post("/notices/{notice_id}/acknowledgement", response_model=AcknowledgementOut, summary="Acknowledge a notice")
async def acknowledge(
    request: Request,
    access: MayAcknowledgeNotices,
    notice_id: UUID,
    acknowledgement: AcknowledgementIn | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Confirm in the caller's name that its customer has the notice. A second request gets the same answer."""
    note = None if acknowledgement is None else acknowledgement.note

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        given = acknowledge_notice(tx, act, notice_id, via=AcknowledgedVia.API, note=note)
        return Answer(_acknowledgement_out(given, access.caller.name))

    return await change(request, access, idempotency_key, work)


@router.get(
    "/notices/{notice_id}/acknowledgements", response_model=AcknowledgementList, summary="Who acknowledged a notice"
)
async def list_of_notice(access: MayReadNotices, notice_id: UUID) -> Response:
    """Return who opened and who acknowledged the notice, and which mailed contacts have not acknowledged it."""

    def work(tx: AccessTransaction) -> AcknowledgementStatus:
        notice = tx.notices.require(notice_id)
        return acknowledgement_status(tx, access, notice)

    found = await access.read(work)
    return json_response(AcknowledgementList.model_construct(**standing_fields(found)))


@router.get(
    "/incidents/{incident_id}/acknowledgements",
    response_model=IncidentAcknowledgements,
    summary="Who has not acknowledged yet",
    tags=["incidents"],
)
async def list_of_incident(
    access: MayReadIncidents, incident_id: UUID, limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> Response:
    """Return the latest notice to each customer: those without acknowledgement first, nearest time first."""
    found = await access.read(lambda tx: _of_incident(tx, access, incident_id, limit))
    return json_response(
        IncidentAcknowledgements.model_construct(
            acknowledged=found.acknowledged,
            not_acknowledged=found.not_acknowledged,
            items=[
                IncidentAcknowledgementOut.model_construct(
                    notice_id=item.notice.id,
                    sequence=item.notice.sequence,
                    customer_id=item.notice.customer_id,
                    customer_name=None if item.customer is None else item.customer.name,
                    due_at=item.notice.due_at,
                    binding=item.notice.binding.value,
                    **standing_fields(item),
                )
                for item in found.items
            ],
        )
    )


def _of_incident(tx: AccessTransaction, access: Access, incident_id: UUID, limit: int) -> IncidentAcknowledgementStatus:
    tx.incidents.require(incident_id)
    return incident_acknowledgement_status(tx, access, incident_id, limit)


def standing_fields(found: AcknowledgementStatus) -> Mapping[str, Any]:
    """Return what schemas say of who acknowledged and who did not."""
    return {
        "acknowledged": found.is_acknowledged,
        "wanted_by": found.wanted_by,
        "items": [_given_out(each) for each in found.given],
        "openings": [_opening_out(each) for each in found.opened],
        "not_acknowledged_by": [
            WaitedForOut.model_construct(contact_id=each.id, name=each.name) for each in found.missing
        ],
    }


def _given_out(given: AcknowledgementsGiven) -> AcknowledgementOut:
    return _acknowledgement_out(given.acknowledgement, given.name)


def _acknowledgement_out(acknowledgement: Acknowledgement, name: str | None) -> AcknowledgementOut:
    event = EVENT_OF_ACT["notice.acknowledged"]
    return AcknowledgementOut.model_construct(
        id=acknowledgement.id,
        notice_id=acknowledgement.notice_id,
        customer_id=acknowledgement.customer_id,
        by=acknowledgement.by,
        name=name,
        contact_id=acknowledgement.contact_id,
        via=acknowledgement.via.value,
        acknowledged_at=acknowledgement.acknowledged_at,
        note=acknowledgement.note,
        event=event.value,
        event_uri=event.uri,
    )


def _opening_out(opened: NoticeOpened) -> OpeningOut:
    event: EvidenceEvent = EVENT_OF_ACT["notice.opened"]
    return OpeningOut.model_construct(
        by=opened.opening.by,
        name=opened.name,
        opened_at=opened.opening.opened_at,
        event=event.value,
        event_uri=event.uri,
    )
