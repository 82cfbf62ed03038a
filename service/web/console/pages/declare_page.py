"""The page that declares an incident: its facts, what they would come to, and what may be the same incident."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.customer.records import Customer
from notifications.errors import InvalidInputError
from notifications.incident import IncidentFacts, PossibleDuplicate
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.dry_run import duplicates_of
from notifications.use_cases.incidents.record_incident import record_incident
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.requests import ApiContext, Context
from service.web.console.consequence import Consequence, classified, foreseen
from service.web.console.facts_form import (
    Entered,
    FactsRefusedError,
    Fields,
    Worded,
    facts_form,
    fields_of,
    parse_fields,
    stated_facts,
    usable_facts,
    worded_faults,
)
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, new_form_id, write_once
from service.web.console.listing import access_under
from service.web.console.rendering import page, reader_language

router = APIRouter(prefix="/incidents/new", route_class=PageRoute, include_in_schema=False)

MayDeclare = Annotated[Access, Depends(Requires(Permission.INCIDENT_DECLARE))]

#: Characters that one field gives back when it is shown again; more than any fact may have.
LONGEST_FIELD = 200_000
_CONFLICT, _UNPROCESSABLE = 409, 422

#: Name -> the fields that it fills.
PICTURES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    tomllib.loads(resources.files("service.web.console").joinpath("first_pictures.toml").read_text(encoding="utf-8"))
)


class PossibleDuplicatesError(Exception):
    """Incidents that may be the same, which nobody has said are others."""

    def __init__(self, duplicates: Sequence[PossibleDuplicate]) -> None:
        self.duplicates = duplicates
        super().__init__(f"{len(duplicates)} possible duplicates")


@router.get("")
async def ask(request: Request, context: Context, access: MayDeclare) -> Response:
    """Show the empty form."""
    return await _shown(request, context, access, Fields({}))


@router.post("")
async def declare(request: Request, context: Context, access: MayDeclare) -> Response:
    """Declare the incident once, and go to its page; what is refused is shown again with everything that was typed."""
    form = await form_of(request, LONGEST_FIELD)
    fields = fields_of(form)
    entered = parse_fields(fields, access.clock.now(), await customers_of(access))
    confirmed = set(form["another_than"].split()) if form["is_another"] == "yes" else set()
    try:
        facts = stated_facts(entered, context.agreements.reference, access.clock.now(), context.default_language)
        return await write_once(access, form, lambda tx, act: _declared(tx, act, context, facts, confirmed))
    except FactsRefusedError as error:
        return await _shown(request, context, access, fields, form=form, faults=error.faults)
    except InvalidInputError as error:
        return await _shown(request, context, access, fields, form=form, faults=worded_faults(error))
    except PossibleDuplicatesError as error:
        return await _shown(request, context, access, fields, form=form, duplicates=error.duplicates)


def _declared(
    tx: AccessTransaction, act: AuditContext, context: ApiContext, facts: IncidentFacts, confirmed: set[str]
) -> str:
    """Declare the incident, and return the path of its page; raises PossibleDuplicatesError, InvalidInputError."""
    duplicates = duplicates_of(tx, facts)
    if any(str(found.incident.id) not in confirmed for found in duplicates):
        raise PossibleDuplicatesError(duplicates)
    result = record_incident(tx, act, facts, context.agreements)
    return f"/incidents/{result.incident.id}"


@router.post("/consequence")
async def consequence(request: Request, context: Context, access: MayDeclare) -> Response:
    """Show what the facts would come to as far as they are entered: a part for the module, else the whole page.

    A first picture fills its fields before.
    """
    form = await form_of(request, LONGEST_FIELD)
    fields = fields_of(form).with_values(PICTURES.get(form["picture"], {}))
    if form["fragment"]:
        values = await _consequence_values(request, context, access, fields)
        return page(request, "consequence", access.caller, values)
    return await _shown(request, context, access, fields, form=form)


async def _consequence_values(
    request: Request, context: ApiContext, access: Access, fields: Fields, customers: Sequence[Customer] | None = None
) -> dict[str, Any]:
    if customers is None:
        customers = await customers_of(access)
    entered = parse_fields(fields, access.clock.now(), customers)
    language = reader_language(request, access.caller)
    return {
        "consequence": await _consequence_of(context, access, entered, language),
        "ignored": [name for name, (key, _) in entered.faults.items() if key != "facts.wrong.missing"],
        "aware_is_assumed": "aware_at" not in entered.facts,
        "facts_zone": fields["time_zone"] or "UTC",
    }


async def _consequence_of(context: ApiContext, access: Access, entered: Entered, language: str) -> Consequence:
    now = access.clock.now()
    facts = usable_facts(entered, context.agreements.reference, now, language)
    reading = access_under(access, Permission.INCIDENT_READ)
    if reading is None:
        return classified(facts, context.agreements)
    return await reading.read(lambda tx: foreseen(tx, now, facts, context.agreements))


async def customers_of(access: Access) -> Sequence[Customer]:
    """Return the customers that the caller may name."""
    reading = access_under(access, Permission.CUSTOMER_READ)
    return () if reading is None else await reading.read(lambda tx: tx.customers.all())


async def _shown(
    request: Request,
    context: ApiContext,
    access: Access,
    fields: Fields,
    *,
    form: Form | None = None,
    faults: Mapping[str, Worded] | None = None,
    duplicates: Sequence[PossibleDuplicate] = (),
) -> Response:
    customers = await customers_of(access)
    language = reader_language(request, access.caller)
    shown = facts_form(fields, faults or {}, context.agreements.reference, customers, language)
    values: dict[str, Any] = {
        "facts_form": shown,
        "form_id": (form["form_id"] if form else "") or new_form_id(),
        "pictures": {name: json.dumps(dict(filled)) for name, filled in PICTURES.items()},
        "duplicates": duplicates,
        **await _consequence_values(request, context, access, shown.fields, customers),
    }
    status = _UNPROCESSABLE if faults else _CONFLICT if duplicates else 200
    return page(request, "declare", access.caller, values, status=status)
