"""The page that lists drafts: one's own, and those that alerts made for every analyst.

A person who may declare incidents has it under ``/drafts``, one who may declare announcements under
``/announcements/drafts``; each lists every draft that the reader may work on.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.errors import VersionMismatchError
from notifications.use_cases.audit_context import AuditContext
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.drafts.drafts import discard_draft, require_draft
from service.ports.drafts import DraftKind
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.requests import Context
from service.web.console.draft_listing import FORM_PATHS, LIST_PATHS, drafts_for
from service.web.console.failures import PageRoute
from service.web.console.forms import form_of, see_other
from service.web.console.rendering import page, reader_language

router = APIRouter(prefix=LIST_PATHS[DraftKind.INCIDENT], route_class=PageRoute, include_in_schema=False)
of_announcements = APIRouter(prefix=LIST_PATHS[DraftKind.ANNOUNCEMENT], route_class=PageRoute, include_in_schema=False)

MayDeclare = Annotated[Access, Depends(Requires(Permission.INCIDENT_DECLARE))]
MayAnnounce = Annotated[Access, Depends(Requires(Permission.ANNOUNCEMENT_CHANGE))]

_CONFLICT = 409


@router.get("")
async def drafts(request: Request, context: Context, access: MayDeclare, discarded: str = "") -> Response:
    """Show the drafts."""
    said = "discarded" if discarded == "1" else ""
    return await _shown(request, context, access, DraftKind.INCIDENT, said=said)


@of_announcements.get("")
async def announcement_drafts(request: Request, context: Context, access: MayAnnounce, discarded: str = "") -> Response:
    """Show the drafts."""
    said = "discarded" if discarded == "1" else ""
    return await _shown(request, context, access, DraftKind.ANNOUNCEMENT, said=said)


@router.post("/{draft_id}/discard")
async def discard(request: Request, context: Context, access: MayDeclare, draft_id: UUID) -> Response:
    """Erase a draft of an incident; one that somebody changed since the list was shown stays."""
    return await _discarded(request, context, access, draft_id, DraftKind.INCIDENT)


@of_announcements.post("/{draft_id}/discard")
async def discard_announcement(request: Request, context: Context, access: MayAnnounce, draft_id: UUID) -> Response:
    """Erase a draft of an announcement; one that somebody changed since the list was shown stays."""
    return await _discarded(request, context, access, draft_id, DraftKind.ANNOUNCEMENT)


async def _discarded(
    request: Request, context: ApiContext, access: Access, draft_id: UUID, kind: DraftKind
) -> Response:
    version = (await form_of(request))["version"]

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        draft = require_draft(tx, draft_id, access.caller.account_id, kind)
        if str(draft.version) != version:
            raise VersionMismatchError("draft", draft_id, 0, draft.version)
        discard_draft(tx, act, context.secret_box, draft)

    try:
        await access.write(work)
    except VersionMismatchError:
        return await _shown(request, context, access, kind, said="changed", status=_CONFLICT)
    return see_other(f"{LIST_PATHS[kind]}?discarded=1")


async def _shown(
    request: Request, context: ApiContext, access: Access, kind: DraftKind, *, said: str = "", status: int = 200
) -> Response:
    found = await drafts_for(access, context.secret_box, reader_language(request, access.caller))
    values = {"drafts": found, "said": said, "kind": kind.value, "form_path": FORM_PATHS[kind]}
    return page(request, "drafts", access.caller, values, status=status)
