"""What waits for a person: open questions with their clocks, drafts, held notices, deliveries in trouble."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from notifications.canonical_json import timestamp_text
from notifications.decision import Verdict, binding_of
from notifications.delivery.delivery import DeliveryState
from notifications.delivery.reachability import CALL_TO_MAKE, CheckSubject, ReachabilityCheck
from notifications.delivery.webhook import EndpointState
from notifications.errors import required
from notifications.incident import Incident
from notifications.notice import Notice, NoticeState
from notifications.ports import Page, Transaction
from notifications.use_cases.customers.record_checks import second_channel_of
from notifications.use_cases.incidents.apply_facts import public_fact_id
from notifications.use_cases.notices.manage_calls import nearest_open_tasks
from notifications.use_cases.notices.pause_channel import is_paused
from notifications.wording.exercise import exercise_mark
from service.monitoring.notice_findings import OPERATING_KINDS, WITHOUT_INCIDENT, certificate_key
from service.monitoring.service_findings import NO_REASON
from service.ports.alerts import Alert
from service.ports.figures import QueueFigures
from service.ports.store import AccessTransaction

#: Pending decisions read per incident to find the facts they wait for.
_DECISIONS = 200

AttentionKind = Literal[
    "decision_pending",
    "draft_unreleased",
    "notice_held",
    "notice_undated",
    "delivery_failing",
    "delivery_failed",
    "override_unreviewed",
    "alert",
    "customer_unreachable",
    "contact_certificate_expiring",
    "service_mail_failed",
    "contact_check_failed",
    "customer_check_failed",
    "channel_paused",
    "operating",
    "call_due",
    "letter_due",
    "question_waiting",
]


@dataclass(frozen=True, slots=True)
class AttentionItem:
    """One thing that waits for a person."""

    kind: AttentionKind
    #: the deadline, or the earliest possible one; None if nothing is owed yet
    due_at: datetime | None
    overdue: bool
    #: the obstacle, in one line
    what: str
    incident_id: UUID | None = None
    ticket: str | None = None
    #: None where it concerns several
    customer_id: UUID | None = None
    notice_id: UUID | None = None
    delivery_id: UUID | None = None
    call_task_id: UUID | None = None
    alert_id: UUID | None = None
    #: how strictly ``due_at`` binds, a ``DeadlineBinding`` value; None where it is no deadline of a notice
    binding: str | None = None


@dataclass(frozen=True, slots=True)
class AttentionList:
    """What waits, nearest deadline first."""

    items: Sequence[AttentionItem]
    #: whether everything was looked at; False where a list was longer than the limit
    complete: bool


def attention_list(tx: AccessTransaction, now: datetime, limit: int, *, reads_incidents: bool) -> AttentionList:
    """Return what waits, nearest deadline first; without the right to read incidents, nothing about incidents."""
    tickets = _Tickets(tx)
    unreachable, open_alerts = _unreachable(tx, limit), tx.alerts.unseen(limit)
    items = [*unreachable, *_failed_mails(open_alerts), *_certificates(tx, open_alerts, now)]
    items += (*_checks(tx, open_alerts), *_paused(tx, now), *_operating(open_alerts))
    complete = max(len(unreachable), len(open_alerts)) < limit
    if reads_incidents:
        pending, all_pending = _pending(tx, now, limit)
        waiting, all_waiting = _waiting(tx, tickets, now, limit)
        troubled = _troubled(tx, tickets, now, limit)
        undated = _undated(tx, tickets, limit)
        calls, all_calls = _calls(tx, tickets, now, limit)
        questions = _questions(tx, tickets, limit)
        letters = _letters(tx, tickets, now, limit)
        items += (
            *pending,
            *waiting,
            *undated,
            *troubled,
            *calls,
            *_alerts(tx, open_alerts, tickets, now),
            *questions,
            *letters,
        )
        longest = max(len(troubled), len(undated), len(questions), len(letters))
        complete = complete and all_pending and all_waiting and all_calls and longest < limit
    items = [_marked(item) if tickets.is_exercise(item.incident_id) else item for item in items]
    # What nothing is owed by yet comes last.
    items.sort(key=lambda item: (item.due_at is None, item.due_at or now))
    return AttentionList(items=items, complete=complete)


def _marked(item: AttentionItem) -> AttentionItem:
    """Return what waits in an exercise: it says so, and no deadline was missed."""
    mark = exercise_mark("en")
    what = item.what if item.what.startswith(mark) else f"{mark}: {item.what}"
    return replace(item, what=what, overdue=False)


def _unreachable(tx: AccessTransaction, limit: int) -> list[AttentionItem]:
    """Return customers that could not be notified by mail now."""
    return [
        AttentionItem(
            kind="customer_unreachable", due_at=None, overdue=False, customer_id=customer_id, what="no active contact"
        )
        for customer_id in tx.alerts.customers_without_contact(limit)
    ]


def _calls(tx: AccessTransaction, tickets: "_Tickets", now: datetime, limit: int) -> tuple[list[AttentionItem], bool]:
    """Return the calls to be made; the task itself has whom to call and what to say."""
    tasks, whole = nearest_open_tasks(tx, limit)
    items = []
    for task in tasks:
        notice = tx.notices.require(task.notice_id)
        items.append(
            AttentionItem(
                kind="call_due",
                due_at=task.due_at,
                overdue=task.due_at < now,
                incident_id=notice.incident_id,
                ticket=tickets.of(notice.incident_id),
                customer_id=task.customer_id,
                notice_id=notice.id,
                call_task_id=task.id,
                what=f"{task.reason.value}, {len(tx.escalations.call_records(task.id))} call(s) made",
            )
        )
    return items, whole


def _letters(tx: AccessTransaction, tickets: "_Tickets", now: datetime, limit: int) -> list[AttentionItem]:
    """Return the registered letters that are not posted, or whose return slip is missing."""
    items = []
    for task in tx.announcements.open_letters(limit):
        notice = tx.notices.require(task.notice_id)
        posted = task.posting_number is not None
        items.append(
            AttentionItem(
                kind="letter_due",
                due_at=None if posted else task.due_at,
                overdue=not posted and task.due_at < now,
                incident_id=notice.incident_id,
                ticket=tickets.of(notice.incident_id),
                customer_id=task.customer_id,
                notice_id=notice.id,
                what="the return slip is missing" if posted else "registered letter to post",
            )
        )
    return items


def _questions(tx: AccessTransaction, tickets: "_Tickets", limit: int) -> list[AttentionItem]:
    """Return what customers asked and nobody answered; the text itself is on the page of the notice."""
    items = []
    for question in tx.questions.unanswered(limit):
        notice = tx.notices.require(question.notice_id)
        items.append(
            AttentionItem(
                kind="question_waiting",
                due_at=None,
                overdue=False,
                incident_id=notice.incident_id,
                ticket=tickets.of(notice.incident_id),
                customer_id=question.customer_id,
                notice_id=notice.id,
                what=f"asked {timestamp_text(question.asked_at)}",
            )
        )
    return items


def _failed_mails(alerts: Sequence[Alert]) -> list[AttentionItem]:
    """Return mails of the service's own that failed for good, by purpose; their addresses stay where they are."""
    return [
        AttentionItem(
            kind="service_mail_failed",
            due_at=None,
            overdue=False,
            alert_id=alert.id,
            what=alert.what.removesuffix(" 1"),
        )
        for alert in alerts
        if alert.kind == "service_mail_failed"
    ]


def _checks(tx: AccessTransaction, alerts: Sequence[Alert]) -> list[AttentionItem]:
    """Return failed checks until they succeed or a person saw the alert. The items contain no address."""
    items = [
        AttentionItem(
            kind="customer_check_failed",
            due_at=None,
            overdue=False,
            customer_id=alert.customer_id,
            alert_id=alert.id,
            what="nobody answered the last check",
        )
        for alert in alerts
        if alert.kind == "customer_check_failed"
    ]
    for alert in alerts:
        if alert.kind != "contact_check_failed" or alert.customer_id is None:
            continue
        about = tuple(alert.key.split(":")[1:3])
        checks = tx.customers.latest_reachability_checks(alert.customer_id)
        check = next((item for item in checks if (item.subject_id.hex, item.subject.value) == about), None)
        if check is None or check.ok or not _is_in_service(tx, check):
            continue
        code = "" if check.code is None else f" ({check.code})"
        items.append(
            AttentionItem(
                kind="contact_check_failed",
                due_at=None,
                overdue=False,
                customer_id=alert.customer_id,
                alert_id=alert.id,
                what=CALL_TO_MAKE
                if check.reason == CALL_TO_MAKE
                else f"{check.subject.value} failed its last check{code}",
            )
        )
    return items


def _is_in_service(tx: AccessTransaction, check: ReachabilityCheck) -> bool:
    if check.subject is CheckSubject.WEBHOOK:
        endpoint = tx.webhooks.get(check.subject_id)
        return endpoint is not None and endpoint.state is EndpointState.ACTIVE
    if check.subject is CheckSubject.SECOND_CHANNEL:
        channel = second_channel_of(tx, check.customer_id)
        # Without a channel, the finding is about the customer itself.
        return check.subject_id == (check.customer_id if channel is None else channel.subject_id)
    contact = tx.customers.contact(check.subject_id)
    return contact is not None and contact.active


def _paused(tx: AccessTransaction, now: datetime) -> list[AttentionItem]:
    """Return the channels that somebody paused, with the nearest deadline of what waits for them."""
    pauses = [pause for pause in tx.deliveries.channel_pauses() if is_paused(pause, now)]
    if not pauses:
        return []
    queues = {queue.channel: queue for queue in tx.figures.collect(now).queues}
    items = []
    for pause in pauses:
        queue = queues.get(pause.channel.value, QueueFigures(pause.channel.value))
        end = "until somebody resumes it" if pause.until is None else f"until {timestamp_text(pause.until)}"
        items.append(
            AttentionItem(
                kind="channel_paused",
                due_at=queue.nearest_deadline,
                overdue=queue.nearest_deadline is not None and queue.nearest_deadline < now,
                what=f"{pause.channel.value}: {pause.reason} ({end}; {queue.due + queue.waiting} deliveries wait)",
            )
        )
    return items


def _operating(alerts: Sequence[Alert]) -> list[AttentionItem]:
    """Return what is wrong with the service itself, until it is over or somebody saw it."""
    return [
        AttentionItem(
            kind="operating", due_at=None, overdue=False, alert_id=alert.id, what=f"{alert.kind}: {alert.what}"
        )
        for alert in alerts
        if alert.kind in OPERATING_KINDS
    ]


def _certificates(tx: AccessTransaction, alerts: Sequence[Alert], now: datetime) -> list[AttentionItem]:
    """Return the contacts whose certificate ends or has ended, until it is replaced or somebody saw it."""
    latest = {
        # Of one certificate, what was said last.
        alert.key.rpartition(":")[0]: alert
        for alert in alerts
        if alert.kind == "contact_certificate_expiring"
    }
    items = []
    for about, alert in latest.items():
        contact = tx.customers.contact(UUID(about.split(":")[1]))
        key = None if contact is None else certificate_key(contact, now)
        if key is None or key.rpartition(":")[0] != about:
            continue
        expired = key.endswith("expired")
        items.append(
            AttentionItem(
                kind="contact_certificate_expiring",
                due_at=None,
                overdue=expired,
                customer_id=alert.customer_id,
                alert_id=alert.id,
                what=f"the S/MIME certificate of a contact {'has expired' if expired else 'expires soon'}",
            )
        )
    return items


def _alerts(tx: AccessTransaction, alerts: Sequence[Alert], tickets: "_Tickets", now: datetime) -> list[AttentionItem]:
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


class _Tickets:
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


def _pending(tx: Transaction, now: datetime, limit: int) -> tuple[list[AttentionItem], bool]:
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


def _waiting(tx: Transaction, tickets: _Tickets, now: datetime, limit: int) -> tuple[list[AttentionItem], bool]:
    """Return drafts that nobody released, and released notices that something holds."""
    drafts, more_drafts = tx.notices.page(Page(limit), state=NoticeState.DRAFT.value)
    held = [notice for notice in tx.notices.released(limit) if notice.hold_reason is not None]
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
        binding=notice.binding.value,
        what=what,
    )


def _undated(tx: Transaction, tickets: _Tickets, limit: int) -> list[AttentionItem]:
    """Return sealed notices without their timestamp, with the authority's reason; they were sent without it."""
    items = []
    for undated in tx.notices.undated(limit):
        notice = tx.notices.require(undated.notice_id)
        items.append(
            AttentionItem(
                kind="notice_undated",
                due_at=None,
                overdue=False,
                incident_id=notice.incident_id,
                ticket=tickets.of(notice.incident_id),
                customer_id=notice.customer_id,
                notice_id=notice.id,
                what=undated.reason or NO_REASON,
            )
        )
    return items


def _troubled(tx: Transaction, tickets: _Tickets, now: datetime, limit: int) -> list[AttentionItem]:
    """Return deliveries whose last attempt failed, for now or for good."""
    items = []
    for delivery in tx.deliveries.troubled(limit):
        notice = tx.notices.require(delivery.notice_id)
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
                binding=notice.binding.value,
                what=f"{delivery.channel.value}: {delivery.last_error}",
            )
        )
    return items
