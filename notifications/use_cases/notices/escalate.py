"""Escalate: check whether a customer has a sealed notice, and carry out the plan. Every step has its audit entry."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.canonical_json import timestamp_text
from notifications.delivery.call_task import CallOutcome, CallRecord, CallTask, CallTaskState
from notifications.delivery.delivery import ChannelKind, Delivery, DeliveryCause, DeliveryState
from notifications.delivery.escalation import Escalation
from notifications.delivery.escalation_plan import (
    EscalationPlan,
    EscalationPolicy,
    EscalationStatus,
    NoticeClock,
    QueueDelivery,
    escalation_status,
    plan_escalation,
    start_escalation,
    was_notified,
)
from notifications.notice import Notice, NoticeState
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.notices.queue_deliveries import (
    Target,
    comes_in_console,
    delivery_to,
    queued_entry,
    sealed_notices,
)

#: The actor of escalation in the audit log.
ACTOR = "system:escalation"


def begin_escalation(
    tx: Transaction,
    notice: Notice,
    now: datetime,
    policy: EscalationPolicy,
    *,
    reachable: bool,
    in_console: bool = False,
) -> None:
    """Start the escalation of a notice that is sealed in this unit of work, and check the notice before it now.

    The new notice contains everything that the earlier one stated, so it takes over what the earlier one still owes:
    its deadline if the customer was not notified, and the time of its acknowledgement if nobody acknowledged it.
    """
    previous = _previous(tx, notice)
    deadlines, acknowledgements = [], []
    escalation = None if previous is None else tx.escalations.get(previous.id)
    if previous is not None and escalation is not None:
        status = escalation_status(replace(_load_clock(tx, previous, escalation), superseded=False))
        if status is EscalationStatus.OPEN:
            deadlines.append(escalation.due_at)
        if status is not EscalationStatus.SETTLED and escalation.acknowledge_by is not None:
            acknowledgements.append(escalation.acknowledge_by)
        if escalation.next_look_at is not None:
            tx.escalations.hasten(previous.id, now)
    tx.escalations.add(
        start_escalation(
            notice,
            tx.customers.require(notice.customer_id),
            now,
            reachable=reachable or in_console,
            in_console=in_console,
            deadlines=deadlines,
            acknowledgements=acknowledgements,
            policy=policy,
        )
    )


def escalate(
    tx: Transaction, act: AuditContext, notice_id: UUID, policy: EscalationPolicy, mail_domain: str
) -> EscalationPlan | None:
    """Check one notice now. Returns the plan that was carried out, or None if its escalation has ended.

    1. Read the state of the notice.
    2. Plan the steps.
    3. Queue deliveries, and open and cancel call tasks. Each has its audit entry. One more entry states the reasons.
    4. Store the time of the next check.

    Raises VersionMismatchError if the notice changed meanwhile. The caller must then check it again.
    """
    # 1. The escalation is read first: every later change increases the escalation's version.
    escalation, notice = tx.escalations.get(notice_id), tx.notices.get(notice_id)
    if escalation is None or escalation.next_look_at is None or notice is None:
        return None
    clock = _load_clock(tx, notice, escalation)
    # 2.
    plan = plan_escalation(clock, act.now, policy)
    # 3.
    pseudonym = tx.customers.pseudonym(notice.customer_id)
    subjects = notice_subjects(notice, pseudonym)
    deliveries = [delivery_to(notice, _target(clock, step), act, mail_domain, step.cause) for step in plan.queue]
    entries: list[AuditEntry] = []
    if deliveries:
        tx.deliveries.add(deliveries)
        entries += [queued_entry(act, notice, pseudonym, delivery) for delivery in deliveries]
    for task in plan.cancel:
        cancelled = replace(task, state=CallTaskState.CANCELLED, closed_at=act.now, version=task.version + 1)
        tx.escalations.save_call_task(cancelled, task.version)
        entries.append(
            act.entry(
                "call_task.cancelled",
                subjects=subjects | {"call_task": str(task.id)},
                detail={"standing": plan.status.value},
            )
        )
    if plan.open_task is not None:
        opened = plan.open_task
        tx.escalations.add_call_task(
            CallTask(opened.id, notice.id, notice.customer_id, opened.reason, act.now, opened.due_at)
        )
        entries.append(
            act.entry(
                "call_task.opened",
                subjects=subjects | {"call_task": str(opened.id)},
                detail={"reason": opened.reason.value, "due_at": timestamp_text(opened.due_at)},
            )
        )
    if entries:
        entries.append(act.entry("escalation.advanced", subjects=subjects, detail=_why(plan)))
        tx.audit.append(entries)
    # 4.
    tx.escalations.save(
        replace(escalation, next_look_at=plan.next_look_at, version=escalation.version + 1), escalation.version
    )
    return plan


def adopt_failed(tx: Transaction, act: AuditContext, limit: int) -> list[UUID]:
    """Start the escalation of notices that have none and of which a delivery failed permanently; returns their ids.

    Such notices were sealed before this service had escalations. The other notices of that time get none, because
    nobody was asked to acknowledge them.
    """
    adopted: list[UUID] = []
    for delivery in tx.deliveries.troubled(limit):
        if delivery.state is not DeliveryState.FAILED or tx.escalations.get(delivery.notice_id) is not None:
            continue
        notice = tx.notices.get(delivery.notice_id)
        if notice is None or notice.state is not NoticeState.SEALED or notice.exercise:
            continue
        if notice.announces:
            # It goes by registered letter only; its letter task follows it.
            continue
        tx.escalations.add(Escalation(notice.id, notice.customer_id, notice.due_at, None, act.now))
        adopted.append(notice.id)
    return adopted


def notice_clock(tx: Transaction, notice: Notice) -> NoticeClock | None:
    """Return the state of a sealed notice for planning, or None if it has no escalation."""
    escalation = tx.escalations.get(notice.id)
    return None if escalation is None else _load_clock(tx, notice, escalation)


def _load_clock(tx: Transaction, notice: Notice, escalation: Escalation) -> NoticeClock:
    deliveries = tx.deliveries.of_notice(notice.id)
    tasks = tx.escalations.call_tasks_of_notice(notice.id)
    previous = _previous(tx, notice)
    earlier = None if previous is None else tx.escalations.get(previous.id)
    earlier_notified = earlier_acknowledged = False
    if previous is not None and earlier is not None:
        has = bool(tx.notices.acknowledgements(previous.id)) or _was_reached(
            tx, tx.escalations.call_tasks_of_notice(previous.id)
        )
        opened = bool(tx.notices.openings(previous.id)) and comes_in_console(tx, previous)
        earlier_notified = has or opened or was_notified(tx.deliveries.of_notice(previous.id))
        earlier_acknowledged = has
    began = notice.sealed_at or min((delivery.created_at for delivery in deliveries), default=notice.created_at)
    return NoticeClock(
        notice=notice,
        customer=tx.customers.require(notice.customer_id),
        escalation=escalation,
        started_at=began,
        contacts=tx.customers.contacts(notice.customer_id),
        endpoints=tx.webhooks.endpoints(notice.customer_id),
        deliveries=deliveries,
        acknowledgements=tx.notices.acknowledgements(notice.id),
        call_tasks=tasks,
        calls=_calls(tx, tasks),
        superseded=any(other.sequence > notice.sequence for other in sealed_notices(tx, notice)),
        earlier_notified=earlier_notified,
        earlier_acknowledged=earlier_acknowledged,
        in_console=comes_in_console(tx, notice) and not any(_was_mailed_at_first(each) for each in deliveries),
        opened=bool(tx.notices.openings(notice.id)),
    )


def _was_mailed_at_first(delivery: Delivery) -> bool:
    return delivery.channel is ChannelKind.EMAIL and delivery.cause is DeliveryCause.FIRST


def _previous(tx: Transaction, notice: Notice) -> Notice | None:
    """Return the sealed notice before this one, or None."""
    if notice.sequence == 1:
        return None
    earlier = [other for other in sealed_notices(tx, notice) if other.sequence < notice.sequence]
    return earlier[-1] if earlier else None


def _calls(tx: Transaction, tasks: Sequence[CallTask]) -> list[CallRecord]:
    """Return the calls that count. Earlier calls of a task that is open again do not count."""
    return [
        call for task in tasks if task.state is not CallTaskState.OPEN for call in tx.escalations.call_records(task.id)
    ]


def _was_reached(tx: Transaction, tasks: Sequence[CallTask]) -> bool:
    return any(call.outcome is CallOutcome.REACHED for call in _calls(tx, tasks))


def _target(clock: NoticeClock, step: QueueDelivery) -> Target:
    return Target(
        step.channel,
        contact=next((contact for contact in clock.contacts if contact.id == step.contact_id), None),
        endpoint=next((endpoint for endpoint in clock.endpoints if endpoint.id == step.endpoint_id), None),
    )


def _why(plan: EscalationPlan) -> dict[str, str | int | bool | list[str] | None]:
    """Return the detail of the entry that states the reasons. The recipients are in the other entries."""
    return {
        "standing": plan.status.value,
        "reasons": sorted({step.reason.value for step in plan.queue}),
        "deliveries": len(plan.queue),
        "call": None if plan.open_task is None else plan.open_task.reason.value,
    }
