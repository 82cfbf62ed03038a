"""Notify people that this service disabled a webhook endpoint: at the customer, and at the provider by an alert."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import cast
from urllib.parse import urlsplit

from notifications.customer.records import ContactRole
from notifications.delivery.webhook import WebhookEndpoint
from notifications.mail_address import normal_address
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from service.monitoring.alerts import raise_alerts
from service.monitoring.notice_findings import webhook_finding
from service.ports.accounts import Role
from service.ports.mails import ServiceMail
from service.ports.store import AccessTransaction
from service.settings.provider import ProviderSettings

_WORDS: dict[str, dict[str, str]] = tomllib.loads(
    (files(__package__) / "webhook_disabled.toml").read_text(encoding="utf-8")
)
_NOTIFIED_ROLES = frozenset({ContactRole.SECURITY, ContactRole.OPERATIONS})


@dataclass(frozen=True, slots=True)
class EndpointDisabled:
    """Queues the mails in the unit of work that disables the endpoint, so that it cannot be disabled silently."""

    provider: ProviderSettings

    def __call__(self, tx: Transaction, act: AuditContext, endpoint: WebhookEndpoint) -> None:
        """Queue one mail to each person concerned at the customer, and raise the alert at the provider."""
        # The store's transaction has both kinds of repositories; the domain's port knows no service mails.
        both = cast(AccessTransaction, tx)
        given = {
            "provider": self.provider.name,
            "host": urlsplit(endpoint.url).hostname or "",
            "reason": endpoint.state_reason or endpoint.state.value,
            "where": ""
            if self.provider.console_url is None
            else f": {self.provider.console_url.rstrip('/')}/customers/{endpoint.customer_id}/webhooks",
        }
        for address, name, language in _people(both, endpoint):
            words = _WORDS[language]
            both.mails.add(
                ServiceMail(
                    id=act.identifiers.new_id(),
                    purpose="webhook_disabled",
                    recipient=address,
                    recipient_name=name,
                    language=language,
                    subject=words["subject"].format(**given),
                    text=words["text"].format(**given),
                    created_at=act.now,
                )
            )
        raise_alerts(both, act, [webhook_finding(both, endpoint)], self.provider)


def _people(tx: AccessTransaction, endpoint: WebhookEndpoint) -> Sequence[tuple[str, str, str]]:
    """Return address, name and language of the people concerned, each address once.

    These are the active contacts for security or operations, or all active contacts if there is none of these, and the
    customer's managers, who may enable the endpoint again.
    """
    active = [contact for contact in tx.customers.contacts(endpoint.customer_id) if contact.active]
    notified = [contact for contact in active if contact.role in _NOTIFIED_ROLES] or active
    found = {normal_address(contact.email): (contact.email, contact.name, contact.language) for contact in notified}
    for grant in tx.accounts.grants_at(endpoint.customer_id):
        account = tx.accounts.get(grant.account_id) if grant.role is Role.CUSTOMER_MANAGER else None
        if account is not None and account.active and account.email is not None:
            found.setdefault(normal_address(account.email), (account.email, account.name, account.language))
    return list(found.values())
