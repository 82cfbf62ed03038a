"""Check the mail address of a contact: its form, its domain, and what the relay answers for it.

If the relay cannot be reached, nothing is known about the addresses: then no check of an address is recorded, and the
report says so.
"""

import re
import tomllib
from datetime import datetime
from importlib.resources import files

from notifications.customer.records import Contact
from notifications.delivery.delivery import Outcome, OutcomeKind, message_id
from notifications.delivery.reachability import CheckSubject, ReachabilityCheck
from notifications.errors import InvalidInputError, SealingUnavailableError
from notifications.mail.enveloped import encrypt_mail
from notifications.mail.mail import Envelope, assemble_entity_to_encrypt, assemble_mail, prepare_text
from notifications.mail.mail_form import MailForm, mail_form
from notifications.ports import Channel, Clock, Identifiers
from notifications.use_cases.notices.sealing_dependencies import verify_sender
from service.channels.smtp_probe import RelayUnavailableError
from service.customers.contact_check.dependencies import CheckDependencies

_WORDS: dict[str, dict[str, str]] = tomllib.loads((files(__package__) / "test_mail.toml").read_text(encoding="utf-8"))
#: The form of every mailbox address. The relay decides whether the mailbox exists.
_ADDRESS = re.compile(r"[^@\s<>\x00-\x1f\x7f]+@[^@\s<>.\x00-\x1f\x7f]+(\.[^@\s<>.\x00-\x1f\x7f]+)*")
_MAX_ADDRESS_CHARACTERS = 254


class AddressChecker:
    """Checks addresses in one run. After the relay failed once, it is not asked again in this run."""

    def __init__(self, dependencies: CheckDependencies, clock: Clock, identifiers: Identifiers) -> None:
        self._dependencies, self._clock, self._identifiers = dependencies, clock, identifiers
        #: why the relay could not be asked; None if it could
        self.relay_fault: str | None = None

    async def check(self, contact: Contact, now: datetime, *, send: bool) -> ReachabilityCheck | None:
        """Return the check of an address, or None if the relay could not be asked.

        1. The form of the address. 2. Its domain in DNS. 3. The relay's answer: to a test mail if ``send``, else to a
        probe that transfers no message. A transient failure passes, with a reason.
        """
        # 1.
        if len(contact.email) > _MAX_ADDRESS_CHARACTERS or not _ADDRESS.fullmatch(contact.email):
            return self._result(contact, now, ok=False, reason="is not a mailbox address")
        # 2.
        domain = contact.email.rpartition("@")[2]
        if (
            self._dependencies.domain_fault is not None
            and (fault := await self._dependencies.domain_fault(domain)) is not None
        ):
            return self._result(contact, now, ok=False, reason=fault)
        # 3.
        outcome = await self._ask_relay(contact, send=send)
        if outcome is None:
            return None
        ok = outcome.kind in {OutcomeKind.ACCEPTED, OutcomeKind.TRANSIENT_FAILURE}
        reason = (
            None if outcome.kind is OutcomeKind.ACCEPTED else f"the relay says: {outcome.code or ''} {outcome.text}"
        )
        return self._result(contact, now, ok=ok, code=outcome.code, reason=reason)

    async def _ask_relay(self, contact: Contact, *, send: bool) -> Outcome | None:
        """Return the relay's answer to a test mail or to a probe; None if it cannot be asked."""
        if self.relay_fault is not None:
            return None
        if send and self._dependencies.mail is not None:
            outcome = await self._send_test_mail(contact, self._dependencies.mail)
        elif self._dependencies.probe is None:
            return None
        else:
            try:
                outcome = await self._dependencies.probe.ask(contact.email)
            except RelayUnavailableError as error:
                self.relay_fault = str(error)
                return None
        if outcome.kind is OutcomeKind.REFUSED_HERE and outcome.limit is None:
            self.relay_fault = outcome.text
            return None
        return outcome

    async def _send_test_mail(self, contact: Contact, mail: Channel) -> Outcome:
        """Send the test mail in the form and with the signature of a notice."""
        now = self._clock.now()
        words = _WORDS.get(contact.language, _WORDS["en"])
        subject = words["subject"].format(provider=self._dependencies.sender_name)
        text = words["text"].format(
            provider=self._dependencies.sender_name, contact=self._dependencies.provider_contact
        )
        envelope = Envelope(
            sender=self._dependencies.sender,
            sender_name=self._dependencies.sender_name,
            recipient=contact.email,
            recipient_name=contact.name,
            date=now,
            message_id=message_id("check", self._identifiers.new_id(), self._dependencies.sender.rpartition("@")[2]),
        )
        signer = self._dependencies.signer
        try:
            verify_sender(signer, self._dependencies.sender)
            prepared = prepare_text(subject, text, contact.language)
            if mail_form(contact, now).form is MailForm.ENCRYPTED and contact.smime_certificate is not None:
                entity = assemble_entity_to_encrypt(prepared, envelope, signer.sign_detached, subject)
                content = encrypt_mail(entity, envelope, subject, contact.smime_certificate)
            else:
                content = assemble_mail(prepared, envelope, signer.sign_detached)
        except SealingUnavailableError as error:
            return Outcome.failure(OutcomeKind.REFUSED_HERE, str(error))
        except InvalidInputError as error:
            return Outcome.failure(OutcomeKind.PERMANENT_FAILURE, str(error))
        return await mail.send(
            sender=self._dependencies.sender, recipient=contact.email, message_id=envelope.message_id, content=content
        )

    def _result(
        self, contact: Contact, now: datetime, *, ok: bool, code: int | None = None, reason: str | None = None
    ) -> ReachabilityCheck:
        identifier = self._identifiers.new_id()
        return ReachabilityCheck(
            identifier, contact.customer_id, CheckSubject.CONTACT, contact.id, now, ok, code, reason
        )
