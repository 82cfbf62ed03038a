"""What is to be done so that a customer has a sealed notice: fallback, escalation and calls, as data.

The plan is made from what stands recorded and from the clock, never from what was planned before: made twice it says
the same, and a look that was missed, came late or came at a moment earlier than the last one loses and doubles nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from notifications.customer.records import Contact, ContactRole, Customer
from notifications.delivery.acknowledgement import Acknowledgement
from notifications.delivery.call_task import CallOutcome, CallReason, CallRecord, CallTask, CallTaskState
from notifications.delivery.delivery import ChannelKind, Delivery, DeliveryCause, DeliveryState
from notifications.delivery.escalation import Escalation
from notifications.delivery.webhook import EndpointState, WebhookEndpoint
from notifications.mail_address import normal_address
from notifications.notice import Notice

#: Namespace of call tasks: the first task of a notice has the same identifier whoever opens it.
_CALL_TASKS = UUID("0d8a1d4e-9a55-5a0f-8d0c-0f3b1f0a6c7e")

#: Deliveries that were queued instead of others.
_INSTEAD = frozenset({DeliveryCause.FALLBACK, DeliveryCause.ESCALATION})

#: Of contacts of one order, who is asked first.
_ROLES = (ContactRole.SECURITY, ContactRole.MANAGEMENT, ContactRole.OPERATIONS, ContactRole.DPO)


@dataclass(frozen=True, slots=True)
class EscalationPolicy:
    """How patient escalation is, as data."""

    #: so long before the deadline at the latest everybody who is left is written to
    fallback_lead_seconds: int = 30 * 60
    #: so long before the deadline somebody is to call
    call_lead_seconds: int = 15 * 60
    #: a delivery that did not fail yet is given so long before another way is taken, and so is a notice due at once
    grace_seconds: int = 5 * 60
    #: how long somebody has for a call where the deadline gives them less
    call_within_seconds: int = 15 * 60
    #: what is not over is looked at again after so long, or an eighth of its age, whatever else was to wake it
    look_seconds: int = 15 * 60


DEFAULT_ESCALATION_POLICY = EscalationPolicy()


class EscalationStatus(StrEnum):
    """How far the customer is told."""

    #: nothing but its console has it; nobody may be looking
    OPEN = "open"
    #: the next hop took it for at least one contact or system, but the customer wants to acknowledge it
    TOLD = "told"
    #: nothing more is owed by this notice
    SETTLED = "settled"
    #: a later notice states all that this one did; what was owed passed to it
    SUPERSEDED = "superseded"


class StepReason(StrEnum):
    """Why another delivery is queued."""

    FAILED = "failed"
    DEADLINE_NEAR = "deadline_near"
    NOT_ACKNOWLEDGED = "not_acknowledged"


@dataclass(frozen=True, slots=True)
class NoticeClock:
    """All that a plan is made from: one sealed notice, and whom it can reach."""

    notice: Notice
    customer: Customer
    escalation: Escalation
    #: when the clock began: the notice was sealed
    started_at: datetime
    #: by ``order``, then creation
    contacts: Sequence[Contact] = ()
    endpoints: Sequence[WebhookEndpoint] = ()
    deliveries: Sequence[Delivery] = ()
    acknowledgements: Sequence[Acknowledgement] = ()
    #: oldest first
    call_tasks: Sequence[CallTask] = ()
    #: of all tasks
    calls: Sequence[CallRecord] = ()
    #: a later notice of the incident to the customer is sealed
    superseded: bool = False
    #: an earlier notice of the incident, whose deadline this one may have taken over, was told
    earlier_told: bool = False
    #: the same of its acknowledgement
    earlier_acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class QueueDelivery:
    """A delivery to queue; its identifier follows from whom it goes to, so that queueing it twice queues it once."""

    channel: ChannelKind
    contact_id: UUID | None
    endpoint_id: UUID | None
    cause: DeliveryCause
    reason: StepReason


@dataclass(frozen=True, slots=True)
class OpenCallTask:
    """A call task to open."""

    id: UUID
    reason: CallReason
    due_at: datetime


@dataclass(frozen=True, slots=True)
class EscalationPlan:
    """What to do now, and when to look again."""

    standing: EscalationStatus
    queue: tuple[QueueDelivery, ...]
    open_task: OpenCallTask | None
    #: open tasks that nobody needs to do any more
    cancel: tuple[CallTask, ...]
    #: None when nothing more is to come by itself
    next_look_at: datetime | None


def plan_escalation(
    watch: NoticeClock, now: datetime, policy: EscalationPolicy = DEFAULT_ESCALATION_POLICY
) -> EscalationPlan:
    """Return what is to be done for one notice.

    1. Superseded: nothing more goes out but what is queued, and its call is not made; the later notice took over the
       deadline and the acknowledgement that were open. Acknowledged, or somebody was reached by telephone: over. Told,
       and nothing to acknowledge: over, until what was taken comes back.
    2. Not told: for each delivery that failed for good the next contact in order, at once, unless one that has not
       failed is under way. Near the deadline: everybody who is left.
    3. Wanted acknowledgement absent at its time: the next contact in order, told or not; one at a time.
    4. Nobody left to write to, or the last moment to call before the deadline: somebody calls. The same at twice the
       time of an acknowledgement, or at its time where nobody is left. Never two open tasks of a notice; a task that a
       person ended is not opened again for the same want.

    The console satisfies 11.1.1.2 by the letter, and is evidence; it stops nothing here, since nobody may be looking.
    """
    moments = _moments_of(watch, policy)
    open_tasks = tuple(task for task in watch.call_tasks if task.state is CallTaskState.OPEN)
    # 1.
    standing = escalation_status(watch)
    if standing in {EscalationStatus.SETTLED, EscalationStatus.SUPERSEDED}:
        return EscalationPlan(standing, (), None, open_tasks, None)
    told, left = standing is EscalationStatus.TOLD, _left(watch)
    unacknowledged = moments.acknowledge_by is not None and now >= moments.acknowledge_by
    queue: list[QueueDelivery] = []
    # 2.
    if not told:
        queue += _fallback(watch, left, moments, now, policy)
    # 3.
    asking = any(_asks_again(delivery, moments, now, policy) for delivery in _outward(watch))
    if unacknowledged and not asking and not queue:
        queue += [_queued(target, DeliveryCause.ESCALATION, StepReason.NOT_ACKNOWLEDGED) for target in left[:1]]
    # 4.
    reasons = [] if told else _reasons_to_call(watch, moments, now, nobody_left=not left)
    doubled = moments.call_unacknowledged_at is not None and now >= moments.call_unacknowledged_at
    if unacknowledged and (doubled or not (left or asking)):
        reasons.append(CallReason.NOT_ACKNOWLEDGED)
    reason = next((reason for reason in reasons if not _ended_by_a_person(watch, reason)), None)
    # Who was to be called for want of telling is told now.
    cancel = tuple(task for task in open_tasks if told and task.reason is not CallReason.NOT_ACKNOWLEDGED)
    open_task = None
    if reason is not None and cancel == open_tasks:
        within = now + timedelta(seconds=policy.call_within_seconds)
        due_at = within if reason is CallReason.NOT_ACKNOWLEDGED else max(moments.due_at, within)
        open_task = OpenCallTask(call_task_id(watch.notice.id, len(watch.call_tasks) + 1), reason, due_at)
    under_way = [delivery.created_at for delivery in watch.deliveries if _hopeful(delivery, now, policy)]
    under_way += [now] if queue else []
    idle = max(timedelta(seconds=policy.look_seconds), (now - watch.started_at) / 8)
    next_look_at = _next_look(moments, under_way, now, idle, policy)
    return EscalationPlan(standing, tuple(queue), open_task, cancel, next_look_at)


def escalation_status(watch: NoticeClock) -> EscalationStatus:
    """Return how far the customer is told of a notice."""
    if watch.superseded:
        return EscalationStatus.SUPERSEDED
    if watch.acknowledgements or any(call.outcome is CallOutcome.REACHED for call in watch.calls):
        return EscalationStatus.SETTLED
    if not was_notified(watch.deliveries):
        return EscalationStatus.OPEN
    return EscalationStatus.SETTLED if _acknowledge_by(watch) is None else EscalationStatus.TOLD


def was_notified(deliveries: Sequence[Delivery]) -> bool:
    """Whether the next hop took a notice for somebody, and it has not come back.

    What the customer asks to have once more and cannot be given is no reason to say that it never had it.
    """
    return any(
        delivery.state is DeliveryState.SENT or delivery.sent_at is not None
        for delivery in deliveries
        if delivery.channel is not ChannelKind.CONSOLE
    )


def call_task_id(notice_id: UUID, number: int) -> UUID:
    """Return the identifier of the call task of a notice with this number, from 1."""
    return uuid5(_CALL_TASKS, f"{notice_id}/{number}")


def start_escalation(
    notice: Notice,
    customer: Customer,
    started_at: datetime,
    *,
    reachable: bool,
    deadlines: Sequence[datetime] = (),
    acknowledgements: Sequence[datetime] = (),
    policy: EscalationPolicy = DEFAULT_ESCALATION_POLICY,
) -> Escalation:
    """Return the clock of a notice that is sealed now.

    ``deadlines`` are those of notices that it follows and that nobody was told of, ``acknowledgements`` the times by
    which others were to be acknowledged and are not: they pass to it, so that a chain of follow-ups puts nothing off.
    What is past already is given the grace.
    """
    grace = started_at + timedelta(seconds=policy.grace_seconds)
    due_at = min([notice.due_at, *deadlines])
    times = [max(grace, at) for at in acknowledgements]
    if customer.acknowledge_within_seconds is not None:
        times.append(started_at + timedelta(seconds=customer.acknowledge_within_seconds))
    acknowledge_by = min(times, default=None)
    moments = _moments(due_at, acknowledge_by, started_at, policy)
    looks = [moments.fallback_at, moments.call_at, *([] if acknowledge_by is None else [acknowledge_by])]
    return Escalation(notice.id, notice.customer_id, due_at, acknowledge_by, min(looks) if reachable else started_at)


@dataclass(frozen=True, slots=True)
class _Moments:
    """When what is due, from what never changes of a notice."""

    due_at: datetime
    fallback_at: datetime
    call_at: datetime
    acknowledge_by: datetime | None
    #: twice the time
    call_unacknowledged_at: datetime | None


def _moments_of(watch: NoticeClock, policy: EscalationPolicy) -> _Moments:
    """Return the moments of a watch. What passed from an earlier notice is let go once that one has it."""
    due_at = watch.notice.due_at if watch.earlier_told else min(watch.notice.due_at, watch.escalation.due_at)
    return _moments(due_at, _acknowledge_by(watch), watch.started_at, policy)


def _acknowledge_by(watch: NoticeClock) -> datetime | None:
    acknowledge_by, within = watch.escalation.acknowledge_by, watch.customer.acknowledge_within_seconds
    if acknowledge_by is None or not watch.earlier_acknowledged:
        return acknowledge_by
    return None if within is None else max(acknowledge_by, watch.started_at + timedelta(seconds=within))


def _moments(
    due_at: datetime, acknowledge_by: datetime | None, started_at: datetime, policy: EscalationPolicy
) -> _Moments:
    grace = started_at + timedelta(seconds=policy.grace_seconds)
    half = started_at + (due_at - started_at) / 2
    return _Moments(
        due_at,
        max(grace, min(half, due_at - timedelta(seconds=policy.fallback_lead_seconds))),
        max(grace, due_at - timedelta(seconds=policy.call_lead_seconds)),
        acknowledge_by,
        None if acknowledge_by is None else acknowledge_by + (acknowledge_by - started_at),
    )


def _left(watch: NoticeClock) -> list[tuple[UUID | None, UUID | None]]:
    """Return whom nothing was queued to yet, in order, as (contact, endpoint): people first, then systems.

    An address that was written to for somebody else is not written to again: it would be the same mail twice.
    """
    used = {delivery.contact_id for delivery in watch.deliveries} | {
        delivery.endpoint_id for delivery in watch.deliveries
    }
    known = {normal_address(contact.email) for contact in watch.contacts if contact.id in used}
    left: list[tuple[UUID | None, UUID | None]] = []
    for contact in sorted(watch.contacts, key=_place):
        if contact.active and contact.id not in used and normal_address(contact.email) not in known:
            known.add(normal_address(contact.email))
            left.append((contact.id, None))
    left += [
        (None, endpoint.id)
        for endpoint in watch.endpoints
        if endpoint.state is EndpointState.ACTIVE and endpoint.id not in used
    ]
    return left


def _place(contact: Contact) -> tuple[bool, int, int, datetime, UUID]:
    """Return the place of a contact in the order of escalation: as the customer said, then by what it answers for."""
    return contact.fallback, contact.order, _ROLES.index(contact.role), contact.created_at, contact.id


def _fallback(
    watch: NoticeClock,
    left: Sequence[tuple[UUID | None, UUID | None]],
    moments: _Moments,
    now: datetime,
    policy: EscalationPolicy,
) -> list[QueueDelivery]:
    """Return what is queued for want of telling."""
    if now >= moments.fallback_at:
        return [_queued(target, DeliveryCause.FALLBACK, StepReason.DEADLINE_NEAR) for target in left]
    outward = _outward(watch)
    failed = sum(delivery.state is DeliveryState.FAILED for delivery in outward)
    instead = sum(delivery.cause in _INSTEAD for delivery in outward)
    if outward and (failed <= instead or any(_hopeful(delivery, now, policy) for delivery in outward)):
        return []
    return [_queued(target, DeliveryCause.FALLBACK, StepReason.FAILED) for target in left[:1]]


def _outward(watch: NoticeClock) -> list[Delivery]:
    """Return the deliveries that leave the house."""
    return [delivery for delivery in watch.deliveries if delivery.channel is not ChannelKind.CONSOLE]


def _queued(target: tuple[UUID | None, UUID | None], cause: DeliveryCause, reason: StepReason) -> QueueDelivery:
    contact_id, endpoint_id = target
    channel = ChannelKind.WEBHOOK if contact_id is None else ChannelKind.EMAIL
    return QueueDelivery(channel, contact_id, endpoint_id, cause, reason)


def _hopeful(delivery: Delivery, now: datetime, policy: EscalationPolicy) -> bool:
    """Whether a delivery is under way, has not failed and has not been under way for long."""
    return (
        delivery.state is DeliveryState.QUEUED
        and delivery.last_error is None
        and now < delivery.created_at + timedelta(seconds=policy.grace_seconds)
    )


def _asks_again(delivery: Delivery, moments: _Moments, now: datetime, policy: EscalationPolicy) -> bool:
    """Whether somebody is being asked, or was, since the acknowledgement was missed."""
    if delivery.cause not in _INSTEAD:
        return False
    if delivery.state is not DeliveryState.SENT:
        return _hopeful(delivery, now, policy)
    late = moments.acknowledge_by is not None and delivery.created_at >= moments.acknowledge_by
    return late or delivery.cause is DeliveryCause.ESCALATION


def _reasons_to_call(watch: NoticeClock, moments: _Moments, now: datetime, *, nobody_left: bool) -> list[CallReason]:
    """Return why somebody must call a customer that is not told; none while others may still reach it."""
    outward = _outward(watch)
    if nobody_left and all(delivery.state is DeliveryState.FAILED for delivery in outward):
        return [CallReason.ALL_FAILED if outward else CallReason.NOBODY_REACHABLE]
    return [CallReason.DEADLINE_NEAR] if now >= moments.call_at else []


def _ended_by_a_person(watch: NoticeClock, reason: CallReason) -> bool:
    """Whether somebody did a task for the same want already: what they decided stands."""
    return any(
        task.state is CallTaskState.DONE
        and (task.reason is CallReason.NOT_ACKNOWLEDGED) == (reason is CallReason.NOT_ACKNOWLEDGED)
        for task in watch.call_tasks
    )


def _next_look(
    moments: _Moments, under_way: Sequence[datetime], now: datetime, idle: timedelta, policy: EscalationPolicy
) -> datetime:
    """Return the next moment at which something may have to be done; ``under_way`` is since when what is has been."""
    candidates = [
        moments.fallback_at,
        moments.call_at,
        moments.acknowledge_by,
        moments.call_unacknowledged_at,
        *(since + timedelta(seconds=policy.grace_seconds) for since in under_way),
        now + idle,
    ]
    return min(moment for moment in candidates if moment is not None and moment > now)
