"""The page of an erasure certificate. It is open to everybody who knows the pseudonym: the customer has no account."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from service.auth.route_guard import open_to_strangers
from service.web.api.customers.erasures import PARTS, Pseudonym, existing_erasure
from service.web.api.requests import Context
from service.web.console.failures import PageRoute
from service.web.console.rendering import page

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(open_to_strangers)])


@router.get("/erasures/{pseudonym}")
async def erasure_page(request: Request, context: Context, pseudonym: Pseudonym) -> Response:
    """Show what was erased and when, with links to the certificate; 404 if nothing was erased."""
    erasure = await context.unit_of_work.read(lambda tx: existing_erasure(tx, pseudonym))
    caller = await request.app.state.authenticator.known(request)
    return page(request, "erasure", caller, {"erasure": erasure, "parts": list(PARTS)})
