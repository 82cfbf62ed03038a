"""The page that verifies a proof of the log in the reader's browser: what it is given never comes here."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from service.auth.route_guard import open_to_strangers
from service.web.console.failures import PageRoute
from service.web.console.rendering import page

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(open_to_strangers)])


@router.get("/verify")
async def verify_page(request: Request) -> Response:
    """Show the form, and the commands for whoever takes those; it names nobody and nothing of this service's data."""
    return page(request, "verify", await request.app.state.authenticator.known(request))
