"""Notices of one incident: what they come to, each of them in pages, and the release of all drafts at once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from notifications.canonical_json import timestamp_text
from notifications.notice import Notice
from notifications.ports import Page
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.release_notice import override_releases, release_drafts
from service.auth.route_guard import Access
from service.monitoring.alerts import raise_alerts
from service.monitoring.notice_findings import override_finding
from service.ports.notice_lists import NoticeCounts, NoticeFilter
from service.ports.store import AccessTransaction
from service.web.api.fields import Moment, Out
from service.web.api.notices.notice_schemas import NoticeOut, OverrideIn, notice_out
from service.web.api.notices.notices import log_overrides
from service.web.api.requests import (
    FIRST_ITEMS,
    Answer,
    Context,
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    MayOverrideRelease,
    MayReadIncidents,
    MayReleaseNotices,
    change,
    expected_version,
    json_response,
)
from service.web.api.schemas import api_router

#: Reasons of held notices that a summary names.
_HOLD_REASONS = 20

router = api_router("/api/v1/incidents", tags=["incidents"])


class NoticeSummaryOut(Out):
    """What the notices of a list come to, all pages together."""

    by_state: dict[str, int] = Field(description="`draft`, `withdrawn`, `released`, `sealed`; no zeros.")
    failing: int = Field(
        description="Held after their release, or with a delivery that failed for good and no acknowledgement."
        " `?failing=true` lists them."
    )
    by_hold_reason: dict[str, int] = Field(description=f"The {_HOLD_REASONS} most frequent reasons of held notices.")
    due_at: Moment | None = Field(description="The nearest deadline of drafts and of released notices.")


class NoticeList(Out):
    """Notices of an incident: what all of them come to, then a page of them."""

    summary: NoticeSummaryOut
    total: int = Field(description="Notices of the whole list.")
    next_cursor: str | None = Field(description="Null on the last page.")
    items: list[NoticeOut]


class ReleaseOut(NoticeList):
    """What one release released."""

    next_cursor: str | None = Field(
        description="Of `GET /incidents/{incident_id}/notices` with `released_at` of this answer; null if all are here."
    )
    released_at: Moment


def _listed(
    tx: AccessTransaction, access: Access, incident_id: UUID, wanted: NoticeFilter, limit: int, cursor: str | None
) -> tuple[NoticeCounts, Sequence[Notice], str | None]:
    """Return the counts, a page and the next cursor, which belongs to the list that a GET with the filter reads."""
    access = access.of_list(
        f"/api/v1/incidents/{incident_id}/notices",
        state=wanted.state,
        released_at=None if wanted.released_at is None else timestamp_text(wanted.released_at),
        failing="true" if wanted.failing else None,
    )
    notices, following = tx.notices.listed(incident_id, wanted, access.page(limit, cursor))
    return tx.notices.counted(incident_id, wanted, Page(_HOLD_REASONS)), notices, access.next_cursor(following)


def _list_out(counts: NoticeCounts, notices: Sequence[Notice], next_cursor: str | None) -> NoticeList:
    return NoticeList.model_construct(
        summary=NoticeSummaryOut.model_construct(
            by_state=dict(counts.by_state),
            failing=counts.failing,
            by_hold_reason=dict(counts.by_hold_reason),
            due_at=counts.due_at,
        ),
        total=counts.total,
        next_cursor=next_cursor,
        items=[notice_out(notice, at_provider=True) for notice in notices],
    )


@router.get("/{incident_id}/notices", response_model=NoticeList, summary="Notices of an incident")
async def list_notices(
    access: MayReadIncidents,
    incident_id: UUID,
    state: Annotated[Literal["draft", "withdrawn", "released", "sealed"] | None, Query()] = None,
    released_at: Annotated[Moment | None, Query(description="The moment of one release: what it released.")] = None,
    failing: Annotated[bool, Query(description="Only what `summary.failing` counts.")] = False,
    limit: Limit = FIRST_ITEMS,
    cursor: Cursor = None,
) -> Response:
    """Return the notices of the incident, including drafts and withdrawn ones, by customer and sequence.

    `summary` and `total` are about the whole list, on every page. The order never changes, so that nothing is left out
    or listed twice while notices change; with `state` or `failing`, a notice that changes may join or leave the list.
    """
    wanted = NoticeFilter(state, released_at, failing)

    def work(tx: AccessTransaction) -> NoticeList:
        tx.incidents.require(incident_id)
        return _list_out(*_listed(tx, access, incident_id, wanted, limit, cursor))

    return json_response(await access.read(work))


@router.post("/{incident_id}/release", response_model=ReleaseOut, summary="Release every draft of an incident")
async def release(
    request: Request,
    context: Context,
    access: MayReleaseNotices,
    incident_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Release all drafts or none. If-Match is the incident's ETag, so that only the reviewed version is released.

    409 if a draft requires four eyes and the caller wrote it last, or was decided by other terms than those that bind
    the customer now (an agreement that was recorded late); a new version of the facts decides again. The answer has the
    first 200 and the total. What is held or fails afterwards is counted and listed by
    `GET /incidents/{incident_id}/notices?failing=true`.
    """

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        version = expected_version(if_match, lambda: tx.incidents.require(incident_id).version)
        release_drafts(tx, act, incident_id, version, context.agreements)
        return _released(tx, access, incident_id, act.now)

    return await change(request, access, idempotency_key, work)


@router.post(
    "/{incident_id}/release-override", response_model=ReleaseOut, summary="Release every draft in an emergency"
)
async def release_override(
    request: Request,
    context: Context,
    access: MayOverrideRelease,
    incident_id: UUID,
    override: OverrideIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Release all drafts without four eyes or without an approver. An alert is raised; a later review is required."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        version = expected_version(if_match, lambda: tx.incidents.require(incident_id).version)
        notices = override_releases(tx, act, incident_id, version, context.agreements, override.reason)
        raise_alerts(tx, act, [override_finding(tx, notice) for notice in notices], context.settings.provider)
        overridden[:] = notices
        return _released(tx, access, incident_id, act.now)

    overridden: list[Notice] = []
    response = await change(request, access, idempotency_key, work)
    log_overrides(overridden)
    return response


def _released(tx: AccessTransaction, access: Access, incident_id: UUID, released_at: datetime) -> Answer:
    listed = _listed(tx, access, incident_id, NoticeFilter(released_at=released_at), FIRST_ITEMS, None)

    def out() -> ReleaseOut:
        shown = _list_out(*listed)
        return ReleaseOut.model_construct(**dict(shown), released_at=released_at)

    return Answer(out)
