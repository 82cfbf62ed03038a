"""Metrics for Prometheus, with their own permission; and the counting of requests."""

import time

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.monitoring.metrics import CONTENT_TYPE, Metrics
from service.web.api.requests import MayReadMetrics
from service.web.api.schemas import api_router

router = api_router("", tags=["health"])

#: Label of all requests without a route, so that the paths that strangers try do not become labels.
_NO_ROUTE = "none"
_SERVER_ERROR = 500


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE: {}}, "description": "Prometheus text exposition format 0.0.4."}},
)
async def metrics(request: Request, access: MayReadMetrics) -> Response:
    """Return the metrics of this process and of the store. They name no customer, person or address."""
    await access.trace()
    kept: Metrics = request.app.state.metrics
    return Response(await kept.exposition(), headers={"Content-Type": CONTENT_TYPE})


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
