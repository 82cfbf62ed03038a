"""One incident on one page, to be printed or saved: overview, facts, customers, notices, deliveries, timeline."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.ports import Page
from service.auth.permissions import Permission
from service.ports.store import AccessTransaction
from service.web.console.failures import PageRoute
from service.web.console.listing import access_under
from service.web.console.pages.incident.customer_answers import COLUMNS
from service.web.console.pages.incident.customers import table_rows
from service.web.console.pages.incident.deliveries import deliveries_of
from service.web.console.pages.incident.frame import MayReadIncidents, context_of, shown_in_frame
from service.web.console.pages.incident.notices import in_order, listed
from service.web.console.pages.incident.overview import Overview, overview_of, overview_values
from service.web.console.pages.incident.timeline import Occurrence, occurrences
from service.web.console.pages.incident.versions import by_group, fact_words
from service.web.console.rendering import reader_language, reader_zone

router = APIRouter(route_class=PageRoute, include_in_schema=False)

#: The newest entries of the log; the timeline has all.
_ENTRIES = 300


@router.get("/incidents/{incident_id}/print")
async def print_page(request: Request, access: MayReadIncidents, incident_id: UUID) -> Response:
    """Show everything at once."""
    context, log = context_of(request), access_under(access, Permission.LOG_READ)
    language = reader_language(request, access.caller)

    def work(tx: AccessTransaction) -> tuple[Overview, dict[str, Any]]:
        incident = tx.incidents.require(incident_id)
        found = overview_of(tx, access, context, incident)
        said = fact_words(request, access, tx, incident.facts)
        return found, {
            "groups": by_group([row for row in said.rows(incident.facts) if row.group != "customers"]),
            "rows": table_rows(tx, incident),
            "columns": COLUMNS,
            "said": said,
            "listed": listed(tx, access, context, found.standing, in_order(found.standing)),
            "on_their_way": deliveries_of(tx, incident_id),
        }

    found, values = await access.read(work)
    incident = found.standing.incident

    def logged(tx: AccessTransaction) -> tuple[list[Occurrence], str | None]:
        return occurrences(tx, incident, values["said"], Page(_ENTRIES))

    entries, more = ([], None) if log is None else await log.read(logged)
    values |= overview_values(context, found, language, reader_zone(access.caller)) | {
        "found": entries,
        "more": more is not None,
    }
    return shown_in_frame(request, access, incident, "print", values)
