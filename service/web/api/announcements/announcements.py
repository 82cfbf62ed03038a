"""Announcements: declare, read, change, release, cancel, and record that they were carried out."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Request
from starlette.responses import Response

from notifications.ports import Transaction
from notifications.use_cases.announcements.announce import (
    Announced,
    cancel_announcement,
    carry_out_announcement,
    change_announcement,
    declare_announcement,
)
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.release_notice import release_announcement
from service.web.api.announcements.announcement_schemas import (
    AnnouncementIn,
    AnnouncementInFull,
    AnnouncementOut,
    AnnouncementPage,
    ReleasedNotices,
    announcement_fields,
    announcement_in_full,
)
from service.web.api.notices.notice_schemas import notice_out
from service.web.api.requests import (
    Answer,
    Context,
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    MayChangeAnnouncements,
    MayReadAnnouncements,
    MayReleaseNotices,
    change,
    etag,
    expected_version,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/announcements", tags=["announcements"])


def _answer(tx: Transaction, result: Announced, status: int = 200) -> Answer:
    announcement = result.announcement
    headers = {"ETag": etag(announcement.version)}
    if status == 201:  # noqa: PLR2004 - Created
        headers["Location"] = f"/api/v1/announcements/{announcement.id}"
    return Answer(announcement_in_full(tx, announcement), status, headers)


@router.post("", status_code=201, response_model=AnnouncementInFull, summary="Declare an announcement")
async def declare(
    request: Request,
    context: Context,
    access: MayChangeAnnouncements,
    stated: AnnouncementIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Decide for every customer by the agreement that binds it, and draft the notices.

    422 names each mandatory item that is missing. Customers whose agreement has no such notice are in `not_concerned`.
    """
    facts = stated.to_domain(context)

    def work(tx: Transaction, act: AuditContext) -> Answer:
        return _answer(tx, declare_announcement(tx, act, facts, context.agreements), 201)

    return await change(request, access, idempotency_key, work)


@router.get("", response_model=AnnouncementPage, summary="List announcements")
async def list_announcements(
    access: MayReadAnnouncements,
    state: Annotated[Literal["open", "closed"] | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Return announcements, newest first."""
    found, following = await access.read(
        lambda tx: tx.incidents.page(access.page(limit, cursor), state=state, announcements=True)
    )
    items = [AnnouncementOut.model_construct(**announcement_fields(each)) for each in found]
    return json_response(AnnouncementPage.model_construct(items=items, next_cursor=access.next_cursor(following)))


@router.get("/{announcement_id}", response_model=AnnouncementInFull, summary="Read an announcement")
async def read(access: MayReadAnnouncements, announcement_id: UUID) -> Response:
    """Return the announcement with what was decided for each customer, its notices and its consent."""
    found = await access.read(lambda tx: announcement_in_full(tx, tx.incidents.require_announcement(announcement_id)))
    return json_response(found, {"ETag": etag(found.version)})


@router.put("/{announcement_id}", response_model=AnnouncementInFull, summary="Change an announcement")
async def replace(
    request: Request,
    context: Context,
    access: MayChangeAnnouncements,
    announcement_id: UUID,
    stated: AnnouncementIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Replace what is announced. An update is drafted for notified customers. The kind cannot change."""
    facts = stated.to_domain(context)

    def work(tx: Transaction, act: AuditContext) -> Answer:
        version = expected_version(if_match, lambda: tx.incidents.require_announcement(announcement_id).version)
        return _answer(tx, change_announcement(tx, act, announcement_id, version, facts, context.agreements))

    return await change(request, access, idempotency_key, work)


@router.post("/{announcement_id}/release", response_model=ReleasedNotices, summary="Release every draft")
async def release(
    request: Request,
    context: Context,
    access: MayReleaseNotices,
    announcement_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Release all drafts or none. If-Match is the announcement's ETag. 409 if four eyes refuse the caller.

    A single draft is released, also in an emergency, under `/notices/{notice_id}` as every other notice.
    """

    def work(tx: Transaction, act: AuditContext) -> Answer:
        version = expected_version(if_match, lambda: tx.incidents.require_announcement(announcement_id).version)
        released = release_announcement(tx, act, announcement_id, version, context.agreements)
        return Answer(ReleasedNotices.model_construct(items=[notice_out(each, at_provider=True) for each in released]))

    return await change(request, access, idempotency_key, work)


@router.post("/{announcement_id}/cancel", response_model=AnnouncementInFull, summary="Cancel an announcement")
async def cancel(
    request: Request,
    context: Context,
    access: MayChangeAnnouncements,
    announcement_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Cancel it: customers that were notified get a final notice, which is drafted; other drafts are withdrawn."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        version = expected_version(if_match, lambda: tx.incidents.require_announcement(announcement_id).version)
        return _answer(tx, cancel_announcement(tx, act, announcement_id, version, context.agreements))

    return await change(request, access, idempotency_key, work)


@router.post("/{announcement_id}/carry-out", response_model=AnnouncementInFull, summary="Record that it took place")
async def carry_out(
    request: Request,
    access: MayChangeAnnouncements,
    announcement_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record that what was announced took place. 409 while a draft waits or a consent is missing or refused."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        version = expected_version(if_match, lambda: tx.incidents.require_announcement(announcement_id).version)
        return _answer(tx, carry_out_announcement(tx, act, announcement_id, version))

    return await change(request, access, idempotency_key, work)
