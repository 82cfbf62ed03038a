"""Build the checks of contacts, for the leader and for ``greffier check-contacts``."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence

from notifications.delivery.delivery import Outcome, message_id
from notifications.delivery.webhook import WebhookEndpoint, WebhookSecret
from notifications.delivery.webhook_message import trial_event
from notifications.ports import Channel, Clock, Identifiers, Signer, WebhookChannel
from service.channels.smtp_probe import SmtpProbe
from service.channels.webhook_https import WebhookHttps
from service.customers.contact_check.checker import ContactChecker
from service.customers.contact_check.dependencies import CheckDependencies
from service.ports.store import AccessStore
from service.settings import Settings


def contact_checker(
    settings: Settings,
    store: AccessStore,
    signer: Signer,
    sender: str,
    stack: contextlib.AsyncExitStack,
    *,
    clock: Clock,
    identifiers: Identifiers,
    mail: Channel | None = None,
    webhook: WebhookHttps | None = None,
) -> ContactChecker:
    """Return the checker. Without a relay it checks no address at the relay, without a channel it posts no webhook.

    The stack closes the connection to the relay.
    """
    provider = settings.provider
    probe = None
    if settings.mail.host is not None:
        probe = SmtpProbe(settings.mail, sender)
        stack.push_async_callback(probe.aclose)
    means = CheckDependencies(
        signer=signer,
        sender=sender,
        sender_name=settings.mail.sender_name or provider.name,
        provider_contact=" ".join(
            filter(None, (provider.contact_name, provider.contact_email, provider.contact_phone))
        ),
        probe=probe,
        mail=mail,
        domain_fault=_domain_fault if settings.contact_checks.dns else None,
        webhook=None if webhook is None else _trial(webhook, settings, sender, clock, identifiers),
        webhook_certificate_end=(lambda _url: None) if webhook is None else webhook.certificate_end,
    )
    return ContactChecker(store, means, provider, clock=clock, identifiers=identifiers)


async def _domain_fault(domain: str) -> str | None:
    from service.customers.mail_domains import mail_domain_fault  # noqa: PLC0415 - only a check needs a DNS client

    return await mail_domain_fault(domain)


def _trial(
    channel: WebhookChannel, settings: Settings, sender: str, clock: Clock, identifiers: Identifiers
) -> Callable[[WebhookEndpoint, Sequence[WebhookSecret]], Awaitable[Outcome]]:
    """Return the function that posts an event marked as a test."""
    source = settings.provider.console_url or f"mailto:{sender}"

    async def post(endpoint: WebhookEndpoint, secrets: Sequence[WebhookSecret]) -> Outcome:
        key = message_id("check", identifiers.new_id(), sender.rpartition("@")[2])
        content = trial_event(message_id=key, source=source, at=clock.now())
        return await channel.post(endpoint=endpoint, secrets=secrets, message_id=key, content=content)

    return post
