"""The first page of the administration: what there is, and what each part is for."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.web.console.failures import PageRoute
from service.web.console.rendering import page

router = APIRouter(prefix="/administration", route_class=PageRoute, include_in_schema=False)

#: Each part with the permission of its page.
_PARTS = (
    ("accounts", Permission.ACCOUNT_READ),
    ("alerts", Permission.ATTENTION_READ),
    ("health", Permission.METRICS_READ),
    ("keys", Permission.KEY_READ),
    ("settings", Permission.SETTING_READ),
)


@router.get("")
async def index(request: Request, access: Annotated[Access, Depends(Requires(Permission.SETTING_READ))]) -> Response:
    """Show the parts that the reader may open."""
    parts = [name for name, permission in _PARTS if access.may(permission)]
    return page(request, "administration", access.caller, {"parts_shown": parts})
