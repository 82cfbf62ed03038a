"""Erasure of a customer at the end of its contract: order, withdraw and read it; the certificate afterwards.

Everybody who knows the pseudonym may read the erasure. The customer got the pseudonym with the formal notice, and has
no account any more. The erasure contains no personal data.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Request
from pydantic import Field
from starlette.responses import Response

from notifications.customer.erasure import Erasure, ErasureOrder, ServedBy
from notifications.errors import NotFoundError
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.erase_customer import order_erasure, withdraw_erasure
from service.auth.route_guard import open_to_strangers
from service.customers.erasure_notice import order_by_mail
from service.ports.store import AccessTransaction
from service.web.api.fields import Line, Moment, Out, Schema
from service.web.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
    MayChangeCustomers,
    MayReadCustomers,
    change,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1", tags=["erasures"])
of_strangers = api_router("/api/v1/erasures", tags=["erasures"], dependencies=[Depends(open_to_strangers)])

Pseudonym = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="The customer's name in the log.")]

#: The parts of a certificate: file name to media type.
PARTS = {
    "certificate.json": "application/json",
    "certificate.json.p7s": "application/pkcs7-signature",
    "certificate.json.tsr": "application/timestamp-reply",
}


class ErasureIn(Schema):
    """An order to erase a customer: how the formal notice is served."""

    served_by: ServedBy = Field(
        ServedBy.MAIL, description="By a sealed notice, by mail to every contact, or by a letter served already."
    )
    notice_id: UUID | None = Field(
        None, description="Of served_by notice: the last sealed notice to the customer that announced the erasure."
    )
    reference: Line | None = Field(None, description="Of a letter: what it is found by.")
    served_at: Moment | None = Field(None, description="Of a letter: when it was served.")


class WithdrawalIn(Schema):
    """The reason to withdraw an erasure."""

    reason: Line = Field(description="Kept in the log as a commitment.")


class ErasureOrderOut(Out):
    """An erasure that is ordered and not carried out yet."""

    customer_id: UUID
    ordered_at: Moment
    ordered_by: str
    served_by: ServedBy
    notice_id: UUID | None = Field(description="The sealed notice that the order rests on; null for mail and letter.")
    noticed_at: Moment | None = Field(description="When the formal notice was served; null while it is not.")
    not_before: Moment | None = Field(
        description="When it is done at the earliest: after the notice's days, and the announced moment."
    )
    due_at: Moment | None = Field(description="When it must be done.")
    notice_days: int = Field(description="Calendar days between the notice and the erasure, by the agreement.")
    within_days: int = Field(description="Days after the notice within which the erasure is done, by the agreement.")
    in_the_way: dict[str, int] = Field(
        description="What the customer is still owed, and later notices than the one that the order rests on."
    )


class ErasureOut(Out):
    """An erasure that was carried out. The customer is named only by its pseudonym in the log."""

    pseudonym: str
    noticed_at: Moment
    erased_at: Moment
    erased_rows: int
    compacted_at: Moment | None = Field(description="When the files were rewritten; null before.")
    certified_at: Moment | None = Field(description="When the certificate was signed; null while it is not.")
    parts: list[str] = Field(description="Where the certificate, its signature and timestamp are.")


@router.put("/customers/{customer_id}/erasure", response_model=ErasureOrderOut, summary="Order an erasure")
async def order(
    request: Request,
    context: Context,
    access: MayChangeCustomers,
    customer_id: UUID,
    body: ErasureIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Erase the customer when the days of the formal notice are over. Until then the order can be withdrawn.

    The formal notice is a sealed notice that announced it (`notice`). Or it is served with the order (`mail`), or was
    served by `letter`.

    The agreement that binds the customer says the days and the ways to serve the notice; another way is refused (422).
    """
    provider = context.settings.provider

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        if body.served_by is ServedBy.MAIL and body.notice_id is None:
            order_by_mail(tx, act, customer_id, provider, context.agreements)
        else:
            order_erasure(
                tx,
                act,
                customer_id,
                context.agreements,
                served_by=body.served_by,
                reference=body.reference,
                served_at=body.served_at,
                notice_id=body.notice_id,
            )
        return Answer(standing_order(tx, customer_id))

    return await change(request, access, idempotency_key, work)


@router.get("/customers/{customer_id}/erasure", response_model=ErasureOrderOut, summary="Read an ordered erasure")
async def read(access: MayReadCustomers, customer_id: UUID) -> Response:
    """Return the open order; 404 if there is none."""
    return json_response(await access.read(lambda tx: standing_order(tx, customer_id)))


@router.post(
    "/customers/{customer_id}/erasure/withdraw", response_model=ErasureOrderOut, summary="Take an erasure back"
)
async def withdraw(
    request: Request,
    access: MayChangeCustomers,
    customer_id: UUID,
    body: WithdrawalIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Withdraw the order and return it. The person who withdraws it informs the customer."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        order = standing_order(tx, customer_id)
        withdraw_erasure(tx, act, customer_id, reason=body.reason)
        return Answer(order)

    return await change(request, access, idempotency_key, work)


@of_strangers.get("/{pseudonym}", response_model=ErasureOut, summary="Read an erasure that was done")
async def read_done(context: Context, pseudonym: Pseudonym) -> Response:
    """Return the erasure of a pseudonym; 404 if there is none or it is not carried out yet."""
    return json_response(_done(await context.unit_of_work.read(lambda tx: existing_erasure(tx, pseudonym))))


@of_strangers.get("/{pseudonym}/{part}", response_class=Response, summary="Read a part of a certificate of erasure")
async def read_part(context: Context, pseudonym: Pseudonym, part: str) -> Response:
    """Return the certificate, its CMS signature (DER), or the RFC 3161 response over the signature."""
    content = certificate_part(await context.unit_of_work.read(lambda tx: existing_erasure(tx, pseudonym)), part)
    return Response(content, media_type=PARTS[part], headers={"Cache-Control": "no-store"})


def existing_erasure(tx: AccessTransaction, pseudonym: str) -> Erasure:
    """Return the erasure of a pseudonym; raises NotFoundError."""
    erasure = tx.erasures.get(pseudonym)
    if erasure is None:
        raise NotFoundError("erasure", pseudonym)
    return erasure


def certificate_part(erasure: Erasure, part: str) -> bytes:
    """Return a part of a certificate by its file name; raises NotFoundError for another name or a missing part."""
    parts = (erasure.document, erasure.signature, erasure.timestamp)
    content = dict(zip(PARTS, parts, strict=True)).get(part)
    if content is None:
        raise NotFoundError("certificate", part)
    return content


def standing_order(tx: AccessTransaction, customer_id: UUID) -> ErasureOrderOut:
    """Return the open order as the API and the pages show it; raises NotFoundError if there is none."""
    customer, order = tx.customers.require(customer_id), tx.erasures.order(customer_id)
    if order is None:
        raise NotFoundError("erasure of customer", customer_id)
    return _order_out(order, customer.time_zone, tx.erasures.obstacles(customer_id))


def _order_out(order: ErasureOrder, time_zone: str, in_the_way: dict[str, int]) -> ErasureOrderOut:
    window = order.window(time_zone)
    return ErasureOrderOut(
        customer_id=order.customer_id,
        ordered_at=order.ordered_at,
        ordered_by=order.ordered_by,
        served_by=order.served_by,
        notice_id=order.notice_id,
        noticed_at=order.noticed_at,
        not_before=None if window is None else window.not_before,
        due_at=None if window is None else window.due_at,
        in_the_way=in_the_way,
        notice_days=order.notice_days,
        within_days=order.within_days,
    )


def _done(erasure: Erasure) -> ErasureOut:
    named = [f"/api/v1/erasures/{erasure.pseudonym}/{part}" for part in PARTS] if erasure.document else []
    return ErasureOut(
        pseudonym=erasure.pseudonym,
        noticed_at=erasure.noticed_at,
        erased_at=erasure.erased_at,
        erased_rows=erasure.erased_rows,
        compacted_at=erasure.compacted_at,
        certified_at=erasure.certified_at,
        parts=named,
    )
