"""Forms for the caller's own credentials: password, passkeys, authenticator app, recovery codes."""

from collections.abc import Awaitable
from typing import Annotated
from uuid import UUID

import segno
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from notifications.errors import Fault, InvalidInputError, StateConflictError
from service.auth.route_guard import Access
from service.auth.sign_in.sessions import SignedIn
from service.web.console.failures import PageRoute, invalid_fields
from service.web.console.forms import Form, browser_of, form_of, give_session, see_other
from service.web.console.rendering import page
from service.web.console.sign_in.account_page import Person, account_page, own_credentials

router = APIRouter(prefix="/account", route_class=PageRoute, include_in_schema=False)

_UNPROCESSABLE = 422


@router.get("")
async def show(request: Request, access: Person, done: Annotated[str, Query(max_length=40)] = "") -> Response:
    """Show the caller's own account."""
    return await account_page(request, access, done=done)


async def _changed(request: Request, access: Access, change: Awaitable[SignedIn | None], done: str) -> Response:
    """Make a change and show the account again, with the new session or with the problems."""
    try:
        signed_in = await change
    except (InvalidInputError, StateConflictError) as error:
        return await account_page(request, access, error=error, status=_UNPROCESSABLE)
    answer = see_other(f"/account?done={done}")
    if signed_in is not None:
        give_session(answer, signed_in)
    return answer


@router.post("/password")
async def change_password(request: Request, access: Person) -> Response:
    """Change the password. Every other session of the account ends."""
    form = await form_of(request)
    return await _changed(request, access, _password(request, access, form), "password")


async def _password(request: Request, access: Access, form: Form) -> SignedIn:
    if form["new"] != form["repeated"]:
        raise InvalidInputError(Fault("unequal", "the two entries differ"))
    credentials = own_credentials(request)
    return await credentials.change_password(access.caller, form["old"], form["new"], browser_of(request))


@router.post("/totp")
async def begin_totp(request: Request, access: Person) -> Response:
    """Show a new seed, only this once, as text and as a QR code that this service draws."""
    enrolment = await own_credentials(request).begin_totp(access.caller)
    code = segno.make(enrolment.uri, micro=False)
    values = {
        "uri": enrolment.uri,
        "secret": enrolment.secret,
        "qr": code.svg_data_uri(scale=4, border=2, dark="#000000", light="#ffffff"),
    }
    return page(request, "totp", access.caller, values)


@router.post("/totp/confirm")
async def confirm_totp(request: Request, access: Person) -> Response:
    """Enrol the authenticator app with one of its codes. After a wrong code the person may try again."""
    code = (await form_of(request))["code"]
    try:
        signed_in = await own_credentials(request).confirm_totp(access.caller, code, browser_of(request))
    except InvalidInputError as error:
        if invalid_fields(error) != {"code"}:
            raise
        return page(request, "totp_code", access.caller, status=_UNPROCESSABLE)
    except StateConflictError as error:
        return await account_page(request, access, error=error, status=_UNPROCESSABLE)
    answer = see_other("/account?done=totp")
    give_session(answer, signed_in)
    return answer


@router.post("/totp/remove")
async def remove_totp(request: Request, access: Person) -> Response:
    """Remove the authenticator app."""
    change = own_credentials(request).remove_totp(access.caller, browser_of(request))
    return await _changed(request, access, change, "totp_removed")


@router.post("/passkeys/options")
async def passkey_options(request: Request, access: Person) -> Response:
    """Return the options for ``navigator.credentials.create``."""
    options = await own_credentials(request).passkey_enrolment_options(access.caller)
    return Response(options, media_type="application/json")


@router.post("/passkeys")
async def add_passkey(request: Request, access: Person) -> Response:
    """Add a passkey from the answer of the browser."""
    form = await form_of(request)
    change = own_credentials(request).add_passkey(access.caller, form["credential"], form["name"], browser_of(request))
    return await _changed(request, access, change, "passkey")


@router.post("/passkeys/{passkey_id}/name")
async def rename_passkey(request: Request, access: Person, passkey_id: UUID) -> Response:
    """Rename a passkey."""
    form = await form_of(request)
    change = own_credentials(request).rename_passkey(access.caller, passkey_id, form["name"])
    return await _changed(request, access, change, "passkey_named")


@router.post("/passkeys/{passkey_id}/remove")
async def remove_passkey(request: Request, access: Person, passkey_id: UUID) -> Response:
    """Remove a passkey."""
    change = own_credentials(request).remove_passkey(access.caller, passkey_id, browser_of(request))
    return await _changed(request, access, change, "passkey_removed")


@router.post("/recovery-codes")
async def new_recovery_codes(request: Request, access: Person) -> Response:
    """Show new recovery codes, only this once."""
    codes = await own_credentials(request).new_recovery_codes(access.caller)
    return page(request, "shown_once", access.caller, {"name": "recovery_codes", "secrets": codes})
