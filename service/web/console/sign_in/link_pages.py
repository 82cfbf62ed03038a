"""Pages behind links that carry their own secret. Looking at one changes nothing: mail scanners open links."""

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
    """Ask for the address of whoever lost its password."""
    return page(request, "ask_reset", None)


@router.post("/reset")
async def request_reset(request: Request) -> Response:
    """Queue the mail with the link; the answer is the same for whatever address."""
    verify_our_page(request)
    email = (await form_of(request))["email"].strip()
    provider = provider_of(request)
    await _password_links(request).request_reset(
        email, browser_of(request), lambda act, account, secret: reset_mail(act, account, secret, provider)
    )
    return see_other("/reset-asked")


@router.get("/reset-asked")
async def reset_asked(request: Request) -> Response:
    """Say what comes next."""
    return page(request, "message", None, {"name": "ask_reset", "way_on": "/sign-in"})


@router.get("/invitation/{secret}")
async def invitation(request: Request, secret: Secret) -> Response:
    """Show whom the invitation is for, and ask for a password."""
    return await _show_password(request, "invitation", secret)


@router.post("/invitation/{secret}")
async def accept_invitation(request: Request, secret: Secret) -> Response:
    """Set the first password."""
    return await _set_password(request, "invitation", secret)


@router.get("/reset/{secret}")
async def reset(request: Request, secret: Secret) -> Response:
    """Show whose password is reset, and ask for a new one."""
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
    """Set the password; the person signs in with it next, and is led to enrolment from there."""
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
    """Show the address that the link confirms."""
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
    """Say that it is done; the address of this page holds no secret."""
    return page(request, "message", None, {"name": "confirm_address", "way_on": ""})
