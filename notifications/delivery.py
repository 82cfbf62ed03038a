"""Delivery: who gets which notice by which channel, each attempt, and what to do next as data."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


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
