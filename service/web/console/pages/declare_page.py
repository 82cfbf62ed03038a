"""The page that declares an incident: its facts, what they would come to, what may be the same, and its draft."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from notifications.customer.records import Customer
from notifications.errors import InvalidInputError
from notifications.incident import IncidentFacts, PossibleDuplicate
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.dry_run import duplicates_of
from notifications.use_cases.incidents.record_incident import record_incident
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.drafts.drafts import DraftContent, close_declared, content_of, open_draft
from service.ports.drafts import Draft, DraftKind
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.requests import Context
from service.web.console.confirmed import Confirmed
from service.web.console.consequence import Consequence, classified, foreseen
from service.web.console.facts_checks import FactsRefusedError, stated_facts, usable_facts, worded_faults
from service.web.console.facts_form import Entered, Fields, Worded, facts_to_fields, fields_of, parse_fields
from service.web.console.facts_view import facts_form
from service.web.console.failures import PageRoute
from service.web.console.form_draft import (
    Conflict,
    DraftConflictError,
    DraftOfForm,
    DraftRefusedError,
    conflict_over,
    draft_of,
    draft_or_none,
    draft_values,
    new_draft,
    save_draft,
    verify_draft,
    with_names,
)
from service.web.console.forms import LONGEST_FIELD, form_of, new_form_id, write_once
from service.web.console.listing import access_under
from service.web.console.moments import zone_of_form
from service.web.console.rendering import page, reader_language
from service.web.console.statement_picker import StatementRefusedError, statement_picker, with_statement

router = APIRouter(prefix="/incidents/new", route_class=PageRoute, include_in_schema=False)

MayDeclare = Annotated[Access, Depends(Requires(Permission.INCIDENT_DECLARE))]

_CONFLICT, _UNPROCESSABLE = 409, 422
_KIND = DraftKind.INCIDENT

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
async def ask(
    request: Request,
    context: Context,
    access: MayDeclare,
    confirmed: Confirmed,
    draft: UUID | None = None,
    saved: Annotated[str, Query(max_length=1)] = "",
) -> Response:
    """Show the form: empty, as its draft was left, or with the customers that a look-up in the inventory confirmed."""
    if draft is None:
        named = await confirmed.ids(access)
        return await _shown(request, context, access, Fields({"customers": named} if named else {}))
    found = await access.read(lambda tx: draft_or_none(tx, draft, access.caller.account_id, _KIND))
    if found is None:
        # A session that ended before the first save leads here: the form keeps the identifier.
        of_form = replace(new_draft(access, _KIND), id=draft)
        return await _shown(request, context, access, Fields({}), of_form=of_form, said="gone")
    zone = zone_of_form(access.caller.time_zone, reader_language(request, access.caller))
    fields = _fields_in(content_of(context.secret_box, found), zone)
    of_form = DraftOfForm(_KIND, found.id, found.version, new_form_id())
    return await _shown(request, context, access, fields, of_form=of_form, said="saved" if saved else "")


@router.post("")
async def declare(request: Request, context: Context, access: MayDeclare) -> Response:
    """Declare the incident once, and go to its page; what is refused is shown again with everything that was typed."""
    form = await form_of(request, LONGEST_FIELD)
    fields, of_form = fields_of(form), draft_of(form, access, _KIND)
    before = await _facts_of_draft(context, access, of_form.id)
    entered = parse_fields(fields, access.clock.now(), await customers_of(access), before)
    confirmed = set(form["another_than"].split()) if form["is_another"] == "yes" else set()
    try:
        facts = stated_facts(entered, context.agreements.reference, access.clock.now(), context.default_language)

        def work(tx: AccessTransaction, act: AuditContext) -> str:
            verify_draft(tx, act, context.secret_box, of_form, access.caller.account_id)
            exercise = fields["exercise"] == "yes"
            incident_id = _declared(tx, act, context, facts, confirmed, exercise=exercise)
            close_declared(tx, act, context.secret_box, of_form.id, access.caller.account_id, _KIND, incident_id)
            return f"/incidents/{incident_id}"

        return await write_once(access, form, work)
    except FactsRefusedError as error:
        return await _shown(request, context, access, fields, of_form=of_form, faults=error.faults)
    except InvalidInputError as error:
        return await _shown(request, context, access, fields, of_form=of_form, faults=worded_faults(error))
    except PossibleDuplicatesError as error:
        return await _shown(request, context, access, fields, of_form=of_form, duplicates=error.duplicates)
    except DraftConflictError as error:
        return await _conflict(request, context, access, fields, of_form, error.standing)


def _declared(
    tx: AccessTransaction,
    act: AuditContext,
    context: ApiContext,
    facts: IncidentFacts,
    confirmed: set[str],
    *,
    exercise: bool,
) -> UUID:
    """Declare the incident and return its identifier; raises PossibleDuplicatesError, InvalidInputError."""
    duplicates = duplicates_of(tx, facts, exercise=exercise)
    if any(str(found.incident.id) not in confirmed for found in duplicates):
        raise PossibleDuplicatesError(duplicates)
    random_ticket = context.settings.provider.random_tickets
    result = record_incident(tx, act, facts, context.agreements, exercise=exercise, random_ticket=random_ticket)
    return result.incident.id


@router.post("/draft")
async def save(request: Request, context: Context, access: MayDeclare) -> Response:
    """Keep what was typed, whatever it is. The module gets the new version; a person gets the form again."""
    form = await form_of(request, LONGEST_FIELD)
    fields, of_form = fields_of(form), draft_of(form, access, _KIND)
    before = await _facts_of_draft(context, access, of_form.id)
    entered = parse_fields(fields, access.clock.now(), await customers_of(access), before)
    # A person who goes on with the draft, also by the API, must not make an incident of an exercise.
    facts = {**entered.facts, "exercise": True} if fields["exercise"] == "yes" else entered.facts
    content = DraftContent(facts, fields.values, page_id=of_form.page_id)
    try:
        return await save_draft(access, context.secret_box, form, of_form, content)
    except DraftConflictError as error:
        return await _conflict(request, context, access, fields, of_form, error.standing)
    except DraftRefusedError as error:
        return await _shown(request, context, access, fields, of_form=of_form, said=error.said, status=error.status)


@router.post("/consequence")
async def consequence(request: Request, context: Context, access: MayDeclare) -> Response:
    """Show what the facts would come to as far as they are entered: a part for the module, else the whole page.

    A first picture fills its fields before. A prepared statement is added to its text before.
    """
    form = await form_of(request, LONGEST_FIELD)
    fields = fields_of(form).with_values(PICTURES.get(form["picture"], {}))
    refused: Worded | None = None
    if form["insert"]:
        try:
            fields = with_statement(fields, context.statements, access.clock.now())
        except StatementRefusedError as error:
            refused = error.worded
    of_form = draft_of(form, access, _KIND)
    if form["fragment"]:
        values = await _consequence_values(request, context, access, fields, of_form)
        return page(request, "consequence", access.caller, values)
    return await _shown(request, context, access, fields, of_form=of_form, refused_statement=refused)


async def _facts_of_draft(context: ApiContext, access: Access, draft_id: UUID) -> Mapping[str, Any]:
    """Return the facts of the draft that a form goes on with: what they state of single customers has no field here."""
    account_id = access.caller.account_id
    found = await access.read(lambda tx: open_draft(tx, draft_id, account_id, _KIND))
    if found is None:
        return {}
    facts = content_of(context.secret_box, found).facts
    stated = facts.get("affected_customers")
    named = [each for each in stated if isinstance(each, Mapping) and "customer_id" in each] if stated else []
    return {**facts, "affected_customers": named}


async def _conflict(
    request: Request,
    context: ApiContext,
    access: Access,
    fields: Fields,
    of_form: DraftOfForm,
    standing: Draft | None,
) -> Response:
    """Show both texts."""
    zone, language = fields["time_zone"] or "UTC", reader_language(request, access.caller)
    customers = await customers_of(access)
    conflict, following = await conflict_over(
        access,
        context.secret_box,
        of_form,
        standing,
        with_names(fields, customers),
        lambda theirs: with_names(_fields_in(theirs, zone), customers),
        language,
    )
    return await _shown(request, context, access, fields, of_form=following, conflict=conflict, status=_CONFLICT)


def _fields_in(content: DraftContent, zone: str) -> Fields:
    return facts_to_fields(content.facts, zone) if content.fields is None else Fields(content.fields)


async def _consequence_values(
    request: Request,
    context: ApiContext,
    access: Access,
    fields: Fields,
    of_form: DraftOfForm | None,
    customers: Sequence[Customer] | None = None,
) -> dict[str, Any]:
    if customers is None:
        customers = await customers_of(access)
    before = {} if of_form is None else await _facts_of_draft(context, access, of_form.id)
    entered = parse_fields(fields, access.clock.now(), customers, before)
    language = reader_language(request, access.caller)
    return {
        "consequence": await _consequence_of(context, access, entered, language, exercise=fields["exercise"] == "yes"),
        "ignored": [name for name, (key, _) in entered.faults.items() if key != "facts.wrong.missing"],
        "aware_is_assumed": "aware_at" not in entered.facts,
        "facts_zone": fields["time_zone"] or "UTC",
    }


async def _consequence_of(
    context: ApiContext, access: Access, entered: Entered, language: str, *, exercise: bool
) -> Consequence:
    now = access.clock.now()
    facts = usable_facts(entered, context.agreements.reference, now, language)
    reading = access_under(access, Permission.INCIDENT_READ)
    if reading is None:
        return classified(facts, context.agreements)
    return await reading.read(lambda tx: foreseen(tx, now, facts, context.agreements, exercise=exercise))


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
    of_form: DraftOfForm | None = None,
    faults: Mapping[str, Worded] | None = None,
    duplicates: Sequence[PossibleDuplicate] = (),
    conflict: Conflict | None = None,
    said: str = "",
    refused_statement: Worded | None = None,
    status: int = 200,
) -> Response:
    customers = await customers_of(access)
    language = reader_language(request, access.caller)
    of_form = of_form or new_draft(access, _KIND)
    shown = facts_form(fields, faults or {}, context.agreements, customers, language, access.caller.time_zone)
    values: dict[str, Any] = {
        "facts_form": shown,
        **await draft_values(access, context.secret_box, of_form, language, conflict, said),
        "pictures": {name: json.dumps(dict(filled)) for name, filled in PICTURES.items()},
        "duplicates": duplicates,
        "exercise": fields["exercise"] == "yes",
        "picker": statement_picker(fields, context.statements, language, refused_statement),
        **await _consequence_values(request, context, access, shown.fields, of_form, customers),
    }
    status = _UNPROCESSABLE if faults or refused_statement else _CONFLICT if duplicates else status
    return page(request, "declare", access.caller, values, status=status)
