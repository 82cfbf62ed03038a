"""Alerts, and what they are raised for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from notifications.agreement import DeadlineBinding
from notifications.customer.records import Contact
from notifications.ports.paging import Page


@dataclass(frozen=True, slots=True)
class UnreleasedDrafts:
    """Drafts of one incident that nobody released, alike in their deadline and in when they were made."""

    incident_id: UUID
    due_at: datetime
    created_at: datetime
    count: int
    #: the strictest of them
    binding: DeadlineBinding


@dataclass(frozen=True, slots=True)
class WaitingNotices:
    """Released notices of one incident that do not go out, or deliveries of it that are not done."""

    incident_id: UUID
    #: why, as recorded; empty for no recorded reason
    reason: str
    #: the earliest
    due_at: datetime
    count: int
    #: the strictest of them
    binding: DeadlineBinding


@dataclass(frozen=True, slots=True)
class FailedDelivery:
    """A delivery that failed for good."""

    delivery_id: UUID
    notice_id: UUID


@dataclass(frozen=True, slots=True)
class UnreachableCustomer:
    """A customer that could not be notified by mail."""

    customer_id: UUID
    name: str
    #: sum of the versions of its contacts, so that a customer that loses its contacts again is a new finding
    contacts_state: int


@dataclass(frozen=True, slots=True)
class FailedMail:
    """A mail of the service's own that failed for good."""

    mail_id: UUID
    purpose: str


@dataclass(frozen=True, slots=True)
class ContactToCheck:
    """A contact whose address is to be checked."""

    customer_id: UUID
    contact_id: UUID
    #: whether it was checked before, some time ago
    was_checked: bool


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that analysts and approvers must know now; raised once per key."""

    id: UUID
    #: what it is about and how far it has got, such as ``draft_near_deadline:<notice>:<stage>``; unique
    key: str
    kind: str
    raised_at: datetime
    incident_id: UUID | None = None
    notice_id: UUID | None = None
    customer_id: UUID | None = None
    #: in one line
    what: str = ""
    seen_at: datetime | None = None
    seen_by: str | None = None
    #: names the mails about it, together with others of one cause; None where none was sent
    mailing_id: UUID | None = None


class AlertRepository(Protocol):
    """Alerts, and the questions whose answers raise them."""

    def add(self, alert: Alert) -> bool:
        """Store an alert; returns False, and stores nothing, where its key was raised before."""
        ...

    def by_key(self, key: str) -> Alert | None:
        """Return the alert by what it is about."""
        ...

    def get(self, alert_id: UUID) -> Alert | None:
        """Return the alert."""
        ...

    def unseen(self, limit: int) -> Sequence[Alert]:
        """Return alerts that nobody has seen yet, oldest first."""
        ...

    def page(self, page: Page, kinds: Sequence[str] | None, *, unseen: bool) -> tuple[list[Alert], str | None]:
        """Return alerts, newest first: of some kinds or (None) of all, with those that were seen or without."""
        ...

    def mark_seen(self, alert_id: UUID, at: datetime, by: str) -> None:
        """Record who saw an alert first; one that was seen keeps that."""
        ...

    def unreleased_drafts(self, now: datetime, made_before: datetime, limit: int) -> Sequence[UnreleasedDrafts]:
        """Return drafts made before a moment of whose time, until they are due, half has gone; by deadline."""
        ...

    def next_draft_at(self, now: datetime, lead: timedelta, grace: timedelta) -> datetime | None:
        """Return when a draft next ends its grace, is past half of its time, the lead before its end, or overdue."""
        ...

    def notices_held(self, near: datetime, made_before: datetime, limit: int) -> Sequence[WaitingNotices]:
        """Return released notices that are not sealed, by incident and reason.

        Those that something holds; and, with no reason, those due by ``near`` that were released before a moment.
        """
        ...

    def deliveries_late(self, near: datetime, made_before: datetime, limit: int) -> Sequence[WaitingNotices]:
        """Return deliveries made before a moment, due by ``near`` and still queued, by incident and deadline."""
        ...

    def failed_deliveries(self, limit: int) -> Sequence[FailedDelivery]:
        """Return deliveries that failed for good without an alert ``delivery_failed:<id in hex>``."""
        ...

    def too_large_notices(self, limit: int) -> Sequence[UUID]:
        """Return notices with a ``Delivery.too_large_at`` without an alert ``delivery_too_large:<id in hex>``."""
        ...

    def unreachable_customers(self, made_before: datetime, limit: int) -> Sequence[UnreachableCustomer]:
        """Return customers made before a moment that have no active contact.

        Left out are those with an alert ``customer_unreachable:<id in hex>:<sum of their contacts' versions>``.
        """
        ...

    def failed_mails(self, limit: int) -> Sequence[FailedMail]:
        """Return failed mails without an alert ``service_mail_failed:<id in hex>``."""
        ...

    def contacts_to_check(
        self, confirmed_before: datetime, checked_before: datetime, limit: int
    ) -> Sequence[ContactToCheck]:
        """Return active contacts, oldest first, whose address was confirmed before a moment and not checked since one.

        An address that nobody confirmed may be a stranger's: it is not among them.
        """
        ...

    def second_channels_to_test(self, known_before: datetime, tested_before: datetime, limit: int) -> Sequence[UUID]:
        """Return customers registered before a moment whose second channel was not tested since one, oldest first."""
        ...

    def contacts_with_certificate(self, page: Page) -> tuple[list[Contact], str | None]:
        """Return the active contacts that have a certificate, oldest first."""
        ...

    def customers_without_contact(self, limit: int) -> Sequence[UUID]:
        """Return customers that have no active contact, oldest first."""
        ...
