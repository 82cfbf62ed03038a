"""Alerts that were raised: how far each has got, who got a mail, and who saw it."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.errors import StateConflictError
from notifications.use_cases.audit_context import AuditContext
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.monitoring.raised_alerts import RaisedAlert, raised_alerts, see_alert
from service.ports.store import AccessTransaction
from service.web.api.requests import Cursor, MayReadAttention
from service.web.console.failures import PageRoute
from service.web.console.forms import form_of, write_once
from service.web.console.listing import following_path
from service.web.console.rendering import page

router = APIRouter(prefix="/administration/alerts", route_class=PageRoute, include_in_schema=False)

_SHOWN = 30
_CONFLICT = 409


@router.get("")
async def alerts_page(
    request: Request, access: MayReadAttention, show: str = "open", cursor: Cursor = None, done: str = ""
) -> Response:
    """Show alerts, newest first: those that nobody saw, or all."""
    return await _shown(request, access, unseen=show != "all", cursor=cursor, done=done == "seen")


@router.post("/{alert_id}/seen")
async def see(request: Request, access: MayReadAttention, alert_id: UUID) -> Response:
    """Take an alert off the list of what waits; the first person who says so is recorded."""
    form, reads_incidents = await form_of(request), access.may(Permission.INCIDENT_READ)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        see_alert(tx, act, alert_id, reads_incidents=reads_incidents)
        return "/administration/alerts?done=seen"

    try:
        return await write_once(access, form, work)
    except StateConflictError:
        return await _shown(request, access, unseen=True, cursor=None, is_refused=True)


async def _shown(
    request: Request,
    access: Access,
    *,
    unseen: bool,
    cursor: str | None,
    done: bool = False,
    is_refused: bool = False,
) -> Response:
    reads_incidents, wanted = access.may(Permission.INCIDENT_READ), access.page(_SHOWN, cursor)

    def work(tx: AccessTransaction) -> tuple[list[RaisedAlert], str | None, dict[UUID, str], dict[str, str]]:
        found, following = raised_alerts(tx, wanted, reads_incidents=reads_incidents, unseen=unseen)
        named = {item.customer_id for item in found if item.customer_id is not None}
        customers = {each: customer.name for each in named if (customer := tx.customers.get(each)) is not None}
        seers = {item.seen_by: _name(tx, item.seen_by) for item in found if item.seen_by is not None}
        return found, following, customers, seers

    found, following, customers, seers = await access.read(work)
    values: dict[str, Any] = {
        "alerts": found,
        "customers": customers,
        "seers": seers,
        "unseen": unseen,
        "done": done,
        "is_refused": is_refused,
        "following": following_path(request, access.next_cursor(following)),
    }
    return page(request, "alerts", access.caller, values, status=_CONFLICT if is_refused else 200)


def _name(tx: AccessTransaction, actor: str) -> str:
    """Return the name of the account that an actor is; the actor itself where it is none."""
    kind, _, identifier = actor.partition(":")
    account = tx.accounts.get(UUID(identifier)) if kind == "account" else None
    return actor if account is None else account.name
