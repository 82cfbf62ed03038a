"""Process a message to a return path: store and classify it, and reopen a delivery that failed after all."""

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

#: The actor of bounce processing in the audit log.
ACTOR = "system:returns"

#: Namespace of bounce ids: the same bytes to the same delivery have the same id.
_BOUNCES = UUID("5e3c9a10-60f4-5d0a-8f3e-0a7c2b9d4e61")
#: Maximum number of bounces of one kind per delivery, so that a program that answers every mail fills no disk.
_MAX_KEPT_PER_KIND = 10
#: A server may report a failure before we have recorded the attempt. For this time it must try again later.
_RECORDED_WITHIN = timedelta(minutes=15)
#: Return paths contain whole seconds only.
_SECOND = timedelta(seconds=1)

#: RFC 5321, 4.2.2: servers also use 552 for a full mailbox, so the text must mention the size of the message.
_SIZE_EXCEEDED = re.compile(r"\b552\b")
_SIZE_WORDS = re.compile(r"\b(?:size|too (?:big|large)|taille|trop (?:gros|volumineux)|größe|zu groß)", re.IGNORECASE)
_MAILBOX_WORDS = re.compile(r"mailbox|quota|storage|boîte|postfach", re.IGNORECASE)
_PASSED_ON = frozenset({BounceKind.DELIVERED, BounceKind.RELAYED, BounceKind.EXPANDED})


@dataclass(frozen=True, slots=True)
class BounceResult:
    """The result of processing a bounce."""

    message: Bounce
    #: after the bounce; None if the delivery does not exist any more
    delivery: Delivery | None
    notice: Notice | None
    #: False if the same bytes were received before; nothing was recorded then
    is_new: bool = True
    #: whether the delivery was sent before, and is failed or queued now
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
    """Record a message to a verified return path, and reopen the delivery if the mail failed.

    1. If the same bytes were received before, record nothing. Raise StateConflictError while the attempt, or one that
       follows it, is not recorded yet: the sender must try again, because otherwise the later record of the attempt
       would hide the failure. Raise InvalidInputError if there are too many bounces of this kind.
    2. Judge the report against the mail that was sent (``judge_bounce``). Store the bytes and an audit entry. Only a
       failure claims an event (RelayToNonERDSFailure). A report of success is only a server's statement, and an
       automatic reply is no acknowledgement.
    3. If the mail failed and the delivery is sent, reopen the delivery and let the escalation check the notice now, so
       that another contact is notified. The delivery is failed, or queued again if the customer may not be the cause of
       the refusal (policy, routing). A mail that was too large is queued as a summary. If the delivery was asked for
       again meanwhile, it stays queued or failed, but nobody was notified by it. If a later attempt was accepted,
       the mail was sent then: that attempt has its own reports.

    The delivery is failed and not queued again if a person could then get the notice twice or for no use. That is so in
    these cases: somebody acknowledged the notice or was reached by telephone; a later notice replaces it; a server
    reported before that it passed this mail on; the report is about another address than the contact's, behind which
    other people may have got the mail; or the contact is not active. The bounce is recorded in each of these cases.
    """
    # 1.
    digest = hashlib.sha256(content).hexdigest()
    message_id = uuid5(_BOUNCES, f"{path.delivery_id}/{digest}")
    delivery = tx.deliveries.get(path.delivery_id)
    notice = None if delivery is None else tx.notices.get(delivery.notice_id)
    before = tx.deliveries.bounce(message_id)
    if before is not None:
        return BounceResult(before, delivery, notice, is_new=False)
    if delivery is not None:
        report = judge_bounce(report, _sent(tx, delivery, report))
    delivery_id = None if delivery is None else delivery.id
    earlier = [other.kind for other in tx.deliveries.bounces(delivery_id)]
    if delivery is not None and path.is_after(delivery.attempts) and act.now < path.issued_at + _RECORDED_WITHIN:
        raise StateConflictError("the attempt of this bounce is not recorded yet")
    undone, overtaken_at = False, None
    if delivery is not None and report.kind is BounceKind.FAILED and _was_sent(delivery):
        overtaken_at = _overtaken_at(tx, delivery, path)
        undone = overtaken_at is None
        if undone and _is_being_sent(delivery, act.now):
            raise StateConflictError("the mail is being sent again now, and that attempt is not recorded yet")
    if not undone and earlier.count(report.kind) >= _MAX_KEPT_PER_KIND:
        raise InvalidInputError(Fault("", "too many messages of this kind were already received for this delivery"))
    # 2.
    message = Bounce(
        id=message_id,
        delivery_id=delivery_id,
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
    after, reopens = delivery, undone and delivery.state is DeliveryState.SENT
    if undone:
        if reopens:
            after = _reopened(tx, act, delivery, notice, report, earlier, jitter, policy)
        else:
            after = replace(delivery, sent_at=None)
        tx.deliveries.save(after, delivery.attempts)
        tx.escalations.hasten(notice.id, act.now)
    elif overtaken_at is not None and delivery.sent_at is not None and delivery.sent_at < overtaken_at:
        after = replace(delivery, sent_at=overtaken_at)
        tx.deliveries.save(after, delivery.attempts)
    tx.audit.append([_entry(tx, act, path, report, digest, after, notice)])
    return BounceResult(message, after, notice, reopened=reopens)


def _was_sent(delivery: Delivery) -> bool:
    """Return whether an attempt was accepted; one that is asked for again is queued, and keeps when it was sent."""
    return delivery.state is DeliveryState.SENT or delivery.sent_at is not None


def _is_being_sent(delivery: Delivery, now: datetime) -> bool:
    """Return whether an attempt may be under way; if none is recorded after some minutes, the channel is paused."""
    due_at = delivery.next_attempt_at if delivery.state is DeliveryState.QUEUED else None
    return due_at is not None and due_at <= now < due_at + _RECORDED_WITHIN


def _overtaken_at(tx: Transaction, delivery: Delivery, path: ReturnPath) -> datetime | None:
    """Return when an attempt after that of the return path was first accepted; None if none was.

    Both number and time are compared: after an expired lease, two workers may send under the same number, and each of
    the two mails may bounce.
    """
    later = (
        attempt.ended_at
        for attempt in tx.deliveries.attempts(delivery.id)
        if attempt.outcome.kind is OutcomeKind.ACCEPTED
        and path.is_before(attempt.number)
        and attempt.started_at > path.issued_at + _SECOND
    )
    return min(later, default=None)


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
    # The report says that the failure is permanent. Its class is ignored: after a queue timeout it is 4, not 5.
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
        decision = RetryDecision(*_next_attempt(tx, delivery, notice, report, earlier, decision))
    return replace(
        delivery,
        state=DeliveryState.FAILED if decision.next_attempt_at is None else DeliveryState.QUEUED,
        next_attempt_at=decision.next_attempt_at,
        last_error=f"came back: {outcome.text or 'without a reason'} ({decision.reason})",
        sent_at=None,
        too_large_at=too_large_since(delivery, outcome, act.now),
    )


def _sent(tx: Transaction, delivery: Delivery, report: BounceReport) -> SentMail:
    """Return the mail that was sent, for ``judge_bounce``."""
    contact = None if delivery.contact_id is None else tx.customers.contact(delivery.contact_id)
    # Only an automatic reply is compared with the mail, which may be large.
    content = tx.deliveries.message_sent(delivery.id) if report.kind is BounceKind.AUTO_REPLY else None
    return sent_mail("" if contact is None else contact.email, content)


def _is_too_large(report: BounceReport) -> bool:
    """Return whether the mail failed because of its size: by the status, or by a 552 whose text mentions a size."""
    if report.status is not None and not report.status.endswith(".0.0"):
        return report.status in TOO_LARGE_STATUSES
    diagnostic = report.diagnostic or ""
    is_size = _SIZE_EXCEEDED.search(diagnostic) is not None and _SIZE_WORDS.search(diagnostic) is not None
    return is_size and _MAILBOX_WORDS.search(diagnostic) is None


def _next_attempt(
    tx: Transaction,
    delivery: Delivery,
    notice: Notice,
    report: BounceReport,
    earlier: list[BounceKind],
    decision: RetryDecision,
) -> tuple[datetime | None, str]:
    """Return when to send again, or None if a person could get a second copy; and the reason."""
    contact = None if delivery.contact_id is None else tx.customers.contact(delivery.contact_id)
    if contact is None or not contact.active:
        return None, "not sent again: the contact is out of use"
    clock = notice_clock(tx, notice)
    has_notice = bool(tx.notices.acknowledgements(notice.id)) or (
        clock is not None
        and escalation_status(replace(clock, deliveries=())) in {EscalationStatus.SETTLED, EscalationStatus.SUPERSEDED}
    )
    if has_notice:
        return None, "not sent again: the customer has the notice, or a later one states it"
    final_recipients = [recipient.final_recipient for recipient in report.recipients]
    if [normal_address(address) for address in final_recipients if address] != [normal_address(contact.email)]:
        return None, "not sent again: the report is not of the contact's own address alone"
    if _PASSED_ON & set(earlier):
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
        exercise=notice is not None and notice.exercise,
    )
