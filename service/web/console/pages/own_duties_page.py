"""The legal duties of the customer that a notice may start, on a page: its clocks, and what the notice fills."""

import json
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.customer.legal_profile import entity_of
from notifications.duties import ClockState, depends_on_more, is_countable
from notifications.duties.dora_report import OwnStatements, Submission
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError
from notifications.incident import Answer
from notifications.notice import Notice
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.duties.customer_duties import (
    DORA_REPORTS,
    CustomerDuties,
    customer_dora_report,
    customer_duties,
)
from notifications.use_cases.duties.record_own_submission import OwnSubmission, record_own_submission
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.notices.own_duties import AwareAt, ClassifiedAt, TemporaryMeasures
from service.web.api.requests import Context
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, write_once
from service.web.console.listing import access_under
from service.web.console.moments import MomentError, parse_moment
from service.web.console.rendering import page, reader_language

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayReadNotices = Annotated[Access, Depends(Requires(Permission.NOTICE_READ))]
MayAcknowledge = Annotated[Access, Depends(Requires(Permission.NOTICE_ACKNOWLEDGE))]


@router.get("/notices/{notice_id}/duties")
async def own_duties_page(
    request: Request,
    context: Context,
    access: MayReadNotices,
    notice_id: UUID,
    aware_at: str = "",
    classified_at: str = "",
    temporary_measures: TemporaryMeasures = Answer.UNKNOWN,
) -> Response:
    """Show the customer's clocks. What it states here counts only on this page and in its drafts, and is not stored."""
    return await _shown(
        request,
        context,
        access,
        notice_id,
        aware_at=aware_at,
        classified_at=classified_at,
        temporary_measures=temporary_measures,
    )


@router.post("/notices/{notice_id}/duties")
async def record(request: Request, context: Context, access: MayAcknowledge, notice_id: UUID) -> Response:
    """Record what the customer submitted to its own authority, or take such a record back."""
    form = await form_of(request)
    duty_id, duties = form["duty"], context.agreements.duties

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        if form["withdraws"]:
            record_own_submission(tx, act, notice_id, duty_id, None, duties, corrects=_uuid(form["withdraws"]))
        else:
            notice = tx.notices.require(notice_id)
            zone = access.caller.time_zone or tx.customers.require(notice.customer_id).time_zone
            moment, wrong = _moment(form["submitted_at"], zone, act.now)
            if moment is None or wrong:
                raise InvalidInputError(Fault("submitted_at", "is no exact moment"))
            stated = OwnSubmission(moment, form["recipient"], form["reference"].strip() or None)
            record_own_submission(tx, act, notice_id, duty_id, stated, duties)
        return f"/notices/{notice_id}/duties?done=recorded#duty-{duty_id}"

    try:
        return await write_once(access, form, work)
    except InvalidInputError as error:
        status, refused = 422, {fault.field for fault in error.faults}
    except StateConflictError:
        status, refused = 409, set()
    return await _shown(request, context, access, notice_id, form=form, refused=refused, status=status)


async def _shown(
    request: Request,
    context: ApiContext,
    access: Access,
    notice_id: UUID,
    *,
    aware_at: str = "",
    classified_at: str = "",
    temporary_measures: Answer = Answer.UNKNOWN,
    form: Form | None = None,
    refused: set[str] | None = None,
    status: int = 200,
) -> Response:
    """``form`` and ``refused``: the submission that was not recorded, and its fields that are not right."""
    reading = access_under(access, Permission.NOTICE_READ) or access
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
            records=not access.scope.at_provider,
        )
        return notice, found

    notice, found = await reading.read(work)
    entity = entity_of(found.profile)
    standing = [each for each in found.duties if each.clock.state is not ClockState.FALLS_AWAY]
    values: dict[str, Any] = {
        "found": found,
        "may_record": access.may(Permission.NOTICE_ACKNOWLEDGE) and not notice.exercise,
        "form": form,
        "refused": refused,
        "done": request.query_params.get("done") == "recorded",
        "notice": notice,
        "exercise": notice.exercise,
        "document": found.document,
        "own": [each for each in standing if not depends_on_more(each.clock.duty, entity)],
        "perhaps": [each for each in standing if depends_on_more(each.clock.duty, entity)],
        "dora": DORA_REPORTS,
        "dora_stated": _query(stated["aware_at"], stated["classified_at"], temporary_measures),
        "asks_dora": any(each.clock.duty.id in DORA_REPORTS for each in standing),
        "asks_measures": found.document["measures_taken"] is None,
        "temporary_measures": temporary_measures,
        "time_zone": access.caller.time_zone or found.document["customer"]["time_zone"],
        "spoken": language,
        "typed": {"aware_at": aware_at, "classified_at": classified_at},
        "wrong": wrong,
        "provider_aware_at": datetime.fromisoformat(found.document["times"]["aware_at"]),
        "issued_at": datetime.fromisoformat(found.document["issued_at"]),
        "may_state": access.may(Permission.PROFILE_READ),
    }
    return page(request, "own_duties", access.caller, values, status=422 if wrong else status)


@router.get("/notices/{notice_id}/dora/{kind}.json")
async def dora_file(
    context: Context,
    access: MayReadNotices,
    notice_id: UUID,
    kind: str,
    aware_at: AwareAt = None,
    classified_at: ClassifiedAt = None,
    temporary_measures: TemporaryMeasures = Answer.UNKNOWN,
) -> Response:
    """Return the draft of a DORA report as a file."""
    if kind not in {each.value for each in Submission}:
        raise NotFoundError("report", kind)

    def work(tx: AccessTransaction) -> tuple[str, dict[str, Any]]:
        notice = tx.notices.require(notice_id)
        stated = OwnStatements(aware_at, classified_at, temporary_measures)
        made = customer_dora_report(tx, notice_id, Submission(kind), context.agreements.duties, stated)
        prefix = "exercise-" if notice.exercise else ""
        return f"{prefix}dora-{notice.sequence}-{kind}.json", dict(made.content)

    name, content = await access.read(work)
    body = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(body.encode(), media_type="application/json", headers=headers)


def _query(aware_at: datetime | None, classified_at: datetime | None, temporary_measures: Answer) -> str:
    """Return the customer's statements as a query of the link to its drafts; empty if it states none."""
    moments = {"aware_at": aware_at, "classified_at": classified_at}
    stated = {name: moment.isoformat() for name, moment in moments.items() if moment is not None}
    if temporary_measures is not Answer.UNKNOWN:
        stated["temporary_measures"] = temporary_measures.value
    return f"?{urlencode(stated)}" if stated else ""


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFoundError("submission", text) from None


def _moment(text: str, zone: str, now: datetime) -> tuple[datetime | None, bool]:
    """Return (moment, whether the text is none)."""
    if not text.strip():
        return None, False
    try:
        moment = parse_moment(text, zone, now)
    except MomentError:
        return None, True
    return (moment, False) if is_countable(moment) else (None, True)
