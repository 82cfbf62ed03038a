"""Who has what: what is known, whom a failure concerns, and the confirmation of a proposal by a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from notifications.customer.inventory import FailedPart, InventoryKind
from notifications.errors import Fault, InvalidInputError, StateConflictError
from notifications.incident import Incident
from notifications.ports import Page
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.look_up_resources import confirm_lookup, look_up_customers
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.api.requests import MayChangeIncidents, MayReadResources
from service.web.api.resources.resource_schemas import (
    MAX_IDENTIFIERS,
    MAX_VALUES,
    confirmed_query,
    is_term,
)
from service.web.api.resources.resources import lookup_out, require_lookup
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, new_form_id, write_once
from service.web.console.listing import access_under
from service.web.console.moments import CLOCKS_CHANGED, MomentError, offered_zones, parse_moment
from service.web.console.rendering import page, reader_zone

router = APIRouter(prefix="/inventory", route_class=PageRoute, include_in_schema=False)

_CONFLICT, _UNPROCESSABLE = 409, 422
#: Identifiers are pasted: more characters are read than any look-up takes, so that none is dropped unseen.
_LONGEST_FIELD = 400_000
_FIELDS = ("services", "regions", "availability_zones", "hosts")
_OPEN_INCIDENTS, _SHOWN_CUSTOMERS, _LISTED = 100, 500, 50


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that the confirmed customers can be taken over to."""

    incident: Incident

    @property
    def title(self) -> str:
        """Its title in any language."""
        return self.incident.facts.title.in_language("en")[1]


@router.get("")
async def overview(
    request: Request,
    access: MayReadResources,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Show how much is known, the last snapshot, and the records as they were recorded."""
    now = access.clock.now()

    def work(tx: AccessTransaction) -> dict[str, Any]:
        customers, resources = tx.resources.counts(now)
        found, following = tx.resources.page(access.page(_LISTED, cursor))
        named = {item.customer_id: tx.customers.get(item.customer_id) for item in found}
        return {
            "customers": customers,
            "resources": resources,
            "snapshot": tx.resources.latest_snapshot(),
            "records": found,
            "named": {key: customer.name for key, customer in named.items() if customer is not None},
            "following": access.next_cursor(following),
        }

    return page(request, "inventory", access.caller, await access.read(work))


@router.get("/lookup")
async def ask(request: Request, access: MayReadResources) -> Response:
    """Show the form that says what failed, and when."""
    return _asked(request, access, Form({}))


@router.post("/lookup")
async def look_up(request: Request, access: MayReadResources) -> Response:
    """Look up whom it concerns, record the proposal, and show it."""
    form = await form_of(request, _LONGEST_FIELD)
    try:
        failed = _failed(form, access.clock.now())

        def work(tx: AccessTransaction, act: AuditContext) -> str:
            return f"/inventory/lookups/{look_up_customers(tx, act, failed).id}"

        return await write_once(access, form, work)
    except InvalidInputError as error:
        return _asked(request, access, form, error=error)


@router.get("/lookups/{lookup_id}")
async def proposal(request: Request, access: MayReadResources, lookup_id: UUID) -> Response:
    """Show the customers that held what failed, and the form that takes them over."""
    return await _proposed(request, access, lookup_id)


@router.post("/lookups/{lookup_id}/confirmation")
async def confirm(request: Request, access: MayChangeIncidents, lookup_id: UUID) -> Response:
    """Record whom a person takes over, and go to the page that states them as affected."""
    form = await form_of(request)
    chosen = tuple(map(_customer, form.all("customer")))
    incident = form["incident"]

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        known = [item.customer_id for item in require_lookup(tx, lookup_id).proposed]
        # Of very many customers only the first are listed; the box takes over the others too.
        others = known[_SHOWN_CUSTOMERS:] if form["others"] == "yes" else []
        made = confirm_lookup(tx, act, lookup_id, (*chosen, *others))
        query = confirmed_query(made.id, made.confirmed or ())
        if not incident:
            return f"/incidents/new?{query}"
        return f"/incidents/{tx.incidents.require(_customer(incident)).id}/customers?{query}"

    try:
        return await write_once(access, form, work)
    except (InvalidInputError, StateConflictError) as error:
        reading = access_under(access, Permission.RESOURCE_READ)
        if reading is None:
            raise
        return await _proposed(request, reading, lookup_id, error=error, form=form)


def _customer(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInputError(Fault("customer_ids", "is no identifier")) from None


def _failed(form: Form, now: datetime) -> FailedPart:
    """Return what a form states as failed; raises InvalidInputError with every fault."""
    zone, _ = offered_zones("UTC", form["time_zone"])
    faults: list[Fault] = []

    def moment(name: str) -> datetime | None:
        try:
            return parse_moment(form[name], zone, now) if form[name].strip() else None
        except MomentError as error:
            faults.append(Fault(name, error.key))
            return None

    def terms(name: str, lines: Sequence[str], most: int) -> tuple[str, ...]:
        stated = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
        if len(stated) > most or not all(map(is_term, stated)):
            faults.append(Fault(name, f"takes at most {most} values of at most 200 characters"))
        return stated

    starts_at, ends_at = moment("starts_at"), moment("ends_at")
    if starts_at is None and not any(fault.field == "starts_at" for fault in faults):
        faults.append(Fault("starts_at", "is missing"))
    kinds = {kind.value: kind for kind in InventoryKind}
    stated = {name: terms(name, form[name].split(","), MAX_VALUES) for name in _FIELDS}
    identifiers = terms("identifiers", form["identifiers"].splitlines(), MAX_IDENTIFIERS)
    if faults or starts_at is None:
        raise InvalidInputError(*faults)
    if form["span"] == "moment":
        ends_at = starts_at
    return FailedPart(
        starts_at, ends_at, tuple(kinds[kind] for kind in form.all("kinds") if kind in kinds), **stated,
        identifiers=identifiers,
    )  # fmt: skip


def _asked(request: Request, access: Access, form: Form, *, error: InvalidInputError | None = None) -> Response:
    names = (*_FIELDS, "starts_at", "ends_at", "identifiers")
    faults = () if error is None else error.faults
    zone, zones = offered_zones(reader_zone(access.caller), form["time_zone"])
    values: dict[str, Any] = {
        "filled": {name: form[name] for name in names},
        "span": form["span"] or "since",
        "kinds": [kind.value for kind in InventoryKind],
        "chosen_kinds": form.all("kinds"),
        "wrong": {
            fault.field or "all": fault.reason
            if fault.reason in CLOCKS_CHANGED
            else f"inventory.wrong.{fault.field or 'all'}"
            for fault in faults
        },
        "zone": zone,
        "zones": [(each, each) for each in dict.fromkeys((*zones, zone))],
        "form_id": form["form_id"] or new_form_id(),
    }
    return page(request, "inventory_lookup", access.caller, values, status=_UNPROCESSABLE if faults else 200)


async def _proposed(
    request: Request,
    access: Access,
    lookup_id: UUID,
    *,
    error: InvalidInputError | StateConflictError | None = None,
    form: Form | None = None,
) -> Response:
    may_change = access.may(Permission.INCIDENT_CHANGE)
    found = await access.read(lambda tx: lookup_out(tx, require_lookup(tx, lookup_id)))
    values: dict[str, Any] = {
        "lookup": found,
        "shown": found.customers[:_SHOWN_CUSTOMERS],
        "others": max(0, found.customers_total - _SHOWN_CUSTOMERS),
        "is_moment": found.failed.starts_at == found.failed.ends_at,
        "may_confirm": may_change and found.confirmed is None and bool(found.customers),
        "incidents": await _open_incidents(access) if may_change else (),
        # Everybody is ticked at first: a person takes away, and nobody is forgotten.
        "chosen": {str(item.customer_id) for item in found.customers} if form is None else set(form.all("customer")),
        "incident": "" if form is None else form["incident"],
        "problem": "" if error is None else "none" if isinstance(error, InvalidInputError) else "confirmed",
        "form_id": new_form_id() if form is None else form["form_id"] or new_form_id(),
    }
    status = 200 if error is None else _UNPROCESSABLE if isinstance(error, InvalidInputError) else _CONFLICT
    return page(request, "inventory_proposal", access.caller, values, status=status)


async def _open_incidents(access: Access) -> Sequence[OpenIncident]:
    reading = access_under(access, Permission.INCIDENT_READ)
    if reading is None:
        return ()
    found, _ = await reading.read(lambda tx: tx.incidents.page(Page(_OPEN_INCIDENTS), state="open"))
    return [OpenIncident(incident) for incident in found]
