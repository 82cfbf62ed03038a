"""The page that declares an incident: its facts, what they would come to, what may be the same, and its draft."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from notifications.canonical_json import timestamp_text
from notifications.customer.records import Customer
from notifications.errors import InvalidInputError, NotFoundError, StateConflictError, VersionMismatchError
from notifications.incident import IncidentFacts, PossibleDuplicate
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.dry_run import duplicates_of
from notifications.use_cases.incidents.record_incident import record_incident
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.drafts.drafts import (
    DraftContent,
    close_declared,
    content_of,
    drafts_of,
    is_same_page,
    is_visible,
    put_draft,
)
from service.ports.drafts import IncidentDraft
from service.ports.store import AccessTransaction
from service.web.api.requests import ApiContext, Context
from service.web.console.confirmed import Confirmed
from service.web.console.consequence import Consequence, classified, foreseen
from service.web.console.draft_listing import DraftDifference, ShownDraft, differences, shown_draft
from service.web.console.facts_checks import FactsRefusedError, stated_facts, usable_facts, worded_faults
from service.web.console.facts_form import Entered, Fields, Worded, facts_to_fields, fields_of, parse_fields
from service.web.console.facts_view import facts_form
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, new_form_id, see_other, write_once
from service.web.console.listing import access_under
from service.web.console.moments import zone_of_form
from service.web.console.rendering import page, reader_language
from service.web.console.statement_picker import StatementRefusedError, statement_picker, with_statement

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


class DraftConflictError(Exception):
    """The draft was changed by somebody else since the page was opened; None: it is gone."""

    def __init__(self, standing: IncidentDraft | None) -> None:
        self.standing = standing
        super().__init__("the draft was changed")


@dataclass(frozen=True, slots=True)
class DraftOfForm:
    """The draft that a shown form belongs to."""

    id: UUID
    #: the version that was read; 0 where nothing is saved yet
    version: int
    #: the opened page
    page_id: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """What another person saved, beside what was typed here."""

    standing: ShownDraft | None
    differences: Sequence[DraftDifference]


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
    found = await access.read(lambda tx: _draft_or_none(tx, draft, access.caller.account_id))
    if found is None:
        # A session that ended before the first save leads here: the form keeps the identifier.
        of_form = DraftOfForm(draft, 0, new_form_id())
        return await _shown(request, context, access, Fields({}), of_form=of_form, said="gone")
    content = content_of(context.secret_box, found)
    language = reader_language(request, access.caller)
    fields = (
        facts_to_fields(content.facts, zone_of_form(access.caller.time_zone, language))
        if content.fields is None
        else Fields(content.fields)
    )
    of_form = DraftOfForm(found.id, found.version, new_form_id())
    said = "saved" if saved else ""
    return await _shown(request, context, access, fields, of_form=of_form, said=said, standing=found)


@router.post("")
async def declare(request: Request, context: Context, access: MayDeclare) -> Response:
    """Declare the incident once, and go to its page; what is refused is shown again with everything that was typed."""
    form = await form_of(request, LONGEST_FIELD)
    fields, of_form = fields_of(form), _draft_of(form, access)
    entered = parse_fields(fields, access.clock.now(), await customers_of(access))
    confirmed = set(form["another_than"].split()) if form["is_another"] == "yes" else set()
    try:
        facts = stated_facts(entered, context.agreements.reference, access.clock.now(), context.default_language)

        def work(tx: AccessTransaction, act: AuditContext) -> str:
            _verify_draft(tx, act, context, of_form, access.caller.account_id)
            exercise = fields["exercise"] == "yes"
            incident_id = _declared(tx, act, context, facts, confirmed, exercise=exercise)
            close_declared(tx, act, context.secret_box, of_form.id, access.caller.account_id, incident_id)
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
) -> str:
    """Declare the incident and return its identifier; raises PossibleDuplicatesError, InvalidInputError."""
    duplicates = duplicates_of(tx, facts, exercise=exercise)
    if any(str(found.incident.id) not in confirmed for found in duplicates):
        raise PossibleDuplicatesError(duplicates)
    random_ticket = context.settings.provider.random_tickets
    result = record_incident(tx, act, facts, context.agreements, exercise=exercise, random_ticket=random_ticket)
    return str(result.incident.id)


def _verify_draft(
    tx: AccessTransaction, act: AuditContext, context: ApiContext, of_form: DraftOfForm, account_id: UUID
) -> None:
    """Raise DraftConflictError where somebody else changed, declared or discarded the draft since it was read."""
    if not of_form.version:
        return
    standing = _draft_or_none(tx, of_form.id, account_id)
    if standing is None:
        raise DraftConflictError(None)
    if standing.version != of_form.version:
        content = content_of(context.secret_box, standing)
        if not is_same_page(standing, content, act, of_form.page_id):
            raise DraftConflictError(standing)


def _draft_or_none(tx: AccessTransaction, draft_id: UUID, account_id: UUID) -> IncidentDraft | None:
    """Return a draft, or None where there is none; raises NotFoundError for another's."""
    draft = tx.drafts.get(draft_id)
    if draft is not None and not is_visible(draft, account_id):
        raise NotFoundError("draft", draft_id)
    return None if draft is None or draft.closed_at is not None else draft


@router.post("/draft")
async def save(request: Request, context: Context, access: MayDeclare) -> Response:
    """Keep what was typed, whatever it is. The module gets the new version; a person gets the form again."""
    form = await form_of(request, LONGEST_FIELD)
    fields, of_form = fields_of(form), _draft_of(form, access)
    if not form["draft_id"]:
        raise NotFoundError("draft", "")
    now = access.clock.now()
    entered = parse_fields(fields, now, await customers_of(access))
    # A person who goes on with the draft, also by the API, must not make an incident of an exercise.
    facts = {**entered.facts, "exercise": True} if fields["exercise"] == "yes" else entered.facts
    content = DraftContent(facts, fields.values, page_id=of_form.page_id)
    account_id = access.caller.account_id
    try:
        draft = await access.write(
            lambda tx, act: put_draft(tx, act, context.secret_box, of_form.id, account_id, of_form.version, content)
        )
    except (VersionMismatchError, NotFoundError, StateConflictError) as error:
        if form["fragment"]:
            return JSONResponse({"conflict": not isinstance(error, StateConflictError)}, _CONFLICT)
        if isinstance(error, StateConflictError):
            return await _shown(request, context, access, fields, of_form=of_form, said="too_many", status=_CONFLICT)
        standing = await access.read(lambda tx: tx.drafts.get(of_form.id))
        is_there = standing is not None and standing.closed_at is None and is_visible(standing, account_id)
        visible = standing if is_there else None
        return await _conflict(request, context, access, fields, of_form, visible)
    except InvalidInputError:
        if form["fragment"]:
            return JSONResponse({"conflict": False}, _CONFLICT)
        return await _shown(request, context, access, fields, of_form=of_form, said="too_large", status=_UNPROCESSABLE)
    if form["fragment"]:
        shape = {"version": draft.version, "saved_at": timestamp_text(draft.changed_at)}
        return JSONResponse(shape)
    return see_other(f"/incidents/new?draft={draft.id}&saved=1")


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
    if form["fragment"]:
        values = await _consequence_values(request, context, access, fields)
        return page(request, "consequence", access.caller, values)
    return await _shown(request, context, access, fields, of_form=_draft_of(form, access), refused_statement=refused)


def _draft_of(form: Form, access: Access) -> DraftOfForm:
    """Return the draft that a form names; a new one for a form of no page of ours."""
    version, page_id = form["draft_version"], form["form_id"][:40] or new_form_id()
    try:
        draft_id = UUID(form["draft_id"])
    except ValueError:
        return DraftOfForm(access.identifiers.new_id(), 0, page_id)
    is_number = version.isascii() and version.isdigit() and len(version) < 12  # noqa: PLR2004 - no version is that long
    return DraftOfForm(draft_id, int(version) if is_number else 0, page_id)


async def _conflict(
    request: Request,
    context: ApiContext,
    access: Access,
    fields: Fields,
    of_form: DraftOfForm,
    standing: IncidentDraft | None,
) -> Response:
    """Show both texts. What is sent next replaces the other text, for it has been seen now."""
    if standing is None:
        # The draft is gone: what was typed goes into a new one.
        following = DraftOfForm(access.identifiers.new_id(), 0, of_form.page_id)
        return await _shown(
            request, context, access, fields, of_form=following, conflict=Conflict(None, ()), status=_CONFLICT
        )
    following = DraftOfForm(of_form.id, standing.version, of_form.page_id)
    content = content_of(context.secret_box, standing)
    theirs = (
        facts_to_fields(content.facts, fields["time_zone"] or "UTC")
        if content.fields is None
        else Fields(content.fields)
    )
    language = reader_language(request, access.caller)
    shown = await access.read(lambda tx: shown_draft(tx, context.secret_box, standing, language))
    conflict = Conflict(shown, differences(fields, theirs))
    return await _shown(
        request, context, access, fields, of_form=following, conflict=conflict, standing=standing, status=_CONFLICT
    )


async def _consequence_values(
    request: Request, context: ApiContext, access: Access, fields: Fields, customers: Sequence[Customer] | None = None
) -> dict[str, Any]:
    if customers is None:
        customers = await customers_of(access)
    entered = parse_fields(fields, access.clock.now(), customers)
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
    standing: IncidentDraft | None = None,
    said: str = "",
    refused_statement: Worded | None = None,
    status: int = 200,
) -> Response:
    customers = await customers_of(access)
    language = reader_language(request, access.caller)
    account_id = access.caller.account_id
    of_form = of_form or DraftOfForm(access.identifiers.new_id(), 0, new_form_id())

    def work(tx: AccessTransaction) -> tuple[IncidentDraft | None, list[ShownDraft]]:
        kept = standing or _draft_or_none(tx, of_form.id, account_id)
        others = [draft for draft in drafts_of(tx, account_id) if draft.id != of_form.id]
        return kept, [shown_draft(tx, context.secret_box, draft, language) for draft in others]

    kept, others = await access.read(work)
    shown = facts_form(fields, faults or {}, context.agreements, customers, language, access.caller.time_zone)
    values: dict[str, Any] = {
        "facts_form": shown,
        "of_form": of_form,
        "alert": {} if kept is None else content_of(context.secret_box, kept).alert,
        "kept": None
        if kept is None
        else await access.read(lambda tx: shown_draft(tx, context.secret_box, kept, language)),
        "drafts": others,
        "pictures": {name: json.dumps(dict(filled)) for name, filled in PICTURES.items()},
        "duplicates": duplicates,
        "conflict": conflict,
        "said": said,
        "exercise": fields["exercise"] == "yes",
        "picker": statement_picker(fields, context.statements, language, refused_statement),
        **await _consequence_values(request, context, access, shown.fields, customers),
    }
    status = _UNPROCESSABLE if faults or refused_statement else _CONFLICT if duplicates else status
    return page(request, "declare", access.caller, values, status=status)
