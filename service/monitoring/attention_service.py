"""What waits about customers, contacts and the service itself: checks, certificates, pauses, findings."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from notifications.canonical_json import timestamp_text
from notifications.delivery.reachability import CALL_TO_MAKE, CheckSubject, ReachabilityCheck
from notifications.delivery.webhook import EndpointState
from notifications.use_cases.customers.record_checks import second_channel_of
from notifications.use_cases.notices.pause_channel import is_paused
from service.monitoring.attention_item import AttentionItem
from service.monitoring.notice_findings import OPERATING_KINDS, certificate_key
from service.ports.alerts import Alert
from service.ports.figures import QueueFigures
from service.ports.store import AccessTransaction


def unreachable_customers(tx: AccessTransaction, limit: int) -> list[AttentionItem]:
    """Return customers that could not be notified by mail now."""
    return [
        AttentionItem(
            kind="customer_unreachable", due_at=None, overdue=False, customer_id=customer_id, what="no active contact"
        )
        for customer_id in tx.alerts.customers_without_contact(limit)
    ]


def failed_mails(alerts: Sequence[Alert]) -> list[AttentionItem]:
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


def expiring_certificates(tx: AccessTransaction, alerts: Sequence[Alert], now: datetime) -> list[AttentionItem]:
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


def failed_checks(tx: AccessTransaction, alerts: Sequence[Alert]) -> list[AttentionItem]:
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


def paused_channels(tx: AccessTransaction, now: datetime) -> list[AttentionItem]:
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


def operating_findings(alerts: Sequence[Alert]) -> list[AttentionItem]:
    """Return what is wrong with the service itself, until it is over or somebody saw it."""
    return [
        AttentionItem(
            kind="operating", due_at=None, overdue=False, alert_id=alert.id, what=f"{alert.kind}: {alert.what}"
        )
        for alert in alerts
        if alert.kind in OPERATING_KINDS
    ]
