"""The board: what waits for a person; and marking alerts as seen."""

from uuid import UUID

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from notifications.errors import NotFoundError, StateConflictError
from notifications.use_cases.audit_context import AuditContext
from service.auth.permissions import Permission
from service.monitoring.attention import AttentionKind, attention_list
from service.monitoring.notice_findings import WITHOUT_INCIDENT
from service.ports.store import AccessTransaction
from service.web.api.fields import Moment, Out
from service.web.api.requests import Answer, Context, IdempotencyKey, Limit, MayReadAttention, change, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/attention", tags=["attention"])


class AttentionItem(Out):
    """One item that waits for a person."""

    kind: AttentionKind
    due_at: Moment | None = Field(description="When it is, or could be, owed; null where nothing is owed by it yet.")
    overdue: bool
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


@router.post("/alerts/{alert_id}/seen", response_model=SeenOut, summary="Say that an alert was seen")
async def see(
    request: Request, access: MayReadAttention, alert_id: UUID, idempotency_key: IdempotencyKey = None
) -> Response:
    """Remove an alert from the list and record who saw it first. An emergency release must be reviewed instead."""
    reads_incidents = access.may(Permission.INCIDENT_READ)

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        alert = tx.alerts.get(alert_id)
        if alert is None or not (reads_incidents or alert.kind in WITHOUT_INCIDENT):
            raise NotFoundError("alert", alert_id)
        if alert.kind == "release_overridden":
            raise StateConflictError("an emergency release is reviewed: POST /notices/{notice_id}/override-review")
        if alert.seen_at is None:
            tx.alerts.mark_seen(alert_id, act.now, act.actor)
            tx.audit.append([
                act.entry("alert.seen", subjects={"alert": str(alert_id)}, detail={"kind": alert.kind}),
            ])  # fmt: skip
        seen_at, seen_by = (act.now, act.actor) if alert.seen_at is None else (alert.seen_at, alert.seen_by or "")
        return Answer(SeenOut(alert_id=alert_id, seen_at=seen_at, seen_by=seen_by))

    return await change(request, access, idempotency_key, work)
