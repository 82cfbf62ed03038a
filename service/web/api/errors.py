"""One table maps domain errors to RFC 9457 problems. No other module knows the status of an error."""

import json
import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from notifications.errors import (
    AgreementError,
    Fault,
    GreffierError,
    IdempotencyMismatchError,
    InvalidInputError,
    LogUnavailableError,
    NotFoundError,
    PdfUnavailableError,
    SealingUnavailableError,
    StateConflictError,
    StoreUnavailableError,
    TimestampUnavailableError,
    VersionMismatchError,
)
from service.auth.authentication import CsrfError
from service.auth.rate_limits import TooManyRequestsError
from service.auth.refusals import ForbiddenError, UnauthenticatedError

_log = structlog.get_logger(__name__)

#: error type -> (status, slug of the problem type, title)
PROBLEMS: dict[type[GreffierError], tuple[int, str, str]] = {
    InvalidInputError: (422, "invalid-input", "The input breaks a rule"),
    NotFoundError: (404, "not-found", "There is no such object"),
    StateConflictError: (409, "state-conflict", "The object's state does not allow this"),
    VersionMismatchError: (412, "version-mismatch", "The object changed since it was read"),
    IdempotencyMismatchError: (422, "idempotency-mismatch", "The idempotency key was used with another request"),
    SealingUnavailableError: (503, "sealing-unavailable", "Notices cannot be signed now"),
    TimestampUnavailableError: (503, "timestamp-unavailable", "No timestamp is to be had now"),
    PdfUnavailableError: (501, "pdf-unavailable", "This installation makes no PDFs"),
    LogUnavailableError: (503, "log-unavailable", "The audit log gives no proof now"),
    StoreUnavailableError: (503, "store-unavailable", "Nothing can be stored or read now"),
    AgreementError: (500, "agreement-unusable", "An agreement file is not usable"),
}

#: The reason of the engine may name hosts and files, so it is only logged.
_STORE_AWAY = (
    "Try again later, with an Idempotency-Key: unless the connection was lost at the very end, nothing of it was done."
)
_STATUS_SLUGS = {
    400: ("malformed-request", "The request is not well formed"),
    401: ("unauthenticated", "A valid bearer token or session is required"),
    403: ("forbidden", "Your roles do not allow this"),
    404: ("not-found", "There is no such object"),
    405: ("method-not-allowed", "The resource does not take this method"),
    413: ("content-too-large", "The body is larger than this service takes"),
    415: ("unsupported-media-type", "The body must be application/json"),
    428: ("precondition-required", "If-Match is required for this change"),
    429: ("too-many-requests", "Too many requests"),
    503: ("busy", "The service is busy"),
}


class HttpProblemError(Exception):
    """A problem of HTTP itself, for example a missing header; never of a rule of the domain."""

    def __init__(self, status: int, detail: str, faults: Sequence[Fault] = ()) -> None:
        self.status, self.detail, self.faults = status, detail, faults
        super().__init__(detail)


def problem_response(
    *,
    status: int,
    slug: str,
    title: str,
    detail: str,
    instance: str,
    faults: Sequence[Fault] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Return ``application/problem+json`` (RFC 9457) with the faulty fields and the reasons as ``errors``."""
    body: dict[str, Any] = {
        "type": f"urn:greffier:problem:{slug}",
        "title": title,
        "status": status,
        "detail": _printable(detail),
        "instance": instance,
    }
    if faults:
        body["errors"] = [{"field": _printable(fault.field), "reason": _printable(fault.reason)} for fault in faults]
    # With ASCII escapes the answer is always valid UTF-8, even if the request was not.
    return Response(json.dumps(body), status, headers, media_type="application/problem+json")


def _printable(text: str) -> str:
    """Return the text with visible escapes for control characters and lone surrogates, safe for logs and terminals."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)[:2000]


def path_to_log(request: Request) -> str:
    """Return the path for a log, without the secret of a link."""
    path = request.url.path
    for name in ("secret", "token"):
        if value := request.path_params.get(name):
            path = path.replace(str(value), f"{{{name}}}")
    return path


def status_problem(
    status: int, detail: str, instance: str, faults: Sequence[Fault] = (), headers: dict[str, str] | None = None
) -> Response:
    """Return the problem for an HTTP status without a domain error."""
    slug, title = _STATUS_SLUGS.get(status, ("http-error", "The request failed"))
    return problem_response(
        status=status, slug=slug, title=title, detail=detail, instance=instance, faults=faults, headers=headers
    )


def unauthenticated_problem(error: UnauthenticatedError, instance: str) -> Response:
    """Return the problem of a request without a valid credential."""
    return status_problem(401, str(error), instance, headers={"WWW-Authenticate": 'Bearer realm="greffier"'})


def too_many_problem(error: TooManyRequestsError, instance: str) -> Response:
    """Return the problem of a request above the rate limit."""
    return status_problem(429, str(error), instance, headers={"Retry-After": str(math.ceil(error.retry_after_seconds))})


def install_error_handlers(app: FastAPI) -> None:
    """Map every error to a problem. Other errors are defects: 500, logged completely, answered without details."""

    @app.exception_handler(GreffierError)
    async def domain_error(request: Request, error: GreffierError) -> Response:
        for kind in type(error).__mro__:
            if kind in PROBLEMS:
                status, slug, title = PROBLEMS[kind]
                break
        else:
            return await defect(request, error)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("request.failed", path=path_to_log(request), problem=slug, reason=str(error))
        faults = error.faults if isinstance(error, InvalidInputError) else ()
        detail = _STORE_AWAY if isinstance(error, StoreUnavailableError) else str(error)
        return problem_response(
            status=status, slug=slug, title=title, detail=detail, instance=request.url.path, faults=faults
        )

    @app.exception_handler(HttpProblemError)
    async def http_problem(request: Request, error: HttpProblemError) -> Response:
        return status_problem(error.status, error.detail, request.url.path, error.faults)

    @app.exception_handler(UnauthenticatedError)
    async def unauthenticated(request: Request, error: UnauthenticatedError) -> Response:
        return unauthenticated_problem(error, request.url.path)

    @app.exception_handler(ForbiddenError)
    async def forbidden(request: Request, error: ForbiddenError) -> Response:
        return status_problem(403, str(error), request.url.path)

    @app.exception_handler(CsrfError)
    async def forged(request: Request, error: CsrfError) -> Response:
        _log.warning("request.forged", path=path_to_log(request), reason=str(error))
        return status_problem(403, str(error), request.url.path)

    @app.exception_handler(TooManyRequestsError)
    async def too_many(request: Request, error: TooManyRequestsError) -> Response:
        return too_many_problem(error, request.url.path)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        return status_problem(error.status_code, str(error.detail), request.url.path, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> Response:
        faults = [_fault(item) for item in error.errors()]
        malformed = any(item.get("type") == "json_invalid" for item in error.errors())
        if malformed:
            return status_problem(400, "the body is not valid JSON", request.url.path, faults)
        status, slug, title = PROBLEMS[InvalidInputError]
        detail = "; ".join(f"{fault.field}: {fault.reason}" for fault in faults[:5])
        return problem_response(
            status=status, slug=slug, title=title, detail=detail, instance=request.url.path, faults=faults
        )

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> Response:
        _log.error("request.crashed", path=path_to_log(request), exc_info=error)
        return problem_response(
            status=500,
            slug="internal-error",
            title="This is a defect of the service",
            detail="the request was not carried out; the defect is in the service's log",
            instance=request.url.path,
        )


def _fault(item: dict[str, Any]) -> Fault:
    """Return an error of pydantic as a fault. The fault never repeats the input."""
    path = [str(part) for part in item.get("loc", ()) if part not in {"body", "query", "path", "header"}]
    # pydantic's path contains type names of union members, which mean nothing to a caller.
    shown = [part for part in path if not part.startswith(("function-", "dict[", "constrained-", "str", "lax-"))]
    return Fault(".".join(shown), str(item.get("msg", "is not valid")))
