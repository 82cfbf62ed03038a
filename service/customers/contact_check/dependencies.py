"""The dependencies of the checks."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from notifications.delivery.delivery import Outcome
from notifications.delivery.webhook import WebhookEndpoint, WebhookSecret
from notifications.ports import Channel, Signer


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
