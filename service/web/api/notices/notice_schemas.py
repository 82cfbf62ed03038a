"""Schemas of notices, their deliveries and attempts."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import Field

from notifications.delivery.delivery import Delivery, DeliveryAttempt
from notifications.evidence.evidence import EvidenceEvent
from notifications.mail.bounce_parser import words_to_read
from notifications.mail.bounce_record import Bounce, BounceKind
from notifications.notice import Notice
from service.web.api.fields import Moment, Out, Prose, Schema


class NoticeOut(Out):
    """A notice owed to one customer."""

    id: UUID
    incident_id: UUID
    customer_id: UUID
    sequence: int
    kind: str
    state: str = Field(description="`draft`, `withdrawn`, `released`, `sealed`.")
    facts_version: int
    due_at: Moment
    due_kind: str
    binding: str = Field(
        description="How strictly `due_at` binds: `hard`, `soft` (where possible) or `no_number` (ours)."
    )
    created_at: Moment
    created_by: str
    released_at: Moment | None
    released_by: str | None
    sealed_at: Moment | None
    hold_reason: str | None = Field(description="Why it does not go out although released; null when nothing holds it.")
    drafted_by: str = Field(description="Who wrote last what it says; four eyes are measured against it.")
    override_reason: str | None = Field(
        description="Why it was released without four eyes or without an approver; shown only to the provider."
    )
    override_reviewed_by: str | None
    override_reviewed_at: Moment | None
    version: int
    exercise: bool = Field(description="Of an exercise: what it describes did not happen.")


class OverrideIn(Schema):
    """An emergency release."""

    reason: Prose = Field(max_length=2000, description="Why this cannot wait for somebody else; it is kept for ever.")


def notice_out(notice: Notice, *, at_provider: bool) -> NoticeOut:
    """Return the schema of a notice, for the provider or for the customer."""
    return NoticeOut.model_construct(
        id=notice.id,
        incident_id=notice.incident_id,
        customer_id=notice.customer_id,
        sequence=notice.sequence,
        kind=notice.kind.value,
        state=notice.state.value,
        facts_version=notice.facts_version,
        due_at=notice.due_at,
        due_kind=notice.due_kind,
        binding=notice.binding.value,
        created_at=notice.created_at,
        created_by=notice.created_by,
        released_at=notice.released_at,
        released_by=notice.released_by,
        sealed_at=notice.sealed_at,
        hold_reason=notice.hold_reason,
        drafted_by=notice.drafted_by,
        override_reason=notice.override_reason if at_provider else None,
        override_reviewed_by=notice.override_reviewed_by,
        override_reviewed_at=notice.override_reviewed_at,
        version=notice.version,
        exercise=notice.exercise,
    )


class AttemptOut(Out):
    """Evidence of one attempt."""

    number: int
    started_at: Moment
    ended_at: Moment
    outcome: str
    event: str = Field(description="ETSI EN 319 522 event.")
    event_uri: str
    code: int | None
    enhanced_status: str | None
    text: str
    queue_id: str | None
    tls_version: str | None
    tls_cipher: str | None
    remote: str | None
    message_sha256: str | None
    limit: str | None = Field(
        description="Limit of the relay that was met: `size`, `smtputf8` or `8bitmime`; no refusal of the customer."
    )


class ReturnedOut(Out):
    """A bounce of a delivery."""

    id: UUID
    received_at: Moment
    kind: str = Field(
        description="`failed`, `delayed`, `delivered`, `relayed`, `expanded`: what a server stated (RFC 3464), no more;"
        " `auto_reply`, no acknowledgement; `unknown`, which a person reads."
    )
    status: str | None
    diagnostic: str | None
    reporting_mta: str | None
    octets: int
    text: str | None = Field(
        description="Of `unknown`: its words as plain text, for callers who may read bounces. Strangers wrote them."
    )


class DeliveryOut(Out):
    """One notice to one contact by one channel."""

    id: UUID
    channel: str
    contact_id: UUID | None
    message_id: str
    state: str = Field(description="`sent` means that the next hop accepted it, never that a person has it.")
    attempts: int
    next_attempt_at: Moment | None
    last_error: str | None
    too_large_at: Moment | None = Field(
        description="When a mail server refused the whole notice for its size; its mails are summaries since."
    )
    evidence: list[AttemptOut]
    returned: list[ReturnedOut] = Field(description="Bounces after it was accepted, oldest first.")


def delivery_out(
    delivery: Delivery,
    attempts: list[DeliveryAttempt],
    returned: Sequence[Bounce] = (),
    *,
    with_words: bool = False,
) -> DeliveryOut:
    """Return the schema of a delivery with its evidence; ``with_words``: with the words of bounces."""
    return DeliveryOut.model_construct(
        id=delivery.id,
        channel=delivery.channel.value,
        contact_id=delivery.contact_id,
        message_id=delivery.message_id,
        state=delivery.state.value,
        attempts=delivery.attempts,
        next_attempt_at=delivery.next_attempt_at,
        last_error=delivery.last_error,
        too_large_at=delivery.too_large_at,
        evidence=[
            AttemptOut.model_construct(
                number=attempt.number,
                started_at=attempt.started_at,
                ended_at=attempt.ended_at,
                outcome=attempt.outcome.kind.value,
                event=attempt.evidence_event,
                event_uri=EvidenceEvent(attempt.evidence_event).uri,
                code=attempt.outcome.code,
                enhanced_status=attempt.outcome.enhanced_status,
                text=attempt.outcome.text,
                queue_id=attempt.outcome.queue_id,
                tls_version=attempt.outcome.tls_version,
                tls_cipher=attempt.outcome.tls_cipher,
                remote=attempt.outcome.remote,
                message_sha256=attempt.message_sha256,
                limit=None if attempt.outcome.limit is None else attempt.outcome.limit.value,
            )
            for attempt in attempts
        ],
        returned=[
            ReturnedOut.model_construct(
                id=message.id,
                received_at=message.received_at,
                kind=message.kind.value,
                status=message.status,
                diagnostic=message.diagnostic,
                reporting_mta=message.reporting_mta,
                octets=len(message.content),
                text=words_to_read(message.content) if with_words and message.kind is BounceKind.UNKNOWN else None,
            )
            for message in returned
        ],
    )


class PreviewOut(Out):
    """The words that would be sealed now, in one language."""

    language: str
    subject: str
    text: str
    html: str
    document: dict[str, Any]
