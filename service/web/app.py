"""The FastAPI application. It gets parts that are already running."""

from collections.abc import Mapping

from fastapi import FastAPI

from service.auth.authentication import Authenticator
from service.auth.route_guard import verify_every_route_declares
from service.web.api import health, metrics
from service.web.api.accounts import accounts, members, memberships, sessions, tokens, trail
from service.web.api.announcements import announcements, consent, letters
from service.web.api.audit import audit, bundles
from service.web.api.audit.log import log_router
from service.web.api.customers import (
    contacts,
    customer_export,
    customers,
    erasures,
    legal_profile,
    profiles,
    reachability,
    transfer,
    webhooks,
)
from service.web.api.errors import install_error_handlers
from service.web.api.incidents import (
    affected_customers,
    agreements,
    alerts,
    assessments,
    board,
    drafts,
    duties,
    events,
    incident_notices,
    incidents,
    interventions,
    law,
    people,
    statements,
)
from service.web.api.limits import RequestLimits
from service.web.api.notices import (
    acknowledgements,
    call_tasks,
    escalation,
    inbox,
    notice_pdf,
    notices,
    own_duties,
    questions,
)
from service.web.api.operations import attention, channels, keys, search, settings
from service.web.api.reports import reports
from service.web.api.requests import ApiContext
from service.web.api.resources import resources as inventory
from service.web.api.schemas import add_routes
from service.web.console.routes import ConsoleParts, install_console
from service.web.live import LiveEvents

_OPENAPI = "/api/v1/openapi.json"


def create_app(
    context: ApiContext,
    authenticator: Authenticator,
    probes: Mapping[str, health.Probe],
    console: ConsoleParts,
    *,
    max_body_bytes: int,
    max_buffered_bytes: int,
    version: str,
) -> FastAPI:
    """Return the application. It starts and stops no part, so a part that cannot start fails before a port is open.

    Raises LookupError if a route declares no permission.
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
        openapi_url=_OPENAPI,
        # A redirect to the path without its slash would repeat the Host that the client claims.
        redirect_slashes=False,
    )
    app.state.api_context = context
    app.state.authenticator = authenticator
    app.state.probes = probes
    app.state.metrics = context.metrics
    app.state.live = LiveEvents(context.unit_of_work, authenticator, context.clock)
    resources = (
        assessments,
        affected_customers,
        people,
        # Before what takes an identifier in the place of ``board``.
        board,
        incident_notices,
        incidents,
        interventions,
        duties,
        law,
        drafts,
        alerts,
        events,
        announcements,
        consent,
        letters,
        notices,
        acknowledgements,
        questions,
        notice_pdf,
        own_duties,
        inbox,
        # This router comes before the one whose paths have an identifier in the place of ``export``.
        transfer,
        customers,
        customer_export,
        contacts,
        reachability,
        profiles,
        legal_profile,
        agreements,
        statements,
        attention,
        channels,
        call_tasks,
        escalation,
        audit,
        bundles,
        keys,
        settings,
        search,
        accounts,
        tokens,
        sessions,
        memberships,
        members,
        trail,
        webhooks,
        erasures,
        inventory,
        reports,
    )
    add_routes(app, *(resource.router for resource in resources), erasures.of_strangers, health.router, metrics.router)
    add_routes(app, log_router(public=context.settings.log.public))
    app.add_middleware(
        RequestLimits,
        authenticator=authenticator,
        max_body_bytes=max_body_bytes,
        max_buffered_bytes=max_buffered_bytes,
    )
    install_error_handlers(app)
    install_console(app, console)
    # Added last, so that it is outermost and also counts the requests that the others refuse.
    app.add_middleware(metrics.RequestMetrics, metrics=context.metrics)
    # The description of the API is public, because it names no person and no object.
    verify_every_route_declares(app.routes, undeclared=frozenset({_OPENAPI}))
    return app
