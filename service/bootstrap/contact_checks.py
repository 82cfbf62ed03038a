"""Checks of contacts, wired: for whoever leads, and for ``greffier check-contacts``."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence

from notifications.delivery.delivery import Outcome, message_id
from notifications.delivery.webhook import WebhookEndpoint, WebhookSecret
from notifications.delivery.webhook_message import trial_event
from notifications.ports import Channel, Clock, Identifiers, Signer, WebhookChannel
from service.channels.smtp_probe import SmtpProbe
from service.channels.smtp_settings import SmtpSettings
from service.channels.webhook_https import WebhookHttps
from service.customers.contact_check import CheckDependencies, ContactChecker
from service.customers.mail_domains import mail_domain_fault
from service.monitoring.alerts import AlertSettings
from service.ports.store import AccessStore
from service.settings import Settings


def contact_checker(
    settings: Settings,
    store: AccessStore,
    signer: Signer,
    sender: str,
    stack: contextlib.AsyncExitStack,
    *,
    relay: SmtpSettings | None,
    alerts: AlertSettings,
    clock: Clock,
    identifiers: Identifiers,
    mail: Channel | None = None,
    webhook: WebhookHttps | None = None,
) -> ContactChecker:
    """Return what checks contacts; without a relay addresses are not asked about, without a channel no webhooks.

    The stack closes the connection to the relay.
    """
    probe = None
    if relay is not None:
        probe = SmtpProbe(relay, sender)
        stack.push_async_callback(probe.aclose)
    means = CheckDependencies(
        signer=signer,
        sender=sender,
        sender_name=settings.mail_from_name or settings.provider_name,
        provider_contact=" ".join(
            filter(None, (settings.contact_name, settings.contact_email, settings.contact_phone))
        ),
        probe=probe,
        mail=mail,
        domain_fault=mail_domain_fault if settings.check_contacts_dns else None,
        webhook=None if webhook is None else _trial(webhook, settings, sender, clock, identifiers),
        webhook_certificate_end=(lambda _url: None) if webhook is None else webhook.certificate_end,
    )
    return ContactChecker(store, means, alerts, clock=clock, identifiers=identifiers)


def _trial(
    channel: WebhookChannel, settings: Settings, sender: str, clock: Clock, identifiers: Identifiers
) -> Callable[[WebhookEndpoint, Sequence[WebhookSecret]], Awaitable[Outcome]]:
    """Return what posts an event that says that it is a test."""
    source = settings.console_url or f"mailto:{sender}"

    async def post(endpoint: WebhookEndpoint, secrets: Sequence[WebhookSecret]) -> Outcome:
        key = message_id("check", identifiers.new_id(), sender.rpartition("@")[2])
        content = trial_event(message_id=key, source=source, at=clock.now())
        return await channel.post(endpoint=endpoint, secrets=secrets, message_id=key, content=content)

    return post
