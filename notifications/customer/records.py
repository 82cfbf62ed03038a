"""The customer (COMMANDITAIRE): contacts, chosen notification levels, agreement in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from notifications.incident import Property


class ContactRole(StrEnum):
    """The responsibility of a contact at the customer."""

    SECURITY = "security"
    DPO = "dpo"
    OPERATIONS = "operations"
    MANAGEMENT = "management"
    #: who answers for health data at the customer (HDS certification framework)
    HEALTH_DATA_REFERENT = "health_data_referent"


class MailContent(StrEnum):
    """How much a mail to a contact may contain; the console always shows the whole notice."""

    #: the notice with its proofs, signed; encrypted only if the contact has a certificate
    FULL = "full"
    #: only that there is a notice, its ticket, kind and deadline, and where to read it; no fact of the incident
    SUMMARY = "summary"
    #: the ticket number and the criticality, and where to read the notice (PDIS 2.0, IV.2.3)
    TICKET_AND_CRITICALITY = "ticket_and_criticality"
    #: the ticket number, and where to read the notice (PDIS 2.0, IV.2.3)
    TICKET_ONLY = "ticket_only"
    #: the notice, encrypted with the contact's certificate; a summary if there is no usable certificate
    ENCRYPTED_ONLY = "encrypted_only"


class NewsChannel(StrEnum):
    """Where news of the handling of an incident comes, which a notice names. First notices use every channel."""

    #: the channels that carried the notice
    SAME = "same"
    #: the customer interface; a mail follows only if nobody opens it there
    CONSOLE = "console"
    #: e-mail to the contacts
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Customer:
    """A party that is notified."""

    id: UUID
    name: str
    #: default language of its notices, one of ``LANGUAGES``
    language: str
    #: IANA time zone, such as ``Europe/Paris``
    time_zone: str
    #: the services that it uses; empty means the whole service
    services: tuple[str, ...]
    regions: tuple[str, ...]
    availability_zones: tuple[str, ...]
    created_at: datetime
    #: from 1; the entity tag
    version: int = 1
    #: whether its notices must be released by another person than their last author
    four_eyes: bool = False
    #: time after which a notice that it did not acknowledge is escalated; None: no acknowledgement is asked for
    acknowledge_within_seconds: int | None = None
    news_channel: NewsChannel = NewsChannel.SAME


@dataclass(frozen=True, slots=True)
class Contact:
    """A person or mailbox of a customer that notices are served to."""

    id: UUID
    customer_id: UUID
    name: str
    role: ContactRole
    #: an addr-spec, normalised; SMTPUTF8 addresses are valid
    email: str
    #: one of ``LANGUAGES``
    language: str
    #: escalation order, from 1
    order: int
    active: bool
    created_at: datetime
    version: int = 1
    #: IANA time zone of its notices; None for the customer's
    time_zone: str | None = None
    #: served only while the customer has no other active contact
    fallback: bool = False
    mail_content: MailContent = MailContent.FULL
    #: X.509 certificate in DER that mails are encrypted with; None if it has none
    smime_certificate: bytes | None = None
    #: when its address was confirmed, by the link in a mail or out of band by an operator. Until then its mails are
    #: summaries, because a mistyped address belongs to a stranger
    verified_at: datetime | None = None
    #: telephone number, called when no channel reaches the customer; as it was entered (E.164 where possible)
    phone: str | None = None
    #: agreed to get the notices of exercises; nobody else gets one
    takes_exercises: bool = False


@dataclass(frozen=True, slots=True)
class AgreementBinding:
    """What binds a customer from a moment on: an agreement version, a DPA version, and the products ordered."""

    customer_id: UUID
    #: id of an agreement file, such as ``secnumcloud_iaas_3_0``
    agreement_id: str
    effective_at: datetime
    recorded_at: datetime
    #: id of a DPA file; None: the one that the agreement names for the day
    dpa_id: str | None = None
    #: ids of products of the agreement, sorted; None: all its products
    products: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class LevelChoice:
    """One choice of a profile: every dimension must match; an empty dimension always matches.

    ``data_harm`` matches if at least one of the named properties of the customer's data is harmed.
    """

    impacts: tuple[str, ...] = ()
    criticalities: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    data_harm: tuple[Property, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileVersion:
    """The levels of security incidents that a customer chose, in force from a moment on.

    ``choices`` is None for the agreement's default levels. An empty tuple means only the levels that cannot be waived.
    A security incident must be notified if any choice matches.
    """

    id: UUID
    customer_id: UUID
    #: from 1, per customer
    version: int
    choices: tuple[LevelChoice, ...] | None
    effective_at: datetime
    recorded_at: datetime
    recorded_by: str


def recipients(contacts: Sequence[Contact]) -> list[Contact]:
    """Return the active contacts without the fallback contacts, or the active fallback contacts if there are no others.

    An empty list means that nobody at the customer can be reached by mail. The caller must report this to a person.
    """
    active = [contact for contact in contacts if contact.active]
    return [contact for contact in active if not contact.fallback] or active


def takes_part(contacts: Sequence[Contact]) -> bool:
    """Return whether a customer takes part in exercises: an active contact agreed to it."""
    return any(contact.active and contact.takes_exercises for contact in contacts)


def binding_in_force(bindings: Sequence[AgreementBinding], at: datetime) -> AgreementBinding | None:
    """Return the binding in force at a moment (latest effective, then latest recorded), or None before the first."""
    effective = [binding for binding in bindings if binding.effective_at <= at]
    return max(effective, key=lambda binding: (binding.effective_at, binding.recorded_at), default=None)


def profile_in_force(profiles: Sequence[ProfileVersion], at: datetime) -> ProfileVersion | None:
    """Return the profile version in force at a moment, or None if the default levels apply."""
    effective = [profile for profile in profiles if profile.effective_at <= at]
    return max(effective, key=lambda profile: (profile.effective_at, profile.version), default=None)
