"""The service's own mails: links, alerts, warnings. The change that causes a mail queues it; mails are signed.

Each mail goes to one recipient and is retried like a notice. After a crash between sending and recording, a mail is
sent again with the same Message-ID.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

import structlog

from notifications.delivery.delivery import Outcome, OutcomeKind, message_id, retry_decision
from notifications.errors import InvalidInputError, SealingUnavailableError
from notifications.mail.mail import Envelope, assemble_mail, prepare_text
from notifications.ports import Channel, Clock, Identifiers, Signer
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.sealing_dependencies import verify_sender
from service.ports.mails import ServiceMail
from service.ports.store import AccessStore, AccessTransaction
from service.system.periodic import PeriodicTask

_log = structlog.get_logger(__name__)

#: A mail is given up after this time. Links in it end by then.
_USEFUL = timedelta(days=3)
_AT_ONCE = 50
ACTOR = "system:mailer"


@dataclass(frozen=True, slots=True)
class MailSender:
    """The sender of the mails, with the signer and the channel."""

    signer: Signer
    #: None if no relay is set; then mails wait, visibly
    channel: Channel | None
    address: str
    name: str


class ServiceMailer(PeriodicTask):
    """Sends queued mails one after the other; commits and the next due time wake it."""

    name = "service_mails"
    kinds: ClassVar[frozenset[str]] = frozenset({"messages"})
    shortest_seconds = 0.0

    def __init__(
        self,
        store: AccessStore,
        sender: MailSender,
        *,
        clock: Clock,
        identifiers: Identifiers,
        jitter: Callable[[], float],
    ) -> None:
        super().__init__(clock)
        self._store, self._sender = store, sender
        self._identifiers, self._jitter = identifiers, jitter
        self._stopping = False

    async def look(self) -> datetime | None:
        """Send due mails; return now if there may be more. When cancelled, it ends after the mail under way."""
        self._stopping = False
        sending = asyncio.ensure_future(self.send_due())
        try:
            sent = await asyncio.shield(sending)
        except asyncio.CancelledError:
            self._stopping = True
            await asyncio.wait({sending})
            raise
        return self._clock.now() if sent else None

    async def send_due(self) -> int:
        """Attempt due mails, and give up those that are too old; return how many.

        Without a relay no mail is attempted: mails wait.
        """
        now, channel = self._clock.now(), self._sender.channel
        due = await self._store.read(lambda tx: list(tx.mails.due(now, _AT_ONCE)))
        over = [mail for mail in due if now >= mail.created_at + _USEFUL]
        for mail in over:
            await self._save(_given_up(mail), None)
        if channel is None:
            return len(over)
        for mail in due:
            if self._stopping:
                break
            if mail not in over:
                await self._attempt(mail, channel)
        return len(due)

    async def _attempt(self, mail: ServiceMail, channel: Channel) -> None:
        """Send one mail and record the outcome.

        1. Assemble and sign it. Without a usable key, or if the text cannot form a mail, nothing is sent.
        2. Send it.
        3. Commit the state. The text of a sent mail is deleted, because its links are secrets.
        """
        identifier = message_id("service-mail", mail.id, self._sender.address.rpartition("@")[2])
        try:
            # 1.
            content = self._assembled(mail, identifier)
        except SealingUnavailableError as error:
            outcome = Outcome.failure(OutcomeKind.REFUSED_HERE, str(error))
        except InvalidInputError as error:
            outcome = Outcome.failure(OutcomeKind.PERMANENT_FAILURE, str(error))
        else:
            # 2.
            outcome = await self._handed_over(mail, channel, identifier, content)
        # 3.
        await self._save(self._after(mail, outcome), outcome.code)

    async def _handed_over(self, mail: ServiceMail, channel: Channel, message_id: str, content: bytes) -> Outcome:
        try:
            return await channel.send(
                sender=self._sender.address, recipient=mail.recipient, message_id=message_id, content=content
            )
        except Exception as error:  # noqa: BLE001 - a defect that one mail meets must not keep all others waiting
            # Only the type of the error: its text may contain the address.
            _log.error("service_mail.crashed", mail_id=str(mail.id), error=type(error).__name__)
            return Outcome.failure(OutcomeKind.REFUSED_HERE, type(error).__name__)

    def _assembled(self, mail: ServiceMail, message_id: str) -> bytes:
        verify_sender(self._sender.signer, self._sender.address)
        envelope = Envelope(
            sender=self._sender.address,
            sender_name=self._sender.name,
            recipient=mail.recipient,
            recipient_name=mail.recipient_name,
            date=self._clock.now(),
            message_id=message_id,
        )
        prepared = prepare_text(mail.subject, mail.text, mail.language)
        return assemble_mail(prepared, envelope, self._sender.signer.sign_detached)

    async def _save(self, after: ServiceMail, code: int | None) -> None:
        act = AuditContext(ACTOR, self._clock.now(), self._identifiers)
        became = "deferred" if after.state == "queued" else after.state
        log = {"sent": _log.info, "failed": _log.error}.get(after.state, _log.warning)
        log(f"service_mail.{became}", mail_id=str(after.id), purpose=after.purpose, attempt=after.attempts, code=code)
        entry = act.entry(
            f"service_mail.{became}",
            subjects={"mail": str(after.id)},
            detail={"purpose": after.purpose, "attempt": after.attempts, "code": code},
        )

        def work(tx: AccessTransaction) -> None:
            tx.mails.save(after)
            tx.audit.append([entry])

        await self._store.write(work)

    def _after(self, mail: ServiceMail, outcome: Outcome) -> ServiceMail:
        attempts, now = mail.attempts + 1, self._clock.now()
        if outcome.kind is OutcomeKind.ACCEPTED:
            return replace(mail, state="sent", attempts=attempts, text="", next_attempt_at=None, last_error=None)
        useful_until = mail.created_at + _USEFUL
        decision = retry_decision(outcome, attempts=attempts, now=now, due_at=useful_until, jitter=self._jitter())
        said = f"{outcome.code} {outcome.text}" if outcome.code is not None else outcome.text
        if decision.next_attempt_at is None:
            return replace(mail, state="failed", attempts=attempts, text="", next_attempt_at=None, last_error=said)
        # Not after its end, so that it is given up then.
        next_attempt_at = min(decision.next_attempt_at, useful_until)
        return replace(mail, attempts=attempts, next_attempt_at=next_attempt_at, last_error=said)


def _given_up(mail: ServiceMail) -> ServiceMail:
    """Expire a mail. Alerts stay visible in the console, so they are dropped; other mails fail and raise an alert."""
    state = "dropped" if mail.purpose == "alert" else "failed"
    said = "expired before it could be sent" if mail.last_error is None else mail.last_error
    return replace(mail, state=state, text="", next_attempt_at=None, last_error=said)
