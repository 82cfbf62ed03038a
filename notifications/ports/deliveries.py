"""The queue of deliveries: leases, attempts, bounces, the console inbox, paused channels."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifications.customer.records import Contact, Customer
from notifications.delivery.delivery import ChannelKind, ChannelPause, Delivery, DeliveryAttempt
from notifications.delivery.webhook import WebhookEndpoint, WebhookSecret
from notifications.mail.bounce_record import Bounce
from notifications.notice import Notice
from notifications.notice.seal import SealedNotice
from notifications.ports.paging import Page


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A notice placed in the customer's console."""

    notice_id: UUID
    customer_id: UUID
    placed_at: datetime


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A leased delivery with all data that an attempt needs."""

    delivery: Delivery
    notice: Notice
    sealed: SealedNotice
    customer: Customer
    #: None for the console inbox and for a webhook
    contact: Contact | None
    #: Message-IDs of earlier notices of the same incident to the same contact, oldest first
    earlier_message_ids: tuple[str, ...]
    #: the endpoint of a webhook and every secret that signs it; None and empty for any other channel
    endpoint: WebhookEndpoint | None = None
    secrets: tuple[WebhookSecret, ...] = ()


class DeliveryRepository(Protocol):
    """The queue of deliveries: leases, attempts, bounces, the console inbox, paused channels."""

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Queue deliveries."""
        ...

    def get(self, delivery_id: UUID) -> Delivery | None:
        """Return the delivery."""
        ...

    def save(self, delivery: Delivery, expected_attempts: int) -> None:
        """Replace state, next attempt, last error and ``sent_at`` without an attempt, and end the lease.

        Used for a bounce that arrives later, and for a delivery that is sent again. Raises NotFoundError for an unknown
        delivery, and VersionMismatchError unless the stored delivery has ``expected_attempts`` attempts.
        """
        ...

    def of_notice(self, notice_id: UUID) -> Sequence[Delivery]:
        """Return the deliveries of a notice, in creation order."""
        ...

    def troubled(self, limit: int) -> Sequence[Delivery]:
        """Return deliveries whose last attempt failed, temporarily or permanently, nearest notice ``due_at`` first."""
        ...

    def lease(
        self,
        now: datetime,
        lease_until: datetime,
        limit: int,
        *,
        except_channels: Collection[ChannelKind] = (),
        except_destinations: Collection[str] = (),
    ) -> Sequence[DueDelivery]:
        """Lease deliveries that are queued, due and not leased, and whose seal has its log proof.

        Nearest notice ``due_at`` first. Deliveries with the same deadline are leased by turns (``delivery.turn_of``),
        so that no customer waits for all deliveries of another. Earlier mails of the thread of a leased mail
        (``DueDelivery.earlier_message_ids``) that are due too are leased with it and returned before it, also beyond
        the limit, so that a follow-up, which is often due sooner, does not overtake them. An earlier mail that is not
        due, is leased already or has failed holds nothing up. Deliveries by ``except_channels`` and to
        ``except_destinations`` (``delivery.destination_of``) are not leased. The store may ignore a part of a long
        ``except_destinations``. A delivery whose lease expired may be leased again, so that nothing is lost when a
        worker dies.
        """
        ...

    def release_leases(self, delivery_ids: Collection[UUID]) -> None:
        """End leases before they expire. The deliveries are due again at once."""
        ...

    def finish_attempt(self, delivery: Delivery, attempt: DeliveryAttempt, message: bytes | None) -> None:
        """Record the attempt, the bytes as sent (or None) and the delivery's new state, and end the lease.

        Raises VersionMismatchError unless the stored delivery has exactly one attempt less. Otherwise another worker,
        which took over an expired lease, has finished an attempt in between.
        """
        ...

    def finish_attempts(self, finished: Sequence[tuple[Delivery, DeliveryAttempt, bytes | None]]) -> None:
        """Finish one attempt of each of several deliveries, as ``finish_attempt`` does, with few statements."""
        ...

    def attempts(self, delivery_id: UUID) -> Sequence[DeliveryAttempt]:
        """Return the attempts of a delivery, in order."""
        ...

    def message_sent(self, delivery_id: UUID) -> bytes | None:
        """Return the bytes of the last message handed over, or None."""
        ...

    def add_inbox_item(self, item: InboxItem) -> None:
        """Place a notice in the console inbox. This has no effect if the notice is already there."""
        ...

    def inbox(self, customer_id: UUID, page: Page) -> tuple[list[InboxItem], str | None]:
        """Return the console inbox of a customer, newest first."""
        ...

    def pause_channel(self, pause: ChannelPause) -> None:
        """Record that a channel is paused. This replaces an earlier pause."""
        ...

    def resume_channel(self, channel: ChannelKind) -> bool:
        """End a pause. Returns whether the channel was paused."""
        ...

    def channel_pauses(self) -> Sequence[ChannelPause]:
        """Return the pauses, sorted by channel, including those whose end is past."""
        ...

    def record_bounce(self, bounce: Bounce) -> None:
        """Record a bounce, also one that belongs to no known delivery."""
        ...

    def bounce(self, bounce_id: UUID) -> Bounce | None:
        """Return the bounce."""
        ...

    def bounces(self, delivery_id: UUID | None) -> Sequence[Bounce]:
        """Return the bounces of a delivery, or (None) those of no known delivery, oldest first."""
        ...
