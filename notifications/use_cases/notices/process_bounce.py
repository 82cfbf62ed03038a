"""Take back what came to a return path: keep it, say what it is, and open a delivery again that failed after all."""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from notifications.audit.entry import AuditEntry
from notifications.canonical_json import timestamp_text
from notifications.delivery.delivery import (
    DEFAULT_RETRY_POLICY,
    TOO_LARGE_STATUSES,
    Delivery,
    DeliveryState,
    Outcome,
    OutcomeKind,
    RetryDecision,
    RetryPolicy,
    SendingLimit,
    retry_decision,
    too_large_since,
)
from notifications.delivery.escalation_plan import EscalationStatus, escalation_status
from notifications.errors import Fault, InvalidInputError, StateConflictError
from notifications.evidence.evidence import bounce_evidence
from notifications.mail.bounce_judgement import SentMail, judge_bounce, sent_mail
from notifications.mail.bounce_parser import BounceReport
from notifications.mail.bounce_record import Bounce, BounceKind
from notifications.mail.return_path import ReturnPath
from notifications.mail_address import normal_address
from notifications.notice import Notice
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.notices.escalate import notice_clock

#: Who takes back, in the audit log.
ACTOR = "system:returns"

#: Namespace of returned messages: the same bytes to the same return path are the same message.
_RETURNED = UUID("5e3c9a10-60f4-5d0a-8f3e-0a7c2b9d4e61")
#: Of one kind, so many are kept of a delivery: whoever answers each answer fills no disk.
_KEPT_OF_A_KIND = 10
#: A server may report a failure before its acceptance is recorded here: so long it is told to come again.
_RECORDED_WITHIN = timedelta(minutes=15)
#: Return paths count whole seconds.
_SECOND = timedelta(seconds=1)

#: RFC 5321, 4.2.2: a full mailbox too, so the words have to speak of a message's size.
_SIZE_EXCEEDED = re.compile(r"\b552\b")
_SIZE_WORDS = re.compile(r"\b(?:size|too (?:big|large)|taille|trop (?:gros|volumineux)|größe|zu groß)", re.IGNORECASE)
_MAILBOX_WORDS = re.compile(r"mailbox|quota|storage|boîte|postfach", re.IGNORECASE)
_WENT_ON = frozenset({BounceKind.DELIVERED, BounceKind.RELAYED, BounceKind.EXPANDED})


@dataclass(frozen=True, slots=True)
class BounceResult:
    """What became of a message that came back."""

    message: Bounce
    #: as it stands now; None for a return path of no delivery any more
    delivery: Delivery | None
    notice: Notice | None
    #: False where the same bytes came before: nothing was recorded
    is_new: bool = True
    #: the delivery stood sent, and does not any more
    reopened: bool = False


def process_bounce(
    tx: Transaction,
    act: AuditContext,
    path: ReturnPath,
    content: bytes,
    report: BounceReport,
    *,
    jitter: float,
    policy: RetryPolicy = DEFAULT_RETRY_POLICY,
) -> BounceResult:
    """Record what came back to a verified return path, and what follows from it.

    1. The same bytes came before: nothing. The attempt is not recorded yet: StateConflictError, come again, for what is
       recorded after its failure would hide it. More of a kind than anybody reads: InvalidInputError.
    2. Judge it against the mail that was sent (``judge_bounce``). Keep the bytes, and an entry. Only a failure claims
       an event (RelayToNonERDSFailure): that a mail was delivered is a server's statement, and stands as that. An
       automatic reply acknowledges nothing.
    3. A failure of what stood sent opens the delivery again: it stands failed with the reason, or is queued where the
       refusal may not be the customer's (policy, routing), as if the first server had said so; too large, it is queued
       as a summary. The notice is looked at
       now, so that somebody else is told. A failure of an attempt that a later accepted one followed changes nothing:
       the later one is reported of by itself.

    It is never queued again, and stands failed, where a second copy could reach somebody who has the first: the notice
    was acknowledged by anybody or told by telephone, a later notice states all that it did, a server said before that
    this mail went on, the report speaks of another address than the contact's (an alias there may have others behind
    it, who have it), or the contact was put out of use. Where the customer acknowledged, the record still says that the
    mail came back, and the clock, looking, finds nothing to do.
    """
    # 1.
    digest = hashlib.sha256(content).hexdigest()
    message_id = uuid5(_RETURNED, f"{path.delivery_id}/{digest}")
    delivery = tx.deliveries.get(path.delivery_id)
    notice = None if delivery is None else tx.notices.get(delivery.notice_id)
    before = tx.deliveries.bounce(message_id)
    if before is not None:
        return BounceResult(before, delivery, notice, is_new=False)
    if delivery is not None:
        report = judge_bounce(report, _sent(tx, delivery, report))
    known = None if delivery is None else delivery.id
    earlier = [other.kind for other in tx.deliveries.bounces(known)]
    if delivery is not None and path.is_after(delivery.attempts) and act.now < path.issued_at + _RECORDED_WITHIN:
        raise StateConflictError("the attempt that this came back from is not recorded yet")
    reopens = (
        delivery is not None
        and report.kind is BounceKind.FAILED
        and delivery.state is DeliveryState.SENT
        and not _is_overtaken(tx, delivery, path)
    )
    if not reopens and earlier.count(report.kind) >= _KEPT_OF_A_KIND:
        raise InvalidInputError(Fault("", "too much of the kind came back to this address already"))
    # 2.
    message = Bounce(
        id=message_id,
        delivery_id=known,
        received_at=act.now,
        kind=report.kind,
        status=report.status,
        diagnostic=report.diagnostic,
        reporting_mta=report.reporting_mta,
        content=content,
    )
    tx.deliveries.record_bounce(message)
    if delivery is None or notice is None:
        tx.audit.append([_entry(tx, act, path, report, digest, None, None)])
        return BounceResult(message, None, None)
    # 3.
    after = delivery
    if reopens:
        after = _reopened(tx, act, delivery, notice, report, earlier, jitter, policy)
        tx.deliveries.save(after, delivery.attempts)
        tx.escalations.hasten(notice.id, act.now)
    tx.audit.append([_entry(tx, act, path, report, digest, after, notice)])
    return BounceResult(message, after, notice, reopened=reopens)


def _is_overtaken(tx: Transaction, delivery: Delivery, path: ReturnPath) -> bool:
    """Whether a later attempt than the path's was accepted.

    By number and by time: two workers, one of whose leases ran out, send under one number, and each may come back.
    """
    return any(
        attempt.outcome.kind is OutcomeKind.ACCEPTED
        and path.is_before(attempt.number)
        and attempt.started_at > path.issued_at + _SECOND
        for attempt in tx.deliveries.attempts(delivery.id)
    )


def _reopened(
    tx: Transaction,
    act: AuditContext,
    delivery: Delivery,
    notice: Notice,
    report: BounceReport,
    earlier: list[BounceKind],
    jitter: float,
    policy: RetryPolicy,
) -> Delivery:
    text = " ".join(filter(None, (report.status, report.diagnostic)))
    failure = Outcome.failure(OutcomeKind.PERMANENT_FAILURE, text, remote=report.reporting_mta)
    # Of a report that something failed for good, what failed counts, not the class: a queue that ran out ends in 4.
    outcome = replace(
        failure, enhanced_status=report.status, limit=SendingLimit.SIZE if _is_too_large(report) else None
    )
    decision = retry_decision(
        outcome,
        attempts=delivery.attempts,
        now=act.now,
        due_at=notice.due_at,
        jitter=jitter,
        policy=policy,
        is_summary=delivery.too_large_at is not None,
    )
    if decision.next_attempt_at is not None:
        decision = RetryDecision(*_held_back(tx, delivery, notice, report, earlier, decision))
    return replace(
        delivery,
        state=DeliveryState.FAILED if decision.next_attempt_at is None else DeliveryState.QUEUED,
        next_attempt_at=decision.next_attempt_at,
        last_error=f"came back: {outcome.text or 'without a reason'} ({decision.reason})",
        sent_at=None,
        too_large_at=too_large_since(delivery, outcome, act.now),
    )


def _sent(tx: Transaction, delivery: Delivery, report: BounceReport) -> SentMail:
    """Return what was sent, as far as the report is judged against it."""
    contact = None if delivery.contact_id is None else tx.customers.contact(delivery.contact_id)
    # Only what claims to answer is compared with the mail, which may be large.
    content = tx.deliveries.message_sent(delivery.id) if report.kind is BounceKind.AUTO_REPLY else None
    return sent_mail("" if contact is None else contact.email, content)


def _is_too_large(report: BounceReport) -> bool:
    """Whether a failure is about the size of the mail: by its status, or by a 552 that speaks of a size."""
    if report.status is not None and not report.status.endswith(".0.0"):
        return report.status in TOO_LARGE_STATUSES
    said = report.diagnostic or ""
    is_size = _SIZE_EXCEEDED.search(said) is not None and _SIZE_WORDS.search(said) is not None
    return is_size and _MAILBOX_WORDS.search(said) is None


def _held_back(
    tx: Transaction,
    delivery: Delivery,
    notice: Notice,
    report: BounceReport,
    earlier: list[BounceKind],
    decision: RetryDecision,
) -> tuple[datetime | None, str]:
    """Return when to send again, and why; never where a second copy could reach somebody who has the first."""
    contact = None if delivery.contact_id is None else tx.customers.contact(delivery.contact_id)
    if contact is None or not contact.active:
        return None, "not sent again: the contact is out of use"
    watch = notice_clock(tx, notice)
    over = bool(tx.notices.acknowledgements(notice.id)) or (
        watch is not None
        and escalation_status(replace(watch, deliveries=())) in {EscalationStatus.SETTLED, EscalationStatus.SUPERSEDED}
    )
    if over:
        return None, "not sent again: the customer has the notice, or a later one states it"
    finals = [recipient.final_recipient for recipient in report.recipients]
    if [normal_address(address) for address in finals if address] != [normal_address(contact.email)]:
        return None, "not sent again: the report is not of the contact's own address alone"
    if _WENT_ON & set(earlier):
        return None, "not sent again: it was reported before that the mail went on"
    return decision.next_attempt_at, decision.reason


def _entry(
    tx: Transaction,
    act: AuditContext,
    path: ReturnPath,
    report: BounceReport,
    digest: str,
    delivery: Delivery | None,
    notice: Notice | None,
) -> AuditEntry:
    subjects = {"delivery": str(path.delivery_id)}
    if notice is not None and delivery is not None:
        subjects |= notice_subjects(notice, tx.customers.pseudonym(notice.customer_id))
        subjects |= {"contact": str(delivery.contact_id)} if delivery.contact_id else {}
    record = bounce_evidence(report)
    next_at = None if delivery is None else delivery.next_attempt_at
    return act.entry(
        "delivery.returned",
        subjects=subjects,
        detail={
            "kind": report.kind.value,
            "attempt": path.attempt,
            "event": None if record is None else record.event.value,
            "status": report.status,
            "state": None if delivery is None else delivery.state.value,
            "next_attempt_at": None if next_at is None else timestamp_text(next_at),
            "recipients": len(report.recipients),
            "content_sha256": digest,
        },
        private={
            "reason": None if record is None else record.reason,
            "diagnostic": report.diagnostic,
            "reporting_mta": report.reporting_mta,
            "recipients": [recipient.final_recipient for recipient in report.recipients],
        },
    )
