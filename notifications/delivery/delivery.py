"""Delivery as data: who gets which notice by which channel, the attempts, and the next step."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Self
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from notifications.mail_address import normal_address

#: Namespace of delivery identifiers: the same notice, channel and contact always give the same delivery.
_DELIVERIES = UUID("7b0c8a54-1d0e-5c55-9e0e-7d1a4b3f2c11")
#: The first two deliveries of a notice (the console's and the first mail) have a turn of their own; after that,
#: sixteen deliveries share a turn.
_TURNS_OF_ONE, _IN_ONE_TURN = 2, 16


class ChannelKind(StrEnum):
    """Channels to a customer. The agreement names the console, and e-mail to the contact."""

    EMAIL = "email"
    CONSOLE = "console"
    WEBHOOK = "webhook"


class DeliveryCause(StrEnum):
    """Why a delivery was queued."""

    #: with the notice itself
    FIRST = "first"
    #: because earlier deliveries failed, or the deadline is near
    FALLBACK = "fallback"
    #: because nobody acknowledged the notice
    ESCALATION = "escalation"
    #: because the customer asked for it again
    REPLAY = "replay"


class DeliveryState(StrEnum):
    """The state of one delivery. ``sent`` means that the next hop accepted it, not that a person has read it."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


class OutcomeKind(StrEnum):
    """The result of one attempt."""

    ACCEPTED = "accepted"
    TRANSIENT_FAILURE = "transient_failure"
    PERMANENT_FAILURE = "permanent_failure"
    #: this side refused to send: no usable key, wrong From, TLS not offered, a limit of this side's own relay
    REFUSED_HERE = "refused_here"


class SendingLimit(StrEnum):
    """A limit of a server on the way. The provider must avoid or repair it; it is no refusal by the customer."""

    #: the size of the message (RFC 1870); a summary is smaller
    SIZE = "size"
    #: no addresses beyond ASCII (RFC 6531); only a local part beyond ASCII needs them
    SMTPUTF8 = "smtputf8"
    #: no bytes beyond ASCII (RFC 6152)
    EIGHT_BIT = "8bitmime"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notice to one contact by one channel, or to the console inbox of the customer (then without a contact)."""

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
    #: the webhook endpoint; None for any other channel
    endpoint_id: UUID | None = None
    cause: DeliveryCause = DeliveryCause.FIRST
    #: when the next hop first accepted it, without attempts that bounced; None before that, and after a bounce
    sent_at: datetime | None = None
    #: its destination, see ``destination_of``
    destination: str = ""
    #: since when its mails are summaries, because a server refused the full notice for its size; None for never
    too_large_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChannelPause:
    """A channel that a person paused. Deliveries on it wait; none is lost."""

    channel: ChannelKind
    paused_at: datetime
    paused_by: str
    reason: str
    #: when it resumes automatically; None for never
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The channel's report on one attempt. It never says "delivered" if only "accepted" is known."""

    kind: OutcomeKind
    #: SMTP reply code, HTTP status, or None
    code: int | None
    #: enhanced status such as ``2.0.0``, or None
    enhanced_status: str | None
    #: reply text in one line, control characters removed
    text: str
    #: the next hop's queue id, or None
    queue_id: str | None
    #: such as ``TLSv1.3``, or None for a connection without TLS (loopback only)
    tls_version: str | None
    tls_cipher: str | None
    #: ``host:port`` of the next hop, or None
    remote: str | None
    #: wait that the other side asked for (Retry-After), in seconds, or None
    retry_after_seconds: int | None = None
    #: the limit of a server on the way that it exceeded, or None
    limit: SendingLimit | None = None

    @classmethod
    def failure(cls, kind: OutcomeKind, text: str, *, remote: str | None = None) -> Self:
        """Return the outcome of an attempt that got no answer; ``text`` says why, in one line."""
        return cls(
            kind=kind,
            code=None,
            enhanced_status=None,
            text=text,
            queue_id=None,
            tls_version=None,
            tls_cipher=None,
            remote=remote,
        )


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
    #: SHA-256 (hex) of the bytes that were handed over; None if nothing was, or if our own relay refused them
    message_sha256: str | None


def delivery_id(
    notice_id: UUID, channel: ChannelKind, contact_id: UUID | None, endpoint_id: UUID | None = None
) -> UUID:
    """Return the identifier of a delivery. It is deterministic, so that queueing a delivery twice has no effect."""
    return uuid5(_DELIVERIES, f"{notice_id}/{channel.value}/{contact_id or endpoint_id or 'inbox'}")


def message_id(namespace: str, value: object, domain: str) -> str:
    """Return a Message-ID (or idempotency key): a digest of ``value``, so that it is the same on every attempt.

    ``namespace`` is the kind of message. The recipient cannot find out ``value`` if it cannot be guessed.
    """
    token = hashlib.sha256(f"greffier/{namespace}/v1\n{value}".encode()).hexdigest()[:40]
    return f"<{token}@{domain}>"


def delivery_message_id(notice_id: UUID, contact_id: UUID | None, domain: str, endpoint_id: UUID | None = None) -> str:
    """Return the Message-ID (or idempotency key) of a delivery. It does not reveal the random identifiers."""
    return message_id("message-id", f"{notice_id}/{contact_id or endpoint_id or 'inbox'}", domain)


def turn_of(number: int) -> int:
    """Return the turn of a notice's delivery; ``number`` counts those queued before it. Lower turns are sent first.

    The first deliveries of all notices come first, so that every customer gets one mail before any customer gets all of
    them. Later deliveries of a notice share a turn by sixteen, so that the parts common to its mails are built once.
    """
    return number if number < _TURNS_OF_ONE else _TURNS_OF_ONE + (number - _TURNS_OF_ONE) // _IN_ONE_TURN


def destination_of(channel: ChannelKind, address: str | None = None) -> str:
    """Return the destination of a delivery. Limits and circuit breakers apply per destination.

    ``address`` is the mail address or the URL. The destination of a mail is the recipient's domain, that of a webhook
    its host and port.
    """
    if address is None or channel is ChannelKind.CONSOLE:
        return channel.value
    if channel is ChannelKind.EMAIL:
        return f"email:{normal_address(address).rpartition('@')[2]}"
    return f"webhook:{urlsplit(address).netloc.casefold()}"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The waits between the attempts of one channel, as data. Jitter chooses each wait below its upper bound."""

    #: longest wait after the first transient failure; it doubles with every further failure
    first_seconds: int = 60
    #: longest wait in any case
    longest_seconds: int = 3600
    #: longest wait around the notice's deadline
    urgent_seconds: int = 300
    #: shortest wait, so that a destination that just failed is not tried at once
    shortest_seconds: int = 5
    #: interval of attempts while this side has a fault to repair; these attempts never end
    refused_here_seconds: int = 60
    #: longest wait after a refusal that may be this side's fault or the customer's
    doubtful_seconds: int = 1800
    #: after this many attempts, and after the deadline, such a refusal is final
    doubtful_attempts: int = 8


DEFAULT_RETRY_POLICY = RetryPolicy()
#: A greylisted mail is accepted after minutes. A customer's own system that restarts is back in seconds. The console is
#: part of this service.
RETRY_POLICIES: Mapping[ChannelKind, RetryPolicy] = MappingProxyType({
    ChannelKind.EMAIL: DEFAULT_RETRY_POLICY,
    ChannelKind.WEBHOOK: RetryPolicy(first_seconds=10, longest_seconds=1800, urgent_seconds=120, doubtful_seconds=900),
    ChannelKind.CONSOLE: RetryPolicy(first_seconds=5, longest_seconds=60, urgent_seconds=60, doubtful_seconds=60),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """The next step after an attempt, as data."""

    #: when to try again; None when no further attempt is planned
    next_attempt_at: datetime | None
    #: why, in one line
    reason: str


def retry_decision(
    outcome: Outcome,
    *,
    attempts: int,
    now: datetime,
    due_at: datetime,
    jitter: float,
    policy: RetryPolicy = DEFAULT_RETRY_POLICY,
    is_summary: bool = False,
) -> RetryDecision:
    """Return the next step after an attempt. ``attempts`` includes it; ``jitter`` in [0, 1) spreads the retries.

    1. Accepted: no further attempt. Too large and not yet a summary (``is_summary``): send a summary at once.
    2. Refused on this side (no key, TLS not offered, credentials refused, a limit of our own relay): the provider must
       repair the fault. Attempts continue at a constant interval until then.
    3. Permanent, about the address or the message: no further attempt. The delivery is failed with the reason, so that
       a person acts. The same attempt again would only hide the failure.
    4. Permanent, about policy, routing or protocol: the cause may be a denied relay, a blocked sender network or a
       broken filter, which are often repaired without the customer. Attempt slowly at least until the deadline, then as
       3.
    5. Transient: exponential backoff with full jitter. The attempts never end, because a late notice is still owed.

    In 4 and 5 the longest wait decreases towards the deadline and increases again only long after it. A wait that the
    other side asks for (Retry-After) is respected up to the same limit, so that no server can delay a notice past its
    deadline. Raises ValueError for an impossible jitter or count.
    """
    if not 0 <= jitter < 1 or attempts < 1:
        raise ValueError(f"jitter {jitter} must be in [0, 1) and attempts {attempts} at least 1")
    if outcome.kind is OutcomeKind.ACCEPTED:
        return RetryDecision(None, "accepted")
    if outcome.limit is SendingLimit.SIZE and not is_summary:
        return RetryDecision(now, "too large for the way to the customer; sent as a summary at once")
    if outcome.kind is OutcomeKind.REFUSED_HERE:
        # Jitter is added, so that thousands of notices held by one fault are not all retried in the same second.
        wait = timedelta(seconds=policy.refused_here_seconds * (1 + jitter))
        return RetryDecision(now + wait, "ours to repair; tried again until it is")
    if outcome.kind is OutcomeKind.PERMANENT_FAILURE:
        why = _final_reason(outcome)
        if why is not None:
            return RetryDecision(None, why)
        if attempts >= policy.doubtful_attempts and now >= due_at:
            return RetryDecision(None, "refused for good; several attempts up to the deadline changed nothing")
        return RetryDecision(
            now + _spread(policy.doubtful_seconds, outcome, now, due_at, jitter, policy),
            "refused, but perhaps for a reason that is not the customer's; tried again slowly",
        )
    ceiling = policy.first_seconds * 2 ** min(attempts - 1, 20)
    return RetryDecision(now + _spread(ceiling, outcome, now, due_at, jitter, policy), "failed for now; tried again")


def _spread(
    ceiling: float, outcome: Outcome, now: datetime, due_at: datetime, jitter: float, policy: RetryPolicy
) -> timedelta:
    """Return the wait: full jitter below a ceiling, which is lower the nearer ``now`` is to the deadline."""
    until_due = (due_at - now).total_seconds()
    longest = min(policy.longest_seconds, max(policy.urgent_seconds, abs(until_due) / 8))
    if until_due > 0:
        # As long as the deadline can be kept, there is always an attempt before it.
        longest = min(longest, until_due / 2)
    wait = min(ceiling, longest) * jitter
    if outcome.retry_after_seconds is not None:
        # Jitter is added, so that deliveries that got the same Retry-After are not all retried at once.
        wait = min(max(wait, outcome.retry_after_seconds * (1 + jitter / 8)), longest)
    return timedelta(seconds=max(float(policy.shortest_seconds), wait))


#: RFC 3463 subjects of a refusal that may be caused by this side or by the path to the customer: mail system, network
#: and routing, protocol, policy.
_DOUBTFUL_SUBJECTS = frozenset({"3", "4", "5", "7"})
#: Larger than the mailbox (X.2.3) or the mail system (X.3.4) accepts.
TOO_LARGE_STATUSES = frozenset({"5.2.3", "5.3.4"})
_FINAL_REASONS = {
    "1": "the address is refused for good",
    "2": "the mailbox takes no mail",
    "6": "the other side does not take the message's form",
}


def _final_reason(outcome: Outcome) -> str | None:
    """Return why a permanent refusal is final, or None if it may not be. Without a status it is final."""
    if outcome.limit is SendingLimit.SIZE or outcome.enhanced_status in TOO_LARGE_STATUSES:
        return "the message is too large for the other side"
    if outcome.enhanced_status is None:
        return "refused for good"
    subject = outcome.enhanced_status.split(".")[1]
    if subject in _DOUBTFUL_SUBJECTS:
        return None
    return _FINAL_REASONS.get(subject, "refused for good")


def next_state(
    delivery: Delivery,
    outcome: Outcome,
    *,
    now: datetime,
    due_at: datetime,
    jitter: float,
    policy: RetryPolicy | None = None,
) -> Delivery:
    """Return the delivery after one more attempt; without ``policy``, the policy of its channel applies.

    A delivery that was sent stays sent, even if a concurrent second attempt failed. One that is sent again keeps
    when it was first sent.
    """
    attempts = delivery.attempts + 1
    if delivery.state is DeliveryState.SENT or outcome.kind is OutcomeKind.ACCEPTED:
        return replace(
            delivery,
            state=DeliveryState.SENT,
            attempts=attempts,
            next_attempt_at=None,
            last_error=None,
            sent_at=delivery.sent_at or (None if delivery.state is DeliveryState.SENT else now),
        )
    decision = retry_decision(
        outcome,
        attempts=attempts,
        now=now,
        due_at=due_at,
        jitter=jitter,
        policy=policy or RETRY_POLICIES[delivery.channel],
        is_summary=delivery.too_large_at is not None,
    )
    reply = f"{outcome.code} {outcome.text}" if outcome.code is not None else outcome.text
    return replace(
        delivery,
        state=DeliveryState.FAILED if decision.next_attempt_at is None else DeliveryState.QUEUED,
        attempts=attempts,
        next_attempt_at=decision.next_attempt_at,
        last_error=f"{reply} ({decision.reason})",
        too_large_at=too_large_since(delivery, outcome, now),
    )


def too_large_since(delivery: Delivery, outcome: Outcome, now: datetime) -> datetime | None:
    """Return since when the mails of a delivery must be summaries, after an outcome; None if they need not be."""
    if delivery.too_large_at is None and outcome.limit is SendingLimit.SIZE:
        return now
    return delivery.too_large_at
