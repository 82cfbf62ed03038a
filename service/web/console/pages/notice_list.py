"""Every notice of the provider, newest first, with its incident, customer and state."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.customer.records import Customer
from notifications.notice import Notice, NoticeState
from notifications.ports import Page
from service.ports.store import AccessTransaction
from service.web.api.requests import Cursor, MayReadIncidents
from service.web.console.failures import PageRoute
from service.web.console.listing import following_path
from service.web.console.rendering import page

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class LatestNotice:
    """A notice in the provider's list."""

    notice: Notice
    ticket: str
    #: None where the reader may not read customers, or the customer was erased
    customer: Customer | None


@router.get("/notices")
async def notices(request: Request, access: MayReadIncidents, state: str = "", cursor: Cursor = None) -> Response:
    """Show the notices of one state or of all; an unknown state counts as none."""
    wanted = state if state in set(NoticeState) else ""

    def work(tx: AccessTransaction) -> tuple[Sequence[LatestNotice], str | None]:
        return newest_notices(tx, access.page(_SHOWN, cursor), wanted)

    found, following = await access.read(work)
    values = {
        "notices": found,
        "wanted": wanted,
        "states": list(NoticeState),
        "following": following_path(request, access.next_cursor(following)),
        "is_first": cursor is None,
    }
    return page(request, "notices", access.caller, values)


def newest_notices(tx: AccessTransaction, wanted: Page, state: str = "") -> tuple[list[LatestNotice], str | None]:
    """Return a page of notices, newest first, and the cursor of what follows."""
    found, following = tx.notices.page(wanted, state=state or None)
    return [_latest(tx, notice) for notice in found], following


def _latest(tx: AccessTransaction, notice: Notice) -> LatestNotice:
    incident = tx.incidents.get(notice.incident_id)
    return LatestNotice(notice, "" if incident is None else incident.ticket, tx.customers.get(notice.customer_id))
