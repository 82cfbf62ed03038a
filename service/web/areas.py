"""The routes of the API and of the pages, built area by area: with the first request to an area, not at the start.

An area is what begins with one path, such as ``/api/v1/incidents``. To build all routes takes longer than the rest of
a start, and as much memory as the rest of the service; a process that only works never needs them.
"""

import asyncio
import pkgutil
from collections.abc import Iterable, Mapping

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.auth.route_guard import verify_every_route_declares

API = "/api/v1"
OPENAPI = f"{API}/openapi.json"

#: Area -> the modules with its routers, in the order in which paths are tried: fixed names before identifiers. The
#: router of a module is ``router`` unless a name follows after a colon. Some routers are in two areas.
_API_AREAS: Mapping[str, tuple[str, ...]] = {
    "incidents": (
        "incidents.assessments",
        "incidents.affected_customers",
        "incidents.people",
        # Before what takes an identifier in the place of ``board``.
        "incidents.board",
        "incidents.incident_notices",
        "incidents.incidents",
        "incidents.interventions",
        "incidents.duties",
        "notices.acknowledgements",
    ),
    "duties": ("incidents.law",),
    "drafts": ("incidents.drafts",),
    "alerts": ("incidents.alerts",),
    "events": ("incidents.events",),
    "announcements": ("announcements.announcements",),
    "notices": (
        "announcements.consent",
        "notices.notices",
        "notices.acknowledgements",
        "notices.questions",
        "notices.notice_pdf",
        "notices.own_duties",
        "notices.escalation",
    ),
    "letters": ("announcements.letters",),
    "questions": ("notices.questions",),
    "customers": (
        "notices.inbox",
        # Before what has an identifier in the place of ``export``.
        "customers.transfer",
        "customers.customers",
        "customers.customer_export",
        "customers.contacts",
        "customers.reachability",
        "customers.profiles",
        "customers.legal_profile",
        "audit.bundles",
        "accounts.members",
        "accounts.trail",
        "customers.webhooks",
        "customers.erasures",
        "resources.resources",
    ),
    "agreements": ("incidents.agreements",),
    "statements": ("incidents.statements",),
    "attention": ("operations.attention",),
    "channels": ("operations.channels",),
    "call-tasks": ("notices.call_tasks",),
    "audit": ("audit.audit", "audit.bundles"),
    "keys": ("operations.keys",),
    "settings": ("operations.settings",),
    "search": ("operations.search",),
    "accounts": ("accounts.accounts", "accounts.tokens"),
    "account": ("accounts.tokens", "accounts.sessions", "accounts.memberships"),
    "erasures": ("customers.erasures:of_strangers",),
    "resources": ("resources.resources",),
    "reports": ("reports.reports",),
}
_PAGE_AREAS: Mapping[str, tuple[str, ...]] = {
    "static": ("static_files",),
    "verify": ("pages.verify_page",),
    "erasures": ("pages.erasure_page",),
    "sign-in": ("sign_in.sign_in_pages", "sign_in.language_choice", "sign_in.oidc"),
    "sign-out": ("sign_in.sign_in_pages:leaving",),
    "reset": ("sign_in.link_pages",),
    "reset-asked": ("sign_in.link_pages",),
    "invitation": ("sign_in.link_pages",),
    "confirm-address": ("sign_in.link_pages",),
    "address-confirmed": ("sign_in.link_pages",),
    "acknowledge": ("pages.acknowledge_pages:of_strangers",),
    "acknowledged": ("pages.acknowledge_pages:of_strangers",),
    "": ("pages.home",),
    "incidents": (
        "pages.acknowledge_pages",
        # Before what takes an identifier in the place of ``new``.
        "pages.declare_page",
        "pages.board_page",
        "pages.incident:routers",
    ),
    "events": ("pages.board_page",),
    "search": ("pages.search_page",),
    "drafts": ("pages.drafts_page",),
    "notices": (
        "pages.acknowledge_pages",
        "pages.notice_list",
        "pages.notice_page",
        "pages.own_duties_page",
        "pages.question_pages",
    ),
    "questions": ("pages.question_pages",),
    "inbox": ("pages.inbox_page",),
    "inbox.csv": ("pages.inbox_page",),
    "audit": (
        "pages.audit.report_page",
        "pages.audit.entries_page",
        "pages.audit.heads_page",
        "pages.audit.bundles_page",
    ),
    "reports": ("pages.reports.reports_page",),
    "channels": ("pages.channel_page",),
    "announcements": (
        # Before what takes an identifier in the place of ``new`` and ``drafts``.
        "pages.announce_page",
        "pages.drafts_page:of_announcements",
        "pages.announcement_pages",
    ),
    "letters": ("pages.letter_pages",),
    "calls": ("pages.call_pages",),
    "inventory": ("pages.inventory_import", "pages.inventory_pages"),
    "customers": (
        "pages.reachability_page",
        "pages.webhooks_page",
        "pages.customer_contacts",
        "pages.customer_levels",
        "pages.customer_law",
        "pages.customer_members",
        "pages.customer_trail",
        "pages.customer_data",
        # Before what takes an identifier in the place of ``new``.
        "pages.customers.list_page",
        "pages.customers.form_page",
        "pages.customers.import_page",
        "pages.customers.overview_page",
        "pages.customers.erasure_order",
    ),
    "administration": (
        "pages.administration.index_page",
        "pages.administration.alerts_page",
        "pages.administration.health_page",
        "pages.administration.keys_page",
        "pages.administration.settings_page",
        "pages.administration.account_list",
        "pages.administration.account_forms",
    ),
    "account": ("sign_in.credential_pages", "sign_in.session_pages"),
}


class Areas:
    """The areas of an application, and which of them are built."""

    def __init__(self, app: FastAPI, *, public_log: bool) -> None:
        self._app = app
        log = "open_router" if public_log else "guarded_router"
        places = {f"{API}/{area}": _places("api", names) for area, names in _API_AREAS.items()}
        places["/log"] = _places("api", (f"audit.log:{log}",))
        in_document = dict.fromkeys(place for area in places.values() for place in area)
        # The description of the API describes every route of the API.
        places[OPENAPI] = tuple(in_document)
        places |= {f"/{area}": _places("console", names) for area, names in _PAGE_AREAS.items()}
        self._places: Mapping[str, tuple[str, ...]] = places
        #: place -> the routes of its routers
        self._built: dict[str, list[BaseRoute]] = {}
        self._building = asyncio.Lock()

    async def prepare(self, path: str) -> None:
        """Build the area of a path unless it is built; raises LookupError if a route declares no permission.

        The imports run in a thread, so that the service answers other requests meanwhile.
        """
        area = area_of(path)
        if self._is_built(area):
            return
        async with self._building:
            if not self._is_built(area):
                self._add(await asyncio.to_thread(_routes_of, self._places[area]))

    def build_all(self) -> None:
        """Build every area; raises LookupError if a route declares no permission."""
        for places in self._places.values():
            self._add(_routes_of(places))

    def _is_built(self, area: str) -> bool:
        return all(place in self._built for place in self._places.get(area, ()))

    def _add(self, routes: Mapping[str, list[BaseRoute]]) -> None:
        """Add routes to the application: in the order of the tables, whichever area is built first."""
        before = {id(route) for each in self._built.values() for route in each}
        self._built |= routes
        order = dict.fromkeys(place for area in self._places.values() for place in area)
        others = [route for route in self._app.router.routes if id(route) not in before]
        self._app.router.routes = [*others, *(route for place in order for route in self._built.get(place, ()))]


class PreparesAreas:
    """Builds the area of a request before the application looks for its route. Plain ASGI."""

    def __init__(self, app: ASGIApp, areas: Areas) -> None:
        self._app, self._areas = app, areas

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the request."""
        if scope["type"] == "http":
            await self._areas.prepare(scope["path"])
        await self._app(scope, receive, send)


def area_of(path: str) -> str:
    """Return the area in which the routes of a path are."""
    if path == OPENAPI:
        return path
    parts = path.split("/")
    return "/".join(parts[:4] if path.startswith(f"{API}/") else parts[:2])


def _places(room: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"service.web.{room}.{name}" if ":" in name else f"service.web.{room}.{name}:router" for name in names)


def _routes_of(places: Iterable[str]) -> dict[str, list[BaseRoute]]:
    """Import the routers, and return their routes by place; raises LookupError if a route declares no permission."""
    found: dict[str, list[BaseRoute]] = {}
    for place in places:
        routers: APIRouter | tuple[APIRouter, ...] = pkgutil.resolve_name(place)
        found[place] = [
            route for router in (routers if isinstance(routers, tuple) else (routers,)) for route in router.routes
        ]
        verify_every_route_declares(found[place], undeclared=frozenset())
    return found
