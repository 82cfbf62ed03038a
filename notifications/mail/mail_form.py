"""How a notice goes to one contact by mail: whole, encrypted, or as a summary that says where to read it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

from notifications.canonical_json import timestamp_text
from notifications.customer.records import Contact, MailContent, recipients
from notifications.mail.enveloped import certificate_expires_at, certificate_fault
from notifications.notice.seal import SealedNotice
from notifications.wording import acknowledging, summary

#: Days before the end of a certificate at which its contact is warned of.
EXPIRY_WARNING_DAYS = (30, 7, 1)


class MailForm(StrEnum):
    """What a mail holds."""

    FULL = "full"
    ENCRYPTED = "encrypted"
    SUMMARY = "summary"


class FormReason(StrEnum):
    """Why a mail has its form."""

    #: as the contact is set, and nothing stands against it
    CHOSEN = "chosen"
    #: nobody confirmed that the address is the contact's
    ADDRESS_UNCONFIRMED = "address_unconfirmed"
    #: only encrypted mail may say more, and there is no certificate
    NO_CERTIFICATE = "no_certificate"
    #: or none that serves
    CERTIFICATE_UNUSABLE = "certificate_unusable"
    #: a server on the way does not take the whole notice
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class FormDecision:
    """The form of a contact's mails, and why."""

    form: MailForm
    reason: FormReason
    #: what is wrong with the certificate, where there is one that does not serve
    certificate_fault: str | None = None


def mail_form(contact: Contact, now: datetime, *, too_large: bool = False) -> FormDecision:
    """Return how mails to a contact go out now; ``too_large``: the whole notice was refused for its size.

    1. An address that nobody confirmed may be a stranger's: a summary, whatever is set.
    2. Who chose summaries gets them, and who cannot be sent more.
    3. With a certificate that serves, the notice is encrypted as well as signed.
    4. Without, the notice goes in clear to who takes it so, and a summary to who takes it encrypted only.
    """
    fault = None
    if contact.smime_certificate is not None:
        fault = certificate_fault(contact.smime_certificate, contact.email, now)
    # 1.
    if contact.verified_at is None:
        return FormDecision(MailForm.SUMMARY, FormReason.ADDRESS_UNCONFIRMED, fault)
    # 2.
    if contact.mail_content is MailContent.SUMMARY:
        return FormDecision(MailForm.SUMMARY, FormReason.CHOSEN, fault)
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
    """Return whole days until a contact's certificate ends, below 0 once it has; None without one that can be read."""
    if contact.smime_certificate is None:
        return None
    expires_at = certificate_expires_at(contact.smime_certificate)
    return None if expires_at is None else (expires_at - now).days


class Reach(StrEnum):
    """What stands between a customer and its notices by mail."""

    NO_ACTIVE_CONTACT = "no_active_contact"
    ONLY_FALLBACK = "only_fallback"
    ADDRESS_UNCONFIRMED = "address_unconfirmed"
    #: takes its notices encrypted only, and has no certificate that serves
    CANNOT_ENCRYPT = "cannot_encrypt"
    CERTIFICATE_EXPIRES = "certificate_expires"
    CERTIFICATE_EXPIRED = "certificate_expired"


@dataclass(frozen=True, slots=True)
class ReachabilityFinding:
    """One thing that stands between a customer and its notices by mail."""

    kind: Reach
    #: None where it is about all contacts together
    contact_id: UUID | None = None
    #: for a certificate that expires: the warning that is due, one of ``EXPIRY_WARNING_DAYS``
    within_days: int | None = None


def reachability(contacts: Sequence[Contact], now: datetime) -> list[ReachabilityFinding]:
    """Return what stands between a customer and its notices by mail, of the contacts served now; empty: nothing.

    1. Whether there is anybody, and anybody but a fallback.
    2. Of each: its address, whether it can be written to in the one form it takes, the end of its certificate.
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
    """The words of a summary."""

    subject: str
    text: str


def summary_of(
    sealed: SealedNotice,
    language: str,
    reason: FormReason,
    *,
    provider: str,
    contact: str,
    console_url: str | None,
    time_zone: str | None = None,
) -> Summary:
    """Return the words of a notice's summary: which notice, how it is marked, its digest, and where to read it.

    No fact of the incident, no customer, nobody affected: whoever reads it by mistake learns that there is a notice.
    ``time_zone``: of the reader; None for UTC alone, since the customer's would say something of the customer.
    """
    document = json.loads(sealed.document)
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
        ),
    )


def neutral_subject(sealed: SealedNotice, language: str) -> str:
    """Return a subject that names the notice and nothing of what it says."""
    document = json.loads(sealed.document)
    return summary.subject(
        language, ticket=document["ticket"], sequence=document["sequence"], kind=document["kind"], tlp=document["tlp"]
    )


def request_to_acknowledge(
    sealed: SealedNotice,
    language: str,
    *,
    link: str,
    expires_at: datetime,
    wanted_by: datetime | None,
    time_zone: str,
) -> str:
    """Return the words of a mail that ask its reader to acknowledge the notice by a link."""
    ticket, sequence = _named(sealed)
    return acknowledging.invitation(
        language,
        ticket=ticket,
        sequence=sequence,
        link=link,
        expires_at=timestamp_text(expires_at),
        wanted_by=None if wanted_by is None else timestamp_text(wanted_by),
        time_zone=time_zone,
    )


@lru_cache(maxsize=64)
def _named(sealed: SealedNotice) -> tuple[str, int]:
    """Return ticket and sequence; kept, because a notice has them in common for every contact."""
    document = json.loads(sealed.document)
    return document["ticket"], document["sequence"]
