"""Check customers one after the other: read, ask, record, alert."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from notifications.customer.records import Contact, Customer
from notifications.delivery.reachability import ReachabilityCheck
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
