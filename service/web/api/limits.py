"""Bounds on what a request may carry, and headers every answer carries. Plain ASGI: no body is read twice."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.web.api.errors import status_problem

_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}
#: How much of a body that is too large is read and thrown away before the connection is given up.
_MAX_DRAINED_BYTES = 64 * 1024 * 1024
#: Nesting of the deepest facts is 6; nobody needs more than this.
_MAX_DEPTH = 32
_QUOTATION_MARK, _BACKSLASH = b'"\\'
_OPENING, _CLOSING = frozenset(b"[{"), frozenset(b"]}")


class RequestLimits:
    """Refuses bodies over ``max_body_bytes`` (413) and JSON nested deeper than 32 (400), before anything parses it."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app, self._max_body_bytes = app, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, whole, or answer with the problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, guarded_send)
            return
        chunks, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= self._max_body_bytes:
                chunks.append(chunk)
            else:
                # Read on without keeping: a client that is still sending would see a broken connection, not the answer.
                chunks.clear()
            if not message.get("more_body", False) or size > _MAX_DRAINED_BYTES:
                break
        if size > self._max_body_bytes:
            await self._too_large(scope, receive, guarded_send)
            return
        body = b"".join(chunks)
        # CSV has no depth; whatever parses JSON does so under another type only.
        is_csv = Headers(scope=scope).get("content-type", "").startswith("text/csv")
        if not is_csv and _depth_over(body, _MAX_DEPTH):
            response = status_problem(400, f"the JSON is nested deeper than {_MAX_DEPTH}", scope["path"])
            await response(scope, receive, guarded_send)
            return
        delivered = False

        async def replay() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, guarded_send)

    async def _too_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = status_problem(
            413,
            f"a body may have at most {self._max_body_bytes} bytes",
            scope["path"],
            headers={"Connection": "close"},
        )
        await response(scope, receive, send)


def _depth_over(body: bytes, limit: int) -> bool:
    """Whether brackets nest deeper than the limit, strings skipped. Cheap when there are few brackets at all."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    depth, in_string, escaped = 0, False, False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == _BACKSLASH:
                escaped = True
            elif byte == _QUOTATION_MARK:
                in_string = False
        elif byte == _QUOTATION_MARK:
            in_string = True
        elif byte in _OPENING:
            depth += 1
            if depth > limit:
                return True
        elif byte in _CLOSING:
            depth -= 1
    return False
