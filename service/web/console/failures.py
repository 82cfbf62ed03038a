"""Error pages in the reader's language. A client that does not ask for HTML gets the problem of the API."""

import math
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote, urlencode

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notifications.errors import GreffierError, InvalidInputError
from service.auth.authentication import CsrfError
from service.auth.rate_limits import TooManyRequestsError
from service.auth.refusals import ForbiddenError, UnauthenticatedError
from service.auth.sign_in.sign_in import SignInAgainError
from service.web.api.errors import PROBLEMS, path_to_log
from service.web.console.catalogues import has_text
from service.web.console.rendering import page

_log = structlog.get_logger(__name__)
_SEE_OTHER = 303
_SERVER_ERROR = 500
_SAFE_METHODS = frozenset({"GET", "HEAD"})
#: Forms whose words are kept as a draft.
_DECLARING = ("/incidents/new", "/announcements/new")
_FAILURES = (
    UnauthenticatedError,
    SignInAgainError,
    ForbiddenError,
    CsrfError,
    TooManyRequestsError,
    RequestValidationError,
    HTTPException,
    GreffierError,
)


class PageRoute(APIRoute):
    """A route that answers errors with a page if the client asks for HTML."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler that also answers errors."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except _FAILURES as error:
                if not wants_html(request):
                    raise
                return await failure_page(request, error)

        return handled


def wants_html(request: Request) -> bool:
    """Whether a person sees the answer: a browser that opens a page accepts HTML."""
    return "text/html" in request.headers.get("accept", "")


async def failure_page(request: Request, error: Exception) -> Response:
    """Return the page for an error. The page repeats nothing of the request."""
    if isinstance(error, UnauthenticatedError):
        return RedirectResponse(f"/sign-in?return_to={quote(_way_back(request), safe='')}", _SEE_OTHER)
    if isinstance(error, SignInAgainError):
        return RedirectResponse(f"/sign-in?again=1&return_to={quote(_way_back(request), safe='')}", _SEE_OTHER)
    status, headers = 422, {}
    if isinstance(error, ForbiddenError):
        status, name = 403, "forbidden"
    elif isinstance(error, CsrfError):
        _log.warning("request.forged", path=path_to_log(request), reason=str(error))
        status, name = 403, "forged"
    elif isinstance(error, TooManyRequestsError):
        status, name = 429, "too_many"
        headers = {"Retry-After": str(math.ceil(error.retry_after_seconds))}
    elif isinstance(error, HTTPException):
        status, name = error.status_code, "not_found" if error.status_code == 404 else "malformed"  # noqa: PLR2004 - HTTP
        headers = dict(error.headers or {})
    elif isinstance(error, RequestValidationError):
        # Only paths are parsed before the code of a page runs, so a malformed identifier means: not found.
        status, name = 404, "not_found"
    else:
        status, name = _of_domain(error)
        if status >= _SERVER_ERROR:
            _log.error("request.failed", path=path_to_log(request), reason=str(error))
    return await error_page(request, status, name, headers)


async def error_page(request: Request, status: int, name: str, headers: dict[str, str] | None = None) -> Response:
    """Return the page with the words of this name."""
    caller = await request.app.state.authenticator.known(request)
    reasons = {"retry_after": (headers or {}).get("Retry-After", "")}
    return page(
        request,
        "failure",
        caller,
        {"name": name, "status": status, **reasons},
        status=status,
        headers=headers,
        secret_in_path=True,
    )


def _of_domain(error: Exception) -> tuple[int, str]:
    """Return the status and the name of the words for a domain error, from the table of the API."""
    for kind in type(error).__mro__:
        if kind in PROBLEMS:
            status, slug, _ = PROBLEMS[kind]
            name = slug.replace("-", "_")
            return status, name if has_text(f"failure.{name}.title", "en") else "unavailable"
    raise error


def _way_back(request: Request) -> str:
    """Return the path to open after sign-in: the requested page, or the page that contains the form."""
    declares = next((path for path in _DECLARING if request.url.path.startswith(path)), "")
    if request.method not in _SAFE_METHODS and declares:
        # What was saved of the draft is there after the sign-in.
        kept = {name: said for name in ("draft", "kind") if (said := request.query_params.get(name))}
        return f"{declares}?{urlencode(kept)}" if kept else declares
    if request.method not in _SAFE_METHODS:
        return "/account" if request.url.path.startswith("/account") else "/"
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}"


def invalid_fields(error: InvalidInputError) -> set[str]:
    """Return the names of the invalid fields."""
    return {fault.field.partition(".")[0] for fault in error.faults}
