"""The counting of requests."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.monitoring.metrics import Metrics

#: Label of all requests without a route, so that the paths that strangers try do not become labels.
_NO_ROUTE = "none"
_SERVER_ERROR = 500


class RequestMetrics:
    """Counts requests and their duration by route template and status. Plain ASGI."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the request, and count its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), _SERVER_ERROR

        async def noting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        finally:
            self._metrics.answered(scope["method"], _template(scope), status, time.perf_counter() - started)


def _template(scope: Scope) -> str:
    """Return the template of the route, such as ``/api/v1/notices/{notice_id}``; never the requested path."""
    return getattr(scope.get("route"), "path", _NO_ROUTE)
