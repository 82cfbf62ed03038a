"""Delivery: who gets which notice by which channel, each attempt, and what to do next as data."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

#: Namespace of delivery identifiers: the same notice, channel and contact always give the same delivery.
_DELIVERIES = UUID("7b0c8a54-1d0e-5c55-9e0e-7d1a4b3f2c11")

#: First and longest wait between attempts at a destination that fails for now.
FIRST_RETRY_SECONDS = 60
LONGEST_RETRY_SECONDS = 3600
#: Longest wait while the notice's deadline lies ahead and near, or has passed.
URGENT_RETRY_SECONDS = 300
#: What is ours to repair (key, TLS, settings) is tried again at this pace.
REFUSED_HERE_RETRY_SECONDS = 30


class ChannelKind(StrEnum):
    """Ways to reach a customer (11.1.1.2: the console, or e-mail to the contact)."""

    EMAIL = "email"
    CONSOLE = "console"
    WEBHOOK = "webhook"


class DeliveryState(StrEnum):
    """Where one delivery stands. ``sent`` means that the next hop accepted it, never that a person has it."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


class OutcomeKind(StrEnum):
    """What one attempt came to."""

    ACCEPTED = "accepted"
    TRANSIENT_FAILURE = "transient_failure"
    PERMANENT_FAILURE = "permanent_failure"
    #: this side refused to send: no usable key, wrong From, TLS not offered
    REFUSED_HERE = "refused_here"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notice to one contact by one channel (or to the console inbox of the customer, with no contact)."""

    id: UUID
    notice_id: UUID
    customer_id: UUID
    channel: ChannelKind
    #: None for the console inbox
    contact_id: UUID | None
    #: deterministic Message-ID or idempotency key; the same on every attempt
    message_id: str
    state: DeliveryState
    #: number of attempts made
    attempts: int
    #: when the next attempt is due; None when no further attempt is planned
    next_attempt_at: datetime | None
    #: last failure in one line, or None
    last_error: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the channel reports of one attempt. Never "delivered" where only "accepted" is known."""

    kind: OutcomeKind
    #: SMTP reply code, HTTP status, or None
    code: int | None
    #: enhanced status such as ``2.0.0``, or None
    enhanced_status: str | None
    #: reply text in one line, control characters removed
    text: str
    #: the next hop's queue id, or None
    queue_id: str | None
    #: ``TLSv1.3``, or None where the connection was clear (loopback only)
    tls_version: str | None
    tls_cipher: str | None
    #: ``host:port`` of the next hop, or None
    remote: str | None


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """Evidence of one attempt."""

    id: UUID
    delivery_id: UUID
    #: from 1
    number: int
    started_at: datetime
    ended_at: datetime
    outcome: Outcome
    #: ETSI EN 319 522 event, such as ``RelayToNonERDS``
    evidence_event: str
    #: SHA-256 of the bytes handed over, hex; None where nothing was handed over
    message_sha256: str | None


def delivery_id(notice_id: UUID, channel: ChannelKind, contact_id: UUID | None) -> UUID:
    """Return the identifier of a delivery: deterministic, so that queueing it twice queues it once."""
    return uuid5(_DELIVERIES, f"{notice_id}/{channel.value}/{contact_id or 'inbox'}")


def message_id(notice_id: UUID, contact_id: UUID | None, domain: str) -> str:
    """Return the Message-ID (or idempotency key) of a delivery: the same on every attempt, and telling nothing.

    It is a digest of two random identifiers, so that a mail's recipient learns neither of them from it.
    """
    token = hashlib.sha256(f"greffier/message-id/v1\n{notice_id}/{contact_id or 'inbox'}".encode()).hexdigest()[:40]
    return f"<{token}@{domain}>"


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What to do after an attempt, as data."""

    #: when to try again; None when no further attempt is planned
    next_attempt_at: datetime | None
    #: why, in one line
    reason: str


def retry_decision(outcome: Outcome, *, attempts: int, now: datetime, due_at: datetime, jitter: float) -> RetryDecision:
    """Return what follows an attempt. ``attempts`` counts it; ``jitter`` in [0, 1) spreads the retries.

    1. Accepted: nothing.
    2. Refused on this side: the fault is ours to repair, tried again at a steady pace for as long as it takes.
    3. Permanent: no further attempt; the delivery stands failed, with its reason, for a person to act on.
    4. Transient: exponential with full jitter. The nearer the deadline, and after it, the shorter the longest wait; a
       transient failure never ends the trying, because a notice that is late is still owed.
    """
    if outcome.kind is OutcomeKind.ACCEPTED:
        return RetryDecision(None, "accepted")
    if outcome.kind is OutcomeKind.REFUSED_HERE:
        wait = timedelta(seconds=REFUSED_HERE_RETRY_SECONDS)
        return RetryDecision(now + wait, "refused on this side; tried again once that is repaired")
    if outcome.kind is OutcomeKind.PERMANENT_FAILURE:
        return RetryDecision(None, "refused for good by the other side")
    ceiling = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(attempts - 1, 20))
    until_due = (due_at - now).total_seconds()
    if until_due < 4 * LONGEST_RETRY_SECONDS:
        ceiling = min(ceiling, max(URGENT_RETRY_SECONDS, int(until_due / 8)))
    # Full jitter, but never at once: a destination that just failed is given a moment.
    wait = timedelta(seconds=max(1.0, ceiling * jitter))
    return RetryDecision(now + wait, "the other side failed for now")


def next_state(delivery: Delivery, outcome: Outcome, *, now: datetime, due_at: datetime, jitter: float) -> Delivery:
    """Return the delivery as it stands after one more attempt."""
    attempts = delivery.attempts + 1
    decision = retry_decision(outcome, attempts=attempts, now=now, due_at=due_at, jitter=jitter)
    if outcome.kind is OutcomeKind.ACCEPTED:
        state, error = DeliveryState.SENT, None
    else:
        state = DeliveryState.FAILED if decision.next_attempt_at is None else DeliveryState.QUEUED
        error = f"{outcome.code} {outcome.text}" if outcome.code is not None else outcome.text
    return replace(delivery, state=state, attempts=attempts, next_attempt_at=decision.next_attempt_at, last_error=error)
