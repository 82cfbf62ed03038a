"""Check contacts, certificates and webhooks before there is an incident. Messages are harmless and marked as tests.

Requests to other systems are made outside any transaction. If the relay cannot be reached, nothing is known about the
addresses: then no check of an address is recorded, and the report says so.
"""

import re
import tomllib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Protocol
from uuid import UUID

import structlog

from notifications.customer.records import Contact, Customer, recipients
from notifications.delivery.delivery import Outcome, OutcomeKind, message_id
from notifications.delivery.reachability import CheckSubject, ReachabilityCheck
from notifications.delivery.webhook import EndpointState, WebhookEndpoint, WebhookSecret
from notifications.errors import InvalidInputError, SealingUnavailableError
from notifications.mail.enveloped import certificate_fault, encrypt_mail
from notifications.mail.mail import Envelope, assemble_entity_to_encrypt, assemble_mail, prepare_text
from notifications.mail.mail_form import EXPIRY_WARNING_DAYS, MailForm, days_to_expiry, mail_form
from notifications.ports import Channel, Clock, Identifiers, Page, Signer
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.record_checks import record_checks
from notifications.use_cases.notices.seal_notice import verify_sender
from service.channels.smtp_probe import RelayUnavailableError
from service.monitoring.alerts import raise_alerts
from service.monitoring.notice_findings import AlertCandidate
from service.ports.alerts import Alert
from service.ports.store import AccessStore, AccessTransaction
from service.settings.provider import ProviderSettings

_log = structlog.get_logger(__name__)

ACTOR = "system:checks"
_CUSTOMERS_AT_ONCE = 100
_WORDS: dict[str, dict[str, str]] = tomllib.loads(
    (files(__package__) / "contact_check.toml").read_text(encoding="utf-8")
)
#: The form of every mailbox address. The relay decides whether the mailbox exists.
_ADDRESS = re.compile(r"[^@\s<>\x00-\x1f\x7f]+@[^@\s<>.\x00-\x1f\x7f]+(\.[^@\s<>.\x00-\x1f\x7f]+)*")
_MAX_ADDRESS_CHARACTERS = 254


class Probe(Protocol):
    """Asks the relay about a recipient; implemented by ``service.channels.smtp_probe``."""

    async def ask(self, recipient: str) -> Outcome:
        """Return the relay's answer; raises RelayUnavailableError."""
        ...


@dataclass(frozen=True, slots=True)
class CheckDependencies:
    """The dependencies of checks; a check whose dependency is None is skipped."""

    signer: Signer
    sender: str
    sender_name: str
    #: contact point of the provider, for the text of test mails
    provider_contact: str
    probe: Probe | None = None
    #: channel for test mails
    mail: Channel | None = None
    #: returns why no mail can go to a domain, or None; also None if DNS does not answer
    domain_fault: Callable[[str], Awaitable[str | None]] | None = None
    #: posts a test event to an endpoint
    webhook: Callable[[WebhookEndpoint, Sequence[WebhookSecret]], Awaitable[Outcome]] | None = None
    #: returns when the TLS certificate of a URL's receiver ends; None if not known
    webhook_certificate_end: Callable[[str], datetime | None] = lambda _url: None


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One line of the report: about a contact, a certificate or a webhook, or about the whole customer."""

    customer: str
    #: an address or a URL; empty for the whole customer
    about: str
    #: ``ok``, ``warning`` or ``failed``
    verdict: str
    what: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check."""

    lines: tuple[CheckLine, ...]
    #: why the relay could not be asked about addresses; None if it could
    relay_fault: str | None = None

    @property
    def is_clean(self) -> bool:
        """Return whether there is no failure; warnings do not count."""
        return self.relay_fault is None and all(line.verdict != "failed" for line in self.lines)


@dataclass(frozen=True, slots=True)
class _Subject:
    customer: Customer
    contacts: tuple[Contact, ...]
    #: active endpoints with their signing secrets
    endpoints: tuple[tuple[WebhookEndpoint, tuple[WebhookSecret, ...]], ...]


class ContactChecker:
    """Checks customers one after the other."""

    def __init__(
        self,
        store: AccessStore,
        means: CheckDependencies,
        provider: ProviderSettings,
        *,
        clock: Clock,
        identifiers: Identifiers,
    ) -> None:
        self._store, self._means, self._provider = store, means, provider
        self._clock, self._identifiers = clock, identifiers
        #: why the relay could not be asked; it is not asked again in this run
        self._relay_fault: str | None = None

    async def check_all(self, *, send: bool = False, actor: str = ACTOR) -> CheckReport:
        """Check every customer; results are recorded per customer, and alerts are raised together at the end."""
        self._relay_fault = None
        lines: list[CheckLine] = []
        findings: list[AlertCandidate] = []
        cursor: str | None = None
        while True:
            page = Page(_CUSTOMERS_AT_ONCE, cursor)
            customers, cursor = await self._store.read(lambda tx, page=page: tx.customers.page(page))  # type: ignore[misc]  # mypy knows no defaults of lambdas
            for customer in customers:
                checked, found = await self._check(customer.id, send=send, actor=actor)
                lines += checked
                findings += found
            if cursor is None:
                break
        await self._alert(findings, actor)
        return CheckReport(tuple(lines), self._relay_fault)

    async def check_customer(
        self, customer_id: UUID, *, only: frozenset[UUID] | None = None, send: bool = False, actor: str = ACTOR
    ) -> CheckReport:
        """Check one customer, or only some of its contacts; raises NotFoundError."""
        self._relay_fault = None
        lines, findings = await self._check(customer_id, only=only, send=send, actor=actor)
        await self._alert(findings, actor)
        return CheckReport(tuple(lines), self._relay_fault)

    async def _check(
        self, customer_id: UUID, *, only: frozenset[UUID] | None = None, send: bool, actor: str
    ) -> tuple[list[CheckLine], list[AlertCandidate]]:
        """Check one customer.

        1. Check each active contact: its address, its domain, the relay's answer, its certificate; send a test mail.
        2. Post a test event to each active webhook endpoint.
        3. Record the results, return the findings to alert, and close the alerts of repaired faults.
        """
        subject = await self._store.read(lambda tx: _subject(tx, customer_id))
        lines: list[CheckLine] = []
        checks: list[ReachabilityCheck] = []
        ending: list[AlertCandidate] = []
        # 1.
        for contact in subject.contacts:
            if only is None or contact.id in only:
                checks += await self._contact(subject.customer, contact, lines, send=send)
        # 2.
        if only is None:
            for endpoint, secrets in subject.endpoints:
                checks += await self._endpoint(subject.customer, endpoint, secrets, lines)
                ending += self._ending(subject.customer, endpoint)
        # 3.
        act = AuditContext(actor, self._clock.now(), self._identifiers)
        findings = await self._store.write(lambda tx: _record(tx, act, subject.customer, checks, sent=send))
        asked = [] if only is not None else [endpoint.id for endpoint, _ in subject.endpoints]
        if asked:
            findings += await self._store.write(lambda tx: _new_ending(tx, act, asked, ending))
        lines += _of_customer(subject, findings)
        return lines, findings

    # -- contacts

    async def _contact(
        self, customer: Customer, contact: Contact, lines: list[CheckLine], *, send: bool
    ) -> list[ReachabilityCheck]:
        now = self._clock.now()
        checks = []
        address = await self._address(contact, now, send=send)
        if address is not None:
            checks.append(address)
            lines.append(_line(customer, contact.email, address))
        if contact.smime_certificate is not None:
            certificate = self._certificate(contact, now)
            checks.append(certificate)
            lines.append(_line(customer, f"{contact.email} (S/MIME)", certificate))
        if contact.verified_at is None:
            lines.append(CheckLine(customer.name, contact.email, "warning", "nobody confirmed this address"))
        if contact.phone is None:
            lines.append(CheckLine(customer.name, contact.email, "warning", "no phone number to call"))
        return checks

    async def _address(self, contact: Contact, now: datetime, *, send: bool) -> ReachabilityCheck | None:
        """Return the check of an address, or None if the relay could not be asked."""
        if len(contact.email) > _MAX_ADDRESS_CHARACTERS or not _ADDRESS.fullmatch(contact.email):
            return self._made(contact, CheckSubject.CONTACT, now, ok=False, reason="is no address of a mailbox")
        domain = contact.email.rpartition("@")[2]
        if self._means.domain_fault is not None and (fault := await self._means.domain_fault(domain)) is not None:
            return self._made(contact, CheckSubject.CONTACT, now, ok=False, reason=fault)
        outcome = await self._asked(contact, send=send)
        if outcome is None:
            return None
        ok = outcome.kind in {OutcomeKind.ACCEPTED, OutcomeKind.TRANSIENT_FAILURE}
        reason = (
            None if outcome.kind is OutcomeKind.ACCEPTED else f"the relay says: {outcome.code or ''} {outcome.text}"
        )
        return self._made(contact, CheckSubject.CONTACT, now, ok=ok, code=outcome.code, reason=reason)

    async def _asked(self, contact: Contact, *, send: bool) -> Outcome | None:
        """Return the relay's answer to a test mail or to a probe; None if it cannot be asked."""
        if self._relay_fault is not None:
            return None
        if send and self._means.mail is not None:
            outcome = await self._sent(contact, self._means.mail)
        elif self._means.probe is None:
            return None
        else:
            try:
                outcome = await self._means.probe.ask(contact.email)
            except RelayUnavailableError as error:
                self._relay_fault = str(error)
                return None
        if outcome.kind is OutcomeKind.REFUSED_HERE and outcome.limit is None:
            self._relay_fault = outcome.text
            return None
        return outcome

    async def _sent(self, contact: Contact, mail: Channel) -> Outcome:
        """Send the test mail in the form and with the signature of a notice."""
        now = self._clock.now()
        words = _WORDS.get(contact.language, _WORDS["en"])
        subject = words["subject"].format(provider=self._means.sender_name)
        text = words["text"].format(provider=self._means.sender_name, contact=self._means.provider_contact)
        envelope = Envelope(
            sender=self._means.sender,
            sender_name=self._means.sender_name,
            recipient=contact.email,
            recipient_name=contact.name,
            date=now,
            message_id=message_id("check", self._identifiers.new_id(), self._means.sender.rpartition("@")[2]),
        )
        signer = self._means.signer
        try:
            verify_sender(signer, self._means.sender)
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
            sender=self._means.sender, recipient=contact.email, message_id=envelope.message_id, content=content
        )

    def _certificate(self, contact: Contact, now: datetime) -> ReachabilityCheck:
        der = contact.smime_certificate or b""
        fault = certificate_fault(der, contact.email, now)
        days = days_to_expiry(contact, now)
        reason = None if fault is None else f"the certificate {fault}"
        if fault is None and days is not None and days < max(EXPIRY_WARNING_DAYS):
            reason = f"the certificate ends in {days} days"
        return self._made(contact, CheckSubject.CERTIFICATE, now, ok=fault is None, reason=reason)

    def _made(
        self,
        contact: Contact,
        subject: CheckSubject,
        now: datetime,
        *,
        ok: bool,
        code: int | None = None,
        reason: str | None = None,
    ) -> ReachabilityCheck:
        identifier = self._identifiers.new_id()
        return ReachabilityCheck(identifier, contact.customer_id, subject, contact.id, now, ok, code, reason)

    # -- webhooks

    async def _endpoint(
        self,
        customer: Customer,
        endpoint: WebhookEndpoint,
        secrets: tuple[WebhookSecret, ...],
        lines: list[CheckLine],
    ) -> list[ReachabilityCheck]:
        if self._means.webhook is None:
            return []
        outcome = await self._means.webhook(endpoint, secrets)
        if outcome.kind is OutcomeKind.REFUSED_HERE:
            # The fault is on this side, so it says nothing about the receiver.
            lines.append(CheckLine(customer.name, endpoint.url, "failed", f"nothing was posted: {outcome.text}"))
            return []
        ok = outcome.kind is OutcomeKind.ACCEPTED
        reason = None if ok else f"the receiver says: {outcome.code or ''} {outcome.text}"
        days = self._webhook_days(endpoint)
        if ok and days is not None and days < max(EXPIRY_WARNING_DAYS):
            reason = f"the receiver's certificate ends in {days} days"
        check = ReachabilityCheck(
            self._identifiers.new_id(),
            customer.id,
            CheckSubject.WEBHOOK,
            endpoint.id,
            self._clock.now(),
            ok,
            outcome.code,
            reason,
        )
        lines.append(_line(customer, endpoint.url, check))
        return [check]

    def _webhook_days(self, endpoint: WebhookEndpoint) -> int | None:
        end = self._means.webhook_certificate_end(endpoint.url)
        return None if end is None else (end - self._clock.now()).days

    def _ending(self, customer: Customer, endpoint: WebhookEndpoint) -> list[AlertCandidate]:
        """Return the findings about a receiver's certificate: 30, 7 and 1 days before its end."""
        end, days = self._means.webhook_certificate_end(endpoint.url), self._webhook_days(endpoint)
        if end is None or days is None or days >= max(EXPIRY_WARNING_DAYS):
            return []
        stage = min(warned for warned in EXPIRY_WARNING_DAYS if days < warned)
        key = f"webhook_certificate_expiring:{endpoint.id.hex}:{end:%Y-%m-%d}:{stage}"
        return [AlertCandidate(key, "webhook_certificate_expiring", customer.name, customer_id=customer.id, due_at=end)]

    async def _alert(self, findings: Sequence[AlertCandidate], actor: str) -> None:
        if not findings:
            return
        act = AuditContext(actor, self._clock.now(), self._identifiers)
        await self._store.write(lambda tx: raise_alerts(tx, act, findings, self._provider))
        for finding in findings:
            _log.warning("alert.raised", kind=finding.kind, customer_id=str(finding.customer_id))


def _subject(tx: AccessTransaction, customer_id: UUID) -> _Subject:
    customer = tx.customers.require(customer_id)
    contacts = tuple(contact for contact in tx.customers.contacts(customer_id) if contact.active)
    endpoints = tuple(
        (endpoint, tuple(tx.webhooks.secrets(endpoint.id)))
        for endpoint in tx.webhooks.endpoints(customer_id)
        if endpoint.state is EndpointState.ACTIVE
    )
    return _Subject(customer, contacts, endpoints)


def _record(
    tx: AccessTransaction, act: AuditContext, customer: Customer, checks: Sequence[ReachabilityCheck], *, sent: bool
) -> list[AlertCandidate]:
    """Record checks, close the alerts of repaired faults, and return the findings to alert."""
    outcome = record_checks(tx, act, customer.id, checks, sent=sent)
    settle_checks(tx, act, customer.id, outcome.mended, reachable=outcome.reachable)
    at = f"{act.now:%Y-%m-%dT%H:%M:%S.%f}"
    found = [
        AlertCandidate(
            key=f"contact_check_failed:{check.subject_id.hex}:{check.subject.value}:{at}",
            kind="contact_check_failed",
            ticket=customer.name,
            customer_id=customer.id,
            mailed=False,
        )
        for check in outcome.newly_failing
    ]
    if checks and outcome.was_reachable and not outcome.reachable:
        found.append(
            AlertCandidate(
                key=f"customer_check_failed:{customer.id.hex}:{at}",
                kind="customer_check_failed",
                ticket=customer.name,
                customer_id=customer.id,
            )
        )
    return found


def _new_ending(
    tx: AccessTransaction, act: AuditContext, asked: Sequence[UUID], ending: Sequence[AlertCandidate]
) -> list[AlertCandidate]:
    """Close the alerts about certificates that were renewed; return the findings without an alert."""
    about = tuple(f"webhook_certificate_expiring:{endpoint_id.hex}:" for endpoint_id in asked)
    standing = {finding.key for finding in ending}
    _settle(
        tx,
        act,
        [alert for alert in tx.alerts.unseen(10_000) if alert.key.startswith(about) and alert.key not in standing],
    )
    return [finding for finding in ending if tx.alerts.by_key(finding.key) is None]


def _settle(tx: AccessTransaction, act: AuditContext, settled: Sequence[Alert]) -> None:
    for alert in settled:
        tx.alerts.mark_seen(alert.id, act.now, act.actor)
    tx.audit.append([
        act.entry("alert.settled", subjects={"alert": str(alert.id)}, detail={"kind": alert.kind}) for alert in settled
    ])  # fmt: skip


def settle_checks(
    tx: AccessTransaction, act: AuditContext, customer_id: UUID, mended: Sequence[UUID], *, reachable: bool
) -> None:
    """Close the alerts of repaired faults."""
    over = [f"contact_check_failed:{subject_id.hex}:" for subject_id in mended]
    over += [f"customer_check_failed:{customer_id.hex}:"] if reachable and mended else []
    if not over:
        return
    _settle(tx, act, [alert for alert in tx.alerts.unseen(10_000) if alert.key.startswith(tuple(over))])


def _of_customer(subject: _Subject, findings: Sequence[AlertCandidate]) -> list[CheckLine]:
    """Return the report lines about the whole customer."""
    name = subject.customer.name
    if not recipients(subject.contacts) and not subject.endpoints:
        return [
            CheckLine(name, "", "failed", "no active contact and no webhook: nobody would be told by mail or webhook")
        ]
    if any(finding.kind == "customer_check_failed" for finding in findings):
        return [CheckLine(name, "", "failed", "nobody of this customer can be reached any more")]
    if all(contact.fallback for contact in subject.contacts) and subject.contacts:
        return [CheckLine(name, "", "warning", "only fallback contacts are left")]
    return []


def _line(customer: Customer, about: str, check: ReachabilityCheck) -> CheckLine:
    verdict = "failed" if not check.ok else "ok" if check.reason is None else "warning"
    return CheckLine(customer.name, about, verdict, check.reason or "")
