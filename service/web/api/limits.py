"""Limits of requests, and the headers of every answer. Plain ASGI, so that no body is read twice."""

import re
from itertools import accumulate

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notifications.use_cases.announcements.letters import SLIP_MAX_BYTES
from service.auth.authentication import Authenticator
from service.auth.rate_limits import TooManyRequestsError
from service.auth.refusals import UnauthenticatedError
from service.web.api.errors import status_problem, too_many_problem, unauthenticated_problem
from service.web.security_headers import with_security_headers

#: How many bytes of a too large body are read and dropped before the connection is closed.
_MAX_DRAINED_BYTES = 64 * 1024 * 1024
#: Largest body without a valid credential: the forms of the sign-in, and of links that carry their own secret.
_MAX_STRANGER_BYTES = 64 * 1024
#: The paths under which every change needs a credential.
_API = "/api/"
#: Routes that read their body as it comes and bound it themselves (``limits.max_import_bytes``).
_STREAMED = frozenset({"/api/v1/resources/import"})
#: Scans of return slips, which may be larger than other bodies.
_SLIP = re.compile(r"(?:/api/v1)?/letters/[0-9a-f-]{36}/slip")
#: A form around a scan adds less than this.
_FORM_BYTES = 64 * 1024
_NOT_JSON = ("text/csv", "application/pdf", "image/")
#: Deepest nesting of JSON; the deepest facts have 6.
_MAX_DEPTH = 32
#: A JSON string, also without its end if the text stops before. It matches at every quotation mark, so the time is
#: linear in the length.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
#: As signed bytes: an opening bracket adds one level, a closing bracket removes one.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")


class RequestLimits:
    """Refuses requests that exceed a limit, before anything parses them.

    1. A change under the API without a valid credential, or above the rate limit of the caller, is refused before its
       body is read: 401, 429. On other paths a body without a credential must be small.
    2. A body over ``max_body_bytes`` is refused (413). A body that does not fit into ``max_buffered_bytes`` together
       with all other bodies is refused (503).
    3. JSON nested deeper than 32 is refused (400).
    The body of an import is passed on as it comes, after step 1.
    """

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, *, max_body_bytes: int, max_buffered_bytes: int
    ) -> None:
        self._app, self._authenticator = app, authenticator
        self._max_body_bytes = max_body_bytes
        self._max_buffered_bytes = max(max_buffered_bytes, max_body_bytes)
        self._buffered_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the complete request, or answer with the problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        guarded_send = with_security_headers(send)
        if scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, guarded_send)
            return
        # 1.
        refusal, allowed = await self._admitted(Request(scope))
        if refusal is not None:
            await refusal(scope, receive, guarded_send)
            return
        if scope["path"] in _STREAMED:
            await self._app(scope, receive, guarded_send)
            return
        held: list[bytes] = []
        try:
            # 2.
            try:
                refusal = await self._read(scope, receive, allowed, held)
            except ClientDisconnect:
                return
            if refusal is None:
                await self._pass_on(scope, receive, guarded_send, b"".join(held))
            else:
                await refusal(scope, receive, guarded_send)
        finally:
            self._buffered_bytes -= sum(map(len, held))

    async def _admitted(self, request: Request) -> tuple[Response | None, int]:
        """Return the refusal, or None and the largest allowed body in bytes."""
        path = request.url.path
        if not path.startswith(_API):
            caller = await self._authenticator.known(request)
            return None, self._largest(path) if caller else min(self._max_body_bytes, _MAX_STRANGER_BYTES)
        try:
            await self._authenticator.admit(request)
        except UnauthenticatedError as error:
            return unauthenticated_problem(error, path), 0
        except TooManyRequestsError as error:
            return too_many_problem(error, path), 0
        return None, self._largest(path)

    def _largest(self, path: str) -> int:
        if _SLIP.fullmatch(path):
            return max(self._max_body_bytes, SLIP_MAX_BYTES + _FORM_BYTES)
        return self._max_body_bytes

    async def _read(self, scope: Scope, receive: Receive, allowed: int, held: list[bytes]) -> Response | None:
        """Read the body into ``held``, which counts as buffered; return the refusal, if any.

        Raises ClientDisconnect.
        """
        size, fits = 0, True
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            size += len(chunk)
            fits = fits and self._buffered_bytes + len(chunk) <= self._max_buffered_bytes
            if size <= allowed and fits:
                held.append(chunk)
                self._buffered_bytes += len(chunk)
            else:
                # Read and drop the rest: a client that is still sending would see a broken connection.
                self._buffered_bytes -= sum(map(len, held))
                held.clear()
            if not message.get("more_body", False) or size > _MAX_DRAINED_BYTES:
                break
        if size > allowed:
            said = f"a body may have at most {allowed} bytes"
            return status_problem(413, said, scope["path"], headers={"Connection": "close"})
        if not fits:
            said = "too much is being sent to this service now; try again"
            return status_problem(503, said, scope["path"], headers={"Retry-After": "1"})
        return None

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        # 3. CSV and scans have no depth. A body of these types is never parsed as JSON.
        has_no_depth = Headers(scope=scope).get("content-type", "").startswith(_NOT_JSON)
        if not has_no_depth and _depth_over(body, _MAX_DEPTH):
            response = status_problem(400, f"the JSON is nested deeper than {_MAX_DEPTH}", scope["path"])
            await response(scope, receive, send)
            return
        delivered = False

        async def replay() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


def _depth_over(body: bytes, limit: int) -> bool:
    """Whether brackets outside of strings nest deeper than the limit. No loop in Python runs over the bytes."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    brackets = _STRING.sub(b"", body).translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0) > limit
