"""Tell a customer's people that one of its webhook endpoints was put out of use."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import cast
from urllib.parse import urlsplit

from notifications.customer import ContactRole
from notifications.ports import Transaction
from notifications.use_cases.act import Act
from notifications.webhook import WebhookEndpoint
from service.access.ports import AccessTransaction
from service.messages import ServiceMail

_WORDS: dict[str, dict[str, str]] = tomllib.loads(
    (files("service") / "webhook_disabled.toml").read_text(encoding="utf-8")
)
_TOLD = frozenset({ContactRole.SECURITY, ContactRole.OPERATIONS})


@dataclass(frozen=True, slots=True)
class EndpointDisabled:
    """Queues the mails in the unit of work that put the endpoint out of use: nobody learns of it by silence."""

    provider_name: str
    console_url: str | None

    def __call__(self, tx: Transaction, act: Act, endpoint: WebhookEndpoint) -> None:
        """Queue one mail to each active contact for security or operations, or to every active one without these."""
        active = [contact for contact in tx.contacts(endpoint.customer_id) if contact.active]
        told = [contact for contact in active if contact.role in _TOLD] or active
        # The store's transaction has both sides; the port of the domain knows no mails of the service's own.
        mails = cast(AccessTransaction, tx)
        for contact in told:
            words = _WORDS[contact.language]
            given = {
                "provider": self.provider_name,
                "host": urlsplit(endpoint.url).hostname or "",
                "reason": endpoint.state_reason or endpoint.state.value,
                "where": "" if self.console_url is None else f": {self.console_url}",
            }
            mails.add_service_mail(
                ServiceMail(
                    id=act.identifiers.new_id(),
                    purpose="webhook_disabled",
                    recipient=contact.email,
                    recipient_name=contact.name,
                    language=contact.language,
                    subject=words["subject"].format(**given),
                    text=words["text"].format(**given),
                    created_at=act.now,
                )
            )
