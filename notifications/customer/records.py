"""The customer (COMMANDITAIRE): contacts, chosen notification levels, agreement in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from notifications.incident import Property


class ContactRole(StrEnum):
    """What a contact answers for at the customer."""

    SECURITY = "security"
    DPO = "dpo"
    OPERATIONS = "operations"
    MANAGEMENT = "management"


class MailContent(StrEnum):
    """How much a mail to a contact may say; the console always has the whole notice."""

    #: the notice with its proofs, signed, in clear; encrypted where the contact has a certificate
    FULL = "full"
    #: that there is a notice, its ticket, kind and deadline, and where to read it; no fact of the incident
    SUMMARY = "summary"
    #: the notice under the contact's certificate; while there is no usable one, no more than a summary
    ENCRYPTED_ONLY = "encrypted_only"


@dataclass(frozen=True, slots=True)
class Customer:
    """A party that is notified."""

    id: UUID
    name: str
    #: default language of its notices, one of ``LANGUAGES``
    language: str
    #: IANA time zone, such as ``Europe/Paris``
    time_zone: str
    #: what it uses; empty means that nothing narrower than the whole service is recorded
    services: tuple[str, ...]
    regions: tuple[str, ...]
    availability_zones: tuple[str, ...]
    created_at: datetime
    #: from 1; the entity tag
    version: int = 1
    #: whether its notices must be released by someone else than whoever wrote them last
    four_eyes: bool = False
    #: within what time it wants to acknowledge a notice, or else be asked again; None for never asked
    acknowledge_within_seconds: int | None = None


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
    #: X.509 certificate in DER to encrypt to; None for none
    smime_certificate: bytes | None = None
    #: when its address was confirmed (by its link, or out of band by whoever keeps the customer); until then its mails
    #: are summaries, since a mistyped address belongs to a stranger
    verified_at: datetime | None = None
    #: to be called when nothing else reaches it, as its owner wrote it (E.164 where possible)
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class AgreementBinding:
    """From when a customer is bound to an agreement version (agreement 10)."""

    customer_id: UUID
    #: id of an agreement file, such as ``secnumcloud_iaas_3_0``
    agreement_id: str
    effective_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class LevelChoice:
    """One choice of a profile: every dimension stated must match; an empty dimension matches all.

    ``data_harm`` matches when at least one of the properties of the customer's data named is harmed.
    """

    impacts: tuple[str, ...] = ()
    criticalities: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    data_harm: tuple[Property, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileVersion:
    """The security-incident levels a customer chose (11.1.1.3), from a moment on.

    ``choices`` is None for the agreement's default levels, and an empty tuple for none but the
    levels that cannot be waived. A security incident is owed when any choice matches.
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
    """Return the contacts that a notice is served on: the active ones, or the fallback ones where there are none.

    An empty list means that nobody at the customer can be reached by mail: whoever asks must say so to a person.
    """
    active = [contact for contact in contacts if contact.active]
    return [contact for contact in active if not contact.fallback] or active


def binding_in_force(bindings: Sequence[AgreementBinding], at: datetime) -> AgreementBinding | None:
    """Return the binding in force at a moment (latest effective, then latest recorded), or None before the first."""
    effective = [binding for binding in bindings if binding.effective_at <= at]
    return max(effective, key=lambda binding: (binding.effective_at, binding.recorded_at), default=None)


def profile_in_force(profiles: Sequence[ProfileVersion], at: datetime) -> ProfileVersion | None:
    """Return the profile version in force at a moment, or None where the default levels apply."""
    effective = [profile for profile in profiles if profile.effective_at <= at]
    return max(effective, key=lambda profile: (profile.effective_at, profile.version), default=None)
