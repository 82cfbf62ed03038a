"""The form of a notice in a mail to one contact: full, encrypted, or a summary that says where to read the notice."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from uuid import UUID

from notifications.canonical_json import timestamp_text
from notifications.customer.records import Contact, MailContent, recipients
from notifications.mail.enveloped import certificate_expires_at, certificate_fault
from notifications.notice.seal import SealedNotice
from notifications.wording import acknowledging, summary

#: Days before a certificate expires at which people are warned.
EXPIRY_WARNING_DAYS = (30, 7, 1)


class MailForm(StrEnum):
    """What a mail contains."""

    FULL = "full"
    ENCRYPTED = "encrypted"
    SUMMARY = "summary"
    TICKET_AND_CRITICALITY = "ticket_and_criticality"
    TICKET_ONLY = "ticket_only"

    @property
    def carries_notice(self) -> bool:
        """Whether the mail contains the notice; every other form only says that there is one."""
        return self in {MailForm.FULL, MailForm.ENCRYPTED}


class FormReason(StrEnum):
    """Why a mail has its form."""

    #: as set for the contact
    CHOSEN = "chosen"
    #: nobody has confirmed that the address is the contact's
    ADDRESS_UNCONFIRMED = "address_unconfirmed"
    #: the contact takes the full notice only encrypted, and has no certificate
    NO_CERTIFICATE = "no_certificate"
    #: the contact takes the full notice only encrypted, and its certificate is not usable
    CERTIFICATE_UNUSABLE = "certificate_unusable"
    #: a server on the way refused the full notice for its size
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class FormDecision:
    """The form of a contact's mails, with the reason."""

    form: MailForm
    reason: FormReason
    #: why the certificate is not usable; None without a certificate or without a fault
    certificate_fault: str | None = None


#: The form for contacts whose mails never contain the notice.
_WITHOUT_NOTICE = MappingProxyType(
    {
        MailContent.SUMMARY: MailForm.SUMMARY,
        MailContent.TICKET_AND_CRITICALITY: MailForm.TICKET_AND_CRITICALITY,
        MailContent.TICKET_ONLY: MailForm.TICKET_ONLY,
    }
)


def mail_form(contact: Contact, now: datetime, *, too_large: bool = False) -> FormDecision:
    """Return the form of mails to a contact now. ``too_large``: a server refused the full notice for its size.

    1. An unconfirmed address may belong to a stranger, so it gets a summary, or less if the contact chose less. A
       stranger gets no criticality.
    2. A contact that chose a form without the notice gets that form. A contact whose server refuses the full notice
       gets a summary.
    3. With a usable certificate, the notice is signed and encrypted.
    4. Without one, a contact that takes the notice only encrypted gets a summary. Every other contact gets the full
       notice without encryption.
    """
    fault = None
    if contact.smime_certificate is not None:
        fault = certificate_fault(contact.smime_certificate, contact.email, now)
    chosen = _WITHOUT_NOTICE.get(contact.mail_content)
    # 1.
    if contact.verified_at is None:
        least = MailForm.SUMMARY if chosen in {None, MailForm.SUMMARY} else MailForm.TICKET_ONLY
        return FormDecision(least, FormReason.ADDRESS_UNCONFIRMED, fault)
    # 2.
    if chosen is not None:
        return FormDecision(chosen, FormReason.CHOSEN, fault)
    if too_large:
        return FormDecision(MailForm.SUMMARY, FormReason.TOO_LARGE, fault)
    # 3.
    if contact.smime_certificate is not None and fault is None:
        return FormDecision(MailForm.ENCRYPTED, FormReason.CHOSEN)
    # 4.
    if contact.mail_content is MailContent.ENCRYPTED_ONLY:
        absent = contact.smime_certificate is None
        return FormDecision(
            MailForm.SUMMARY, FormReason.NO_CERTIFICATE if absent else FormReason.CERTIFICATE_UNUSABLE, fault
        )
    return FormDecision(MailForm.FULL, FormReason.CHOSEN, fault)


def days_to_expiry(contact: Contact, now: datetime) -> int | None:
    """Return whole days until a contact's certificate expires, negative after that; None without a readable one."""
    if contact.smime_certificate is None:
        return None
    expires_at = certificate_expires_at(contact.smime_certificate)
    return None if expires_at is None else (expires_at - now).days


class Reach(StrEnum):
    """Kinds of problems that keep notices by mail from a customer."""

    NO_ACTIVE_CONTACT = "no_active_contact"
    ONLY_FALLBACK = "only_fallback"
    ADDRESS_UNCONFIRMED = "address_unconfirmed"
    #: takes the full notice only encrypted, and has no usable certificate
    CANNOT_ENCRYPT = "cannot_encrypt"
    CERTIFICATE_EXPIRES = "certificate_expires"
    CERTIFICATE_EXPIRED = "certificate_expired"


@dataclass(frozen=True, slots=True)
class ReachabilityFinding:
    """One problem that keeps, or will keep, notices by mail from a customer."""

    kind: Reach
    #: None if it is about all contacts together
    contact_id: UUID | None = None
    #: for a certificate that will expire: the due warning, one of ``EXPIRY_WARNING_DAYS``
    within_days: int | None = None


def reachability(contacts: Sequence[Contact], now: datetime) -> list[ReachabilityFinding]:
    """Return the problems that keep notices by mail from a customer now, or will do so; empty if there are none.

    1. Check whether there is an active contact, and one that is not a fallback.
    2. For each contact that is served now, check its address, whether the full notice can be encrypted if it must be,
       and when its certificate expires.
    """
    # 1.
    served = recipients(contacts)
    if not served:
        return [ReachabilityFinding(Reach.NO_ACTIVE_CONTACT)]
    found = [ReachabilityFinding(Reach.ONLY_FALLBACK)] if served[0].fallback else []
    # 2.
    for contact in served:
        decision = mail_form(contact, now)
        if contact.verified_at is None:
            found.append(ReachabilityFinding(Reach.ADDRESS_UNCONFIRMED, contact.id))
        lacks = contact.smime_certificate is None or decision.certificate_fault is not None
        if contact.mail_content is MailContent.ENCRYPTED_ONLY and lacks:
            found.append(ReachabilityFinding(Reach.CANNOT_ENCRYPT, contact.id))
        days = days_to_expiry(contact, now)
        if days is not None and days < 0:
            found.append(ReachabilityFinding(Reach.CERTIFICATE_EXPIRED, contact.id))
        elif days is not None and days < max(EXPIRY_WARNING_DAYS):
            within = min(warned for warned in EXPIRY_WARNING_DAYS if days < warned)
            found.append(ReachabilityFinding(Reach.CERTIFICATE_EXPIRES, contact.id, within))
    return found


@dataclass(frozen=True, slots=True)
class Summary:
    """Subject and text of a summary."""

    subject: str
    text: str


def summary_of(
    sealed: SealedNotice,
    language: str,
    reason: FormReason,
    *,
    form: MailForm = MailForm.SUMMARY,
    provider: str,
    contact: str,
    console_url: str | None,
    time_zone: str | None = None,
) -> Summary:
    """Return the summary of a notice: its number, its TLP mark, its digest, and where to read it.

    It contains no fact of the incident and no customer, so that a stranger only learns that a notice exists.
    ``time_zone`` is the reader's; None means UTC, because the customer's zone would reveal something about it.
    ``form`` is any form without the notice. The two ticket forms leave out number, kind, TLP mark, deadline and digest;
    one of them adds the criticality.
    """
    document = json.loads(sealed.document)
    if form is not MailForm.SUMMARY:
        return _ticket_summary(document, language, form, provider=provider, contact=contact, console_url=console_url)
    return Summary(
        subject=neutral_subject(sealed, language),
        text=summary.text(
            language,
            ticket=document["ticket"],
            sequence=document["sequence"],
            kind=document["kind"],
            tlp=document["tlp"],
            digest=hashlib.sha256(sealed.document).hexdigest(),
            reason=reason.value,
            provider=provider,
            contact=contact,
            console_url=console_url,
            due=document.get("due"),
            time_zone=time_zone or "UTC",
            exercise=is_exercise(sealed),
        ),
    )


def _ticket_summary(
    document: dict[str, Any], language: str, form: MailForm, *, provider: str, contact: str, console_url: str | None
) -> Summary:
    """Return the text with the ticket number, and with the criticality if the form has it."""
    criticality = None
    # Announcements have none.
    classification = document.get("classification")
    # Terms without a matrix have no criticality: the mail then has the ticket number only.
    if classification and form is MailForm.TICKET_AND_CRITICALITY and not classification.get("without_matrix"):
        level = classification["criticality"]
        texts = [each["text"] for each in classification["grounds"] if each["id"] == f"criticality.{level}"]
        criticality = summary.criticality(language, level, texts[0][language] if texts else None)
    exercise = document.get("exercise") is True
    return Summary(
        subject=summary.ticket_subject(language, ticket=document["ticket"], provider=provider, exercise=exercise),
        text=summary.ticket_text(
            language,
            ticket=document["ticket"],
            criticality=criticality,
            provider=provider,
            contact=contact,
            console_url=console_url,
            exercise=exercise,
        ),
    )


def neutral_subject(sealed: SealedNotice, language: str) -> str:
    """Return a subject that identifies the notice and reveals nothing of its content."""
    document = json.loads(sealed.document)
    return summary.subject(
        language,
        ticket=document["ticket"],
        sequence=document["sequence"],
        kind=document["kind"],
        tlp=document["tlp"],
        exercise=is_exercise(sealed),
    )


def request_to_acknowledge(
    sealed: SealedNotice,
    language: str,
    *,
    link: str,
    expires_at: datetime,
    wanted_by: datetime | None,
    time_zone: str,
    ticket_only: bool = False,
) -> str:
    """Return the text that asks the reader of a mail to acknowledge the notice by a link.

    ``ticket_only``: it names nothing of the notice but its ticket.
    """
    ticket, sequence, exercise = _named(sealed)
    return acknowledging.invitation(
        language,
        ticket=ticket,
        sequence=None if ticket_only else sequence,
        link=link,
        expires_at=timestamp_text(expires_at),
        wanted_by=None if wanted_by is None or ticket_only else timestamp_text(wanted_by),
        time_zone=time_zone,
        exercise=exercise,
    )


def is_exercise(sealed: SealedNotice) -> bool:
    """Return whether a sealed notice is of an exercise."""
    return _named(sealed)[2]


@lru_cache(maxsize=64)
def _named(sealed: SealedNotice) -> tuple[str, int, bool]:
    """Return ticket, sequence, and whether it is an exercise. Cached: they are the same for every contact."""
    document = json.loads(sealed.document)
    return document["ticket"], document["sequence"], document.get("exercise") is True
