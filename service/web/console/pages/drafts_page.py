"""The page that lists drafts of incidents: one's own, and those that alerts made for every analyst."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.errors import VersionMismatchError
from notifications.use_cases.audit_context import AuditContext
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.drafts.drafts import discard_draft, require_draft
from service.ports.store import AccessTransaction
from service.web.api.requests import ApiContext, Context
from service.web.console.draft_listing import listed_drafts
from service.web.console.failures import PageRoute
from service.web.console.forms import form_of, see_other
from service.web.console.rendering import page, reader_language

router = APIRouter(prefix="/drafts", route_class=PageRoute, include_in_schema=False)

MayDeclare = Annotated[Access, Depends(Requires(Permission.INCIDENT_DECLARE))]

_CONFLICT = 409


@router.get("")
async def drafts(request: Request, context: Context, access: MayDeclare, discarded: str = "") -> Response:
    """Show the drafts."""
    return await _shown(request, context, access, said="discarded" if discarded == "1" else "")


@router.post("/{draft_id}/discard")
async def discard(request: Request, context: Context, access: MayDeclare, draft_id: UUID) -> Response:
    """Erase a draft; one that somebody changed since the list was shown stays."""
    version = (await form_of(request))["version"]

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        draft = require_draft(tx, draft_id, access.caller.account_id)
        if str(draft.version) != version:
            raise VersionMismatchError("draft", draft_id, 0, draft.version)
        discard_draft(tx, act, context.secret_box, draft)

    try:
        await access.write(work)
    except VersionMismatchError:
        return await _shown(request, context, access, said="changed", status=_CONFLICT)
    return see_other("/drafts?discarded=1")


async def _shown(
    request: Request, context: ApiContext, access: Access, *, said: str = "", status: int = 200
) -> Response:
    language = reader_language(request, access.caller)
    account_id = access.caller.account_id
    found = await access.read(lambda tx: listed_drafts(tx, context.secret_box, account_id, language))
    return page(request, "drafts", access.caller, {"drafts": found, "said": said}, status=status)
