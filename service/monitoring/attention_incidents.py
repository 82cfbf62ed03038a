"""What waits about incidents and announcements: decisions, drafts, notices, deliveries, calls, letters, questions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from notifications.canonical_json import timestamp_text
from notifications.decision import Verdict, binding_of
from notifications.delivery.delivery import DeliveryState
from notifications.errors import required
from notifications.incident import Incident
from notifications.notice import Notice, NoticeState
from notifications.ports import Page, Transaction
from notifications.use_cases.incidents.apply_facts import public_fact_id
from notifications.use_cases.notices.manage_calls import nearest_open_tasks
from service.monitoring.attention_item import AttentionItem, AttentionKind
from service.monitoring.notice_findings import WITHOUT_INCIDENT
from service.monitoring.service_findings import NO_REASON
from service.ports.alerts import Alert
from service.ports.store import AccessTransaction

#: Pending decisions read per incident to find the facts they wait for.
_DECISIONS = 200


class Tickets:
    """Incidents, each looked up once."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._known: dict[UUID, Incident] = {}

    def of(self, incident_id: UUID) -> str:
        """Return the ticket number."""
        return self._incident(incident_id).ticket

    def is_exercise(self, incident_id: UUID | None) -> bool:
        """Return whether an item is about an exercise."""
        return incident_id is not None and self._incident(incident_id).exercise

    def _incident(self, incident_id: UUID) -> Incident:
        if incident_id not in self._known:
            # Also an announcement, whose notices wait as those of an incident do.
            self._known[incident_id] = required("incident", incident_id, self._tx.incidents.get(incident_id))
        return self._known[incident_id]


def pending_decisions(tx: Transaction, now: datetime, limit: int) -> tuple[list[AttentionItem], bool]:
    """Return one item per open incident with pending verdicts: how many customers, which facts, by when."""
    items = []
    incidents, following = tx.incidents.page(Page(limit), state="open")
    for incident in incidents:
        decisions, more = tx.incidents.decisions(incident.id, Page(_DECISIONS), verdict=Verdict.PENDING.value)
        if not decisions:
            continue
        missing = sorted({public_fact_id(fact) for stored in decisions for fact in stored.decision.missing})
        due = [
            (decision.due_at, binding_of(decision.due_kind, decision.binding).value)
            for decision in (stored.decision for stored in decisions)
            if decision.due_at is not None and decision.due_kind is not None
        ]
        due_at, binding = min(due, default=(incident.facts.aware_at, None))
        count = f"more than {len(decisions)}" if more else str(len(decisions))
        items.append(
            AttentionItem(
                kind="decision_pending",
                due_at=due_at,
                overdue=due_at < now,
                incident_id=incident.id,
                ticket=incident.ticket,
                binding=binding,
                what=f"{count} customer(s) wait for: {', '.join(missing)}",
            )
        )
    return items, following is None


def waiting_notices(tx: Transaction, tickets: Tickets, now: datetime, limit: int) -> tuple[list[AttentionItem], bool]:
    """Return drafts that nobody released, and released notices that something holds."""
    drafts, more_drafts = tx.notices.page(Page(limit), state=NoticeState.DRAFT.value)
    held = [notice for notice in tx.notices.released(limit) if notice.hold_reason is not None]
    items = [
        _due_with(notice, _about(notice, tickets, "draft_unreleased", f"{notice.kind.value} notice to review"), now)
        for notice in drafts
    ]
    items += [
        _due_with(notice, _about(notice, tickets, "notice_held", notice.hold_reason or ""), now) for notice in held
    ]
    return items, more_drafts is None and len(held) < limit


def undated_notices(tx: Transaction, tickets: Tickets, limit: int) -> list[AttentionItem]:
    """Return sealed notices without their timestamp, with the authority's reason; they were sent without it."""
    return [
        _about(tx.notices.require(undated.notice_id), tickets, "notice_undated", undated.reason or NO_REASON)
        for undated in tx.notices.undated(limit)
    ]


def troubled_deliveries(tx: Transaction, tickets: Tickets, now: datetime, limit: int) -> list[AttentionItem]:
    """Return deliveries whose last attempt failed, for now or for good."""
    items = []
    for delivery in tx.deliveries.troubled(limit):
        notice = tx.notices.require(delivery.notice_id)
        kind: AttentionKind = "delivery_failed" if delivery.state is DeliveryState.FAILED else "delivery_failing"
        item = _about(notice, tickets, kind, f"{delivery.channel.value}: {delivery.last_error}")
        items.append(replace(_due_with(notice, item, now), delivery_id=delivery.id))
    return items


def due_calls(tx: AccessTransaction, tickets: Tickets, now: datetime, limit: int) -> tuple[list[AttentionItem], bool]:
    """Return the calls to be made; the task itself has whom to call and what to say."""
    tasks, whole = nearest_open_tasks(tx, limit)
    items = []
    for task in tasks:
        what = f"{task.reason.value}, {len(tx.escalations.call_records(task.id))} call(s) made"
        item = _about(tx.notices.require(task.notice_id), tickets, "call_due", what)
        items.append(replace(item, due_at=task.due_at, overdue=task.due_at < now, call_task_id=task.id))
    return items, whole


def due_letters(tx: AccessTransaction, tickets: Tickets, now: datetime, limit: int) -> list[AttentionItem]:
    """Return the registered letters that are not posted, or whose return slip is missing."""
    items = []
    for task in tx.announcements.open_letters(limit):
        posted = task.posting_number is not None
        what = "the return slip is missing" if posted else "registered letter to post"
        item = _about(tx.notices.require(task.notice_id), tickets, "letter_due", what)
        items.append(item if posted else replace(item, due_at=task.due_at, overdue=task.due_at < now))
    return items


def unanswered_questions(tx: AccessTransaction, tickets: Tickets, limit: int) -> list[AttentionItem]:
    """Return what customers asked and nobody answered; the text itself is on the page of the notice."""
    return [
        _about(
            tx.notices.require(question.notice_id),
            tickets,
            "question_waiting",
            f"asked {timestamp_text(question.asked_at)}",
        )
        for question in tx.questions.unanswered(limit)
    ]


def _about(notice: Notice, tickets: Tickets, kind: AttentionKind, what: str) -> AttentionItem:
    """Return an item about a notice, without a deadline."""
    return AttentionItem(
        kind=kind,
        due_at=None,
        overdue=False,
        incident_id=notice.incident_id,
        ticket=tickets.of(notice.incident_id),
        customer_id=notice.customer_id,
        notice_id=notice.id,
        what=what,
    )


def _due_with(notice: Notice, item: AttentionItem, now: datetime) -> AttentionItem:
    """Return the item with the deadline of its notice."""
    return replace(item, due_at=notice.due_at, overdue=notice.due_at < now, binding=notice.binding.value)


def unseen_alerts(
    tx: AccessTransaction, alerts: Sequence[Alert], tickets: Tickets, now: datetime
) -> list[AttentionItem]:
    """Return alerts that nobody has seen, without those whose object has its own item in the list."""
    items = []
    for alert in alerts:
        if alert.kind in WITHOUT_INCIDENT:
            continue
        notice = None if alert.notice_id is None else tx.notices.get(alert.notice_id)
        due_at = None if notice is None else notice.due_at
        items.append(
            AttentionItem(
                kind="override_unreviewed" if alert.kind == "release_overridden" else "alert",
                due_at=due_at,
                overdue=due_at is not None and due_at < now,
                incident_id=alert.incident_id,
                ticket=None if alert.incident_id is None else tickets.of(alert.incident_id),
                customer_id=alert.customer_id,
                notice_id=alert.notice_id,
                alert_id=alert.id,
                what=f"{alert.kind}: {alert.what}",
            )
        )
    return items
