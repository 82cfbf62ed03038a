"""Deliver a sealed notice to one recipient by one channel: send it, then commit the outcome and the evidence."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from notifications.audit.entry import AuditEntry
from notifications.canonical_json import timestamp_text
from notifications.customer.records import Contact
from notifications.delivery.acknowledgement import MailedLink
from notifications.delivery.delivery import (
    ChannelKind,
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    Outcome,
    OutcomeKind,
    next_state,
)
from notifications.delivery.webhook import EndpointState, WebhookEndpoint
from notifications.delivery.webhook_message import notice_event
from notifications.errors import SealingUnavailableError, VersionMismatchError
from notifications.evidence.evidence import evidence_event
from notifications.mail.enveloped import encrypt_mail
from notifications.mail.mail import (
    Envelope,
    assemble_entity_to_encrypt,
    assemble_mail,
    prepare_body,
    prepare_text,
    with_note,
    with_pdf,
)
from notifications.mail.mail_form import (
    FormDecision,
    MailForm,
    mail_form,
    neutral_subject,
    request_to_acknowledge,
    summary_of,
)
from notifications.ports import Channel, DueDelivery, InboxItem, Transaction, WebhookChannel
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.manage_webhooks import FAILING_FOR, record_attempt_at
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies, verify_sender


@dataclass(frozen=True, slots=True)
class DeliveryDependencies:
    """The dependencies of a delivery, in addition to those of sealing."""

    sealing: SealingDependencies
    channels: Mapping[ChannelKind, Channel]
    sender_name: str
    #: returns numbers in [0, 1) that spread the retries
    jitter: Callable[[], float]
    #: returns the address for failure reports of a mail; None for the sender's own address
    return_path_of: Callable[[DueDelivery], str] | None = None
    #: returns the link with which a contact acknowledges; None if the installation serves no such page
    acknowledge_link: Callable[[Delivery, Contact, datetime], MailedLink] | None = None
    #: returns the PDF to attach to a mail with the whole notice, or None; None if mails carry no PDF
    pdf_of: Callable[[DueDelivery], Awaitable[bytes | None]] | None = None
    #: None if webhooks are not configured
    webhook: WebhookChannel | None = None
    #: an endpoint that fails for this time is disabled
    webhook_failing_for: timedelta = FAILING_FOR
    #: notifies people, in the same unit of work, that an endpoint was disabled
    endpoint_disabled: Callable[[Transaction, AuditContext, WebhookEndpoint], None] | None = None
    #: called after every recorded attempt, for example by metrics
    watch: Callable[[DueDelivery, Delivery, DeliveryAttempt], None] = lambda _due, _delivery, _attempt: None


async def deliver_notice(due: DueDelivery, delivering: DeliveryDependencies) -> tuple[Delivery, DeliveryAttempt]:
    """Make one attempt and record it. Returns the delivery after the attempt, and the attempt.

    After a crash between steps 2 and 3, the message is sent again with the same Message-ID: at least once, never lost.

    1. Assemble the message in the form that the contact may get now, and sign it. If there is no usable key, or if the
       certificate does not contain the From address, nothing is sent. The delivery then stays queued with the reason.
       Raises LookupError if the recipient belongs to another customer than the notice.
    2. Send the message outside of any transaction, with the deterministic Message-ID.
    3. Commit the outcome, the evidence, the audit entry and the new state of the delivery.
    """
    # 1. and 2.
    sent = await attempt_notice(due, delivering)
    # 3.
    return await record_attempt(due, delivering, sent)


@dataclass(frozen=True, slots=True)
class AttemptBegun:
    """The message of an attempt, or the reason why there is none."""

    started_at: datetime
    #: None if no message was assembled
    content: bytes | None
    form: FormDecision | None
    #: why nothing is sent; None if the message is sent
    refused: Outcome | None


@dataclass(frozen=True, slots=True)
class AttemptMade:
    """The outcome of one attempt that is not recorded yet."""

    begun: AttemptBegun
    outcome: Outcome


async def attempt_notice(due: DueDelivery, delivering: DeliveryDependencies) -> AttemptMade:
    """Do steps 1 and 2 of ``deliver_notice``."""
    return await send_attempt(due, delivering, begin_attempt(due, delivering, await pdf_for(due, delivering)))


async def pdf_for(due: DueDelivery, delivering: DeliveryDependencies) -> bytes | None:
    """Return the PDF to attach, or None. Only a mail with the whole notice carries one, and no mail waits for it."""
    if delivering.pdf_of is None or due.contact is None or due.endpoint is not None:
        return None
    form = mail_form(due.contact, delivering.sealing.clock.now(), too_large=due.delivery.too_large_at is not None)
    return await delivering.pdf_of(due) if form.form.carries_notice else None


def begin_attempt(due: DueDelivery, delivering: DeliveryDependencies, pdf: bytes | None = None) -> AttemptBegun:
    """Do step 1 of ``deliver_notice``, for a caller that assembles while it waits for a free place to send.

    ``pdf`` is attached to a mail with the whole notice, and to no other message.
    """
    started_at = delivering.sealing.clock.now()
    too_large = due.delivery.too_large_at is not None
    form = None if due.contact is None else mail_form(due.contact, started_at, too_large=too_large)
    unusable = _unusable(due, delivering)
    if unusable is not None:
        return AttemptBegun(started_at, None, form, unusable)
    try:
        return AttemptBegun(started_at, _message(due, delivering, started_at, form, pdf), form, None)
    except SealingUnavailableError as error:
        return AttemptBegun(started_at, None, form, Outcome.failure(OutcomeKind.REFUSED_HERE, str(error)))


async def send_attempt(due: DueDelivery, delivering: DeliveryDependencies, begun: AttemptBegun) -> AttemptMade:
    """Do step 2 of ``deliver_notice``."""
    if begun.refused is not None or begun.content is None:
        refused = begun.refused or Outcome.failure(OutcomeKind.REFUSED_HERE, "nothing was assembled")
        return AttemptMade(begun, refused)
    return AttemptMade(begun, await _send(due, delivering, begun.content))


def cut_short(begun: AttemptBegun) -> AttemptMade:
    """Return the attempt to record for a send that was stopped before the next hop answered."""
    why = "given up before its lease ended; whether it was taken is not known"
    return AttemptMade(begun, Outcome.failure(OutcomeKind.TRANSIENT_FAILURE, why))


def unexpectedly_failed(begun: AttemptBegun, error: Exception) -> AttemptMade:
    """Return the attempt to record for a send with an unexpected exception: a transient failure."""
    why = f"unexpected error in the channel ({type(error).__name__}); whether it was taken is not known"
    return AttemptMade(begun, Outcome.failure(OutcomeKind.TRANSIENT_FAILURE, why))


def _unusable(due: DueDelivery, delivering: DeliveryDependencies) -> Outcome | None:
    """Return the outcome if the channel, the contact or the endpoint cannot be used, else None; raises LookupError."""
    channel, endpoint = due.delivery.channel, due.endpoint
    is_webhook = channel is ChannelKind.WEBHOOK
    if (delivering.webhook is None) if is_webhook else (channel not in delivering.channels):
        return Outcome.failure(OutcomeKind.REFUSED_HERE, f"no {channel.value} channel is configured")
    # The consent may have been withdrawn since the delivery was queued.
    agreeing = due.contact if endpoint is None else endpoint
    if due.notice.exercise and agreeing is not None and not agreeing.takes_exercises:
        return Outcome.failure(OutcomeKind.PERMANENT_FAILURE, "takes part in no exercise any more")
    if due.contact is not None and not due.contact.active:
        return Outcome.failure(OutcomeKind.PERMANENT_FAILURE, "the contact is not active any more")
    if not is_webhook:
        return None
    if endpoint is None or not endpoint.customer_id == due.notice.customer_id == due.delivery.customer_id:
        raise LookupError(f"delivery {due.delivery.id} names an endpoint of another customer")
    if endpoint.state is not EndpointState.ACTIVE:
        why = f"the endpoint is out of use: {endpoint.state_reason or endpoint.state.value}"
        return Outcome.failure(OutcomeKind.PERMANENT_FAILURE, why)
    return None


async def _send(due: DueDelivery, delivering: DeliveryDependencies, content: bytes) -> Outcome:
    if delivering.webhook is not None and due.endpoint is not None:
        return await delivering.webhook.post(
            endpoint=due.endpoint, secrets=due.secrets, message_id=due.delivery.message_id, content=content
        )
    return await delivering.channels[due.delivery.channel].send(
        sender=delivering.sealing.sender,
        recipient=due.contact.email if due.contact else "",
        message_id=due.delivery.message_id,
        content=content,
        return_path=None
        if delivering.return_path_of is None or due.contact is None
        else delivering.return_path_of(due),
    )


def _message(
    due: DueDelivery, delivering: DeliveryDependencies, now: datetime, form: FormDecision | None, pdf: bytes | None
) -> bytes:
    contact = due.contact
    if due.endpoint is not None:
        provider = delivering.sealing.provider
        return notice_event(
            due.sealed,
            message_id=due.delivery.message_id,
            source=provider.console_url or f"mailto:{delivering.sealing.sender}",
            console_url=provider.console_url,
        )
    if contact is None or form is None:
        return due.sealed.document
    if not contact.customer_id == due.notice.customer_id == due.delivery.customer_id:
        raise LookupError(f"delivery {due.delivery.id} names a contact of another customer")
    sealing = delivering.sealing
    verify_sender(sealing.signer, sealing.sender)
    envelope = Envelope(
        sender=sealing.sender,
        sender_name=delivering.sender_name,
        recipient=contact.email,
        recipient_name=contact.name,
        date=now,
        message_id=due.delivery.message_id,
        earlier_message_ids=due.earlier_message_ids,
        automatic=False,
    )
    if not form.form.carries_notice:
        provider = sealing.provider
        words = summary_of(
            due.sealed,
            contact.language,
            form.reason,
            form=form.form,
            provider=provider.name,
            contact=" ".join(filter(None, (provider.contact_name, provider.contact_email, provider.contact_phone))),
            console_url=provider.console_url,
            time_zone=contact.time_zone,
        )
        request = _request_to_acknowledge(
            due,
            contact,
            delivering,
            now,
            contact.language,
            contact.time_zone or "UTC",
            ticket_only=form.form is not MailForm.SUMMARY,
        )
        text = words.text if request is None else f"{words.text}\n{request}"
        return assemble_mail(
            prepare_text(words.subject, text, contact.language), envelope, sealing.signer.sign_detached
        )
    prepared = prepare_body(due.sealed, contact.language, contact.time_zone)
    time_zone = contact.time_zone or due.customer.time_zone
    request = _request_to_acknowledge(due, contact, delivering, now, prepared.language, time_zone)
    if request is not None:
        prepared = with_note(prepared, request)
    if pdf is not None:
        prepared = with_pdf(prepared, pdf)
    if form.form is MailForm.ENCRYPTED and contact.smime_certificate is not None:
        subject = neutral_subject(due.sealed, contact.language)
        entity = assemble_entity_to_encrypt(prepared, envelope, sealing.signer.sign_detached, subject)
        return encrypt_mail(entity, envelope, subject, contact.smime_certificate)
    return assemble_mail(prepared, envelope, sealing.signer.sign_detached)


def _request_to_acknowledge(
    due: DueDelivery,
    contact: Contact,
    delivering: DeliveryDependencies,
    now: datetime,
    language: str,
    time_zone: str,
    *,
    ticket_only: bool = False,
) -> str | None:
    """Return the text that asks the contact to acknowledge, or None if it cannot.

    It cannot if no page is served, or if nobody confirmed that the address is the contact's. Otherwise a stranger's
    click could end the escalation before the customer has its notice.
    """
    if delivering.acknowledge_link is None or contact.verified_at is None:
        return None
    link = delivering.acknowledge_link(due.delivery, contact, now)
    within, sealed_at = due.customer.acknowledge_within_seconds, due.notice.sealed_at
    return request_to_acknowledge(
        due.sealed,
        language,
        link=link.url,
        expires_at=link.expires_at,
        # An exercise is not escalated.
        wanted_by=None
        if within is None or sealed_at is None or due.notice.exercise
        else sealed_at + timedelta(seconds=within),
        time_zone=time_zone,
        ticket_only=ticket_only,
    )


async def record_attempt(
    due: DueDelivery, delivering: DeliveryDependencies, sent: AttemptMade
) -> tuple[Delivery, DeliveryAttempt]:
    """Do step 3 of ``deliver_notice``.

    If our lease expired and another worker recorded an attempt meanwhile, ours is recorded after it.
    """
    unit_of_work = delivering.sealing.unit_of_work
    before = due.delivery
    while True:
        record = _record(due, before, delivering, sent)
        try:
            await unit_of_work.write(partial(_write, records=[record], delivering=delivering), concurrently=True)
        except VersionMismatchError:
            current = await unit_of_work.read(lambda tx: tx.deliveries.get(due.delivery.id))
            if current is None:
                raise
            before = current
        else:
            delivering.watch(due, record.delivery, record.attempt)
            return record.delivery, record.attempt


async def record_attempts(
    made: Sequence[tuple[DueDelivery, AttemptMade]], delivering: DeliveryDependencies
) -> list[tuple[Delivery, DeliveryAttempt]]:
    """Do step 3 of ``deliver_notice`` for attempts of different deliveries, in one unit of work: all or none.

    Raises VersionMismatchError if another worker recorded an attempt of one of them meanwhile. The caller then records
    them one by one.
    """
    records = [_record(due, due.delivery, delivering, sent) for due, sent in made]
    work = partial(_write, records=records, delivering=delivering)
    await delivering.sealing.unit_of_work.write(work, concurrently=True)
    for record in records:
        delivering.watch(record.due, record.delivery, record.attempt)
    return [(record.delivery, record.attempt) for record in records]


@dataclass(frozen=True, slots=True)
class _Record:
    """The data that is written for one attempt."""

    due: DueDelivery
    before: Delivery
    delivery: Delivery
    attempt: DeliveryAttempt
    #: the bytes as sent; None if they are not kept
    message: bytes | None
    act: AuditContext
    form: FormDecision | None


def _record(due: DueDelivery, before: Delivery, delivering: DeliveryDependencies, sent: AttemptMade) -> _Record:
    sealing, outcome, content = delivering.sealing, sent.outcome, sent.begun.content
    act = sealing.act()
    delivery = next_state(before, outcome, now=act.now, due_at=due.notice.due_at, jitter=delivering.jitter())
    handed_over = content is not None and outcome.kind is not OutcomeKind.REFUSED_HERE
    attempt = DeliveryAttempt(
        id=sealing.identifiers.new_id(),
        delivery_id=delivery.id,
        number=delivery.attempts,
        started_at=sent.begun.started_at,
        ended_at=act.now,
        outcome=outcome,
        evidence_event=evidence_event(delivery.channel, outcome).value,
        message_sha256=hashlib.sha256(content).hexdigest() if content is not None and handed_over else None,
    )
    keep = content if handed_over and delivery.channel is not ChannelKind.CONSOLE else None
    return _Record(due, before, delivery, attempt, keep, act, sent.begun.form)


def _write(tx: Transaction, records: Sequence[_Record], delivering: DeliveryDependencies) -> None:
    tx.deliveries.finish_attempts([(record.delivery, record.attempt, record.message) for record in records])
    for record in records:
        delivery, act = record.delivery, record.act
        if delivery.endpoint_id is not None:
            outcome = record.attempt.outcome
            disabled = record_attempt_at(tx, act, delivery.endpoint_id, outcome, delivering.webhook_failing_for)
            if disabled is not None and delivering.endpoint_disabled is not None:
                delivering.endpoint_disabled(tx, act, disabled)
        if delivery.channel is ChannelKind.CONSOLE and delivery.state is DeliveryState.SENT:
            tx.deliveries.add_inbox_item(InboxItem(delivery.notice_id, delivery.customer_id, act.now))
        if _needs_check(record.before, delivery):
            tx.escalations.hasten(delivery.notice_id, act.now)
    customers = {item.delivery.customer_id for item in records}
    if len(customers) > 1:
        tx.customers.load(customers)
    pseudonyms = {customer: tx.customers.pseudonym(customer) for customer in customers}
    tx.audit.append([_attempt_entry(record, pseudonyms[record.delivery.customer_id]) for record in records])


def _needs_check(before: Delivery, after: Delivery) -> bool:
    """Return whether the escalation must check the notice now.

    This is so after the first failure, after a permanent failure, and after a success that follows a failure. A success
    at the first attempt needs no extra check: most deliveries succeed, and the next regular check finds it.
    """
    failing = before.last_error is not None
    if after.state is DeliveryState.SENT:
        return failing
    return after.state is DeliveryState.FAILED or not failing


def _attempt_entry(record: _Record, pseudonym: str) -> AuditEntry:
    due, delivery, attempt, form = record.due, record.delivery, record.attempt, record.form
    outcome = attempt.outcome
    return record.act.entry(
        "delivery.attempted",
        subjects=notice_subjects(due.notice, pseudonym)
        | {"delivery": str(delivery.id)}
        | ({"contact": str(delivery.contact_id)} if delivery.contact_id else {}),
        detail={
            "channel": delivery.channel.value,
            "form": None if form is None else form.form.value,
            "form_reason": None if form is None else form.reason.value,
            "number": attempt.number,
            "event": attempt.evidence_event,
            "outcome": outcome.kind.value,
            "code": outcome.code,
            "enhanced_status": outcome.enhanced_status,
            "tls": outcome.tls_version,
            "state": delivery.state.value,
            "started_at": timestamp_text(attempt.started_at),
            "ended_at": timestamp_text(attempt.ended_at),
            "next_attempt_at": timestamp_text(delivery.next_attempt_at) if delivery.next_attempt_at else None,
            "message_sha256": attempt.message_sha256,
        },
        private={
            "message_id": delivery.message_id,
            "recipient": due.contact.email if due.contact else None,
            "text": outcome.text,
            "queue_id": outcome.queue_id,
            "remote": outcome.remote,
        },
        exercise=due.notice.exercise,
    )
