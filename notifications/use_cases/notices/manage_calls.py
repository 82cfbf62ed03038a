"""Call tasks: record what a call came to, close a task that no call will end, open one again."""

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

#: How far ahead of ours the clock of whoever states a time may be.
_CLOCKS_DIFFER = timedelta(minutes=2)
#: Open tasks that are looked at to find those that are due first.
_OPEN_AT_MOST = 2000


@dataclass(frozen=True, slots=True)
class CallReport:
    """What somebody states of a call they made."""

    #: as dialled
    number: str
    called_at: datetime
    outcome: CallOutcome
    #: whose number it is; None for a number that is no contact's
    contact_id: UUID | None = None
    #: the name that the other side gave
    spoke_to: str | None = None
    note: str | None = None
    #: the notice was read out, word for word, and the contact confirmed that they have it
    read_out: bool = False


def record_call(
    tx: Transaction, act: AuditContext, task_id: UUID, expected_version: int, report: CallReport
) -> tuple[CallTask, CallRecord]:
    """Record a call as evidence; returns the task as it stands now, and the record, which is never changed.

    1. What is stated must hold together: a name where somebody was reached, a contact whose words are taken as an
       acknowledgement, a time that is not ahead and not before the notice was sealed.
    2. The record, and its entry with the event that may be claimed: ``notifications.evidence.evidence``.
    3. Somebody was reached: the task is done, and the clock of the notice is looked at.
    4. The notice was read out and confirmed: that is an acknowledgement by the contact, with the entry of one.

    A task that is done or cancelled takes further calls: what happened is recorded. Raises NotFoundError,
    VersionMismatchError, InvalidInputError.
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
    """Close a task without anybody reached, for a reason; no other is opened for the same want.

    Raises NotFoundError, VersionMismatchError, StateConflictError where it is not open, InvalidInputError.
    """
    task, notice = _task(tx, task_id, expected_version)
    if task.state is not CallTaskState.OPEN:
        raise StateConflictError(f"the call task is {task.state.value} already")
    _verify_reason(reason, "state why nobody is called any more")
    closed = replace(task, state=CallTaskState.DONE, closed_at=act.now, version=task.version + 1)
    tx.escalations.save_call_task(closed, task.version)
    tx.audit.append([
        act.entry("call_task.closed", subjects=_subjects(tx, notice, task), private={"reason": reason.strip()})
    ])  # fmt: skip
    tx.escalations.hasten(notice.id, act.now)
    return closed


def reopen_call_task(tx: Transaction, act: AuditContext, task_id: UUID, expected_version: int, reason: str) -> CallTask:
    """Open a task again, for a reason: whoever was reached was not the customer, or it was closed by mistake.

    What was recorded stays, and counts no more as having reached anybody. Raises NotFoundError, VersionMismatchError,
    InvalidInputError, StateConflictError where it is open, or the customer was told otherwise.
    """
    task, notice = _task(tx, task_id, expected_version)
    others = [other for other in tx.escalations.call_tasks_of_notice(notice.id) if other.id != task.id]
    if task.state is CallTaskState.OPEN or any(other.state is CallTaskState.OPEN for other in others):
        raise StateConflictError("a call task of the notice is open already")
    _verify_reason(reason, "state why somebody must call again")
    opened = replace(task, state=CallTaskState.OPEN, closed_at=None, version=task.version + 1)
    tx.escalations.save_call_task(opened, task.version)
    watch = notice_clock(tx, notice)
    if watch is not None and opened in plan_escalation(watch, act.now).cancel:
        raise StateConflictError("the customer has the notice by another way, or by a later notice: nobody need call")
    tx.audit.append([
        act.entry("call_task.reopened", subjects=_subjects(tx, notice, task), private={"reason": reason.strip()})
    ])  # fmt: skip
    tx.escalations.hasten(notice.id, act.now)
    return opened


def nearest_open_tasks(tx: Transaction, limit: int) -> tuple[list[CallTask], bool]:
    """Return open tasks, nearest ``due_at`` first, and whether these are all."""
    found, following = tx.escalations.call_tasks(Page(_OPEN_AT_MOST), state=CallTaskState.OPEN.value)
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
        faults.append(Fault("spoke_to", "state the name of whoever was reached"))
    if report.called_at > act.now + _CLOCKS_DIFFER:
        faults.append(Fault("called_at", "is in the future"))
    if report.called_at < (notice.sealed_at or notice.created_at) - _CLOCKS_DIFFER:
        faults.append(Fault("called_at", "is before the notice was sealed"))
    contact = None if report.contact_id is None else tx.customers.contact(report.contact_id)
    if report.contact_id is not None and (contact is None or contact.customer_id != notice.customer_id):
        faults.append(Fault("contact_id", "is no contact of this customer"))
    if report.read_out and report.outcome is not CallOutcome.REACHED:
        faults.append(Fault("read_out", "nothing was read out to anybody who was not reached"))
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
    """Whether the notice lies in the customer's console, so that somebody can be told of it there."""
    return any(
        delivery.channel is ChannelKind.CONSOLE and delivery.state is DeliveryState.SENT
        for delivery in tx.deliveries.of_notice(notice.id)
    )
