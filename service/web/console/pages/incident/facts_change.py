"""The form that changes the facts of one incident; what a colleague changed meanwhile is kept, and shown."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.customer.records import Customer
from notifications.errors import InvalidInputError, StateConflictError, VersionMismatchError
from notifications.incident import Incident, IncidentFacts
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.change_incident import change_facts
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.api.incidents.incident_schemas import facts_json
from service.web.console.consequence import Consequence, foreseen
from service.web.console.facts_checks import FactsRefusedError, stated_facts, usable_facts, worded_faults
from service.web.console.facts_form import Entered, Fields, Worded, facts_to_fields, fields_of, parse_fields
from service.web.console.facts_view import facts_form
from service.web.console.failures import PageRoute
from service.web.console.forms import LONGEST_FIELD, Form, form_of, new_form_id, stated_version, write_once
from service.web.console.pages.declare_page import customers_of
from service.web.console.pages.incident.differences import FactDifference, fact_differences
from service.web.console.pages.incident.frame import (
    STALE,
    UNPROCESSABLE,
    MayChangeIncidents,
    context_of,
    problems_of,
    reading,
    shown_in_frame,
)
from service.web.console.pages.incident.versions import fact_words
from service.web.console.rendering import reader_language
from service.web.console.statement_picker import StatementRefusedError, statement_picker, with_statement

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/incidents/{incident_id}/facts/change")
async def ask(request: Request, access: MayChangeIncidents, incident_id: UUID) -> Response:
    """Show the form, filled with the facts in force."""
    return await _shown(request, access, incident_id)


@router.post("/incidents/{incident_id}/facts/change")
async def change(request: Request, access: MayChangeIncidents, incident_id: UUID) -> Response:
    """Change the facts; what is refused is shown again with everything that was typed."""
    form, context = await form_of(request, LONGEST_FIELD), context_of(request)
    customers = await customers_of(access)
    if form["insert"]:
        return await _with_statement(request, access, incident_id, form)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        incident = tx.incidents.require(incident_id)
        version = stated_version(form["version"])
        if version != incident.version:
            raise VersionMismatchError("incident", incident_id, version, incident.version)
        entered = parse_fields(fields_of(form), act.now, customers, facts_json(incident.facts))
        facts = stated_facts(entered, context.agreements.reference, act.now, context.default_language)
        change_facts(tx, act, incident_id, version, facts, context.agreements)
        return f"/incidents/{incident_id}/facts?done=changed"

    try:
        return await write_once(access, form, work)
    except FactsRefusedError as error:
        return await _shown(request, access, incident_id, form=form, faults=error.faults)
    except InvalidInputError as error:
        return await _shown(request, access, incident_id, form=form, faults=worded_faults(error))
    except (VersionMismatchError, StateConflictError) as error:
        return await _shown(request, access, incident_id, form=form, error=error)


async def _with_statement(request: Request, access: Access, incident_id: UUID, form: Form) -> Response:
    """Show the form with a prepared statement in its text. Nothing is changed."""
    fields = fields_of(form)
    try:
        fields = with_statement(fields, context_of(request).statements, access.clock.now())
    except StatementRefusedError as error:
        return await _shown(request, access, incident_id, form=form, refused_statement=error.worded)
    return await _shown(request, access, incident_id, form=form, fields=fields)


@router.post("/incidents/{incident_id}/facts/change/consequence")
async def consequence(request: Request, access: MayChangeIncidents, incident_id: UUID) -> Response:
    """Show what the facts would come to as far as they are entered, with the form; nothing is recorded."""
    form = await form_of(request, LONGEST_FIELD)
    return await _shown(request, access, incident_id, form=form, foresees=True)


async def _consequence_values(
    request: Request, access: Access, incident_id: UUID, fields: Fields, customers: Sequence[Customer]
) -> dict[str, Any]:
    context, now = context_of(request), access.clock.now()

    def work(tx: AccessTransaction) -> tuple[Entered, Consequence]:
        entered = parse_fields(fields, now, customers, facts_json(tx.incidents.require(incident_id).facts))
        facts = usable_facts(entered, context.agreements.reference, now, reader_language(request, access.caller))
        # The incident itself is no other one that may be the same.
        return entered, replace(foreseen(tx, now, facts, context.agreements), duplicates=())

    entered, found = await reading(access).read(work)
    return {
        "consequence": found,
        "ignored": [name for name, (key, _) in entered.faults.items() if key != "facts.wrong.missing"],
        "aware_is_assumed": "aware_at" not in entered.facts,
        "facts_zone": fields["time_zone"] or "UTC",
    }


def rebased(entered: Mapping[str, Any], base: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts in force with what a person changed since ``base``; where both changed one, the person's.

    All three are in the shape of ``FactsIn``. Each language of a text and each property of a harm counts by itself. Of
    customers only whether they are listed counts: this form states nothing else of them.
    """
    merged: dict[str, Any] = {}
    for name in dict.fromkeys((*now, *entered)):
        mine, then, theirs = entered.get(name), base.get(name), now.get(name)
        if name == "affected_customers":
            merged[name] = _customers(mine or (), then or (), theirs or ())
        elif isinstance(mine, Mapping) or isinstance(theirs, Mapping):
            merged[name] = rebased(mine or {}, then or {}, theirs or {})
        else:
            merged[name] = theirs if mine == then else mine
    return {name: value for name, value in merged.items() if value not in (None, {}, [], ())}


def _customers(
    mine: Sequence[Mapping[str, Any]], then: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    listed, before = ({str(each["customer_id"]) for each in stated} for stated in (mine, then))
    kept = [each for each in theirs if str(each["customer_id"]) not in before - listed]
    known = {str(each["customer_id"]) for each in kept}
    return [*kept, *(each for each in mine if str(each["customer_id"]) not in before | known)]


async def _shown(
    request: Request,
    access: Access,
    incident_id: UUID,
    *,
    form: Form | None = None,
    fields: Fields | None = None,
    faults: Mapping[str, Worded] | None = None,
    refused_statement: Worded | None = None,
    error: Exception | None = None,
    foresees: bool = False,
) -> Response:
    context, language = context_of(request), reader_language(request, access.caller)
    shown, customers = reading(access), await customers_of(access)
    problems, status = problems_of(error)
    base_version = 0 if form is None else stated_version(form["version"])

    def work(tx: AccessTransaction) -> tuple[Incident, IncidentFacts | None, list[FactDifference]]:
        incident = tx.incidents.require(incident_id)
        # Also where something else is wrong with the form: what is sent next is on the facts in force.
        is_stale = form is not None and base_version != incident.version
        base = tx.incidents.facts_at(incident_id, base_version) if is_stale else None
        if base is None:
            return incident, None, []
        said = fact_words(request, access, tx, base, incident.facts)
        return incident, base, fact_differences(said.rows(base), said.rows(incident.facts))

    incident, base, differences = await shown.read(work)
    if base is not None and not problems:
        problems, status = ["incident.problem.version"], STALE
    now_facts = facts_json(incident.facts)
    if fields is not None:
        pass
    elif form is None:
        fields = facts_to_fields(now_facts, "UTC")
    elif base is None:
        fields = fields_of(form)
    else:
        fields = _rebased_fields(fields_of(form), customers, facts_json(base), now_facts, access)
    values: dict[str, Any] = {
        "facts_form": facts_form(
            fields, faults or {}, context.agreements, customers, language, access.caller.time_zone
        ),
        "form_id": (form["form_id"] if form is not None else "") or new_form_id(),
        "differences": differences,
        "picker": statement_picker(fields, context.statements, language, refused_statement),
        "problems": problems,
        "stale_from": base_version if status == STALE else None,
    }
    values["consequence"] = None
    if foresees:
        values |= await _consequence_values(request, access, incident_id, fields, customers)
    status = UNPROCESSABLE if faults or refused_statement else status
    return shown_in_frame(request, access, incident, "facts", values, template="incident_change", status=status)


def _rebased_fields(
    fields: Fields, customers: Sequence[Customer], base: Mapping[str, Any], now: Mapping[str, Any], access: Access
) -> Fields:
    """Return the fields on the facts in force; fields that cannot be read stay as they were typed."""
    zone, at = fields["time_zone"] or "UTC", access.clock.now()
    mine = parse_fields(fields, at, customers, base)
    then, theirs = (parse_fields(facts_to_fields(facts, zone), at, customers, facts).facts for facts in (base, now))
    merged = facts_to_fields(rebased(mine.facts, then, theirs), zone)
    typed = {name: fields[name] for name in mine.faults if name in fields.values}
    return merged.with_values(typed)
