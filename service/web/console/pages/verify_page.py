"""The page that verifies a proof of the log in the reader's browser. The proof is not sent to this service."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from service.auth.route_guard import open_to_strangers
from service.web.console.failures import PageRoute
from service.web.console.rendering import page

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(open_to_strangers)])


@router.get("/verify")
async def verify_page(request: Request) -> Response:
    """Show the form, and the equivalent commands. The page shows no data of this service."""
    return page(request, "verify", await request.app.state.authenticator.known(request))
