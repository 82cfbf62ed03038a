"""The page that declares an announcement: the form by the kind's own items, and its draft."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from notifications.errors import Fault, InvalidInputError
from notifications.use_cases.announcements.announce import declare_announcement
from notifications.use_cases.audit_context import AuditContext
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.drafts.drafts import DraftContent, close_declared, content_of
from service.ports.drafts import DraftKind
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.requests import Context
from service.web.console.draft_listing import FORM_PATHS
from service.web.console.facts_form import Fields, fields_of
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
from service.web.console.pages.announcement_form import announcement_form, stated_announcement
from service.web.console.rendering import reader_language

_KIND = DraftKind.ANNOUNCEMENT
_CONFLICT = 409

router = APIRouter(prefix=FORM_PATHS[_KIND], route_class=PageRoute, include_in_schema=False)

MayAnnounce = Annotated[Access, Depends(Requires(Permission.ANNOUNCEMENT_CHANGE))]


@router.get("")
async def ask(
    request: Request,
    context: Context,
    access: MayAnnounce,
    kind: str = "",
    draft: UUID | None = None,
    saved: Annotated[str, Query(max_length=1)] = "",
) -> Response:
    """Show the choice of a kind, or the form of the chosen one: empty, or as its draft was left."""
    chosen = Fields({"kind": [kind]})
    if draft is None:
        return await _shown(request, context, access, chosen, new_draft(access, _KIND))
    found = await access.read(lambda tx: draft_or_none(tx, draft, access.caller.account_id, _KIND))
    if found is None:
        # A session that ended before the first save leads here: the form keeps the identifier.
        of_form = replace(new_draft(access, _KIND), id=draft)
        return await _shown(request, context, access, chosen, of_form, said="gone")
    fields = _fields_in(content_of(context.secret_box, found))
    # Agreements may no longer have the kind of a draft: another one is chosen for what was typed.
    fields = fields.with_values({"kind": kind}) if kind else fields
    of_form = DraftOfForm(_KIND, found.id, found.version, new_form_id())
    return await _shown(request, context, access, fields, of_form, said="saved" if saved else "")


@router.post("")
async def announce(request: Request, context: Context, access: MayAnnounce) -> Response:
    """Declare the announcement of the form, once for each time that the form was shown."""
    form = await form_of(request, LONGEST_FIELD)
    fields, of_form = fields_of(form), draft_of(form, access, _KIND)
    account_id = access.caller.account_id

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        verify_draft(tx, act, context.secret_box, of_form, account_id)
        facts = stated_announcement(form, context, access).to_domain(context)
        made = declare_announcement(tx, act, facts, context.agreements).announcement
        close_declared(tx, act, context.secret_box, of_form.id, account_id, _KIND, made.id)
        return f"/announcements/{made.id}"

    try:
        return await write_once(access, form, work)
    except InvalidInputError as error:
        return await _shown(request, context, access, fields, of_form, faults=error.faults)
    except DraftConflictError as error:
        return await _conflict(request, context, access, fields, of_form, error)


@router.post("/draft")
async def save(request: Request, context: Context, access: MayAnnounce) -> Response:
    """Keep what was typed, whatever it is. The module gets the new version; a person gets the form again."""
    form = await form_of(request, LONGEST_FIELD)
    fields, of_form = fields_of(form), draft_of(form, access, _KIND)
    content = DraftContent(fields=fields.values, page_id=of_form.page_id)
    try:
        return await save_draft(access, context.secret_box, form, of_form, content)
    except DraftConflictError as error:
        return await _conflict(request, context, access, fields, of_form, error)
    except DraftRefusedError as error:
        return await _shown(request, context, access, fields, of_form, said=error.said, status=error.status)


async def _conflict(
    request: Request,
    context: ApiContext,
    access: Access,
    fields: Fields,
    of_form: DraftOfForm,
    error: DraftConflictError,
) -> Response:
    """Show both texts."""
    customers = await access.read(lambda tx: tx.customers.all())
    conflict, following = await conflict_over(
        access,
        context.secret_box,
        of_form,
        error.standing,
        with_names(fields, customers),
        lambda theirs: with_names(_fields_in(theirs), customers),
        reader_language(request, access.caller),
    )
    return await _shown(request, context, access, fields, following, conflict=conflict, status=_CONFLICT)


def _fields_in(content: DraftContent) -> Fields:
    return Fields(content.fields or {})


async def _shown(
    request: Request,
    context: ApiContext,
    access: Access,
    fields: Fields,
    of_form: DraftOfForm,
    *,
    faults: Sequence[Fault] = (),
    conflict: Conflict | None = None,
    said: str = "",
    status: int = 200,
) -> Response:
    language = reader_language(request, access.caller)
    kept = await draft_values(access, context.secret_box, of_form, language, conflict, said)
    return await announcement_form(request, context, access, fields, faults=faults, kept=kept, status=status)
