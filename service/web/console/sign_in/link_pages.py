"""Pages behind links that carry their own secret. Opening a page changes nothing, because mail scanners open links."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from notifications.errors import InvalidInputError
from notifications.use_cases.audit_context import AuditContext
from service.auth.route_guard import open_to_strangers
from service.auth.sign_in.links import LinkVoidError
from service.auth.sign_in.password_links import PasswordLinks
from service.web.console.failures import PageRoute, error_page
from service.web.console.forms import (
    browser_of,
    form_of,
    give_device,
    see_other,
    verify_not_another_site,
    verify_our_page,
)
from service.web.console.rendering import page, provider_of
from service.web.console.sign_in.address_confirmation import confirm_address, contact_of
from service.web.console.sign_in.reset_mail import reset_mail

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(open_to_strangers)])

Secret = Annotated[str, Path(max_length=200)]

_GONE = 410
_UNPROCESSABLE = 422
_ACTOR = "system:console"


def _password_links(request: Request) -> PasswordLinks:
    links: PasswordLinks = request.app.state.password_links
    return links


async def _void(request: Request) -> Response:
    return await error_page(request, _GONE, "link_void")


@router.get("/reset")
async def ask_reset(request: Request) -> Response:
    """Show the form for the mail address of a person who lost the password."""
    return page(request, "ask_reset", None)


@router.post("/reset")
async def request_reset(request: Request) -> Response:
    """Queue the mail with the link. The answer is the same for every address."""
    verify_our_page(request)
    email = (await form_of(request))["email"].strip()
    provider = provider_of(request)
    await _password_links(request).request_reset(
        email, browser_of(request), lambda act, account, secret: reset_mail(act, account, secret, provider)
    )
    return see_other("/reset-asked")


@router.get("/reset-asked")
async def reset_asked(request: Request) -> Response:
    """Say that the mail is on its way if the account exists."""
    return page(request, "message", None, {"name": "ask_reset", "way_on": "/sign-in"})


@router.get("/invitation/{secret}")
async def invitation(request: Request, secret: Secret) -> Response:
    """Show the name of the invited person, and ask for a password."""
    return await _show_password(request, "invitation", secret)


@router.post("/invitation/{secret}")
async def accept_invitation(request: Request, secret: Secret) -> Response:
    """Set the first password."""
    return await _set_password(request, "invitation", secret)


@router.get("/reset/{secret}")
async def reset(request: Request, secret: Secret) -> Response:
    """Show the name of the account, and ask for a new password."""
    return await _show_password(request, "reset", secret)


@router.post("/reset/{secret}")
async def accept_reset(request: Request, secret: Secret) -> Response:
    """Set the new password."""
    return await _set_password(request, "reset", secret)


async def _show_password(request: Request, purpose: str, secret: str, *, error: str = "") -> Response:
    try:
        account = await _password_links(request).account_of(secret)
    except LinkVoidError:
        return await _void(request)
    values = {"purpose": purpose, "account": account, "error": error}
    status = _UNPROCESSABLE if error else 200
    return page(request, "set_password", None, values, status=status, secret_in_path=True)


async def _set_password(request: Request, purpose: str, secret: str) -> Response:
    """Set the password. The person then signs in with it, and enrols a second factor."""
    verify_not_another_site(request)
    form = await form_of(request)
    if form["password"] != form["repeated"]:
        return await _show_password(request, purpose, secret, error="unequal")
    try:
        done = await _password_links(request).accept(secret, form["password"], browser_of(request))
    except InvalidInputError:
        return await _show_password(request, purpose, secret, error="refused")
    except LinkVoidError:
        return await _void(request)
    answer = see_other("/sign-in?again=1&notice=password_set&return_to=%2Faccount")
    give_device(answer, done.device)
    return answer


@router.get("/confirm-address/{secret}")
async def show_address(request: Request, secret: Secret) -> Response:
    """Show the mail address that the link confirms."""
    context = request.app.state.api_context
    now = context.clock.now()
    try:
        contact = await context.unit_of_work.read(lambda tx: contact_of(tx, secret, now))
    except LinkVoidError:
        return await _void(request)
    return page(request, "confirm_address", None, {"email": contact.email}, secret_in_path=True)


@router.post("/confirm-address/{secret}")
async def confirm(request: Request, secret: Secret) -> Response:
    """Confirm the address."""
    verify_not_another_site(request)
    context = request.app.state.api_context
    act = AuditContext(_ACTOR, context.clock.now(), context.identifiers)
    try:
        await context.unit_of_work.write(lambda tx: confirm_address(tx, act, secret))
    except LinkVoidError:
        return await _void(request)
    return see_other("/address-confirmed")


@router.get("/address-confirmed")
async def address_confirmed(request: Request) -> Response:
    """Say that the address is confirmed. The address of this page contains no secret."""
    return page(request, "message", None, {"name": "confirm_address", "way_on": ""})
