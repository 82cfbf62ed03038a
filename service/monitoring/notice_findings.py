"""Findings about notices and customers, from the current state of the store. They contain no fact of an incident."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from notifications.agreement import DeadlineBinding
from notifications.canonical_json import timestamp_text
from notifications.customer.records import Contact
from notifications.delivery.call_task import CallTaskState
from notifications.delivery.webhook import WebhookEndpoint
from notifications.mail.bounce_parser import words_to_read
from notifications.mail.bounce_record import Bounce
from notifications.mail.mail_form import EXPIRY_WARNING_DAYS, days_to_expiry
from notifications.mail.mime_reading import one_line
from notifications.notice import Notice
from notifications.ports import Page
from service.ports.alerts import Alert, UnreleasedDrafts, WaitingNotices
from service.ports.store import AccessTransaction

#: Greatest number of records per scan. It is large, so that normally one scan sees all findings with one cause.
_AT_ONCE = 10_000
_CONTACTS_AT_ONCE = 500
#: Characters of a bounce on the board; the delivery has all of it.
_SAID_CHARACTERS = 300

#: Kinds whose alerts are closed automatically once the reported object no longer waits.
_WHILE_IT_WAITS = frozenset(
    {"draft_half_time", "draft_due_soon", "draft_overdue", "notice_held", "delivery_late", "call_open", "call_overdue"}
)
#: Kinds about the service itself; their alerts are closed once the reported state is over.
OPERATING_KINDS = frozenset(
    {
        "queue_old",
        "channel_paused_due",
        "deliveries_failing",
        "log_lagging",
        "service_certificate_expiring",
        "disk_low",
        "witness_failing",
        "witness_disputing",
        "erasure_waiting",
        "head_untimestamped",
        "notices_undated",
        "log_differs",
        "time_zones_old",
        # It is about a customer's system, but the board shows it together with these kinds.
        "webhook_certificate_expiring",
    }
)
#: Kinds that are not about an incident; administrators get these alerts too.
WITHOUT_INCIDENT = OPERATING_KINDS | {
    "customer_unreachable",
    "contact_certificate_expiring",
    "service_mail_failed",
    "contact_check_failed",
    "customer_check_failed",
    "webhook_disabled",
}


@dataclass(frozen=True, slots=True)
class AlertCandidate:
    """A finding that can become an alert."""

    #: unique for the object and the stage
    key: str
    kind: str
    #: readable name of the object: a ticket, a customer's name, the purpose of a mail
    ticket: str
    count: int = 1
    due_at: datetime | None = None
    incident_id: UUID | None = None
    notice_id: UUID | None = None
    customer_id: UUID | None = None
    #: False if no mail is sent for it
    mailed: bool = True
    #: about an exercise; its words say so
    exercise: bool = False
    #: what others said of it, in one line, for who looks at the board; in no mail and in no entry
    said: str = ""
    #: how strictly ``due_at`` binds, where it is the deadline of a notice
    binding: DeadlineBinding | None = None


@dataclass(frozen=True, slots=True)
class Stages:
    """The times at which waiting objects are reported."""

    #: time before its deadline at which an unfinished object is reported a last time
    lead: timedelta
    #: time that passes before a new draft, a new customer without contacts, or an unsealed release is reported
    grace: timedelta


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The result of a scan."""

    #: findings without an alert so far
    new: tuple[AlertCandidate, ...]
    #: open alerts whose object no longer waits or has reached a later stage
    settled: tuple[Alert, ...]


def scan_notices(tx: AccessTransaction, now: datetime, stages: Stages) -> ScanResult:
    """Return the findings that have no alert yet, and the alerts whose cause is over.

    1. Unreleased drafts that reached a stage: half of their time gone, the lead before the deadline, overdue; one
       finding per incident, deadline and stage, however many customers wait.
    2. Released notices that something holds, or that are due and not sealed; one per incident and reason, each day.
    3. Deliveries that failed for good, and those that are due and not done; the latter one per incident and deadline,
       each day.
    4. Calls to be made, and those that should have been; one per task and stage.
    5. Customers that could not be notified by mail.
    6. The service's own mails that failed for good. No further mail is sent about an alert that could not be mailed.
    7. Notices that are sent as summaries because a server on the way accepts no larger mail.
    """
    waiting = [*_drafts(tx, now, stages), *_held(tx, now, stages), *_late(tx, now, stages), *_calls(tx, now)]
    new = [item for item in waiting if tx.alerts.by_key(item.key) is None]
    new += (*_failed(tx), *_unreachable(tx, now, stages), *_failed_mails(tx), *_too_large(tx))
    still_waiting = {item.key for item in waiting}
    settled = [
        alert
        for alert in tx.alerts.unseen(_AT_ONCE)
        if alert.kind in _WHILE_IT_WAITS and alert.key not in still_waiting
    ]
    return ScanResult(tuple(new), tuple(settled))


def override_finding(tx: AccessTransaction, notice: Notice) -> AlertCandidate:
    """Return the finding about an emergency release."""
    return _of_notice(tx, notice, f"release_overridden:{notice.id}", "release_overridden")


def webhook_finding(tx: AccessTransaction, endpoint: WebhookEndpoint) -> AlertCandidate:
    """Return the finding about an endpoint that this service disabled; one for each time."""
    customer = tx.customers.get(endpoint.customer_id)
    key = f"webhook_disabled:{endpoint.id.hex}:{endpoint.version}"
    return AlertCandidate(
        key, "webhook_disabled", "" if customer is None else customer.name, customer_id=endpoint.customer_id
    )


def bounce_finding(tx: AccessTransaction, message: Bounce, notice: Notice | None) -> AlertCandidate:
    """Return the finding about a bounce that a person must read.

    Each one is listed until somebody acknowledges it. Only the first of an incident and day is mailed.
    """
    said = " ".join(filter(None, (message.diagnostic, words_to_read(message.content))))
    said = (one_line(said) or "")[:_SAID_CHARACTERS]
    if notice is None:
        return AlertCandidate(f"return_unread:{message.id.hex}", "return_unread", "", said=said)
    of_day = f"return_unread:{notice.incident_id}:{message.received_at:%Y-%m-%d}"
    if tx.alerts.by_key(of_day) is None:
        return replace(_of_notice(tx, notice, of_day, "return_unread"), said=said)
    finding = _of_notice(tx, notice, f"return_unread:{message.id.hex}", "return_unread")
    return replace(finding, mailed=False, said=said)


def certificate_findings(
    tx: AccessTransaction, now: datetime, cursor: str | None
) -> tuple[list[AlertCandidate], str | None]:
    """Return the findings about the certificates of one page of contacts, and the next cursor; None at the end.

    The scan goes page by page, because each certificate is parsed and other work must not wait for all of them.
    """
    contacts, following = tx.alerts.contacts_with_certificate(Page(_CONTACTS_AT_ONCE, cursor))
    found = []
    for contact in contacts:
        key = certificate_key(contact, now)
        if key is None or tx.alerts.by_key(key) is not None:
            continue
        customer = tx.customers.get(contact.customer_id)
        found.append(
            AlertCandidate(
                key=key,
                kind="contact_certificate_expiring",
                ticket="" if customer is None else customer.name,
                customer_id=contact.customer_id,
            )
        )
    return found, following


def certificate_key(contact: Contact, now: datetime) -> str | None:
    """Return the current key of the alert about a contact's certificate; None if no warning is due yet.

    The last part of the key is the stage: the days before the end, or that it has expired.
    """
    days = days_to_expiry(contact, now)
    if not contact.active or contact.smime_certificate is None or days is None or days >= max(EXPIRY_WARNING_DAYS):
        return None
    stage = "expired" if days < 0 else str(min(warned for warned in EXPIRY_WARNING_DAYS if days < warned))
    digest = hashlib.sha256(contact.smime_certificate).hexdigest()[:16]
    return f"contact_certificate_expiring:{contact.id.hex}:{digest}:{stage}"


def _drafts(tx: AccessTransaction, now: datetime, stages: Stages) -> list[AlertCandidate]:
    waiting: dict[tuple[UUID, datetime, str], list[UnreleasedDrafts]] = {}
    for drafts in tx.alerts.unreleased_drafts(now, now - stages.grace, _AT_ONCE):
        key = drafts.incident_id, drafts.due_at, _stage(drafts, now, stages.lead)
        waiting.setdefault(key, []).append(drafts)
    return [
        AlertCandidate(
            # Drafts that are made after these are released are a new finding.
            key=":".join(
                (
                    "draft_unreleased",
                    str(incident_id),
                    timestamp_text(due_at),
                    timestamp_text(min(drafts.created_at for drafts in alike)),
                    stage,
                )
            ),
            kind=f"draft_{stage}",
            ticket=_ticket(tx, incident_id),
            count=sum(drafts.count for drafts in alike),
            due_at=due_at,
            incident_id=incident_id,
            exercise=_is_exercise(tx, incident_id),
            binding=strictest(drafts.binding for drafts in alike),
        )
        for (incident_id, due_at, stage), alike in waiting.items()
    ]


def strictest(bindings: Iterable[DeadlineBinding | None]) -> DeadlineBinding | None:
    """Return the strictest binding; None if none is stated."""
    order = (*DeadlineBinding, None)
    return min(bindings, key=order.index, default=None)


def _stage(drafts: UnreleasedDrafts, now: datetime, lead: timedelta) -> str:
    """Return the latest stage of drafts for which half of the time has passed."""
    if drafts.due_at <= now:
        return "overdue"
    return "due_soon" if drafts.due_at - lead <= now else "half_time"


def _held(tx: AccessTransaction, now: datetime, stages: Stages) -> list[AlertCandidate]:
    return [
        _waiting(tx, held, "notice_held", now, hashlib.sha256(held.reason.encode()).hexdigest()[:16])
        for held in tx.alerts.notices_held(now + stages.lead, now - stages.grace, _AT_ONCE)
    ]


def _late(tx: AccessTransaction, now: datetime, stages: Stages) -> list[AlertCandidate]:
    return [
        _waiting(tx, late, "delivery_late", now, timestamp_text(late.due_at))
        for late in tx.alerts.deliveries_late(now + stages.lead, now - stages.grace, _AT_ONCE)
    ]


def _waiting(tx: AccessTransaction, waiting: WaitingNotices, kind: str, now: datetime, about: str) -> AlertCandidate:
    return AlertCandidate(
        key=f"{kind}:{waiting.incident_id}:{about}:{now:%Y-%m-%d}",
        kind=kind,
        ticket=_ticket(tx, waiting.incident_id),
        count=waiting.count,
        due_at=waiting.due_at,
        incident_id=waiting.incident_id,
        exercise=_is_exercise(tx, waiting.incident_id),
        binding=waiting.binding,
    )


def _calls(tx: AccessTransaction, now: datetime) -> list[AlertCandidate]:
    found = []
    tasks, _ = tx.escalations.call_tasks(Page(_AT_ONCE), state=CallTaskState.OPEN.value)
    for task in tasks:
        kind = "call_open" if now < task.due_at else "call_overdue"
        candidate = AlertCandidate(f"{kind}:{task.id.hex}", kind, "")
        # Of what was alerted before nothing is read: a relay that is down may open thousands.
        notice = tx.notices.get(task.notice_id) if tx.alerts.by_key(candidate.key) is None else None
        if notice is not None:
            candidate = replace(_of_notice(tx, notice, candidate.key, kind), due_at=task.due_at)
        found.append(candidate)
    return found


def _failed(tx: AccessTransaction) -> list[AlertCandidate]:
    found = []
    for failed in tx.alerts.failed_deliveries(_AT_ONCE):
        notice = tx.notices.get(failed.notice_id)
        if notice is not None:
            found.append(_of_notice(tx, notice, f"delivery_failed:{failed.delivery_id.hex}", "delivery_failed"))
    return found


def _unreachable(tx: AccessTransaction, now: datetime, stages: Stages) -> list[AlertCandidate]:
    return [
        AlertCandidate(
            key=f"customer_unreachable:{customer.customer_id.hex}:{customer.contacts_state}",
            kind="customer_unreachable",
            ticket=customer.name,
            customer_id=customer.customer_id,
        )
        for customer in tx.alerts.unreachable_customers(now - stages.grace, _AT_ONCE)
    ]


def _failed_mails(tx: AccessTransaction) -> list[AlertCandidate]:
    return [
        AlertCandidate(
            key=f"service_mail_failed:{mail.mail_id.hex}",
            kind="service_mail_failed",
            ticket=mail.purpose,
            mailed=mail.purpose != "alert",
        )
        for mail in tx.alerts.failed_mails(_AT_ONCE)
    ]


def _too_large(tx: AccessTransaction) -> list[AlertCandidate]:
    notices = (tx.notices.get(notice_id) for notice_id in tx.alerts.too_large_notices(_AT_ONCE))
    return [
        _of_notice(tx, notice, f"delivery_too_large:{notice.id.hex}", "delivery_too_large")
        for notice in notices
        if notice is not None
    ]


def _of_notice(tx: AccessTransaction, notice: Notice, key: str, kind: str) -> AlertCandidate:
    return AlertCandidate(
        key=key,
        kind=kind,
        ticket=_ticket(tx, notice.incident_id),
        due_at=notice.due_at,
        incident_id=notice.incident_id,
        notice_id=notice.id,
        customer_id=notice.customer_id,
        exercise=notice.exercise,
    )


def _is_exercise(tx: AccessTransaction, incident_id: UUID) -> bool:
    incident = tx.incidents.get(incident_id)
    return incident is not None and incident.exercise


def _ticket(tx: AccessTransaction, incident_id: UUID) -> str:
    incident = tx.incidents.get(incident_id)
    return "" if incident is None else incident.ticket
