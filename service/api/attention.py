"""What waits for a person: open questions with their clocks, drafts, held notices, deliveries in trouble."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from notifications.decision import Verdict
from notifications.delivery import DeliveryState
from notifications.errors import NotFoundError
from notifications.notice import Notice, NoticeState
from notifications.ports import Page, Transaction
from notifications.use_cases.deciding import public_fact_id
from service.api.fields import Moment, Out
from service.api.requests import Context, Limit, MayReadAttention, json_response

router = APIRouter(prefix="/attention", tags=["attention"])

#: Pending decisions read per incident to find the facts they wait for.
_DECISIONS = 200


class AttentionItem(Out):
    """One thing that waits for a person."""

    kind: Literal["decision_pending", "draft_unreleased", "notice_held", "delivery_failing", "delivery_failed"]
    due_at: Moment = Field(description="When it is, or could be, owed.")
    overdue: bool
    incident_id: UUID
    ticket: str
    #: None where it concerns several
    customer_id: UUID | None = None
    notice_id: UUID | None = None
    delivery_id: UUID | None = None
    what: str = Field(description="What stands in the way, in one line.")


class AttentionList(Out):
    """What waits, nearest deadline first."""

    items: list[AttentionItem]
    complete: bool = Field(description="Whether everything was looked at; false where a list was longer than `limit`.")


@router.get("", response_model=AttentionList, summary="What waits for a person")
async def list_attention(context: Context, access: MayReadAttention, limit: Limit = 100) -> Response:
    """Return open questions, unreleased drafts, held notices and deliveries in trouble, nearest deadline first."""
    now = context.clock.now()
    return json_response(await access.read(lambda tx: attention_list(tx, now, limit)))


def attention_list(tx: Transaction, now: datetime, limit: int) -> AttentionList:
    """Return what waits, as the API and the console show it."""
    tickets = _Tickets(tx)
    pending, all_pending = _pending(tx, now, limit)
    waiting, all_waiting = _waiting(tx, tickets, now, limit)
    troubled = _troubled(tx, tickets, now, limit)
    items = sorted((*pending, *waiting, *troubled), key=lambda item: item.due_at)
    complete = all_pending and all_waiting and len(troubled) < limit
    return AttentionList(items=items, complete=complete)


class _Tickets:
    """Ticket numbers by incident, each looked up once."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._known: dict[UUID, str] = {}

    def of(self, incident_id: UUID) -> str:
        if incident_id not in self._known:
            incident = self._tx.incident(incident_id)
            if incident is None:
                raise NotFoundError("incident", incident_id)
            self._known[incident_id] = incident.ticket
        return self._known[incident_id]


def _pending(tx: Transaction, now: datetime, limit: int) -> tuple[list[AttentionItem], bool]:
    """Return one item per open incident with pending verdicts: how many customers, which facts, by when."""
    items = []
    incidents, following = tx.incidents(Page(limit), state="open")
    for incident in incidents:
        decisions, more = tx.decisions(incident.id, Page(_DECISIONS), verdict=Verdict.PENDING.value)
        if not decisions:
            continue
        missing = sorted({public_fact_id(fact) for stored in decisions for fact in stored.decision.missing})
        due = [stored.decision.due_at for stored in decisions if stored.decision.due_at is not None]
        due_at = min(due, default=incident.facts.aware_at)
        count = f"more than {len(decisions)}" if more else str(len(decisions))
        items.append(
            AttentionItem(
                kind="decision_pending",
                due_at=due_at,
                overdue=due_at < now,
                incident_id=incident.id,
                ticket=incident.ticket,
                what=f"{count} customer(s) wait for: {', '.join(missing)}",
            )
        )
    return items, following is None


def _waiting(tx: Transaction, tickets: _Tickets, now: datetime, limit: int) -> tuple[list[AttentionItem], bool]:
    """Return drafts that nobody released, and released notices that something holds."""
    drafts, more_drafts = tx.notices(Page(limit), state=NoticeState.DRAFT.value)
    held = [notice for notice in tx.released_notices(limit) if notice.hold_reason is not None]
    items = [
        _notice_item("draft_unreleased", notice, tickets, now, f"{notice.kind.value} notice to review")
        for notice in drafts
    ]
    items += [_notice_item("notice_held", notice, tickets, now, notice.hold_reason or "") for notice in held]
    return items, more_drafts is None and len(held) < limit


def _notice_item(
    kind: Literal["draft_unreleased", "notice_held"], notice: Notice, tickets: _Tickets, now: datetime, what: str
) -> AttentionItem:
    return AttentionItem(
        kind=kind,
        due_at=notice.due_at,
        overdue=notice.due_at < now,
        incident_id=notice.incident_id,
        ticket=tickets.of(notice.incident_id),
        customer_id=notice.customer_id,
        notice_id=notice.id,
        what=what,
    )


def _troubled(tx: Transaction, tickets: _Tickets, now: datetime, limit: int) -> list[AttentionItem]:
    """Return deliveries whose last attempt failed, for now or for good."""
    items = []
    for delivery in tx.troubled_deliveries(limit):
        notice = tx.notice(delivery.notice_id)
        if notice is None:
            raise NotFoundError("notice", delivery.notice_id)
        items.append(
            AttentionItem(
                kind="delivery_failed" if delivery.state is DeliveryState.FAILED else "delivery_failing",
                due_at=notice.due_at,
                overdue=notice.due_at < now,
                incident_id=notice.incident_id,
                ticket=tickets.of(notice.incident_id),
                customer_id=delivery.customer_id,
                notice_id=notice.id,
                delivery_id=delivery.id,
                what=f"{delivery.channel.value}: {delivery.last_error}",
            )
        )
    return items
