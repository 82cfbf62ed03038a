"""Check customers one after the other: read, ask, record, alert."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from notifications.customer.records import Contact, Customer
from notifications.delivery.reachability import (
    CALL_TO_MAKE,
    NO_SECOND_CHANNEL,
    CheckSubject,
    ReachabilityCheck,
    SecondChannel,
    SecondChannelKind,
    second_channel,
)
from notifications.delivery.webhook import EndpointState, WebhookEndpoint, WebhookSecret
from notifications.ports import Clock, Identifiers, Page
from notifications.use_cases.audit_context import AuditContext
from service.customers.contact_check.address import AddressChecker
from service.customers.contact_check.certificate import check_certificate
from service.customers.contact_check.dependencies import CheckDependencies
from service.customers.contact_check.report import CheckLine, CheckReport, check_line, contact_lines, customer_lines
from service.customers.contact_check.webhook import WebhookChecker
from service.monitoring.alerts import raise_alerts
from service.monitoring.contact_check_alerts import new_certificate_ends, record_contact_checks
from service.monitoring.notice_findings import AlertCandidate
from service.ports.store import AccessStore, AccessTransaction
from service.settings.provider import ProviderSettings

_log = structlog.get_logger(__name__)

ACTOR = "system:checks"
_CUSTOMERS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class _Subject:
    customer: Customer
    #: active contacts
    contacts: tuple[Contact, ...]
    #: active endpoints with their signing secrets
    endpoints: tuple[tuple[WebhookEndpoint, tuple[WebhookSecret, ...]], ...]


class ContactChecker:
    """Checks customers one after the other."""

    def __init__(
        self,
        store: AccessStore,
        dependencies: CheckDependencies,
        provider: ProviderSettings,
        *,
        clock: Clock,
        identifiers: Identifiers,
    ) -> None:
        self._store, self._dependencies, self._provider = store, dependencies, provider
        self._clock, self._identifiers = clock, identifiers
        self._webhooks = WebhookChecker(dependencies, clock, identifiers)

    async def check_all(self, *, send: bool = False, actor: str = ACTOR) -> CheckReport:
        """Check every customer; results are recorded per customer, and alerts are raised together at the end."""
        addresses = self._new_addresses()
        lines: list[CheckLine] = []
        findings: list[AlertCandidate] = []
        cursor: str | None = None
        while True:
            page = Page(_CUSTOMERS_AT_ONCE, cursor)
            customers, cursor = await self._store.read(lambda tx, page=page: tx.customers.page(page))  # type: ignore[misc]  # mypy knows no defaults of lambdas
            for customer in customers:
                checked, found = await self._check(addresses, customer.id, send=send, actor=actor)
                lines += checked
                findings += found
            if cursor is None:
                break
        await self._alert(findings, actor)
        return CheckReport(tuple(lines), addresses.relay_fault)

    async def check_customer(
        self, customer_id: UUID, *, only: frozenset[UUID] | None = None, send: bool = False, actor: str = ACTOR
    ) -> CheckReport:
        """Check one customer, or only some of its contacts; raises NotFoundError."""
        addresses = self._new_addresses()
        lines, findings = await self._check(addresses, customer_id, only=only, send=send, actor=actor)
        await self._alert(findings, actor)
        return CheckReport(tuple(lines), addresses.relay_fault)

    async def test_second_channel(self, customer_id: UUID, *, actor: str = ACTOR) -> bool:
        """Test the second channel of a customer by a real message; return whether it could be tried.

        1. Find the channel. Without one, that is the result.
        2. A webhook gets a test event, an address a test mail. A telephone is left to a person: the result says so.
        3. Record the result, alert if it is bad, and close the alerts of what is repaired.
        """
        # 1.
        subject = await self._store.read(lambda tx: _subject(tx, customer_id))
        channel = second_channel(subject.contacts, [endpoint.id for endpoint, _ in subject.endpoints])
        # 2.
        made = [self._untested(customer_id, channel)]
        if channel is not None and channel.kind is SecondChannelKind.WEBHOOK:
            endpoint, secrets = next(found for found in subject.endpoints if found[0].id == channel.subject_id)
            made, _ = await self._webhooks.check(subject.customer, endpoint, secrets)
        elif channel is not None and channel.kind is SecondChannelKind.MAIL:
            contact = next(found for found in subject.contacts if found.id == channel.subject_id)
            answer = await self._new_addresses().check(contact, self._clock.now(), send=True)
            made = [] if answer is None else [answer]
        if not made:
            return False
        # 3.
        act = AuditContext(actor, self._clock.now(), self._identifiers)
        checks = [replace(check, subject=CheckSubject.SECOND_CHANNEL) for check in made]
        sent = channel is not None and channel.kind is not SecondChannelKind.TELEPHONE
        findings = await self._store.write(
            lambda tx: record_contact_checks(tx, act, subject.customer, checks, sent=sent)
        )
        await self._alert(findings, actor)
        return True

    def _untested(self, customer_id: UUID, channel: SecondChannel | None) -> ReachabilityCheck:
        """Return the result of a test that no message can make."""
        return ReachabilityCheck(
            self._identifiers.new_id(),
            customer_id,
            CheckSubject.SECOND_CHANNEL,
            customer_id if channel is None else channel.subject_id,
            self._clock.now(),
            ok=False,
            reason=NO_SECOND_CHANNEL if channel is None else CALL_TO_MAKE,
        )

    def _new_addresses(self) -> AddressChecker:
        return AddressChecker(self._dependencies, self._clock, self._identifiers)

    async def _check(
        self,
        addresses: AddressChecker,
        customer_id: UUID,
        *,
        only: frozenset[UUID] | None = None,
        send: bool,
        actor: str,
    ) -> tuple[list[CheckLine], list[AlertCandidate]]:
        """Check one customer.

        1. Check each active contact: its address and its certificate.
        2. Post a test event to each active webhook endpoint, unless ``only`` names contacts.
        3. Record the results, return the findings to alert, and close the alerts of repaired faults.
        """
        subject = await self._store.read(lambda tx: _subject(tx, customer_id))
        lines: list[CheckLine] = []
        checks: list[ReachabilityCheck] = []
        ending: list[AlertCandidate] = []
        # 1.
        for contact in subject.contacts:
            if only is None or contact.id in only:
                made, said = await self._check_contact(addresses, subject.customer, contact, send=send)
                checks, lines = checks + made, lines + said
        # 2.
        endpoints = subject.endpoints if only is None else ()
        for endpoint, secrets in endpoints:
            made, said = await self._webhooks.check(subject.customer, endpoint, secrets)
            checks, lines = checks + made, lines + said
            ending += self._webhooks.certificate_findings(subject.customer, endpoint)
        # 3.
        act = AuditContext(actor, self._clock.now(), self._identifiers)
        findings = await self._store.write(
            lambda tx: record_contact_checks(tx, act, subject.customer, checks, sent=send)
        )
        checked = [endpoint.id for endpoint, _ in endpoints]
        if checked:
            findings += await self._store.write(lambda tx: new_certificate_ends(tx, act, checked, ending))
        lines += customer_lines(
            subject.customer,
            subject.contacts,
            has_webhook=bool(subject.endpoints),
            became_unreachable=any(finding.kind == "customer_check_failed" for finding in findings),
        )
        return lines, findings

    async def _check_contact(
        self, addresses: AddressChecker, customer: Customer, contact: Contact, *, send: bool
    ) -> tuple[list[ReachabilityCheck], list[CheckLine]]:
        now = self._clock.now()
        checks, lines = [], []
        address = await addresses.check(contact, now, send=send)
        if address is not None:
            checks.append(address)
            lines.append(check_line(customer, contact.email, address))
        if contact.smime_certificate is not None:
            certificate = check_certificate(contact, now, self._identifiers)
            checks.append(certificate)
            lines.append(check_line(customer, f"{contact.email} (S/MIME)", certificate))
        return checks, lines + contact_lines(customer, contact)

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
