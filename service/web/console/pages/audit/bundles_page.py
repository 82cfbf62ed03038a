"""The page of evidence bundles: choose what it is about; the API makes the bundle and records it."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.canonical_json import timestamp_text
from notifications.incident import LANGUAGES, Incident
from service.auth.permissions import Permission
from service.auth.refusals import ForbiddenError
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.console.failures import PageRoute
from service.web.console.pages.audit.entry_query import (
    EntryQuery,
    customer_of,
    incident_of,
    parsed_period,
    typed_values,
)
from service.web.console.rendering import page, reader_language, reader_zone

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayReadLog = Annotated[Access, Depends(Requires(Permission.LOG_READ))]

_FIELDS = ("incident", "customer", "from", "to", "language", "reader")
_CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class ChosenBundle:
    """What a bundle is made of, and where the API makes it."""

    ticket: str | None
    customer: str | None
    #: whether it has only what the customer itself gets
    for_customer: bool
    path: str


@router.get("/audit/bundles")
async def bundles_page(request: Request, access: MayReadLog) -> Response:
    """Show the form, and for a choice that means something how to make and verify the bundle."""
    if access.caller.scope(Permission.NOTICE_READ) is None:
        raise ForbiddenError(Permission.NOTICE_READ)
    values = typed_values(request.query_params, _FIELDS)
    if values["language"] not in LANGUAGES:
        values["language"] = reader_language(request, access.caller)
    asked = any(values[name] for name in ("incident", "customer", "from", "to"))

    def work(tx: AccessTransaction) -> tuple[EntryQuery, ChosenBundle | None]:
        query = EntryQuery(values, reader_zone(access.caller))
        return query, _chosen(tx, query) if asked else None

    query, chosen = await access.read(work)
    return page(
        request,
        "audit_bundles",
        access.caller,
        {"query": query, "values": values, "chosen": chosen, "languages": LANGUAGES},
        status=422 if query.errors else 200,
    )


def _chosen(tx: AccessTransaction, query: EntryQuery) -> ChosenBundle | None:
    values = query.values
    starts_at, ends_at = parsed_period(query)
    incident: Incident | None = None
    if values["incident"]:
        incident = incident_of(tx, values["incident"])
        if incident is None:
            query.errors["incident"] = "no_incident"
    customer = customer_of(tx, query) if values["customer"] else None
    for_customer = values["reader"] == _CUSTOMER
    if for_customer and not values["customer"]:
        query.errors["customer"] = "customer_needed"
    if query.errors:
        return None
    is_announced = incident is not None and incident.facts.announcement is not None
    wanted = {
        "announcement_id" if is_announced else "incident_id": None if incident is None else incident.id,
        "customer_id": None if customer is None or for_customer else customer.id,
        "starts_at": None if starts_at is None else timestamp_text(starts_at),
        "ends_at": None if ends_at is None else timestamp_text(ends_at),
        "language": values["language"],
    }
    parameters = urlencode({name: str(value) for name, value in wanted.items() if value is not None})
    path = f"/api/v1/customers/{customer.id}/bundle" if customer and for_customer else "/api/v1/audit/bundle"
    return ChosenBundle(
        None if incident is None else incident.ticket,
        None if customer is None else customer.name,
        for_customer,
        f"{path}?{parameters}",
    )
