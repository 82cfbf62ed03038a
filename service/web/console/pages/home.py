"""The first page: a customer's people see its notices; the provider's people see what waits for a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.ports import Page
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.monitoring.attention import attention_list
from service.monitoring.attention_item import AttentionItem
from service.ports.store import AccessTransaction
from service.web.api.incidents.board import most_urgent
from service.web.console.failures import PageRoute
from service.web.console.listing import CustomerSide, access_under, customer_side
from service.web.console.pages.board_page import ShownIncident, shown_incident
from service.web.console.pages.notice_list import LatestNotice, newest_notices
from service.web.console.rendering import page, reader_language

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_WAITING_MAX = 100
_LATEST_MAX = 20
#: Kinds of waiting items that need no more words than their name.
_SAID_BY_KIND = frozenset(
    {"draft_unreleased", "customer_unreachable", "contact_certificate_expiring", "question_waiting", "call_due"}
)
#: Kinds whose notice is released, reviewed or looked at among the pages of its incident.
_DONE_AT_INCIDENT = frozenset({"draft_unreleased", "notice_held", "override_unreviewed"})
#: Kinds that come for many customers at once, and the page of the incident where they are dealt with together.
_SEVERAL = {"decision_pending": "customers", "draft_unreleased": "notices", "notice_held": "notices",
            "delivery_failed": "deliveries", "delivery_failing": "deliveries"}  # fmt: skip
#: Kinds about a customer and no incident, and the page of the customer where they are mended.
_AT_CUSTOMER = {"customer_unreachable": "contacts", "contact_certificate_expiring": "contacts",
                "contact_check_failed": "reachability", "customer_check_failed": "reachability"}  # fmt: skip
#: Where on the page of its notice a thing is done.
_PLACE = {"question_waiting": "#questions", "delivery_failing": "#served", "delivery_failed": "#served"}


@dataclass(frozen=True, slots=True)
class WaitingThing:
    """What one person does in one go: the same thing of one incident, for one customer or for several."""

    #: the one with the nearest deadline
    first: AttentionItem
    count: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a person, nearest deadline first."""

    things: Sequence[WaitingThing]
    #: whether the list is complete
    complete: bool
    customers: Mapping[UUID, str]


@router.get("/")
async def home(request: Request, access: Annotated[Access, Depends(Requires(Permission.SELF))]) -> Response:
    """Show what concerns the caller, each part under its own permission."""
    values: dict[str, Any] = {"customers": await _customers(request, access)}
    values["is_invited"] = bool(await access.read_own(lambda tx: tx.accounts.offers(access.caller.account_id)))
    values["board"] = await _board(request, access)
    values["waiting"] = await _waiting(access)
    values["latest"] = await _latest(access)
    values["said_by_kind"] = _SAID_BY_KIND
    values["sees_incidents"] = access.may(Permission.INCIDENT_READ)
    values["way_to"] = partial(_way_to, sees_incidents=values["sees_incidents"])
    return page(request, "home", access.caller, values)


@dataclass(frozen=True, slots=True)
class Nearest:
    """The head of the board, for those who may open it."""

    #: None where nothing is due
    urgent: ShownIncident | None


async def _board(request: Request, access: Access) -> Nearest | None:
    """Return the incident with the nearest deadline; None for a reader who may not open the board."""
    reading = access_under(access, Permission.INCIDENT_READ)
    if reading is None or not reading.scope.at_provider:
        return None
    agreements = request.app.state.api_context.agreements
    found = await reading.read(lambda tx: most_urgent(tx, reading, agreements))
    return Nearest(None if found is None else shown_incident(found, reader_language(request, access.caller)))


async def _customers(request: Request, access: Access) -> Sequence[CustomerSide]:
    """Return the customers that the caller acts for, by name; each one is read separately."""
    reading = access_under(access, Permission.NOTICE_READ)
    if reading is None:
        return ()
    own = {grant.customer_id for grant in access.caller.grants if grant.customer_id is not None}
    language = reader_language(request, access.caller)
    sides = [await _side(reading, customer_id, language) for customer_id in own]
    found = (side for side in sides if side is not None)
    return sorted(found, key=lambda side: (side.customer.name.casefold(), side.customer.id))


async def _side(reading: Access, customer_id: UUID, language: str) -> CustomerSide | None:
    return await reading.read(lambda tx: customer_side(tx, customer_id, language))


async def _waiting(access: Access) -> Waiting | None:
    """Return what waits, by deadline. A caller who may not read incidents sees nothing of their content."""
    reading = access_under(access, Permission.ATTENTION_READ)
    if reading is None:
        return None
    now, reads_incidents = access.clock.now(), access.may(Permission.INCIDENT_READ)

    def work(tx: AccessTransaction) -> Waiting:
        found = attention_list(tx, now, _WAITING_MAX, reads_incidents=reads_incidents)
        customers = {item.customer_id for item in found.items if item.customer_id is not None}
        named = {each: customer.name for each in customers if (customer := tx.customers.get(each)) is not None}
        return Waiting(_together(found.items), found.complete, named)

    return await reading.read(work)


def _together(items: Sequence[AttentionItem]) -> Sequence[WaitingThing]:
    """Put the items of one kind and incident together where they are done on one page."""
    found: dict[object, list[AttentionItem]] = {}
    for number, item in enumerate(items):
        shares = item.kind in _SEVERAL and item.incident_id is not None
        found.setdefault((item.kind, item.incident_id) if shares else number, []).append(item)
    return [WaitingThing(together[0], len(together)) for together in found.values()]


def _way_to(thing: WaitingThing, *, sees_incidents: bool) -> str:
    """Return the page where a thing is dealt with; empty if there is none that the reader may see."""
    item = thing.first
    if item.kind in _AT_CUSTOMER and item.customer_id is not None:
        return f"/customers/{item.customer_id}/{_AT_CUSTOMER[item.kind]}"
    if not sees_incidents:
        return ""
    if thing.count > 1:
        return f"/incidents/{item.incident_id}/{_SEVERAL[item.kind]}"
    if item.call_task_id is not None:
        return f"/calls/{item.call_task_id}"
    if item.notice_id is not None:
        if item.kind in _DONE_AT_INCIDENT and item.incident_id is not None:
            return f"/incidents/{item.incident_id}/notices/{item.notice_id}"
        return f"/notices/{item.notice_id}{_PLACE.get(item.kind, '')}"
    return "" if item.incident_id is None else f"/incidents/{item.incident_id}"


async def _latest(access: Access) -> Sequence[LatestNotice] | None:
    """Return the newest notices, for the provider's people who may read incidents."""
    reading = access_under(access, Permission.INCIDENT_READ)
    if reading is None or not reading.scope.at_provider:
        return None

    return await reading.read(lambda tx: newest_notices(tx, Page(_LATEST_MAX))[0])
