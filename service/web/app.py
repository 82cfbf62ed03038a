"""The FastAPI application. It gets parts that are already running."""

from collections.abc import Mapping

from fastapi import FastAPI

from service.auth.authentication import Authenticator
from service.auth.route_guard import verify_every_route_declares
from service.ports.health import Probe
from service.web.api import health, metrics
from service.web.api.context import ApiContext
from service.web.api.errors import install_error_handlers
from service.web.api.limits import RequestLimits
from service.web.api.schemas import add_routes
from service.web.areas import OPENAPI, Areas, PreparesAreas
from service.web.console.installation import install_console
from service.web.console.parts import ConsoleParts
from service.web.live import LiveEvents
from service.web.request_metrics import RequestMetrics


def create_app(
    context: ApiContext,
    authenticator: Authenticator,
    probes: Mapping[str, Probe],
    console: ConsoleParts,
    *,
    max_body_bytes: int,
    max_buffered_bytes: int,
    version: str,
) -> FastAPI:
    """Return the application. It starts and stops no part, so a part that cannot start fails before a port is open.

    Most routes are built with the first request to their area (``service.web.areas``).
    """
    app = FastAPI(
        title="Greffier",
        version=version,
        summary="Security-incident notices: declared, decided by the agreement, signed, served, proven.",
        description=(
            "Send `Authorization: Bearer <token>`. Every POST takes an `Idempotency-Key`; every change of an existing"
            " object wants `If-Match`. Errors are RFC 9457 problems with the faulty fields and the reasons. Times are"
            " RFC 3339 with an offset; a time without one is refused. A fact left out is unknown; unknown is not no."
            " Lists have pages: send `next_cursor` as `cursor` until it is null. A cursor serves the same account and"
            " the same filters; of a dry run, also the same body."
        ),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        # The interactive pages load scripts from elsewhere; this service loads nothing from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url=OPENAPI,
        # A redirect to the path without its slash would repeat the Host that the client claims.
        redirect_slashes=False,
    )
    app.state.api_context = context
    app.state.authenticator = authenticator
    app.state.probes = probes
    app.state.metrics = context.metrics
    app.state.live = LiveEvents(context.unit_of_work, authenticator, context.clock)
    app.state.areas = Areas(app, public_log=context.settings.log.public)
    add_routes(app, health.router, metrics.router)
    # The description of the API is public, because it names no person and no object.
    verify_every_route_declares(app.routes, undeclared=frozenset({OPENAPI}))
    # Added first, so that it is innermost: what the others refuse builds nothing.
    app.add_middleware(PreparesAreas, areas=app.state.areas)
    app.add_middleware(
        RequestLimits,
        authenticator=authenticator,
        max_body_bytes=max_body_bytes,
        max_buffered_bytes=max_buffered_bytes,
    )
    install_error_handlers(app)
    install_console(app, console)
    # Added last, so that it is outermost and also counts the requests that the others refuse.
    app.add_middleware(RequestMetrics, metrics=context.metrics)
    return app
