"""Follow-up and closing of one incident: the next notice to its customers, the final one, and opening it again."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.decision import Verdict
from notifications.errors import Fault, InvalidInputError, StateConflictError, VersionMismatchError
from notifications.incident import LANGUAGES, Cause, Incident, IncidentFacts
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import public_fact_id
from notifications.use_cases.incidents.change_incident import change_facts, close_incident, reopen_incident
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.incidents.incidents import patched_facts
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, new_form_id, stated_version, write_once
from service.web.console.moments import CLOCKS_CHANGED, MomentError, local_text, offered_zones, parse_moment
from service.web.console.pages.incident.fact_words import FactWords
from service.web.console.pages.incident.frame import (
    STALE,
    MayChangeIncidents,
    MayReadIncidents,
    Standing,
    context_of,
    kept_entries,
    problems_of,
    reading,
    shown_in_frame,
    standing_of,
    unix_lines,
)
from service.web.console.rendering import reader_language, reader_zone

router = APIRouter(route_class=PageRoute, include_in_schema=False)

TEXTS = ("measures_taken", "recommendations", "not_known_yet")
_TIMES = ("ended_at", "next_update_by")
_DONE = frozenset({"saved", "closed", "reopened"})
Work = Callable[[AccessTransaction, AuditContext], str]


@router.get("/incidents/{incident_id}/closing")
async def closing_page(request: Request, access: MayReadIncidents, incident_id: UUID, done: str = "") -> Response:
    """Show the forms of the follow-up and of the end, with the facts that the last notices stated."""
    return await _shown(request, access, incident_id, done=done if done in _DONE else "")


@router.post("/incidents/{incident_id}/closing/follow-up")
async def follow_up(request: Request, access: MayChangeIncidents, incident_id: UUID) -> Response:
    """State what is new: every customer that was notified and sees it gets the draft of an update or a correction."""
    form, context = await form_of(request), context_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        _change(tx, act, context, incident_id, form)
        return f"/incidents/{incident_id}/notices"

    return await _done(request, access, incident_id, form, work)


@router.post("/incidents/{incident_id}/closing/close")
async def close(request: Request, access: MayChangeIncidents, incident_id: UUID) -> Response:
    """State the last facts and close: every customer that was notified gets the draft of a final notice.

    Both in one transaction: an incident that cannot be closed keeps its facts, and the form what was filled in.
    """
    form, context = await form_of(request), context_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        incident = _change(tx, act, context, incident_id, form)
        close_incident(tx, act, incident_id, incident.version, context.agreements)
        return f"/incidents/{incident_id}/closing?done=closed"

    return await _done(request, access, incident_id, form, work)


@router.post("/incidents/{incident_id}/closing/reopen")
async def reopen(request: Request, access: MayChangeIncidents, incident_id: UUID) -> Response:
    """Open a closed incident again."""
    form, context = await form_of(request), context_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        reopen_incident(tx, act, incident_id, stated_version(form["version"]), context.agreements)
        return f"/incidents/{incident_id}/closing?done=reopened"

    return await _done(request, access, incident_id, form, work)


async def _done(request: Request, access: Access, incident_id: UUID, form: Form, work: Work) -> Response:
    try:
        return await write_once(access, form, work)
    except (InvalidInputError, VersionMismatchError, StateConflictError) as error:
        return await _shown(request, reading(access), incident_id, error=error, form=form)


def _change(tx: AccessTransaction, act: AuditContext, context: ApiContext, incident_id: UUID, form: Form) -> Incident:
    """Apply what the form states; facts that stay as they are make no new version."""
    incident = tx.incidents.require(incident_id)
    version = stated_version(form["version"])
    facts = patched_facts(context, incident.facts, _patch(form, incident.facts, act.now))
    if facts == incident.facts and version == incident.version:
        return incident
    return change_facts(tx, act, incident_id, version, facts, context.agreements).incident


def _patch(form: Form, facts: IncidentFacts, now_at: datetime) -> dict[str, Any]:
    """Return what the form states otherwise than the facts, as a merge patch; a language that is empty has no text."""
    patch: dict[str, Any] = {}
    zone, _ = offered_zones("UTC", form["time_zone"])
    # A time that nobody typed is that of the facts, in whichever zone the form showed it.
    shown_zone, _ = offered_zones(zone, form["shown_zone"])
    now = _filled(facts, shown_zone)
    for name in TEXTS:
        said = {language: unix_lines(form[f"{name}_{language}"]) for language in LANGUAGES}
        if any(text != now[f"{name}_{language}"].strip() for language, text in said.items()):
            patch[name] = {language: text or None for language, text in said.items()} if any(said.values()) else None
    for name in _TIMES:
        stated = form[name].strip()
        if stated != now[name]:
            patch[name] = _moment(name, stated, zone, now_at) if stated else None
    if form["cause"]:
        patch["cause"] = form["cause"]
    return patch


def _moment(name: str, stated: str, zone: str, now: datetime) -> str:
    try:
        return parse_moment(stated, zone, now).isoformat()
    except MomentError as error:
        raise InvalidInputError(Fault(name, error.key)) from None


def _filled(facts: IncidentFacts, zone: str) -> dict[str, str]:
    """Return the fields of the form as the facts have them; times in the zone, to the minute."""
    filled = {"cause": facts.cause.value}
    for name in TEXTS:
        stated = getattr(facts, name)
        said = {} if stated is None else stated.as_mapping()
        filled |= {f"{name}_{language}": said.get(language, "") for language in LANGUAGES}
    for name in _TIMES:
        at = getattr(facts, name)
        filled[name] = "" if at is None else local_text(at.replace(second=0, microsecond=0), zone)
    return filled


async def _shown(
    request: Request,
    access: Access,
    incident_id: UUID,
    *,
    done: str = "",
    error: Exception | None = None,
    form: Form | None = None,
) -> Response:
    version = 0 if form is None else stated_version(form["version"])

    def work(tx: AccessTransaction) -> tuple[Standing, IncidentFacts | None]:
        return standing_of(tx, tx.incidents.require(incident_id)), tx.incidents.facts_at(incident_id, version)

    standing, base = await access.read(work)
    incident = standing.incident
    own = reader_zone(access.caller)
    zone, zones = offered_zones(own, "" if form is None else form["time_zone"])
    shown_zone, _ = offered_zones(zone, "" if form is None else form["shown_zone"])
    filled = _filled(incident.facts, shown_zone)
    problems, status = problems_of(error)
    if isinstance(error, StateConflictError) and _open_facts(standing):
        problems = ["incident.problem.pending"]
    if isinstance(error, InvalidInputError):
        problems += [fault.reason for fault in error.faults if fault.reason in CLOCKS_CHANGED]
    said = FactWords(reader_language(request, access.caller), context_of(request).agreements.reference, {}, own)
    values: dict[str, Any] = {
        "filled": kept_entries(filled, form, None if base is None else _filled(base, shown_zone)),
        "now_filled": filled,
        "zone": zone,
        "shown_zone": shown_zone,
        "zones": [(each, each) for each in dict.fromkeys((*zones, zone))],
        "texts": TEXTS,
        "languages": LANGUAGES,
        "causes": [(cause.value, said.answer("cause", cause.value)) for cause in Cause],
        "said": said,
        "drafts": standing.drafts,
        "told": len({notice.customer_id for notice in standing.notices if notice.released_at is not None}),
        "open_facts": [(said.fact(fact.replace(".*", "")), count) for fact, count in _open_facts(standing).items()],
        "form_id": new_form_id() if form is None else form["form_id"],
        "stale_from": version if status == STALE else None,
        "problems": problems,
        "done": done,
    }
    return shown_in_frame(request, access, incident, "closing", values, status=status)


def _open_facts(standing: Standing) -> dict[str, int]:
    """Return the facts that verdicts wait for, with the number of customers."""
    counts: dict[str, int] = {}
    for stored in standing.decisions:
        if stored.decision.verdict is Verdict.PENDING:
            for fact in {public_fact_id(each) for each in stored.decision.missing}:
                counts[fact] = counts.get(fact, 0) + 1
    return dict(sorted(counts.items()))
