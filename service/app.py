"""The FastAPI application over parts that are running already."""

from collections.abc import Mapping

from fastapi import APIRouter, Depends, FastAPI

from service.api import (
    agreements,
    assessments,
    attention,
    audit,
    contacts,
    customers,
    health,
    incidents,
    notices,
    profiles,
)
from service.api.errors import install_error_handlers
from service.api.limits import RequestLimits
from service.api.requests import ApiContext, authenticated
from service.api.schemas import PROBLEM_RESPONSES


def create_app(
    context: ApiContext, probes: Mapping[str, health.Probe], *, max_body_bytes: int, version: str
) -> FastAPI:
    """Return the application. It starts and stops nothing: a part that cannot start is told before a port is open."""
    app = FastAPI(
        title="Greffier",
        version=version,
        summary="Security-incident notices: declared, decided by the agreement, signed, served, proven.",
        description=(
            "Send `Authorization: Bearer <token>`. Every POST takes an `Idempotency-Key`; every change of an existing"
            " object wants `If-Match`. Errors are RFC 9457 problems with the faulty fields and the reasons. Times are"
            " RFC 3339 with an offset; a time without one is refused. A fact left out is unknown; unknown is not no."
        ),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        # The interactive pages load scripts from elsewhere; this service loads nothing from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.api_context = context
    app.state.probes = probes
    api = APIRouter(prefix="/api/v1", dependencies=[Depends(authenticated)], responses=PROBLEM_RESPONSES)
    resources = (assessments, incidents, notices, customers, contacts, profiles, agreements, attention, audit)
    for resource in resources:
        api.include_router(resource.router)
    app.include_router(api)
    app.include_router(health.router)
    app.add_middleware(RequestLimits, max_body_bytes=max_body_bytes)
    install_error_handlers(app)
    return app
