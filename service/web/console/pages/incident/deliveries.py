"""The deliveries of one incident as they happen: per customer and contact, with evidence and calls."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.customer.records import Contact, Customer
from notifications.delivery.call_task import CallTask, CallTaskState
from notifications.delivery.delivery import ChannelPause, Delivery, DeliveryAttempt, DeliveryState
from notifications.errors import NotFoundError, StateConflictError, VersionMismatchError
from notifications.incident import Incident
from notifications.mail.bounce_record import Bounce
from notifications.notice import Notice, NoticeState
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.resend_mail import resend_mail
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.delivery.acknowledgements import AcknowledgementStatus, acknowledgement_status
from service.ports.store import AccessTransaction
from service.web.console.failures import PageRoute
from service.web.console.forms import form_of, new_form_id, write_once
from service.web.console.pages.incident.frame import (
    CONFLICT,
    MayChangeIncidents,
    MayReadIncidents,
    customers_of,
    reading,
    shown_in_frame,
)

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_SHOWN = 200
_DONE = frozenset({"resent"})
_STATES = ("held", "failed", "failing", "queued", "released", "sent", "acknowledged")


@dataclass(frozen=True, slots=True)
class Served:
    """One delivery with its last attempt and its bounces."""

    delivery: Delivery
    contact: Contact | None
    last: DeliveryAttempt | None
    bounces: Sequence[Bounce]
    #: whether its contact is still to be written to
    may_get: bool


@dataclass(frozen=True, slots=True)
class CustomerDelivery:
    """How the latest notice of one customer is on its way."""

    notice: Notice
    customer: Customer | None
    #: one of ``_STATES``: how far the customer is notified
    state: str
    deliveries: Sequence[Delivery]
    tasks: Sequence[CallTask]


@dataclass(frozen=True, slots=True)
class ShownDelivery:
    """A customer's delivery with everything that the page shows of it."""

    item: CustomerDelivery
    served: Sequence[Served]
    #: None while the notice is not sealed
    acknowledgement: AcknowledgementStatus | None


@router.get("/incidents/{incident_id}/deliveries")
async def deliveries_page(
    request: Request, access: MayReadIncidents, incident_id: UUID, state: str = "", done: str = ""
) -> Response:
    """Show how far each customer is notified, those that need a person first."""
    return await _shown(request, access, incident_id, state, done=done if done in _DONE else "")


@router.post("/incidents/{incident_id}/deliveries/{delivery_id}/resend")
async def resend(request: Request, access: MayChangeIncidents, incident_id: UUID, delivery_id: UUID) -> Response:
    """Resend the mail of a delivery to its contact."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        delivery = tx.deliveries.get(delivery_id)
        notice = None if delivery is None else tx.notices.get(delivery.notice_id)
        if notice is None or notice.incident_id != incident_id:
            raise NotFoundError("delivery", delivery_id)
        resend_mail(tx, act, notice.id, delivery_id)
        return f"/incidents/{incident_id}/deliveries?done=resent"

    try:
        return await write_once(access, form, work)
    except (StateConflictError, VersionMismatchError):
        return await _shown(request, reading(access), incident_id, "", problem="not_resent")


async def _shown(
    request: Request, access: Access, incident_id: UUID, state: str, *, done: str = "", problem: str = ""
) -> Response:
    wanted = state if state in _STATES else ""
    now = access.clock.now()

    def work(tx: AccessTransaction) -> tuple[Incident, Mapping[str, int], list[ShownDelivery], list[ChannelPause]]:
        incident = tx.incidents.require(incident_id)
        found = deliveries_of(tx, incident_id)
        kept = [each for each in found if not wanted or each.state == wanted]
        pauses = [each for each in tx.deliveries.channel_pauses() if _holds(each, now)]
        counts = Counter(each.state for each in found)
        return incident, counts, [shown_delivery(tx, access, each) for each in kept[:_SHOWN]], pauses

    incident, counts, found, pauses = await access.read(work)
    values: dict[str, Any] = {
        "found": found,
        "counts": [(name, counts[name]) for name in _STATES if counts[name]],
        "whole": sum(counts.values()),
        "left_out": (counts[wanted] if wanted else sum(counts.values())) - len(found),
        "wanted": wanted,
        "done": done,
        "problem": problem,
        "form_id": new_form_id(),
        "may_resend": access.may(Permission.INCIDENT_CHANGE),
        "pauses": pauses,
        "sees_calls": access.may(Permission.CALL_READ),
        "sees_webhooks": access.may(Permission.WEBHOOK_READ),
        "sees_contacts": access.may(Permission.CONTACT_READ),
        "sees_channels": access.may(Permission.CHANNEL_READ),
    }
    status = CONFLICT if problem else 200
    return shown_in_frame(request, access, incident, "deliveries", values, status=status)


def _holds(pause: ChannelPause, now: datetime) -> bool:
    return pause.until is None or pause.until > now


def deliveries_of(tx: AccessTransaction, incident_id: UUID) -> list[CustomerDelivery]:
    """Return the latest released notice of each customer with its deliveries, those that need a person first."""
    latest: dict[UUID, Notice] = {}
    for notice in tx.notices.of_incident(incident_id):
        if notice.state in {NoticeState.RELEASED, NoticeState.SEALED}:
            latest[notice.customer_id] = notice
    found = []
    customers = customers_of(tx, latest.values())
    for notice in latest.values():
        sent = tx.deliveries.of_notice(notice.id)
        tasks = tx.escalations.call_tasks_of_notice(notice.id)
        found.append(CustomerDelivery(notice, customers.get(notice.customer_id), _state(tx, notice, sent), sent, tasks))

    def order(each: CustomerDelivery) -> tuple[bool, int, datetime]:
        called = any(task.state is CallTaskState.OPEN for task in each.tasks)
        return not called, _STATES.index(each.state), each.notice.due_at

    return sorted(found, key=order)


def _state(tx: AccessTransaction, notice: Notice, deliveries: Sequence[Delivery]) -> str:
    if notice.hold_reason is not None:
        return "held"
    if notice.state is NoticeState.RELEASED:
        return "released"
    if tx.notices.acknowledgements(notice.id):
        return "acknowledged"
    # The console inbox takes every notice, so it says nothing about whether a contact has it.
    outside = [each for each in deliveries if each.contact_id is not None or each.endpoint_id is not None]
    if any(each.state is DeliveryState.FAILED for each in outside):
        return "failed"
    queued = [each for each in outside if each.state is DeliveryState.QUEUED]
    if queued:
        return "failing" if any(each.last_error for each in queued) else "queued"
    return "sent"


def shown_delivery(tx: AccessTransaction, access: Access, item: CustomerDelivery) -> ShownDelivery:
    """Return what the page shows of one customer; contacts only to who may read them."""
    contacts = access.may(Permission.CONTACT_READ)
    served = []
    for delivery in item.deliveries:
        attempts = tx.deliveries.attempts(delivery.id)
        contact = None if delivery.contact_id is None else tx.customers.contact(delivery.contact_id)
        may_get = contact is not None and contact.active and (contact.takes_exercises or not item.notice.exercise)
        last, bounces = attempts[-1] if attempts else None, tx.deliveries.bounces(delivery.id)
        served.append(Served(delivery, contact if contacts else None, last, bounces, may_get))
    sealed = item.notice.state is NoticeState.SEALED
    return ShownDelivery(item, served, acknowledgement_status(tx, access, item.notice) if sealed else None)
