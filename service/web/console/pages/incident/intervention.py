"""The provider's first intervention on one incident: one button for now, and a form for another moment."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.errors import InvalidInputError, StateConflictError
from notifications.incident import Incident, Intervention
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.record_intervention import record_intervention
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.api.incidents.interventions import InterventionIn
from service.web.api.incidents.people import people_of_incident
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, new_form_id, stated, write_once
from service.web.console.moments import MomentError, parse_moment
from service.web.console.pages.incident.frame import (
    CONFLICT,
    UNPROCESSABLE,
    MayChangeIncidents,
    MayReadIncidents,
    reading,
    shown_in_frame,
)

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/incidents/{incident_id}/intervention")
async def intervention_page(request: Request, access: MayReadIncidents, incident_id: UUID) -> Response:
    """Show when the first intervention started, with corrections, and the form."""
    return await _shown(request, access, incident_id)


@router.post("/incidents/{incident_id}/intervention")
async def record(request: Request, access: MayChangeIncidents, incident_id: UUID) -> Response:
    """Record the first intervention; an empty moment means now."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        at = parse_moment(form["started_at"], "UTC", act.now) if form["started_at"].strip() else None
        given = stated(InterventionIn, {"started_at": at, "reason": form["reason"].strip() or None})
        record_intervention(tx, act, incident_id, given.started_at, given.reason)
        return f"/incidents/{incident_id}#times"

    try:
        return await write_once(access, form, work)
    except (InvalidInputError, StateConflictError, MomentError) as error:
        return await _shown(request, reading(access), incident_id, form=form, error=error)


async def _shown(
    request: Request, access: Access, incident_id: UUID, *, form: Form | None = None, error: Exception | None = None
) -> Response:
    def work(tx: AccessTransaction) -> tuple[Incident, list[tuple[Intervention, str]]]:
        incident, people = tx.incidents.require(incident_id), people_of_incident(tx, incident_id)
        found = tx.incidents.interventions(incident_id)
        return incident, [(each, people.get(each.recorded_by, each.recorded_by)) for each in found]

    incident, found = await access.read(work)
    problem, status = _problem(error)
    values: dict[str, Any] = {
        "found": found,
        "form_id": new_form_id() if form is None else form["form_id"],
        "started_at": "" if form is None else form["started_at"],
        "reason": "" if form is None else form["reason"],
        "problem": problem,
    }
    return shown_in_frame(
        request, access, incident, "overview", values, template="incident_intervention", status=status
    )


def _problem(error: Exception | None) -> tuple[str, int]:
    """Return the key of the words for what is wrong with the form, and the status of the page."""
    if error is None:
        return "", 200
    if isinstance(error, MomentError):
        return error.key, UNPROCESSABLE
    if isinstance(error, InvalidInputError):
        fault = error.faults[0]
        if fault.field == "started_at":
            return "intervention.problem_future" if "future" in fault.reason else "intervention.problem_early", 422
        return "intervention.problem_reason", UNPROCESSABLE
    return "intervention.problem_recorded", CONFLICT
