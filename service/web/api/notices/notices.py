"""Notices: review, release, artefacts, deliveries and their evidence."""

import json
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import Query, Request
from starlette.responses import Response

from notifications.errors import NotFoundError
from notifications.notice import ComposedNotice, Notice
from notifications.notice.seal import SealedNotice
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.release_notice import override_release, release_notice, review_override
from notifications.use_cases.notices.compose_released import compose_from_store
from notifications.use_cases.notices.resend_mail import resend_mail
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.delivery.acknowledgements import record_opening, record_reading_of_mail
from service.monitoring.alerts import raise_alerts
from service.monitoring.notice_findings import override_finding
from service.ports.store import AccessTransaction
from service.web.api.fields import Language, Out
from service.web.api.notices.notice_schemas import (
    DeliveryOut,
    NoticeOut,
    OverrideIn,
    PreviewOut,
    delivery_out,
    notice_out,
)
from service.web.api.requests import (
    Answer,
    Context,
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    MayChangeIncidents,
    MayOverrideRelease,
    MayReadIncidents,
    MayReadNotices,
    MayReadReturned,
    MayReleaseNotices,
    change,
    etag,
    expected_version,
    json_response,
)
from service.web.api.schemas import api_router

_log = structlog.get_logger(__name__)

router = api_router("/api/v1/notices", tags=["notices"])


class NoticePage(Out):
    """A page of notices, newest first."""

    items: list[NoticeOut]
    next_cursor: str | None


class DeliveryList(Out):
    """The deliveries of a notice."""

    items: list[DeliveryOut]


@router.get("", response_model=NoticePage, summary="List notices")
async def list_notices(
    access: MayReadNotices,
    incident_id: UUID | None = None,
    customer_id: UUID | None = None,
    state: Annotated[str | None, Query(pattern="^(draft|withdrawn|released|sealed)$")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Return notices, newest first, filtered by incident, customer and state."""
    notices, following = await access.read(
        lambda tx: tx.notices.page(
            access.page(limit, cursor), incident_id=incident_id, customer_id=customer_id, state=state
        )
    )
    return json_response(
        NoticePage.model_construct(
            items=[notice_out(notice, at_provider=access.scope.at_provider) for notice in notices],
            next_cursor=access.next_cursor(following),
        )
    )


@router.get("/{notice_id}", response_model=NoticeOut, summary="Read a notice")
async def read(access: MayReadNotices, notice_id: UUID) -> Response:
    """Return the notice with its state. The ETag of a draft is the If-Match of its release."""
    notice = await access.read(lambda tx: tx.notices.require(notice_id))
    return json_response(notice_out(notice, at_provider=access.scope.at_provider), {"ETag": etag(notice.version)})


@router.get("/{notice_id}/preview", response_model=PreviewOut, summary="Review a draft")
async def preview(
    context: Context, access: MayReadIncidents, notice_id: UUID, language: Annotated[Language, Query()] = "fr"
) -> Response:
    """Return the words that would be sealed if the draft were released now. The preview records nothing."""

    def work(tx: Transaction) -> tuple[Notice, ComposedNotice]:
        notice = tx.notices.require(notice_id)
        composed, _ = compose_from_store(tx, notice, [], context.sealing, extra_languages=(language,))
        return notice, composed

    notice, composed = await access.read(work)
    rendered = composed.rendered[language]
    return json_response(
        PreviewOut.model_construct(
            language=language,
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            document=json.loads(composed.document),
        ),
        {"ETag": etag(notice.version)},
    )


@router.post("/{notice_id}/release", response_model=NoticeOut, summary="Release a notice")
async def release(
    request: Request,
    context: Context,
    access: MayReleaseNotices,
    notice_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Release one draft. It is then sealed and sent, and cannot be taken back.

    409 if four eyes are required and the caller wrote it last.
    """

    def work(tx: Transaction, act: AuditContext) -> Answer:
        version = expected_version(if_match, lambda: tx.notices.require(notice_id).version)
        return _changed(release_notice(tx, act, notice_id, version, context.agreements))

    return await change(request, access, idempotency_key, work)


@router.post("/{notice_id}/release-override", response_model=NoticeOut, summary="Release a notice in an emergency")
async def release_override(
    request: Request,
    context: Context,
    access: MayOverrideRelease,
    notice_id: UUID,
    override: OverrideIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Release one draft without four eyes or without an approver. An alert is raised; a later review is required."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        version = expected_version(if_match, lambda: tx.notices.require(notice_id).version)
        notice = override_release(tx, act, notice_id, version, context.agreements, override.reason)
        raise_alerts(tx, act, [override_finding(tx, notice)], context.settings.provider)
        overridden[:] = [notice]
        return _changed(notice)

    overridden: list[Notice] = []
    response = await change(request, access, idempotency_key, work)
    log_overrides(overridden)
    return response


@router.post("/{notice_id}/override-review", response_model=NoticeOut, summary="Review an emergency release")
async def review(
    request: Request,
    access: MayReleaseNotices,
    notice_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record the review of an emergency release by a person who neither wrote nor released the notice."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        version = expected_version(if_match, lambda: tx.notices.require(notice_id).version)
        notice = review_override(tx, act, notice_id, version)
        alert = tx.alerts.by_key(override_finding(tx, notice).key)
        if alert is not None:
            tx.alerts.mark_seen(alert.id, act.now, act.actor)
        return _changed(notice)

    return await change(request, access, idempotency_key, work)


def log_overrides(notices: Sequence[Notice]) -> None:
    """Log emergency releases after the commit as critical, so that the log of the service shows them too."""
    for notice in notices:
        _log.critical("notice.released_by_override", notice_id=str(notice.id), released_by=notice.released_by)


def _changed(notice: Notice) -> Answer:
    return Answer(notice_out(notice, at_provider=True), headers={"ETag": etag(notice.version)})


async def _sealed(access: Access, notice_id: UUID) -> SealedNotice:
    def work(tx: Transaction) -> SealedNotice:
        tx.notices.require(notice_id)
        sealed = tx.notices.seal(notice_id)
        if sealed is None:
            raise NotFoundError("seal of notice", notice_id)
        return sealed

    return await access.read(work)


def _file(content: bytes | None, media_type: str, name: str, notice_id: UUID) -> Response:
    if content is None:
        raise NotFoundError(name, notice_id)
    return Response(content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.get("/{notice_id}/document", response_class=Response, summary="notice.json")
async def document(request: Request, access: MayReadNotices, notice_id: UUID) -> Response:
    """Return the signed document, byte for byte. The first read by a person of the customer is recorded."""
    sealed = await _sealed(access, notice_id)
    await record_opening(access, notice_id, request.method, request.headers)
    return _file(sealed.document, "application/json", "notice.json", notice_id)


@router.get("/{notice_id}/signature", response_class=Response, summary="notice.json.p7s")
async def signature(access: MayReadNotices, notice_id: UUID) -> Response:
    """Return the detached CMS signature over the document (DER)."""
    sealed = await _sealed(access, notice_id)
    return _file(sealed.signature, "application/pkcs7-signature", "notice.json.p7s", notice_id)


@router.get("/{notice_id}/timestamp", response_class=Response, summary="notice.json.tsr")
async def timestamp(access: MayReadNotices, notice_id: UUID) -> Response:
    """Return the RFC 3161 response over the signature; 404 before the authority has answered.

    If the document says `by_checkpoint`, it is over the checkpoint in the proof, and other notices share it.
    """
    sealed = await _sealed(access, notice_id)
    return _file(sealed.timestamp, "application/timestamp-reply", "notice.json.tsr", notice_id)


@router.get("/{notice_id}/proof", response_class=Response, summary="notice.tlog-proof")
async def proof(access: MayReadNotices, notice_id: UUID) -> Response:
    """Return the proof of inclusion in the audit log; 404 before a checkpoint covers the entry."""
    sealed = await _sealed(access, notice_id)
    return _file(sealed.log_proof, "application/octet-stream", "notice.tlog-proof", notice_id)


@router.get("/{notice_id}/resources.csv", response_class=Response, summary="Affected resources")
async def resources(access: MayReadNotices, notice_id: UUID) -> Response:
    """Return the list of affected resources if it is too long for the document; else 404."""
    sealed = await _sealed(access, notice_id)
    return _file(sealed.resources_csv, "text/csv; charset=utf-8", "resources.csv", notice_id)


@router.get("/{notice_id}/deliveries", response_model=DeliveryList, summary="Deliveries and their evidence")
async def deliveries(access: MayReadNotices, notice_id: UUID) -> Response:
    """Return the deliveries with their channel, every attempt, the answers of the other side, and the bounces."""
    reads_returned = access.may(Permission.RETURNED_READ)

    def work(tx: Transaction) -> list[DeliveryOut]:
        tx.notices.require(notice_id)
        return [
            delivery_out(
                item, list(tx.deliveries.attempts(item.id)), tx.deliveries.bounces(item.id), with_words=reads_returned
            )
            for item in tx.deliveries.of_notice(notice_id)
        ]

    return json_response(DeliveryList.model_construct(items=await access.read(work)))


@router.post(
    "/{notice_id}/deliveries/{delivery_id}/resend",
    status_code=202,
    response_model=DeliveryOut,
    summary="Send a mail again",
)
async def resend(
    request: Request,
    access: MayChangeIncidents,
    notice_id: UUID,
    delivery_id: UUID,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue the mail of a sealed notice to one contact once more, at the contact's present address.

    409 while it is queued already, and for a contact that is no longer active.
    """

    def work(tx: Transaction, act: AuditContext) -> Answer:
        delivery = resend_mail(tx, act, notice_id, delivery_id)
        attempts = list(tx.deliveries.attempts(delivery.id))
        return Answer(delivery_out(delivery, attempts, tx.deliveries.bounces(delivery.id)), 202)

    return await change(request, access, idempotency_key, work)


@router.get(
    "/{notice_id}/deliveries/{delivery_id}/message", response_class=Response, summary="The mail as it was handed over"
)
async def message(request: Request, access: MayReadNotices, notice_id: UUID, delivery_id: UUID) -> Response:
    """Return the bytes of the last message that was sent, as ``message/rfc822``.

    The message may contain a link that acknowledges the notice. So a read by the provider is logged before the answer.
    """

    def work(tx: Transaction) -> bytes | None:
        tx.notices.require(notice_id)
        known = any(item.id == delivery_id for item in tx.deliveries.of_notice(notice_id))
        return tx.deliveries.message_sent(delivery_id) if known else None

    content = await access.read(work)
    if content is not None:
        await record_reading_of_mail(access, notice_id, delivery_id)
        await record_opening(access, notice_id, request.method, request.headers)
    return _file(content, "message/rfc822", "notice.eml", notice_id)


@router.get(
    "/{notice_id}/deliveries/{delivery_id}/returned/{returned_id}",
    response_class=Response,
    summary="A bounce, as received",
)
async def returned(access: MayReadReturned, notice_id: UUID, delivery_id: UUID, returned_id: UUID) -> Response:
    """Return the bytes that arrived at the return path of the delivery. Open them with care: strangers wrote them."""

    def work(tx: Transaction) -> bytes | None:
        tx.notices.require(notice_id)
        known = any(item.id == delivery_id for item in tx.deliveries.of_notice(notice_id))
        messages = tx.deliveries.bounces(delivery_id) if known else ()
        return next((message.content for message in messages if message.id == returned_id), None)

    return _file(await access.read(work), "message/rfc822", "returned.eml", notice_id)
