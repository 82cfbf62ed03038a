"""Sign-in through the organisation's OpenID provider: the redirect to the provider, and the callback."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.responses import Response

from service.auth.oidc.flow import OidcSignIn
from service.auth.oidc.refusal import OidcRefusedError
from service.auth.route_guard import open_to_strangers
from service.auth.sign_in.sessions import PENDING_COOKIE
from service.web.console.failures import PageRoute
from service.web.console.forms import browser_of, give_cookie, give_session, local_path, see_other
from service.web.console.parts import CALLBACK_PATH

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(open_to_strangers)])

#: Reasons for which a person can do something, with the names of their words on the sign-in page.
_WORDS = {
    "no_role": "oidc_no_role",
    "address_taken": "oidc_address_taken",
    "account_unknown": "oidc_no_account",
    "account_inactive": "oidc_no_account",
    "address_unproven": "oidc_address_unproven",
    "address_malformed": "oidc_address_unproven",
    "callback_not_begun_here": "over",
    "callback_replayed": "over",
    "provider_unreachable": "oidc_unavailable",
    "provider_failed": "oidc_unavailable",
}
_NOT_FOUND = 404


def _oidc_of(request: Request) -> OidcSignIn:
    oidc: OidcSignIn | None = request.app.state.oidc
    if oidc is None:
        raise HTTPException(_NOT_FOUND, "no OpenID provider is set")
    return oidc


@router.get("/sign-in/oidc")
async def leave(request: Request, return_to: Annotated[str, Query(max_length=600)] = "/") -> Response:
    """Redirect the browser to the OpenID provider."""
    try:
        url, secret = await _oidc_of(request).begin(local_path(return_to), browser_of(request))
    except OidcRefusedError as refusal:
        return _refused(refusal)
    answer = see_other(url)
    answer.headers["Cache-Control"] = "no-store"
    give_cookie(answer, PENDING_COOKIE, secret)
    return answer


@router.get(CALLBACK_PATH)
async def come_back(request: Request) -> Response:
    """Process the provider's answer. The address of this page contains the code, so it is never sent as a referrer."""
    pending = request.cookies.get(PENDING_COOKIE, "")
    parameters = request.query_params.multi_items()
    try:
        signed_in, way_on = await _oidc_of(request).finish(parameters, pending, browser_of(request))
    except OidcRefusedError as refusal:
        return _refused(refusal)
    answer = see_other(local_path(way_on))
    give_session(answer, signed_in)
    return _without_referrer(answer)


def _refused(refusal: OidcRefusedError) -> Response:
    """Redirect to the sign-in page with a reason code of this service. Nothing of the URL is repeated."""
    return _without_referrer(see_other(f"/sign-in?notice={_WORDS.get(refusal.reason, 'oidc_refused')}"))


def _without_referrer(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
