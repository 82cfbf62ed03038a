"""What a customer submitted to its own authority: recorded by its own people on the page of a notice."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from notifications.canonical_json import timestamp_text
from notifications.duties import is_countable
from notifications.duties.records import CustomerSubmission, submissions_in_force
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.duties.customer_duties import customer_duties
from notifications.use_cases.duties.one_line import one_line
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.legal_duties import LegalDuties


@dataclass(frozen=True, slots=True)
class OwnSubmission:
    """A submission as the customer states it."""

    submitted_at: datetime
    recipient: str
    reference: str | None = None


def record_own_submission(
    tx: Transaction,
    act: AuditContext,
    notice_id: UUID,
    duty_id: str,
    stated: OwnSubmission | None,
    duties: LegalDuties,
    *,
    corrects: UUID | None = None,
) -> CustomerSubmission:
    """Record that the customer submitted a report on a duty that the notice names. Every record stays.

    ``corrects``: the record that was wrong. ``stated`` None takes that record back: nothing was submitted.

    1. The notice is sealed, is of no exercise, and names the duty; the record that is corrected is in force.
    2. The moment is not in the future, and limits can be counted from it; authority and reference are one line each.
    3. The entry has duty and moment, and commits to authority and reference.

    Raises NotFoundError, InvalidInputError, and StateConflictError.
    """
    # 1.
    notice = tx.notices.require(notice_id)
    if notice.exercise:
        raise StateConflictError("this is an exercise: nothing is reported to an authority")
    if duty_id not in {each.clock.duty.id for each in customer_duties(tx, notice_id, duties).duties}:
        raise NotFoundError("duty", duty_id)
    earlier = None
    if corrects is not None:
        known = [each for each in tx.duties.customer_submissions(notice_id) if each.duty_id == duty_id]
        earlier = next((each for each in known if each.id == corrects), None)
        if earlier is None:
            raise NotFoundError("submission", corrects)
        if earlier not in submissions_in_force(known):
            raise StateConflictError("the record is corrected or taken back already; correct the latest one")
    # 2.
    if stated is None:
        if earlier is None:
            raise InvalidInputError(Fault("submitted_at", "is missing"))
        stated, withdrawn = OwnSubmission(earlier.submitted_at, earlier.recipient, earlier.reference), True
    else:
        withdrawn = False
        if stated.submitted_at > act.now:
            raise InvalidInputError(Fault("submitted_at", "must not be in the future"))
        if not is_countable(stated.submitted_at):
            raise InvalidInputError(Fault("submitted_at", "is outside the years that limits are counted in"))
    record = CustomerSubmission(
        id=act.identifiers.new_id(),
        customer_id=notice.customer_id,
        notice_id=notice.id,
        duty_id=duty_id,
        submitted_at=stated.submitted_at,
        recipient=one_line(stated.recipient, "recipient") or "",
        reference=one_line(stated.reference, "reference", required=False),
        corrects=corrects,
        withdrawn=withdrawn,
        recorded_at=act.now,
        recorded_by=act.actor,
    )
    tx.duties.add_customer_submission(record)
    # 3.
    tx.audit.append([
        act.entry(
            "own_report.submitted" if corrects is None else "own_report.corrected",
            subjects=notice_subjects(notice, tx.customers.pseudonym(notice.customer_id))
            | {"submission": str(record.id)},
            detail={
                "sequence": notice.sequence,
                "duty": duty_id,
                "submitted_at": timestamp_text(record.submitted_at),
                "corrects": None if corrects is None else str(corrects),
                "withdrawn": withdrawn,
            },
            private={"recipient": record.recipient, "reference": record.reference},
        )
    ])  # fmt: skip
    return record
