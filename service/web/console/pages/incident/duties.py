"""The provider's own reports to authorities: clocks, questions of significance, drafts, and records of submissions."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.duties import Clock, ClockState
from notifications.duties.significance import Question
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError, VersionMismatchError
from notifications.incident import Answer, Incident
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.duties.provider_clocks import ProviderDuties, provider_duties
from notifications.use_cases.duties.provider_report import ProviderReport, provider_report
from notifications.use_cases.duties.record_duties import (
    AssessmentInput,
    SubmissionInput,
    assess_duties,
    correct_submission,
    record_submission,
    save_draft,
)
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.api.notices.questions import names_of
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, new_form_id, stated_version, write_once
from service.web.console.moments import MomentError, local_text, offered_zones, parse_moment
from service.web.console.pages.incident.frame import (
    CONFLICT,
    STALE,
    UNPROCESSABLE,
    MayChangeIncidents,
    MayReadIncidents,
    context_of,
    reading,
    shown_in_frame,
    unix_lines,
)
from service.web.console.rendering import reader_language, reader_zone

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_DONE = frozenset({"assessed", "drafted", "submitted", "corrected"})
_ANSWERS = frozenset({"yes", "no"})
_TIMES = ("high_risk_at", "fix_at", "handled_at")
_LOSS_DIGITS = 12
#: Fields of the forms that have words of their own where they are wrong.
_NAMED = frozenset({
    "submitted_at", "recipient", "submitted_by", "reference", "reason", "loss_eur", "high_risk_at", "fix_at",
    "handled_at", "apparent_cause",
})  # fmt: skip
_ORDER = {
    ClockState.RUNNING: 0,
    ClockState.WITHOUT_DELAY: 1,
    ClockState.NOT_STARTED: 2,
    ClockState.SUBMITTED: 3,
    ClockState.FALLS_AWAY: 4,
}


@router.get("/incidents/{incident_id}/duties")
async def duties_page(request: Request, access: MayReadIncidents, incident_id: UUID, done: str = "") -> Response:
    """Show every duty with what is left of its time, and the questions that decide on them."""
    return await _shown(request, access, incident_id, done=done if done in _DONE else "")


@router.post("/incidents/{incident_id}/duties")
async def assess(request: Request, access: MayChangeIncidents, incident_id: UUID) -> Response:
    """Record the answers that only a person can give."""
    form, context = await form_of(request), context_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        assess_duties(
            tx,
            act,
            incident_id,
            _assessment(form, act.now),
            stated_version(form["version"]),
            context.agreements.duties,
        )
        return f"/incidents/{incident_id}/duties?done=assessed"

    try:
        return await write_once(access, form, work)
    except (InvalidInputError, VersionMismatchError, StateConflictError) as error:
        return await _shown(request, reading(access), incident_id, error=error, form=form)


@router.get("/incidents/{incident_id}/duties/{duty_id}")
async def report_page(
    request: Request, access: MayReadIncidents, incident_id: UUID, duty_id: str, done: str = ""
) -> Response:
    """Show the draft of one report, to be written, printed, and recorded as submitted."""
    return await _report(request, access, incident_id, duty_id, done=done if done in _DONE else "")


@router.post("/incidents/{incident_id}/duties/{duty_id}")
async def write_report(request: Request, access: MayChangeIncidents, incident_id: UUID, duty_id: str) -> Response:
    """Store the draft."""
    form, context = await form_of(request), context_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        items, duties = _items(form), context.agreements.duties
        save_draft(tx, act, incident_id, duty_id, items, stated_version(form["version"]), duties)
        return f"/incidents/{incident_id}/duties/{duty_id}?done=drafted"

    return await _changed(request, access, incident_id, duty_id, form, work)


@router.post("/incidents/{incident_id}/duties/{duty_id}/submissions")
async def submit(request: Request, access: MayChangeIncidents, incident_id: UUID, duty_id: str) -> Response:
    """Record that the report was submitted."""
    form, context = await form_of(request), context_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        record_submission(tx, act, incident_id, duty_id, _submission(form, act.now), context.agreements.duties)
        return f"/incidents/{incident_id}/duties/{duty_id}?done=submitted"

    return await _changed(request, access, incident_id, duty_id, form, work)


@router.post("/incidents/{incident_id}/duties/{duty_id}/submissions/{submission_id}")
async def correct(
    request: Request, access: MayChangeIncidents, incident_id: UUID, duty_id: str, submission_id: UUID
) -> Response:
    """Record what is right in the place of an earlier record, or that nothing was submitted."""
    form, context = await form_of(request), context_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        # First, so that a record that is not one of this duty is no question of what the form says.
        if not any(each.id == submission_id and each.duty_id == duty_id for each in tx.duties.submissions(incident_id)):
            raise NotFoundError("submission", submission_id)
        stated = None if form["withdrawn"] == "yes" else _submission(form, act.now)
        correct_submission(tx, act, submission_id, incident_id, stated, form["reason"], context.agreements.duties)
        return f"/incidents/{incident_id}/duties/{duty_id}?done=corrected"

    return await _changed(request, access, incident_id, duty_id, form, work)


async def _changed(
    request: Request, access: Access, incident_id: UUID, duty_id: str, form: Form, work: Any
) -> Response:
    try:
        return await write_once(access, form, work)
    except (InvalidInputError, VersionMismatchError, StateConflictError) as error:
        return await _report(request, reading(access), incident_id, duty_id, error=error, form=form)


def _assessment(form: Form, now: datetime) -> AssessmentInput:
    answers = {question: Answer(form[question.value]) for question in Question if form[question.value] in _ANSWERS}
    loss = form["loss_eur"].replace(" ", "").replace("\u202f", "").strip()
    if loss and not (loss.isascii() and loss.isdigit() and len(loss) <= _LOSS_DIGITS):
        raise InvalidInputError(_fault("loss_eur"))
    return AssessmentInput(
        answers=answers,
        loss_eur=int(loss) if loss else None,
        apparent_cause=form["apparent_cause"] or None,
        high_risk_at=_moment(form, "high_risk_at", now),
        fix_at=_moment(form, "fix_at", now),
        handled_at=_moment(form, "handled_at", now),
        note=unix_lines(form["note"]) or None,
    )


def _submission(form: Form, now: datetime) -> SubmissionInput:
    submitted_at = _moment(form, "submitted_at", now)
    if submitted_at is None:
        raise InvalidInputError(_fault("submitted_at"))
    return SubmissionInput(
        submitted_at=submitted_at,
        recipient=form["recipient"],
        submitted_by=form["submitted_by"],
        reference=form["reference"] or None,
    )


def _moment(form: Form, name: str, now: datetime) -> datetime | None:
    """Return a moment in the zone in which the form was shown."""
    if not form[name].strip():
        return None
    zone, _ = offered_zones("UTC", form["time_zone"])
    try:
        return parse_moment(form[name], zone, now)
    except MomentError:
        raise InvalidInputError(_fault(name)) from None


def _items(form: Form) -> dict[str, str]:
    prefix = "item-"
    return {name.removeprefix(prefix): unix_lines(form[name]) for name, _ in form.items() if name.startswith(prefix)}


async def _shown(
    request: Request,
    access: Access,
    incident_id: UUID,
    *,
    done: str = "",
    error: Exception | None = None,
    form: Form | None = None,
) -> Response:
    context = context_of(request)

    def work(tx: AccessTransaction) -> tuple[Incident, ProviderDuties, Mapping[str, str]]:
        incident = tx.incidents.require(incident_id)
        found = provider_duties(tx, incident, context.agreements.duties)
        return incident, found, _people(tx, [each.recorded_by for each in found.assessments])

    incident, found, people = await access.read(work)
    zone = _zone(access, form)
    problems, status = _problems(error)
    values: dict[str, Any] = {
        "found": found,
        "clocks": sorted(found.clocks, key=lambda clock: (_ORDER[clock.state], clock.due_at is None, clock.due_at)),
        "questions": found.significance.criteria,
        "filled": _filled(found, form, zone),
        "version": found.assessment.version if found.assessment is not None else 0,
        "name_of": people.__getitem__,
        "spoken": reader_language(request, access.caller),
        "zone": zone,
        "form_id": new_form_id(),
        "problems": problems,
        "done": done,
    }
    return shown_in_frame(request, access, incident, "duties", values, status=status)


def _filled(found: ProviderDuties, form: Form | None, zone: str) -> Mapping[str, str]:
    """Return the fields of the form: what was typed, else what is recorded."""
    names = [*(question.value for question in Question), "loss_eur", "apparent_cause", *_TIMES, "note"]
    if form is not None:
        return {name: form[name] for name in names}
    assessment = found.assessment
    filled = dict.fromkeys(names, "")
    if assessment is None:
        return filled
    filled |= dict(assessment.answers)
    filled |= {
        "loss_eur": "" if assessment.loss_eur is None else str(assessment.loss_eur),
        "apparent_cause": assessment.apparent_cause or "",
        "note": assessment.note or "",
    }
    for name in _TIMES:
        at = getattr(assessment, name)
        filled[name] = "" if at is None else local_text(at, zone)
    return filled


async def _report(
    request: Request,
    access: Access,
    incident_id: UUID,
    duty_id: str,
    *,
    done: str = "",
    error: Exception | None = None,
    form: Form | None = None,
) -> Response:
    context, language = context_of(request), reader_language(request, access.caller)

    def work(tx: AccessTransaction) -> tuple[ProviderDuties, ProviderReport, Mapping[str, str]]:
        incident = tx.incidents.require(incident_id)
        duties = provider_duties(tx, incident, context.agreements.duties)
        clock: Clock | None = duties.clock(duty_id)
        if clock is None:
            raise NotFoundError("duty", duty_id)
        report = provider_report(tx, duties, clock, context.agreements, context.sealing.provider, language)
        people = _people(tx, [access.actor, *(each.recorded_by for each in duties.submissions)])
        return duties, report, people

    found, report, people = await access.read(work)
    zone = _zone(access, form)
    problems, status = _problems(error)
    typed = {} if form is None else _items(form)
    values: dict[str, Any] = {
        "found": found,
        "clock": report.clock,
        "items": [(each, typed.get(each.item.id, each.text)) for each in report.items],
        "version": report.version,
        "item_titles": {item.id: item.text.in_language(language)[1] for item in report.clock.duty.items},
        "records": [each for each in found.submissions if each.duty_id == duty_id],
        "in_force": {each.id for each in found.in_force},
        "submission": {
            "submitted_at": local_text(access.clock.now().replace(second=0, microsecond=0), zone)
            if form is None
            else form["submitted_at"],
            "recipient": context.agreements.duties.authorities.get(duty_id, "") if form is None else form["recipient"],
            "submitted_by": people[access.actor] if form is None else form["submitted_by"],
            "reference": "" if form is None else form["reference"],
        },
        "name_of": people.__getitem__,
        "spoken": language,
        "local": lambda at: local_text(at, zone),
        "zone": zone,
        "form_id": new_form_id(),
        "problems": problems,
        "done": done,
    }
    return shown_in_frame(request, access, found.incident, "duties", values, template="incident_report", status=status)


def _zone(access: Access, form: Form | None) -> str:
    """Return the zone of the times on the page: the one of the form that was sent, else the reader's."""
    return offered_zones(reader_zone(access.caller), "" if form is None else form["time_zone"])[0]


def _people(tx: AccessTransaction, actors: Iterable[str]) -> Mapping[str, str]:
    """Return the name of each actor, or the actor as the log names it."""
    named = names_of(tx)
    return {actor: named(actor) or actor for actor in actors}


def _fault(name: str) -> Fault:
    return Fault(name, "is not well formed")


def _problems(error: Exception | None) -> tuple[list[str], int]:
    """Return the keys of the words for what is wrong, and the status of the page that shows it."""
    if error is None:
        return [], 200
    if isinstance(error, InvalidInputError):
        names = {fault.field.partition(".")[0] for fault in error.faults}
        return sorted(f"duties.problem.{name if name in _NAMED else 'other'}" for name in names), UNPROCESSABLE
    if isinstance(error, VersionMismatchError):
        return ["duties.problem.version"], STALE
    return ["duties.problem.state"], CONFLICT
