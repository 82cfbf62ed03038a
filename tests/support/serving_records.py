"""Records about deliveries for tests of the store: complete, with every optional field filled."""

from dataclasses import replace
from uuid import uuid4

from notifications.delivery.acknowledgement import AcknowledgedVia, Acknowledgement, NoticeOpening
from notifications.delivery.call_task import CallOutcome, CallReason, CallRecord, CallTask
from notifications.delivery.delivery import ChannelKind, ChannelPause
from notifications.delivery.escalation import Escalation
from notifications.delivery.reachability import CheckSubject, ReachabilityCheck
from notifications.delivery.webhook import EndpointState, SignatureKind, WebhookEndpoint, WebhookSecret
from notifications.mail.bounce_record import Bounce, BounceKind
from support.numbering import numbers
from support.records import NOW, after

_numbers = numbers()


def make_endpoint(customer, **changes):
    made = WebhookEndpoint(
        id=uuid4(),
        customer_id=customer.id,
        url=f"https://hooks{next(_numbers)}.example/greffier",
        description="Empfänger",
        state=EndpointState.FAILING,
        state_reason="five days of 500",
        created_at=NOW,
        created_by="account:a",
        failing_since=after(microseconds=1),
        last_success_at=after(microseconds=2),
    )
    return replace(made, **changes)


def make_secret(endpoint, **changes):
    made = WebhookSecret(uuid4(), endpoint.id, SignatureKind.V1A, b"\x00sealed", "whpk_x", NOW, after(microseconds=1))
    return replace(made, **changes)


def make_returned(delivery, **changes):
    delivery_id = None if delivery is None else delivery.id
    made = Bounce(uuid4(), delivery_id, NOW, BounceKind.FAILED, "5.1.1", "no such é", "mx.example", b"raw\r\n\xff")
    return replace(made, **changes)


def make_opening(notice, **changes):
    return replace(NoticeOpening(notice.id, notice.customer_id, f"account:{next(_numbers)}", NOW), **changes)


def make_acknowledgement(notice, contact=None, **changes):
    made = Acknowledgement(
        id=uuid4(),
        notice_id=notice.id,
        customer_id=notice.customer_id,
        contact_id=None if contact is None else contact.id,
        by=f"contact:{next(_numbers)}",
        via=AcknowledgedVia.LINK,
        acknowledged_at=after(microseconds=3),
        note="Reçu",
    )
    return replace(made, **changes)


def make_escalation(notice, **changes):
    made = Escalation(notice.id, notice.customer_id, notice.due_at, after(hours=1, microseconds=1), after(minutes=5))
    return replace(made, **changes)


def make_call_task(notice, **changes):
    made = CallTask(uuid4(), notice.id, notice.customer_id, CallReason.ALL_FAILED, NOW, after(hours=1, microseconds=1))
    return replace(made, **changes)


def make_call_record(task, contact=None, **changes):
    made = CallRecord(
        id=uuid4(),
        task_id=task.id,
        contact_id=None if contact is None else contact.id,
        number="+33 1 23 45 67 89",
        called_at=after(microseconds=1),
        called_by="account:a",
        outcome=CallOutcome.MESSAGE_LEFT,
        spoke_to="Zoë",
        note="rappelle",
    )
    return replace(made, **changes)


def make_check(customer, **changes):
    made = ReachabilityCheck(
        uuid4(), customer.id, CheckSubject.CONTACT, uuid4(), NOW, ok=False, code=550, reason="no such user"
    )
    return replace(made, **changes)


def make_pause(channel=ChannelKind.EMAIL, **changes):
    return replace(ChannelPause(channel, NOW, "account:a", "relay down", after(hours=1, microseconds=1)), **changes)
