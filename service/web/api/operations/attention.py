"""The board: what waits for a person; and marking alerts as seen."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from notifications.use_cases.audit_context import AuditContext
from service.auth.permissions import Permission
from service.monitoring.attention import attention_list
from service.monitoring.attention_item import AttentionKind
from service.monitoring.raised_alerts import raised_alerts, see_alert
from service.ports.store import AccessTransaction
from service.web.api.fields import Moment, Out
from service.web.api.requests import (
    Answer,
    Context,
    Cursor,
    IdempotencyKey,
    Limit,
    MayReadAttention,
    change,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/attention", tags=["attention"])


class AttentionItem(Out):
    """One item that waits for a person."""

    kind: AttentionKind
    due_at: Moment | None = Field(description="When it is, or could be, owed; null where nothing is owed by it yet.")
    overdue: bool
    binding: str | None = Field(
        default=None,
        description="How strictly `due_at` binds: `hard`, `soft`, `no_number`; null where it is no notice's.",
    )
    incident_id: UUID | None = None
    ticket: str | None = None
    #: None if the item concerns several customers
    customer_id: UUID | None = None
    notice_id: UUID | None = None
    delivery_id: UUID | None = None
    call_task_id: UUID | None = None
    #: of an alert: its id, to mark it as seen
    alert_id: UUID | None = None
    what: str = Field(description="The obstacle, in one line.")


class MailedOut(Out):
    """A mail about an alert."""

    recipient: str
    #: ``queued``, ``sent``, ``failed`` or ``dropped``
    state: str


class AlertOut(Out):
    """An alert that was raised."""

    id: UUID
    kind: str
    key: str = Field(description="What it is about and how far it has got; raised once.")
    raised_at: Moment
    incident_id: UUID | None
    notice_id: UUID | None
    customer_id: UUID | None
    what: str
    seen_at: Moment | None
    seen_by: str | None = Field(description="Who saw it first; `system:alerting` where its cause is over.")
    mailed: list[MailedOut]


class AlertPage(Out):
    """A page of alerts, newest first."""

    items: list[AlertOut]
    next_cursor: str | None


class SeenOut(Out):
    """The person who saw an alert first."""

    alert_id: UUID
    seen_at: Moment
    seen_by: str


class AttentionList(Out):
    """The items that wait, nearest deadline first."""

    items: list[AttentionItem]
    complete: bool = Field(description="Whether everything was looked at; false where a list was longer than `limit`.")


@router.get("", response_model=AttentionList, summary="What waits for a person")
async def list_attention(context: Context, access: MayReadAttention, limit: Limit = 100) -> Response:
    """Return everything that waits for a person, nearest deadline first.

    About incidents: open questions, unreleased drafts, held notices, notices without their timestamp, failing
    deliveries, unreviewed emergency releases, and unseen alerts. About operation: customers that cannot be notified,
    contacts whose certificate ends or that failed a check, failed mails of the service, paused channels, and faults of
    the service itself. A caller who may not read incidents gets only the second part.
    """
    now, reads_incidents = context.clock.now(), access.may(Permission.INCIDENT_READ)
    found = await access.read(lambda tx: attention_list(tx, now, limit, reads_incidents=reads_incidents))
    return json_response(AttentionList.model_validate(found))


@router.get("/alerts", response_model=AlertPage, summary="Alerts that were raised")
async def list_alerts(
    access: MayReadAttention,
    limit: Limit = 50,
    cursor: Cursor = None,
    *,
    unseen: Annotated[bool, Query(description="Only those that nobody saw.")] = False,
) -> Response:
    """Return alerts, newest first, with whom they were mailed to and who saw them.

    A caller who may not read incidents gets those that are about no incident. An alert that was seen leaves the board.
    It stops no mail: each mail is about a new alert, of the next stage or of another object.
    """
    reads_incidents = access.may(Permission.INCIDENT_READ)
    page = access.page(limit, cursor)
    found, following = await access.read(
        lambda tx: raised_alerts(tx, page, reads_incidents=reads_incidents, unseen=unseen)
    )
    items = [AlertOut.model_validate(item) for item in found]
    return json_response(AlertPage(items=items, next_cursor=access.next_cursor(following)))


@router.post("/alerts/{alert_id}/seen", response_model=SeenOut, summary="Say that an alert was seen")
async def see(
    request: Request, access: MayReadAttention, alert_id: UUID, idempotency_key: IdempotencyKey = None
) -> Response:
    """Remove an alert from the list and record who saw it first. An emergency release must be reviewed instead."""
    reads_incidents = access.may(Permission.INCIDENT_READ)

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        alert = see_alert(tx, act, alert_id, reads_incidents=reads_incidents)
        return Answer(SeenOut(alert_id=alert_id, seen_at=alert.seen_at or act.now, seen_by=alert.seen_by or ""))

    return await change(request, access, idempotency_key, work)
