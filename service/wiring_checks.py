"""Checks of contacts, wired: for whoever leads, and for ``greffier check-contacts``."""

import contextlib

from notifications.ports import Channel, Clock, Identifiers, Signer
from service.access.ports import AccessStore
from service.alerting import AlertSettings
from service.channels.smtp_probe import SmtpProbe
from service.channels.smtp_settings import SmtpSettings
from service.contact_check import CheckMeans, ContactChecker
from service.mail_domains import mail_domain_fault
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
) -> ContactChecker:
    """Return what checks contacts; without a relay addresses are not asked about. The stack closes the connection."""
    probe = None
    if relay is not None:
        probe = SmtpProbe(relay, sender)
        stack.push_async_callback(probe.aclose)
    means = CheckMeans(
        signer=signer,
        sender=sender,
        sender_name=settings.mail_from_name or settings.provider_name,
        provider_contact=" ".join(
            filter(None, (settings.contact_name, settings.contact_email, settings.contact_phone))
        ),
        probe=probe,
        mail=mail,
        domain_fault=mail_domain_fault if settings.check_contacts_dns else None,
    )
    return ContactChecker(store, means, alerts, clock=clock, identifiers=identifiers)
