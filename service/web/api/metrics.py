"""Metrics for Prometheus, with their own permission."""

from fastapi import Request
from starlette.responses import Response

from service.monitoring.metrics import CONTENT_TYPE, Metrics
from service.web.api.requests import MayReadMetrics
from service.web.api.schemas import api_router

router = api_router("", tags=["health"])


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
