"""Sign-in and sign-out in a browser, step by step. Only passkeys need a script."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from service.auth.authentication import SESSION_COOKIE
from service.auth.route_guard import open_to_strangers
from service.auth.sign_in.pending_sign_in import SignInOverError
from service.auth.sign_in.sessions import PENDING_COOKIE, SignedIn
from service.auth.sign_in.sign_in import SecondFactorWanted, SignInRefusedError
from service.web.console.failures import PageRoute
from service.web.console.forms import (
    browser_of,
    form_of,
    give_cookie,
    give_session,
    local_path,
    see_other,
    take_cookie,
    verify_our_page,
)
from service.web.console.rendering import page
from service.web.console.sign_in.account_page import Person, sign_in_of
from service.web.console.sign_in.demo_offer import demo_offer

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(open_to_strangers)])
leaving = APIRouter(route_class=PageRoute, include_in_schema=False)

_REFUSED = 401
_NOTICES = frozenset({
    "signed_out", "password_set", "over", "oidc_no_role", "oidc_address_taken", "oidc_no_account",
    "oidc_address_unproven", "oidc_unavailable", "oidc_refused",
})  # fmt: skip
#: Ways to give a second factor; the page keeps the chosen one for the next try.
_WAYS = ("totp", "passkey", "recovery_code")

ReturnTo = Annotated[str, Query(max_length=600)]


@router.get("/sign-in")
async def ask(
    request: Request,
    return_to: ReturnTo = "/",
    notice: Annotated[str, Query(max_length=40)] = "",
    again: Annotated[str, Query(max_length=1)] = "",
) -> Response:
    """Show the sign-in page. A person who is signed in is redirected, unless the person must sign in again."""
    way_on = local_path(return_to)
    caller = await request.app.state.authenticator.known(request)
    if caller is not None and caller.session_id is not None and not again:
        return see_other(way_on)
    shown = notice if notice in _NOTICES else "again" if again else ""
    return _asked(request, way_on, notice=shown)


def _asked(request: Request, way_on: str, *, notice: str = "", error: str = "", email: str = "") -> Response:
    values = {
        "return_to": way_on,
        "notice": notice,
        "error": error,
        "email": email,
        "reset_offered": True,
        "oidc_enabled": request.app.state.oidc is not None,
        "demo": demo_offer(request),
    }
    return page(request, "sign_in", None, values, status=_REFUSED if error else 200)


@router.post("/sign-in")
async def with_password(request: Request) -> Response:
    """Check address and password. The answer to a wrong password is the same for every account."""
    verify_our_page(request)
    form = await form_of(request)
    way_on = local_path(form["return_to"])
    email = form["email"].strip()
    try:
        outcome = await sign_in_of(request).with_password(email, form["password"], browser_of(request))
    except SignInRefusedError:
        return _asked(request, way_on, error="refused", email=email[:254])
    if isinstance(outcome, SignedIn):
        return _signed_in(outcome, way_on)
    answer = see_other(f"/sign-in/second-factor?ways={_offered(outcome)}&return_to={quote(way_on, safe='')}")
    give_cookie(answer, PENDING_COOKIE, outcome.pending_secret)
    return answer


def _offered(wanted: SecondFactorWanted) -> str:
    return ".".join(way for way in _WAYS if getattr(wanted, way))


@router.get("/sign-in/second-factor")
async def ask_second(
    request: Request, ways: Annotated[str, Query(max_length=60)] = "", return_to: ReturnTo = "/"
) -> Response:
    """Show the second step, only to the browser that passed the first step."""
    if not request.cookies.get(PENDING_COOKIE):
        return see_other("/sign-in?notice=over")
    return _asked_second(request, ways, local_path(return_to))


def _asked_second(request: Request, ways: str, way_on: str, *, error: str = "") -> Response:
    offered = [way for way in _WAYS if way in ways.split(".")] or ["totp", "recovery_code"]
    values = {way: way in offered for way in _WAYS}
    shown = {"offered": ".".join(offered), "return_to": way_on, "error": error}
    return page(request, "second_factor", None, values | shown, status=_REFUSED if error else 200)


@router.post("/sign-in/second-factor")
async def with_code(request: Request) -> Response:
    """Check a code. After a wrong code the person may try again while the pending sign-in is valid."""
    verify_our_page(request)
    form = await form_of(request)
    way_on = local_path(form["return_to"])
    pending = request.cookies.get(PENDING_COOKIE, "")
    try:
        signed_in = await sign_in_of(request).with_code(pending, form["code"].strip(), browser_of(request))
    except SignInRefusedError:
        return _asked_second(request, form["offered"][:60], way_on, error="refused")
    except SignInOverError:
        return _over()
    return _signed_in(signed_in, way_on)


@router.post("/sign-in/passkey/options")
async def passkey_options(request: Request, second: Annotated[str, Query(max_length=1)] = "") -> Response:
    """Return the options for ``navigator.credentials.get``, and bind the sign-in to this browser."""
    verify_our_page(request)
    pending = request.cookies.get(PENDING_COOKIE, "") if second else None
    try:
        options, secret = await sign_in_of(request).passkey_options(browser_of(request), pending)
    except SignInOverError:
        return Response(status_code=_REFUSED)
    answer = Response(options, media_type="application/json")
    give_cookie(answer, PENDING_COOKIE, secret)
    return answer


@router.post("/sign-in/passkey")
async def with_passkey(request: Request) -> Response:
    """Check the signature of the browser's authenticator."""
    verify_our_page(request)
    form = await form_of(request)
    way_on = local_path(form["return_to"])
    pending = request.cookies.get(PENDING_COOKIE, "")
    try:
        signed_in = await sign_in_of(request).with_passkey(pending, form["credential"], browser_of(request))
    except SignInRefusedError:
        return _asked(request, way_on, error="passkey_refused")
    except SignInOverError:
        return _over()
    return _signed_in(signed_in, way_on)


def _signed_in(signed_in: SignedIn, way_on: str) -> Response:
    answer = see_other("/account" if signed_in.must_enrol else way_on)
    give_session(answer, signed_in)
    return answer


def _over() -> Response:
    answer = see_other("/sign-in?notice=over")
    take_cookie(answer, PENDING_COOKIE)
    return answer


@leaving.post("/sign-out")
async def sign_out(request: Request, access: Person) -> Response:
    """End this session."""
    if access.caller.session_id is not None:
        await sign_in_of(request).sign_out(access.caller.account_id, access.caller.session_id)
    answer = see_other("/sign-in?notice=signed_out")
    take_cookie(answer, SESSION_COOKIE)
    return answer
