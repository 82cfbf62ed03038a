"""The legal duties of the customer that a notice may start, on a page: its clocks, and what the notice fills."""

import json
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.customer.legal_profile import entity_of
from notifications.duties import ClockState, depends_on_more, is_countable
from notifications.duties.dora_report import Submission
from notifications.errors import NotFoundError
from notifications.notice import Notice
from notifications.use_cases.duties.customer_duties import (
    DORA_REPORTS,
    CustomerDuties,
    customer_dora_report,
    customer_duties,
)
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.requests import Context
from service.web.console.failures import PageRoute
from service.web.console.moments import MomentError, parse_moment
from service.web.console.rendering import page, reader_language

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayReadNotices = Annotated[Access, Depends(Requires(Permission.NOTICE_READ))]


@router.get("/notices/{notice_id}/duties")
async def own_duties_page(
    request: Request,
    context: Context,
    access: MayReadNotices,
    notice_id: UUID,
    aware_at: str = "",
    classified_at: str = "",
) -> Response:
    """Show the customer's clocks. The moments that it states here count only on this page and are not stored."""
    language, now = reader_language(request, access.caller), access.clock.now()
    stated, wrong = {}, set()

    def work(tx: AccessTransaction) -> tuple[Notice, CustomerDuties]:
        notice = tx.notices.require(notice_id)
        zone = access.caller.time_zone or tx.customers.require(notice.customer_id).time_zone
        for name, text in (("aware_at", aware_at), ("classified_at", classified_at)):
            stated[name], fault = _moment(text, zone, now)
            if fault:
                wrong.add(name)
        found = customer_duties(
            tx,
            notice_id,
            context.agreements.duties,
            aware_at=stated["aware_at"],
            classified_at=stated["classified_at"],
            language=language,
        )
        return notice, found

    notice, found = await access.read(work)
    entity = entity_of(found.profile)
    standing = [each for each in found.duties if each.clock.state is not ClockState.FALLS_AWAY]
    values: dict[str, Any] = {
        "notice": notice,
        "exercise": notice.exercise,
        "document": found.document,
        "own": [each for each in standing if not depends_on_more(each.clock.duty, entity)],
        "perhaps": [each for each in standing if depends_on_more(each.clock.duty, entity)],
        "dora": DORA_REPORTS,
        "time_zone": access.caller.time_zone or found.document["customer"]["time_zone"],
        "spoken": language,
        "typed": {"aware_at": aware_at, "classified_at": classified_at},
        "wrong": wrong,
        "provider_aware_at": datetime.fromisoformat(found.document["times"]["aware_at"]),
        "issued_at": datetime.fromisoformat(found.document["issued_at"]),
        "may_state": access.may(Permission.PROFILE_READ),
    }
    return page(request, "own_duties", access.caller, values, status=422 if wrong else 200)


@router.get("/notices/{notice_id}/dora/{kind}.json")
async def dora_file(context: Context, access: MayReadNotices, notice_id: UUID, kind: str) -> Response:
    """Return the draft of a DORA report as a file."""
    if kind not in {each.value for each in Submission}:
        raise NotFoundError("report", kind)

    def work(tx: AccessTransaction) -> tuple[str, dict[str, Any]]:
        notice = tx.notices.require(notice_id)
        made = customer_dora_report(tx, notice_id, Submission(kind), context.agreements.duties)
        prefix = "exercise-" if notice.exercise else ""
        return f"{prefix}dora-{notice.sequence}-{kind}.json", dict(made.content)

    name, content = await access.read(work)
    body = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(body.encode(), media_type="application/json", headers=headers)


def _moment(text: str, zone: str, now: datetime) -> tuple[datetime | None, bool]:
    """Return (moment, whether the text is none)."""
    if not text.strip():
        return None, False
    try:
        moment = parse_moment(text, zone, now)
    except MomentError:
        return None, True
    return (moment, False) if is_countable(moment) else (None, True)
