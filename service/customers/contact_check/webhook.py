"""Check a webhook endpoint: its answer to a test event, and the end of its receiver's TLS certificate."""

from notifications.customer.records import Customer
from notifications.delivery.delivery import OutcomeKind
from notifications.delivery.reachability import CheckSubject, ReachabilityCheck
from notifications.delivery.webhook import WebhookEndpoint, WebhookSecret
from notifications.mail.mail_form import EXPIRY_WARNING_DAYS
from notifications.ports import Clock, Identifiers
from service.customers.contact_check.dependencies import CheckDependencies
from service.customers.contact_check.report import CheckLine, check_line
from service.monitoring.contact_check_alerts import certificate_end_finding
from service.monitoring.notice_findings import AlertCandidate


class WebhookChecker:
    """Checks endpoints."""

    def __init__(self, dependencies: CheckDependencies, clock: Clock, identifiers: Identifiers) -> None:
        self._dependencies, self._clock, self._identifiers = dependencies, clock, identifiers

    async def check(
        self, customer: Customer, endpoint: WebhookEndpoint, secrets: tuple[WebhookSecret, ...]
    ) -> tuple[list[ReachabilityCheck], list[CheckLine]]:
        """Post a test event and return the check with its line; no check if the service itself could not post."""
        if self._dependencies.webhook is None:
            return [], []
        outcome = await self._dependencies.webhook(endpoint, secrets)
        if outcome.kind is OutcomeKind.REFUSED_HERE:
            # The fault is on this side, so it says nothing about the receiver.
            return [], [CheckLine(customer.name, endpoint.url, "failed", f"nothing was posted: {outcome.text}")]
        ok = outcome.kind is OutcomeKind.ACCEPTED
        reason = None if ok else f"the receiver says: {outcome.code or ''} {outcome.text}"
        days = self._days_to_certificate_end(endpoint)
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
        return [check], [check_line(customer, endpoint.url, check)]

    def certificate_findings(self, customer: Customer, endpoint: WebhookEndpoint) -> list[AlertCandidate]:
        """Return the findings about the receiver's certificate: 30, 7 and 1 days before its end."""
        end, days = self._dependencies.webhook_certificate_end(endpoint.url), self._days_to_certificate_end(endpoint)
        if end is None or days is None or days >= max(EXPIRY_WARNING_DAYS):
            return []
        stage = min(warned for warned in EXPIRY_WARNING_DAYS if days < warned)
        return [certificate_end_finding(customer, endpoint.id, end, stage)]

    def _days_to_certificate_end(self, endpoint: WebhookEndpoint) -> int | None:
        end = self._dependencies.webhook_certificate_end(endpoint.url)
        return None if end is None else (end - self._clock.now()).days
