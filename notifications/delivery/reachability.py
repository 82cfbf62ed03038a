"""Results of the regular checks whether a customer's contacts can be reached, and the customer's second channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from notifications.customer.records import Contact, recipients

#: Reason of a test that only a person can make: the second channel is a telephone.
CALL_TO_MAKE = "a person must call this number to test it"
#: Reason of a test without anything to test.
NO_SECOND_CHANNEL = "the customer has no second channel: no webhook, no second address, no telephone number"


class CheckSubject(StrEnum):
    """What was checked."""

    CONTACT = "contact"
    CERTIFICATE = "certificate"
    WEBHOOK = "webhook"
    #: a real test of the way that is used when mail to the first contact fails; ``subject_id`` is the contact's, the
    #: endpoint's, or the customer's if there is none
    SECOND_CHANNEL = "second_channel"


@dataclass(frozen=True, slots=True)
class ReachabilityCheck:
    """One check of one contact, of its certificate or of one webhook endpoint. Only the latest check counts."""

    id: UUID
    customer_id: UUID
    subject: CheckSubject
    #: the contact's or the endpoint's id
    subject_id: UUID
    checked_at: datetime
    ok: bool
    #: SMTP reply code or HTTP status, or None
    code: int | None = None
    #: the fault in one line; None if there is none
    reason: str | None = None


class SecondChannelKind(StrEnum):
    """The kinds of second channels, best first."""

    WEBHOOK = "webhook"
    MAIL = "mail"
    TELEPHONE = "telephone"


@dataclass(frozen=True, slots=True)
class SecondChannel:
    """The way to a customer beside the mail to its first contact (PDIS 2.0, IV.2.3)."""

    kind: SecondChannelKind
    #: the endpoint's or the contact's id
    subject_id: UUID


def second_channel(contacts: Sequence[Contact], endpoint_ids: Sequence[UUID]) -> SecondChannel | None:
    """Return the second channel of a customer; None if mail to one address is the only way.

    ``contacts`` are in escalation order, ``endpoint_ids`` are its active webhook endpoints.

    1. A webhook does not depend on mail, so it comes first.
    2. Else the next contact with another confirmed address; a fallback contact counts.
    3. Else the first telephone number.
    """
    # 1.
    if endpoint_ids:
        return SecondChannel(SecondChannelKind.WEBHOOK, endpoint_ids[0])
    # 2.
    active = [contact for contact in contacts if contact.active]
    first = next(iter(recipients(contacts)), None)
    for contact in active:
        if first is not None and contact.email != first.email and contact.verified_at is not None:
            return SecondChannel(SecondChannelKind.MAIL, contact.id)
    # 3.
    for contact in active:
        if contact.phone is not None:
            return SecondChannel(SecondChannelKind.TELEPHONE, contact.id)
    return None
