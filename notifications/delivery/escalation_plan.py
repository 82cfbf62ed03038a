"""Plan the further steps until a customer has a sealed notice: fallback, escalation and calls, as data.

The plan depends only on the recorded state and on the current time, never on an earlier plan. So a second run gives the
same plan, and a check that is missed, late or earlier than the last one neither loses nor repeats a step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from notifications.customer.records import Contact, ContactRole, Customer, recipients
from notifications.delivery.acknowledgement import Acknowledgement
from notifications.delivery.call_task import CallOutcome, CallReason, CallRecord, CallTask, CallTaskState
from notifications.delivery.delivery import ChannelKind, Delivery, DeliveryCause, DeliveryState
from notifications.delivery.escalation import Escalation
from notifications.delivery.webhook import EndpointState, WebhookEndpoint
from notifications.mail_address import normal_address
from notifications.notice import Notice

#: Namespace of call-task identifiers: the n-th task of a notice has the same identifier in every process.
_CALL_TASKS = UUID("0d8a1d4e-9a55-5a0f-8d0c-0f3b1f0a6c7e")

#: Causes of deliveries that replace or follow an earlier delivery.
_REPLACEMENT_CAUSES = frozenset({DeliveryCause.FALLBACK, DeliveryCause.ESCALATION})

#: Among contacts with the same ``order``, the roles that are written to first.
_ROLES = (
    ContactRole.SECURITY,
    ContactRole.MANAGEMENT,
    ContactRole.OPERATIONS,
    ContactRole.DPO,
    ContactRole.HEALTH_DATA_REFERENT,
)


@dataclass(frozen=True, slots=True)
class EscalationPolicy:
    """The times of escalation, as data."""

    #: at the latest this long before the deadline, all remaining contacts are written to
    fallback_lead_seconds: int = 30 * 60
    #: this long before the deadline, a person must call
    call_lead_seconds: int = 15 * 60
    #: time that a delivery without a failure gets before another contact is written to; also the time that a notice
    #: gets that is due at once
    grace_seconds: int = 5 * 60
    #: shortest time that a person gets for a call
    call_within_seconds: int = 15 * 60
    #: a notice is checked again at least after this time, or after an eighth of its age if that is longer
    look_seconds: int = 15 * 60
    #: news that a customer gets in its console is mailed when half of this time has passed and nobody opened it
    console_news_seconds: int = 24 * 3600


DEFAULT_ESCALATION_POLICY = EscalationPolicy()


class EscalationStatus(StrEnum):
    """How far the customer is notified."""

    #: only its console has the notice, and perhaps nobody reads the console
    OPEN = "open"
    #: the next hop accepted it for at least one contact or system, but the acknowledgement is missing
    NOTIFIED = "told"
    #: nothing more has to be done for this notice
    SETTLED = "settled"
    #: a later notice replaces this one and takes over its deadline and acknowledgement
    SUPERSEDED = "superseded"


class StepReason(StrEnum):
    """Why another delivery is queued."""

    FAILED = "failed"
    DEADLINE_NEAR = "deadline_near"
    NOT_ACKNOWLEDGED = "not_acknowledged"
    #: news in the console that nobody opened there
    NOT_OPENED = "not_opened"


@dataclass(frozen=True, slots=True)
class NoticeClock:
    """The input of a plan: one sealed notice, its deliveries and the ways to reach its customer."""

    notice: Notice
    customer: Customer
    escalation: Escalation
    #: when the notice was sealed
    started_at: datetime
    #: by ``order``, then creation
    contacts: Sequence[Contact] = ()
    endpoints: Sequence[WebhookEndpoint] = ()
    deliveries: Sequence[Delivery] = ()
    acknowledgements: Sequence[Acknowledgement] = ()
    #: oldest first
    call_tasks: Sequence[CallTask] = ()
    #: the calls of all tasks
    calls: Sequence[CallRecord] = ()
    #: whether a later notice of the incident to the customer is sealed
    superseded: bool = False
    #: whether the customer was notified by an earlier notice of the incident, whose deadline this one took over
    earlier_notified: bool = False
    #: whether that earlier notice was acknowledged
    earlier_acknowledged: bool = False
    #: whether it is news that the customer gets in its console, so that nobody was mailed at first
    in_console: bool = False
    #: whether one of the customer's people opened it in the console or by the API
    opened: bool = False


@dataclass(frozen=True, slots=True)
class QueueDelivery:
    """A delivery to queue. Its identifier depends on its recipient, so that queueing it twice has no effect."""

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
    """The steps to take now, and the time of the next check."""

    status: EscalationStatus
    queue: tuple[QueueDelivery, ...]
    open_task: OpenCallTask | None
    #: open tasks that are no longer needed
    cancel: tuple[CallTask, ...]
    #: None if no further check is needed
    next_look_at: datetime | None


def plan_escalation(
    clock: NoticeClock, now: datetime, policy: EscalationPolicy = DEFAULT_ESCALATION_POLICY
) -> EscalationPlan:
    """Return the steps to take for one notice.

    1. If the notice is superseded, queue nothing and cancel its call; the later notice took over its open deadline and
       acknowledgement. If it was acknowledged, or a call reached somebody, it is settled. If the customer is notified
       and no acknowledgement is asked for, it is settled until a mail bounces.
    2. If the customer is not notified, queue the next contact in order for each delivery that failed permanently,
       unless another delivery is in progress without a failure. Near the deadline, queue all remaining contacts.
    3. If the acknowledgement is overdue, queue the next contact in order, one at a time, even if the customer is
       notified.
    4. A person must call if no contact remains, or at the last moment before the deadline. A person must also call when
       twice the time for the acknowledgement has passed, or once that time has passed if no contact remains. A notice
       never has two open tasks. A task that a person closed is not opened again for the same reason.

    The console satisfies the letter of the agreement and counts as evidence. It ends no step here, because perhaps
    nobody reads it. News for which the customer named the console is the exception: opening it there is enough, and a
    mail follows only if nobody does.
    """
    moments = _clock_moments(clock, policy)
    open_tasks = tuple(task for task in clock.call_tasks if task.state is CallTaskState.OPEN)
    # 1.
    status = escalation_status(clock)
    if status in {EscalationStatus.SETTLED, EscalationStatus.SUPERSEDED}:
        return EscalationPlan(status, (), None, open_tasks, None)
    notified, remaining = status is EscalationStatus.NOTIFIED, _remaining_targets(clock)
    unacknowledged = moments.acknowledge_by is not None and now >= moments.acknowledge_by
    queue: list[QueueDelivery] = []
    # 2.
    if not notified:
        queue += _fallback(clock, remaining, moments, now, policy)
    # 3.
    asking = any(_asks_for_acknowledgement(delivery, moments, now, policy) for delivery in _outside_deliveries(clock))
    if unacknowledged and not asking and not queue:
        queue += [_queued(target, DeliveryCause.ESCALATION, StepReason.NOT_ACKNOWLEDGED) for target in remaining[:1]]
    # 4.
    reasons = [] if notified else _reasons_to_call(clock, moments, now, nobody_remaining=not remaining)
    doubled = moments.call_unacknowledged_at is not None and now >= moments.call_unacknowledged_at
    if unacknowledged and (doubled or not (remaining or asking)):
        reasons.append(CallReason.NOT_ACKNOWLEDGED)
    reason = next((reason for reason in reasons if not _ended_by_a_person(clock, reason)), None)
    # The customer is notified now, so a call to notify it is no longer needed.
    cancel = tuple(task for task in open_tasks if notified and task.reason is not CallReason.NOT_ACKNOWLEDGED)
    open_task = None
    if reason is not None and cancel == open_tasks:
        within = now + timedelta(seconds=policy.call_within_seconds)
        due_at = within if reason is CallReason.NOT_ACKNOWLEDGED else max(moments.due_at, within)
        open_task = OpenCallTask(call_task_id(clock.notice.id, len(clock.call_tasks) + 1), reason, due_at)
    in_progress_since = [delivery.created_at for delivery in clock.deliveries if _is_in_progress(delivery, now, policy)]
    in_progress_since += [now] if queue else []
    idle = max(timedelta(seconds=policy.look_seconds), (now - clock.started_at) / 8)
    next_look_at = _next_look(moments, in_progress_since, now, idle, policy)
    return EscalationPlan(status, tuple(queue), open_task, cancel, next_look_at)


def escalation_status(clock: NoticeClock) -> EscalationStatus:
    """Return how far the customer is notified of a notice."""
    if clock.superseded:
        return EscalationStatus.SUPERSEDED
    if clock.acknowledgements or any(call.outcome is CallOutcome.REACHED for call in clock.calls):
        return EscalationStatus.SETTLED
    if not was_notified(clock.deliveries) and not (clock.in_console and clock.opened):
        return EscalationStatus.OPEN
    return EscalationStatus.SETTLED if _acknowledge_by(clock) is None else EscalationStatus.NOTIFIED


def was_notified(deliveries: Sequence[Delivery]) -> bool:
    """Return whether the next hop accepted the notice for at least one recipient, and it did not bounce.

    If the customer asks for the notice again and the replay fails, the customer still counts as notified.
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
    in_console: bool = False,
    policy: EscalationPolicy = DEFAULT_ESCALATION_POLICY,
) -> Escalation:
    """Return the escalation of a notice that is sealed at ``started_at``.

    ``deadlines`` are the deadlines of earlier notices that reached nobody. ``acknowledgements`` are the times of the
    open acknowledgements of earlier notices. The new notice takes both over, so that follow-ups delay nothing. A time
    that is already past is replaced by the end of the grace time.
    """
    grace = started_at + timedelta(seconds=policy.grace_seconds)
    due_at = min([_own_due_at(notice, started_at, policy, in_console=in_console), *deadlines])
    times = [max(grace, at) for at in acknowledgements]
    if customer.acknowledge_within_seconds is not None:
        times.append(started_at + timedelta(seconds=customer.acknowledge_within_seconds))
    acknowledge_by = min(times, default=None)
    moments = _moments(due_at, acknowledge_by, started_at, policy)
    looks = [moments.fallback_at, moments.call_at, *([] if acknowledge_by is None else [acknowledge_by])]
    return Escalation(notice.id, notice.customer_id, due_at, acknowledge_by, min(looks) if reachable else started_at)


@dataclass(frozen=True, slots=True)
class _Moments:
    """The times at which the steps for one notice are due."""

    due_at: datetime
    fallback_at: datetime
    call_at: datetime
    acknowledge_by: datetime | None
    #: when twice the time for the acknowledgement has passed
    call_unacknowledged_at: datetime | None


def _clock_moments(clock: NoticeClock, policy: EscalationPolicy) -> _Moments:
    """Return the times for one notice. An earlier deadline no longer counts once the earlier notice was delivered."""
    due_at = _own_due_at(clock.notice, clock.started_at, policy, in_console=clock.in_console)
    if not clock.earlier_notified:
        due_at = min(due_at, clock.escalation.due_at)
    return _moments(due_at, _acknowledge_by(clock), clock.started_at, policy)


def _own_due_at(notice: Notice, started_at: datetime, policy: EscalationPolicy, *, in_console: bool) -> datetime:
    """Return by when a customer must have a notice: its deadline; later for news that waits in the console."""
    read_by = started_at + timedelta(seconds=policy.console_news_seconds)
    return max(notice.due_at, read_by) if in_console else notice.due_at


def _acknowledge_by(clock: NoticeClock) -> datetime | None:
    acknowledge_by, within = clock.escalation.acknowledge_by, clock.customer.acknowledge_within_seconds
    if acknowledge_by is None or not clock.earlier_acknowledged:
        return acknowledge_by
    return None if within is None else max(acknowledge_by, clock.started_at + timedelta(seconds=within))


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


def _remaining_targets(clock: NoticeClock) -> list[tuple[UUID | None, UUID | None]]:
    """Return (contact, endpoint) of each recipient without a delivery, in order: people first, then systems.

    A contact is left out if its address got the notice for another contact: it would be the same mail twice.
    """
    used = {delivery.contact_id for delivery in clock.deliveries} | {
        delivery.endpoint_id for delivery in clock.deliveries
    }
    known = {normal_address(contact.email) for contact in clock.contacts if contact.id in used}
    remaining: list[tuple[UUID | None, UUID | None]] = []
    for contact in sorted(clock.contacts, key=_escalation_order):
        if contact.active and contact.id not in used and normal_address(contact.email) not in known:
            known.add(normal_address(contact.email))
            remaining.append((contact.id, None))
    remaining += [
        (None, endpoint.id)
        for endpoint in clock.endpoints
        if endpoint.state is EndpointState.ACTIVE and endpoint.id not in used
    ]
    return remaining


def _escalation_order(contact: Contact) -> tuple[bool, int, int, datetime, UUID]:
    """Return the sort key of a contact in escalation: the customer's order first, then the role."""
    return contact.fallback, contact.order, _ROLES.index(contact.role), contact.created_at, contact.id


def _fallback(
    clock: NoticeClock,
    remaining: Sequence[tuple[UUID | None, UUID | None]],
    moments: _Moments,
    now: datetime,
    policy: EscalationPolicy,
) -> list[QueueDelivery]:
    """Return the deliveries to queue because the customer is not notified yet."""
    outward = _outside_deliveries(clock)
    mailed = [delivery for delivery in outward if delivery.channel is ChannelKind.EMAIL]
    fallback_at, instead_of_console = moments.fallback_at, 0
    if clock.in_console:
        if not mailed:
            return _mails_after_console(clock, remaining) if now >= fallback_at else []
        # The first mails took the place of the console, and get the time that the first mails of a notice get.
        first_at = min(delivery.created_at for delivery in mailed)
        instead_of_console = sum(delivery.created_at == first_at for delivery in mailed)
        fallback_at = max(fallback_at, moments.due_at - timedelta(seconds=policy.fallback_lead_seconds))
    if now >= fallback_at:
        return [_queued(target, DeliveryCause.FALLBACK, StepReason.DEADLINE_NEAR) for target in remaining]
    failed = sum(delivery.state is DeliveryState.FAILED for delivery in outward)
    replacements = sum(delivery.cause in _REPLACEMENT_CAUSES for delivery in outward) - instead_of_console
    if outward and (failed <= replacements or any(_is_in_progress(delivery, now, policy) for delivery in outward)):
        return []
    return [_queued(target, DeliveryCause.FALLBACK, StepReason.FAILED) for target in remaining[:1]]


def _mails_after_console(
    clock: NoticeClock, remaining: Sequence[tuple[UUID | None, UUID | None]]
) -> list[QueueDelivery]:
    """Return the mails of news that nobody opened in the console: to those who get the first mails of a notice."""
    first = {contact.id for contact in recipients(clock.contacts)}
    served = [target for target in remaining if target[0] in first] or remaining
    return [_queued(target, DeliveryCause.FALLBACK, StepReason.NOT_OPENED) for target in served]


def _outside_deliveries(clock: NoticeClock) -> list[Delivery]:
    """Return the deliveries by a channel that leaves this service: all except the console's."""
    return [delivery for delivery in clock.deliveries if delivery.channel is not ChannelKind.CONSOLE]


def _queued(target: tuple[UUID | None, UUID | None], cause: DeliveryCause, reason: StepReason) -> QueueDelivery:
    contact_id, endpoint_id = target
    channel = ChannelKind.WEBHOOK if contact_id is None else ChannelKind.EMAIL
    return QueueDelivery(channel, contact_id, endpoint_id, cause, reason)


def _is_in_progress(delivery: Delivery, now: datetime, policy: EscalationPolicy) -> bool:
    """Return whether a delivery is queued, has not failed yet and is still within the grace time."""
    return (
        delivery.state is DeliveryState.QUEUED
        and delivery.last_error is None
        and now < delivery.created_at + timedelta(seconds=policy.grace_seconds)
    )


def _asks_for_acknowledgement(delivery: Delivery, moments: _Moments, now: datetime, policy: EscalationPolicy) -> bool:
    """Return whether this delivery already asks, or asked, another contact for the overdue acknowledgement."""
    if delivery.cause not in _REPLACEMENT_CAUSES:
        return False
    if delivery.state is not DeliveryState.SENT:
        return _is_in_progress(delivery, now, policy)
    late = moments.acknowledge_by is not None and delivery.created_at >= moments.acknowledge_by
    return late or delivery.cause is DeliveryCause.ESCALATION


def _reasons_to_call(
    clock: NoticeClock, moments: _Moments, now: datetime, *, nobody_remaining: bool
) -> list[CallReason]:
    """Return why a person must call a customer that is not notified; empty while other ways may still reach it."""
    outward = _outside_deliveries(clock)
    if clock.in_console and not outward and now < moments.fallback_at:
        return []
    if nobody_remaining and all(delivery.state is DeliveryState.FAILED for delivery in outward):
        return [CallReason.ALL_FAILED if outward else CallReason.NOBODY_REACHABLE]
    return [CallReason.DEADLINE_NEAR] if now >= moments.call_at else []


def _ended_by_a_person(clock: NoticeClock, reason: CallReason) -> bool:
    """Return whether a person already closed a task with the same kind of reason; it is then not opened again."""
    return any(
        task.state is CallTaskState.DONE
        and (task.reason is CallReason.NOT_ACKNOWLEDGED) == (reason is CallReason.NOT_ACKNOWLEDGED)
        for task in clock.call_tasks
    )


def _next_look(
    moments: _Moments, in_progress_since: Sequence[datetime], now: datetime, idle: timedelta, policy: EscalationPolicy
) -> datetime:
    """Return the next time at which a step may be due; ``in_progress_since`` has the start of each running delivery."""
    candidates = [
        moments.fallback_at,
        moments.call_at,
        moments.acknowledge_by,
        moments.call_unacknowledged_at,
        *(since + timedelta(seconds=policy.grace_seconds) for since in in_progress_since),
        now + idle,
    ]
    return min(moment for moment in candidates if moment is not None and moment > now)
