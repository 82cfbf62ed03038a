"""Call tasks: record the outcome of a call, close a task without a call, and reopen a task."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from notifications.canonical_json import timestamp_text
from notifications.delivery.acknowledgement import AcknowledgedVia
from notifications.delivery.call_task import CallOutcome, CallRecord, CallTask, CallTaskState
from notifications.delivery.delivery import ChannelKind, DeliveryState
from notifications.delivery.escalation_plan import plan_escalation
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError, VersionMismatchError
from notifications.evidence.evidence import call_evidence
from notifications.notice import Notice
from notifications.ports import Page, Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.notices.acknowledge_notice import acknowledge_notice, contact_actor
from notifications.use_cases.notices.escalate import notice_clock

#: How far the clock of the person who states a time may be ahead of ours.
_CLOCKS_DIFFER = timedelta(minutes=2)
#: Maximum number of open tasks that are read to find those that are due first.
_MAX_OPEN_TASKS = 2000


@dataclass(frozen=True, slots=True)
class CallReport:
    """A call, as stated by the person who made it."""

    #: as dialled
    number: str
    called_at: datetime
    outcome: CallOutcome
    #: the contact whose number it is; None if it belongs to no contact
    contact_id: UUID | None = None
    #: the name that the other side gave
    spoke_to: str | None = None
    note: str | None = None
    #: the notice was read out, word for word, and the contact confirmed that they have it
    read_out: bool = False


def record_call(
    tx: Transaction, act: AuditContext, task_id: UUID, expected_version: int, report: CallReport
) -> tuple[CallTask, CallRecord]:
    """Record a call as evidence. Returns the changed task, and the record, which is never changed.

    1. Check the report. It needs a name if somebody was reached, and a contact if the notice was read out. The time
       must not be in the future, nor before the notice was sealed.
    2. Store the record and its audit entry. The entry has the evidence event of ``evidence.call_evidence``.
    3. If somebody was reached, the task is done. In any case the escalation checks the notice now.
    4. If the notice was read out and confirmed, record an acknowledgement by the contact.

    Calls may also be recorded for a task that is done or cancelled. Raises NotFoundError, VersionMismatchError,
    InvalidInputError.
    """
    task, notice = _task(tx, task_id, expected_version)
    # 1.
    _verify(tx, act, notice, report)
    # 2.
    record = CallRecord(
        id=act.identifiers.new_id(),
        task_id=task.id,
        contact_id=report.contact_id,
        number=report.number.strip(),
        called_at=report.called_at,
        called_by=act.actor,
        outcome=report.outcome,
        spoke_to=(report.spoke_to or "").strip() or None,
        note=(report.note or "").strip() or None,
    )
    tx.escalations.add_call_record(record)
    evidence = call_evidence(record.outcome, consigned=_is_consigned(tx, notice))
    contact = {} if record.contact_id is None else {"contact": str(record.contact_id)}
    tx.audit.append([
        act.entry(
            "call.recorded",
            subjects=_subjects(tx, notice, task) | contact,
            detail={
                "outcome": record.outcome.value,
                "event": None if evidence is None else evidence.event.value,
                "called_at": timestamp_text(record.called_at),
                "read_out": report.read_out,
            },
            private={
                "call_id": str(record.id),
                "number": record.number,
                "spoke_to": record.spoke_to,
                "note": record.note,
            },
        )
    ])  # fmt: skip
    # 3.
    following = replace(task, version=task.version + 1)
    if record.outcome is CallOutcome.REACHED and task.state is CallTaskState.OPEN:
        following = replace(following, state=CallTaskState.DONE, closed_at=act.now)
    tx.escalations.save_call_task(following, task.version)
    tx.escalations.hasten(notice.id, act.now)
    # 4.
    if report.read_out and report.contact_id is not None:
        acknowledge_notice(
            tx,
            replace(act, actor=contact_actor(report.contact_id)),
            notice.id,
            via=AcknowledgedVia.CALL,
            contact_id=report.contact_id,
        )
    return following, record


def close_call_task(tx: Transaction, act: AuditContext, task_id: UUID, expected_version: int, reason: str) -> CallTask:
    """Close a task although nobody was reached. The escalation opens no other task for the same reason.

    Raises NotFoundError, VersionMismatchError, StateConflictError if it is not open, and InvalidInputError without a
    ``reason``.
    """
    task, notice = _task(tx, task_id, expected_version)
    if task.state is not CallTaskState.OPEN:
        raise StateConflictError(f"the call task is {task.state.value} already")
    _verify_reason(reason, "state why no further call is needed")
    closed = replace(task, state=CallTaskState.DONE, closed_at=act.now, version=task.version + 1)
    tx.escalations.save_call_task(closed, task.version)
    tx.audit.append([
        act.entry("call_task.closed", subjects=_subjects(tx, notice, task), private={"reason": reason.strip()})
    ])  # fmt: skip
    tx.escalations.hasten(notice.id, act.now)
    return closed


def reopen_call_task(tx: Transaction, act: AuditContext, task_id: UUID, expected_version: int, reason: str) -> CallTask:
    """Reopen a task, for example because the person who was reached was not the customer, or it was closed by mistake.

    The recorded calls stay, but they no longer count as having reached anybody. Raises NotFoundError,
    VersionMismatchError, and InvalidInputError without a ``reason``. Raises StateConflictError if a task of the notice
    is open, or if no call is needed any more.
    """
    task, notice = _task(tx, task_id, expected_version)
    others = [other for other in tx.escalations.call_tasks_of_notice(notice.id) if other.id != task.id]
    if task.state is CallTaskState.OPEN or any(other.state is CallTaskState.OPEN for other in others):
        raise StateConflictError("a call task of the notice is open already")
    _verify_reason(reason, "state why somebody must call again")
    opened = replace(task, state=CallTaskState.OPEN, closed_at=None, version=task.version + 1)
    tx.escalations.save_call_task(opened, task.version)
    clock = notice_clock(tx, notice)
    if clock is not None and opened in plan_escalation(clock, act.now).cancel:
        raise StateConflictError(
            "no call is needed: the customer was notified by another way, or a later notice replaces this one"
        )
    tx.audit.append([
        act.entry("call_task.reopened", subjects=_subjects(tx, notice, task), private={"reason": reason.strip()})
    ])  # fmt: skip
    tx.escalations.hasten(notice.id, act.now)
    return opened


def nearest_open_tasks(tx: Transaction, limit: int) -> tuple[list[CallTask], bool]:
    """Return at most ``limit`` open tasks, nearest ``due_at`` first, and whether these are all."""
    found, following = tx.escalations.call_tasks(Page(_MAX_OPEN_TASKS), state=CallTaskState.OPEN.value)
    nearest = sorted(found, key=lambda task: (task.due_at, task.id))
    return nearest[:limit], following is None and len(found) <= limit


def _task(tx: Transaction, task_id: UUID, expected_version: int) -> tuple[CallTask, Notice]:
    task = tx.escalations.call_task(task_id)
    notice = None if task is None else tx.notices.get(task.notice_id)
    if task is None or notice is None:
        raise NotFoundError("call task", task_id)
    if task.version != expected_version:
        raise VersionMismatchError("call task", task_id, expected_version, task.version)
    return task, notice


def _verify(tx: Transaction, act: AuditContext, notice: Notice, report: CallReport) -> None:
    faults = []
    if not report.number.strip():
        faults.append(Fault("number", "state which number was called"))
    if report.outcome is CallOutcome.REACHED and not (report.spoke_to or "").strip():
        faults.append(Fault("spoke_to", "state the name of the person who was reached"))
    if report.called_at > act.now + _CLOCKS_DIFFER:
        faults.append(Fault("called_at", "is in the future"))
    if report.called_at < (notice.sealed_at or notice.created_at) - _CLOCKS_DIFFER:
        faults.append(Fault("called_at", "is before the notice was sealed"))
    contact = None if report.contact_id is None else tx.customers.contact(report.contact_id)
    if report.contact_id is not None and (contact is None or contact.customer_id != notice.customer_id):
        faults.append(Fault("contact_id", "is not a contact of this customer"))
    if report.read_out and report.outcome is not CallOutcome.REACHED:
        faults.append(Fault("read_out", "must be false, because nobody was reached"))
    if report.read_out and report.contact_id is None:
        faults.append(Fault("contact_id", "state which contact confirmed the notice"))
    if faults:
        raise InvalidInputError(*faults)


def _verify_reason(reason: str, wanted: str) -> None:
    if not reason.strip():
        raise InvalidInputError(Fault("reason", wanted))


def _subjects(tx: Transaction, notice: Notice, task: CallTask) -> dict[str, str]:
    return notice_subjects(notice, tx.customers.pseudonym(notice.customer_id)) | {"call_task": str(task.id)}


def _is_consigned(tx: Transaction, notice: Notice) -> bool:
    """Return whether the notice is in the customer's console, so that a call can refer to it."""
    return any(
        delivery.channel is ChannelKind.CONSOLE and delivery.state is DeliveryState.SENT
        for delivery in tx.deliveries.of_notice(notice.id)
    )
