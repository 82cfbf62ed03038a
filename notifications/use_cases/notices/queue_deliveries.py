"""Choose the first recipients of a notice, and make its deliveries."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.customer.records import Contact, NewsChannel, recipients, takes_part
from notifications.delivery.delivery import (
    ChannelKind,
    Delivery,
    DeliveryCause,
    DeliveryState,
    delivery_id,
    delivery_message_id,
    destination_of,
)
from notifications.delivery.escalation_plan import was_notified
from notifications.delivery.webhook import EndpointState, WebhookEndpoint
from notifications.notice import Notice, NoticeState
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import notice_subjects


@dataclass(frozen=True, slots=True)
class Target:
    """The recipient of one delivery: a contact, an endpoint, or the console inbox if both are None."""

    channel: ChannelKind
    contact: Contact | None = None
    endpoint: WebhookEndpoint | None = None

    @property
    def address(self) -> str | None:
        """The mail address or the URL; None for the console."""
        if self.contact is not None:
            return self.contact.email
        return None if self.endpoint is None else self.endpoint.url


CONSOLE = Target(ChannelKind.CONSOLE)


def first_targets(
    contacts: Sequence[Contact],
    endpoints: Sequence[WebhookEndpoint],
    earlier_deliveries: Iterable[Delivery] = (),
    *,
    exercise: bool = False,
    in_console: bool = False,
    mailed: bool = True,
) -> list[Target]:
    """Return the recipients of a notice at sealing.

    These are the console, the contacts on which it is served and every active endpoint. Updates use the same channel as
    the first notification, so every contact that an earlier notice of the incident reached gets it too, also a fallback
    contact. ``earlier_deliveries`` are the deliveries of these notices. ``in_console``: it is news that the customer
    gets in its console, so that no contact gets a mail at first. ``mailed``: False for a notice that the
    agreement wants by registered letter and not by mail. A contact or endpoint that is not active gets nothing.
    The notice of an exercise goes only to contacts and endpoints that agreed to it. If
    no contact did, it goes nowhere: it does not wait in the console either.
    """
    if exercise:
        if not takes_part(contacts):
            return []
        contacts = [contact for contact in contacts if contact.takes_exercises]
        endpoints = [endpoint for endpoint in endpoints if endpoint.takes_exercises]
    if in_console or not mailed:
        contacts = []
    served = {contact.id for contact in recipients(contacts)}
    served |= {
        delivery.contact_id
        for delivery in earlier_deliveries
        if delivery.contact_id is not None and delivery.state is DeliveryState.SENT
    }
    targets = [CONSOLE]
    targets += [
        Target(ChannelKind.EMAIL, contact=contact) for contact in contacts if contact.active and contact.id in served
    ]
    targets += [
        Target(ChannelKind.WEBHOOK, endpoint=endpoint)
        for endpoint in endpoints
        if endpoint.state is EndpointState.ACTIVE
    ]
    return targets


def sealed_notices(tx: Transaction, notice: Notice) -> list[Notice]:
    """Return the sealed notices of the same incident to the same customer, in sequence."""
    found = tx.notices.of_incident(notice.incident_id, notice.customer_id)
    return [other for other in found if other.state is NoticeState.SEALED]


def comes_in_console(tx: Transaction, notice: Notice) -> bool:
    """Return whether a notice is news for which its customer named the console.

    This is so if the customer still chooses it, if the last notice named it, and if an earlier notice reached the
    customer. Otherwise the notice uses every channel, so that a change of the choice loses nothing.
    """
    if notice.sequence == 1 or not notice.is_news:
        return False
    if tx.customers.require(notice.customer_id).news_channel is not NewsChannel.CONSOLE:
        return False
    earlier = [other for other in sealed_notices(tx, notice) if other.sequence < notice.sequence]
    seal = tx.notices.seal(earlier[-1].id) if earlier else None
    if seal is None or json.loads(seal.document).get("news_channel") != NewsChannel.CONSOLE.value:
        return False
    return any(was_notified(tx.deliveries.of_notice(other.id)) or tx.notices.openings(other.id) for other in earlier)


def targets_of(tx: Transaction, notice: Notice, *, mailed: bool = True) -> list[Target]:
    """Return the recipients of a notice that is sealed now; see ``first_targets``."""
    earlier_deliveries: list[Delivery] = []
    if notice.sequence > 1:
        earlier_deliveries = [
            delivery
            for earlier in sealed_notices(tx, notice)
            if earlier.sequence < notice.sequence
            for delivery in tx.deliveries.of_notice(earlier.id)
        ]
    return first_targets(
        tx.customers.contacts(notice.customer_id),
        tx.webhooks.endpoints(notice.customer_id),
        earlier_deliveries,
        exercise=notice.exercise,
        in_console=comes_in_console(tx, notice),
        mailed=mailed,
    )


def delivery_to(
    notice: Notice, target: Target, act: AuditContext, mail_domain: str, cause: DeliveryCause = DeliveryCause.FIRST
) -> Delivery:
    """Return the delivery of a notice to one target, due now."""
    contact_id = None if target.contact is None else target.contact.id
    endpoint_id = None if target.endpoint is None else target.endpoint.id
    return Delivery(
        id=delivery_id(notice.id, target.channel, contact_id, endpoint_id),
        notice_id=notice.id,
        customer_id=notice.customer_id,
        channel=target.channel,
        contact_id=contact_id,
        message_id=delivery_message_id(notice.id, contact_id, mail_domain, endpoint_id),
        state=DeliveryState.QUEUED,
        attempts=0,
        next_attempt_at=act.now,
        last_error=None,
        created_at=act.now,
        endpoint_id=endpoint_id,
        cause=cause,
        destination=destination_of(target.channel, target.address),
    )


def queued_entry(act: AuditContext, notice: Notice, pseudonym: str, delivery: Delivery) -> AuditEntry:
    """Return the audit entry for a queued delivery."""
    parties: dict[str, UUID | None] = {"contact": delivery.contact_id, "endpoint": delivery.endpoint_id}
    return act.entry(
        "delivery.queued",
        subjects=notice_subjects(notice, pseudonym)
        | {"delivery": str(delivery.id)}
        | {name: str(identifier) for name, identifier in parties.items() if identifier is not None},
        detail={"channel": delivery.channel.value, "cause": delivery.cause.value},
        exercise=notice.exercise,
    )
