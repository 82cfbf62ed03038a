"""Registered letters: a task per customer, with the posting number and the return slip as evidence."""

import hashlib
import re
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from notifications.customer.erasure import begin_of_day
from notifications.errors import Fault, InvalidInputError, StateConflictError, VersionMismatchError
from notifications.notice import Notice
from notifications.ports import ErasureTransaction, LetterOutcome, LetterState, LetterTask, Transaction
from notifications.use_cases.announcements.announce import announced_terms
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.manage_customers import local_day
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.incidents.customer_decider import Agreements, customer_case

SLIP_MAX_BYTES = 5 * 1024 * 1024
#: name of the opening of the entry ``letter.slip_attached`` that holds the exact bytes
SLIP = "slip"
#: media type to the bytes that such a file begins with
_BEGINNINGS = {"application/pdf": b"%PDF-", "image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG\r\n\x1a\n"}
_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./-]{2,49}")
#: how far ahead of UTC a local date can be
_AHEAD = timedelta(days=1)


def open_letter(tx: Transaction, act: AuditContext, notice: Notice) -> LetterTask:
    """Open the task to post a sealed notice as a registered letter."""
    task = LetterTask(
        id=act.identifiers.new_id(),
        notice_id=notice.id,
        customer_id=notice.customer_id,
        state=LetterState.OPEN,
        due_at=notice.due_at,
        created_at=act.now,
    )
    tx.announcements.add_letter(task)
    _log(tx, act, "letter.opened", task, {})
    return task


def record_posting(
    tx: Transaction, act: AuditContext, task_id: UUID, expected_version: int, *, number: str, posted_on: date
) -> LetterTask:
    """Record the posting number and the date of posting; a later record replaces it, and the log keeps both.

    Raises NotFoundError, VersionMismatchError, InvalidInputError, and StateConflictError if the task is closed.
    """
    task = _open(tx, task_id, expected_version)
    faults = []
    if not _NUMBER.fullmatch(number.strip()):
        faults.append(Fault("posting_number", "must have 3 to 50 characters: letters, digits, spaces, and . / -"))
    if posted_on > (act.now + _AHEAD).date():
        faults.append(Fault("posted_on", "must not be in the future"))
    if posted_on < (task.created_at - _AHEAD).date():
        faults.append(Fault("posted_on", "must not be before the notice was sealed"))
    if faults:
        raise InvalidInputError(*faults)
    posted = replace(
        task,
        posting_number=number.strip(),
        posted_on=posted_on.isoformat(),
        posted_by=act.actor,
        version=task.version + 1,
    )
    tx.announcements.save_letter(posted, task.version)
    _log(tx, act, "letter.posted", posted, {"posted_on": posted.posted_on}, {"posting_number": posted.posting_number})
    return posted


def attach_slip(tx: Transaction, act: AuditContext, task_id: UUID, expected_version: int, content: bytes) -> LetterTask:
    """Keep the return slip: a PDF, JPEG or PNG of at most 5 MiB. The log has its SHA-256, and commits to its bytes.

    Not checked: what the file shows. Raises NotFoundError, VersionMismatchError, InvalidInputError, and
    StateConflictError if the task is closed or the letter is not posted yet.
    """
    task = _open(tx, task_id, expected_version)
    if task.posting_number is None:
        raise StateConflictError("record the posting number first: a slip returns only of a letter that was posted")
    if len(content) > SLIP_MAX_BYTES:
        raise InvalidInputError(Fault("slip", f"must not be larger than {SLIP_MAX_BYTES} bytes"))
    kind = next((kind for kind, beginning in _BEGINNINGS.items() if content.startswith(beginning)), None)
    if kind is None:
        raise InvalidInputError(Fault("slip", "must be a PDF, a JPEG or a PNG"))
    digest = hashlib.sha256(content).hexdigest()
    notice = tx.notices.require(task.notice_id)
    entry = act.entry(
        "letter.slip_attached",
        subjects=notice_subjects(notice, tx.customers.pseudonym(task.customer_id)) | {"letter": str(task.id)},
        detail={"slip_sha256": digest, "slip_type": kind, "slip_bytes": len(content)},
        # Stored with its entry, so that it is in the evidence bundle and is erased with the customer.
        digests={SLIP: content},
    )
    attached = replace(task, slip_type=kind, slip_sha256=digest, slip_entry_id=entry.id, version=task.version + 1)
    tx.announcements.save_letter(attached, task.version)
    tx.audit.append([entry])
    return attached


def close_letter(tx: Transaction, act: AuditContext, task_id: UUID, expected_version: int) -> LetterTask:
    """Close a task whose slip is attached. Raises as ``attach_slip``, and StateConflictError without a slip."""
    task = _open(tx, task_id, expected_version)
    if task.slip_sha256 is None:
        raise StateConflictError("attach the return slip first: it is the evidence that the letter arrived")
    closed = replace(task, state=LetterState.CLOSED, closed_at=act.now, closed_by=act.actor, version=task.version + 1)
    tx.announcements.save_letter(closed, task.version)
    _log(tx, act, "letter.closed", closed, {"slip_sha256": task.slip_sha256})
    return closed


def record_outcome(
    tx: ErasureTransaction,
    act: AuditContext,
    task_id: UUID,
    expected_version: int,
    agreements: Agreements,
    *,
    outcome: LetterOutcome,
    outcome_on: date,
) -> LetterTask:
    """Record what the return slip says; a later record replaces it, and the log keeps both.

    ``outcome_on``: the day of the hand-over, or, of a letter that was returned, of its first presentation. A letter
    that was handed over counts as served. One that was returned does only if the agreement says so. A closed task takes
    it too. Raises NotFoundError, VersionMismatchError, InvalidInputError, also for a day so long ago that an erasure
    that waits for this letter would be overdue, and StateConflictError without a slip, or if the days of an erasure
    have begun by it.
    """
    task = _at_version(tx, task_id, expected_version)
    if task.slip_sha256 is None or task.posted_on is None:
        raise StateConflictError("attach the return slip first: it is the evidence of what it says")
    order = tx.erasures.order(task.customer_id)
    waits = order is not None and order.notice_id == task.notice_id
    if order is not None and waits and order.noticed_at is not None:
        raise StateConflictError("the days of an erasure have begun by this letter: withdraw the order first")
    customer, notice = tx.customers.require(task.customer_id), tx.notices.require(task.notice_id)
    if outcome_on > local_day(act.now, customer.time_zone):
        raise InvalidInputError(Fault("outcome_on", "must not be in the future"))
    if outcome_on < date.fromisoformat(task.posted_on):
        raise InvalidInputError(Fault("outcome_on", "must not be before the letter was posted"))
    facts = tx.incidents.facts_at(notice.incident_id, notice.facts_version)
    if facts is None or facts.announcement is None:
        raise LookupError(f"letter task {task_id} is about no announcement")
    _, kind = announced_terms(customer_case(tx, customer), facts, facts.announcement, agreements)
    is_served = outcome is LetterOutcome.HANDED_OVER or kind.served_at_first_presentation
    if order is not None and waits and is_served:
        begun = replace(order, noticed_at=begin_of_day(outcome_on, customer.time_zone)).window(customer.time_zone)
        # An erasure cannot be undone. Days that are all over leave nobody time to see that the day was misread.
        if begun is not None and begun.due_at <= act.now:
            reason = "is so long ago that the erasure would be overdue: withdraw the order first, then record it"
            raise InvalidInputError(Fault("outcome_on", reason))
    recorded = replace(
        task,
        outcome=outcome.value,
        outcome_on=outcome_on.isoformat(),
        served_on=outcome_on.isoformat() if is_served else None,
        version=task.version + 1,
    )
    tx.announcements.save_letter(recorded, task.version)
    detail = {"outcome": recorded.outcome, "outcome_on": recorded.outcome_on, "served_on": recorded.served_on}
    _log(tx, act, "letter.outcome_recorded", recorded, detail | {"clause": kind.clause})
    return recorded


def slip_of(tx: Transaction, task: LetterTask) -> bytes | None:
    """Return the bytes of the return slip; None if none is attached."""
    if task.slip_entry_id is None:
        return None
    _, content = tx.audit.openings(task.slip_entry_id)[SLIP]
    return content


def _at_version(tx: Transaction, task_id: UUID, expected_version: int) -> LetterTask:
    task = tx.announcements.require_letter(task_id)
    if task.version != expected_version:
        raise VersionMismatchError("letter task", task_id, expected_version, task.version)
    return task


def _open(tx: Transaction, task_id: UUID, expected_version: int) -> LetterTask:
    task = _at_version(tx, task_id, expected_version)
    if task.state is not LetterState.OPEN:
        raise StateConflictError("the letter task is closed")
    return task


def _log(
    tx: Transaction,
    act: AuditContext,
    kind: str,
    task: LetterTask,
    detail: dict[str, str | None],
    private: dict[str, object] | None = None,
) -> None:
    notice = tx.notices.require(task.notice_id)
    subjects = notice_subjects(notice, tx.customers.pseudonym(task.customer_id)) | {"letter": str(task.id)}
    stated: dict[str, str | int | bool | list[str] | None] = {"sequence": notice.sequence, **detail}
    tx.audit.append([act.entry(kind, subjects=subjects, detail=stated, private=private)])
