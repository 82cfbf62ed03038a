"""Make customers and contacts of drafts, and the entries of the log about them. Nothing is stored here."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.canonical_json import timestamp_text
from notifications.customer.records import AgreementBinding, Contact, ContactRole, Customer, MailContent, NewsChannel
from notifications.errors import Fault, InvalidInputError
from notifications.mail.enveloped import certificate_fault
from notifications.mail_address import a_label_address, normal_address
from notifications.use_cases.audit_context import AuditContext, as_json


@dataclass(frozen=True, slots=True)
class CustomerDraft:
    """The editable data of a customer. The caller has already checked language and time zone."""

    name: str
    language: str
    time_zone: str
    services: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    availability_zones: tuple[str, ...] = ()
    four_eyes: bool = False
    acknowledge_within_seconds: int | None = None
    news_channel: NewsChannel = NewsChannel.SAME


@dataclass(frozen=True, slots=True)
class ContactDraft:
    """The editable data of a contact. ``email`` is a checked and normalised address, ``smime_certificate`` is DER."""

    name: str
    role: ContactRole
    email: str
    language: str
    order: int
    active: bool = True
    time_zone: str | None = None
    fallback: bool = False
    mail_content: MailContent = MailContent.FULL
    smime_certificate: bytes | None = None
    #: the person who enters it vouches that the address is the contact's; no mailed link was used
    address_confirmed: bool = False
    phone: str | None = None
    takes_exercises: bool = False


def new_customer(act: AuditContext, draft: CustomerDraft) -> Customer:
    """Return a customer with a new id."""
    return Customer(
        id=act.identifiers.new_id(),
        name=draft.name,
        language=draft.language,
        time_zone=draft.time_zone,
        services=draft.services,
        regions=draft.regions,
        availability_zones=draft.availability_zones,
        created_at=act.now,
        four_eyes=draft.four_eyes,
        acknowledge_within_seconds=draft.acknowledge_within_seconds,
        news_channel=draft.news_channel,
    )


def new_contact(act: AuditContext, customer_id: UUID, draft: ContactDraft) -> Contact:
    """Return a contact with a new id; raises InvalidInputError for a certificate that is not usable."""
    verify_certificate(draft, None, act)
    return Contact(
        id=act.identifiers.new_id(),
        customer_id=customer_id,
        name=draft.name,
        role=draft.role,
        email=draft.email,
        language=draft.language,
        order=draft.order,
        active=draft.active,
        created_at=act.now,
        time_zone=draft.time_zone,
        fallback=draft.fallback,
        mail_content=draft.mail_content,
        smime_certificate=draft.smime_certificate,
        verified_at=act.now if draft.address_confirmed else None,
        phone=draft.phone,
        takes_exercises=draft.takes_exercises,
    )


def verify_certificate(draft: ContactDraft, before: Contact | None, act: AuditContext) -> None:
    """Raise InvalidInputError for a certificate that is not usable, if the certificate or the address is new.

    A stored certificate may expire.
    """
    if draft.smime_certificate is None or (
        before is not None
        and before.smime_certificate == draft.smime_certificate
        and normal_address(before.email) == normal_address(draft.email)
    ):
        return
    fault = certificate_fault(draft.smime_certificate, draft.email, act.now)
    if fault is not None:
        raise InvalidInputError(Fault("smime_certificate", fault))


def customer_entry(act: AuditContext, pseudonym: str, kind: str, customer: Customer) -> AuditEntry:
    """Return the entry of a customer that was registered or changed; ``pseudonym`` is its name in the log."""
    return act.entry(
        kind,
        subjects={"customer": pseudonym},
        detail={
            "version": customer.version,
            "four_eyes": customer.four_eyes,
            "acknowledge_within_seconds": customer.acknowledge_within_seconds,
            "news_channel": customer.news_channel.value,
        },
        private={"customer": customer},
    )


def bound_entry(act: AuditContext, pseudonym: str, binding: AgreementBinding) -> AuditEntry:
    """Return the entry of an agreement binding."""
    return act.entry(
        "agreement.bound",
        subjects={"customer": pseudonym},
        detail={
            "agreement": binding.agreement_id,
            "effective_at": timestamp_text(binding.effective_at),
            # Null: as the agreement says.
            "dpa": binding.dpa_id,
            "products": None if binding.products is None else list(binding.products),
        },
    )


def contact_entries(
    act: AuditContext, pseudonym: str, before: Contact | None, contact: Contact
) -> Sequence[AuditEntry]:
    """Return the entry of a contact that was added or changed, and one more if this confirmed its address."""
    kind = "contact.added" if before is None else "contact.changed"
    entry = _contact_entry(act, pseudonym, kind, contact)
    was_confirmed = (
        before is not None
        and before.verified_at is not None
        and a_label_address(before.email) == a_label_address(contact.email)
    )
    if was_confirmed or contact.verified_at is None:
        return [entry]
    return [entry, confirmed_entry(act, pseudonym, contact, "out_of_band")]


def confirmed_entry(act: AuditContext, pseudonym: str, contact: Contact, way: str) -> AuditEntry:
    """Return the entry of a confirmed address."""
    return act.entry(
        "contact.address_confirmed",
        subjects={"customer": pseudonym, "contact": str(contact.id)},
        detail={"version": contact.version, "way": way},
    )


def _contact_entry(act: AuditContext, pseudonym: str, kind: str, contact: Contact) -> AuditEntry:
    return act.entry(
        kind,
        subjects={"customer": pseudonym, "contact": str(contact.id)},
        detail={
            "version": contact.version,
            "role": contact.role.value,
            "active": contact.active,
            "fallback": contact.fallback,
            "mail_content": contact.mail_content.value,
            "encrypted": contact.smime_certificate is not None,
            "address_confirmed": contact.verified_at is not None,
        },
        private={"contact": _without_certificate(contact)},
    )


def _without_certificate(contact: Contact) -> dict[str, object]:
    """Return the contact as the log commits to it: with the digest (hex) of its certificate."""
    certificate = contact.smime_certificate
    digest = None if certificate is None else hashlib.sha256(certificate).hexdigest()
    shape = as_json(contact if certificate is None else replace(contact, smime_certificate=None))
    assert isinstance(shape, dict)
    return shape | {"smime_certificate_sha256": digest}
