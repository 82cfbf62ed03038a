"""The consent of a customer to what a notice announces."""

from typing import Literal
from uuid import UUID

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from notifications.errors import NotFoundError
from notifications.ports import Transaction
from notifications.use_cases.announcements.consent import REASON_MAX_CHARACTERS, answer_consent
from notifications.use_cases.audit_context import AuditContext
from service.web.api.announcements.announcement_schemas import ConsentOut, consent_out
from service.web.api.fields import Line, Prose, Schema
from service.web.api.requests import (
    Answer,
    IdempotencyKey,
    MayAcknowledgeNotices,
    MayReadNotices,
    change,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/notices", tags=["announcements"])


class ConsentIn(Schema):
    """The answer of a customer, in writing."""

    answer: Literal["accept", "refuse"]
    name: Line = Field(description="The person that answers for the customer.")
    reason: Prose | None = Field(None, max_length=REASON_MAX_CHARACTERS)


@router.get("/{notice_id}/consent", response_model=ConsentOut, summary="Read the consent")
async def read_consent(access: MayReadNotices, notice_id: UUID) -> Response:
    """Return what the customer answered; 404 where the agreement asks for no consent to this notice."""

    def work(tx: Transaction) -> ConsentOut:
        notice = tx.notices.require(notice_id)
        record = tx.announcements.customer(notice.incident_id, notice.customer_id) if notice.announces else None
        found = None if record is None else consent_out(record)
        if found is None:
            raise NotFoundError("consent to notice", notice_id)
        return found

    return json_response(await access.read(work))


@router.post("/{notice_id}/consent", response_model=ConsentOut, summary="Accept or refuse")
async def answer(
    request: Request,
    access: MayAcknowledgeNotices,
    notice_id: UUID,
    stated: ConsentIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Accept or refuse what the notice announces, for one's own customer. Until it is over the answer can change."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        record = answer_consent(
            tx, act, notice_id, accepts=stated.answer == "accept", name=stated.name, reason=stated.reason
        )
        found = consent_out(record)
        if found is None:
            raise NotFoundError("consent to notice", notice_id)
        return Answer(found)

    return await change(request, access, idempotency_key, work)
