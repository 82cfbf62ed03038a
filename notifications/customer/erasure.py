"""Erasure at the end of a contract (agreement 9.7, 12): who was told when, from when it may be done, until when.

The agreement owes a formal notice 21 calendar days ahead, erasure within 30 days after it, and a certificate. Both
times are counted from the moment the notice was served, which satisfies either reading of "after it".
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID

from notifications.canonical_json import canonicalize, timestamp_text
from notifications.time_zones import time_zone as zone_of

#: Calendar days between the formal notice and the erasure; the day of the notice does not count.
NOTICE_DAYS = 21
#: Days after the notice within which everything is erased.
ERASED_WITHIN_DAYS = 30
CERTIFICATE_SCHEMA = "greffier.erasure/1"


class ServedBy(StrEnum):
    """How the formal notice reaches the customer."""

    #: signed mails to every contact; it counts as served when the first is accepted by a mail server
    MAIL = "mail"
    #: by other means, such as a registered letter, that whoever orders the erasure answers for
    LETTER = "letter"


@dataclass(frozen=True, slots=True)
class ErasureOrder:
    """An erasure that was ordered and is not done."""

    customer_id: UUID
    ordered_at: datetime
    ordered_by: str
    served_by: ServedBy
    #: of a letter: what it is found by, such as its registration number
    reference: str | None
    #: mails that serve the notice, as text
    mail_ids: tuple[str, ...]
    #: when the formal notice was served; None while it is not
    noticed_at: datetime | None
    #: never set in what is committed: it is set and the order is gone in one unit of work
    begun_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ErasureWindow:
    """When an erasure may be done, and by when it must be."""

    not_before: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class ErasedRows:
    """What an erasure took away."""

    rows: int
    #: accounts that had no role anywhere else
    accounts: tuple[UUID, ...]
    #: entries that name no customer, and whose openings spoke of this one
    entries: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure that was done; names the customer by its pseudonym alone, which leads back to nobody."""

    pseudonym: str
    ordered_at: datetime
    noticed_at: datetime
    erased_at: datetime
    #: rows that were erased, or blanked in part
    erased_rows: int
    #: when the files were made anew, so that nothing of the rows is left in them; None while they are not
    compacted_at: datetime | None = None
    #: the certificate, its CMS signature and the RFC 3161 token over the signature; None while they are not made
    document: bytes | None = None
    signature: bytes | None = None
    timestamp: bytes | None = None
    certified_at: datetime | None = None


def erasure_window(noticed_at: datetime, time_zone: str) -> ErasureWindow:
    """Return when an erasure may be done whose formal notice was served at a moment.

    Not before the 22nd day after, at its beginning where the customer is: then 21 whole calendar days have gone by; and
    not before 21 times 24 hours, should a clock have been put forward. Due 30 times 24 hours after the notice.
    """
    try:
        zone = zone_of(time_zone)
    except LookupError:
        # IANA removed the zone: 22 times 24 hours are late enough in each zone on earth.
        begins = noticed_at + timedelta(days=NOTICE_DAYS + 1)
    else:
        day = noticed_at.astimezone(zone).date() + timedelta(days=NOTICE_DAYS + 1)
        begins = datetime.combine(day, time(), zone).astimezone(UTC)
    return ErasureWindow(
        not_before=max(begins, noticed_at + timedelta(days=NOTICE_DAYS)),
        due_at=noticed_at + timedelta(days=ERASED_WITHIN_DAYS),
    )


def certificate(erasure: Erasure, *, provider_name: str, issued_at: datetime) -> bytes:
    """Return the certificate of an erasure: canonical JSON that holds nothing personal.

    Raises ValueError for an erasure whose files were not made anew: it would certify too much.
    """
    if erasure.compacted_at is None:
        raise ValueError("the files were not made anew")
    return canonicalize({
        "schema": CERTIFICATE_SCHEMA,
        "provider": provider_name,
        "customer": erasure.pseudonym,
        "clauses": ["9.7", "12"],
        "ordered_at": timestamp_text(erasure.ordered_at),
        "noticed_at": timestamp_text(erasure.noticed_at),
        "erased_at": timestamp_text(erasure.erased_at),
        "files_rewritten_at": timestamp_text(erasure.compacted_at),
        "erased_rows": erasure.erased_rows,
        "kept": {
            "fr": "Le journal d'audit garde des empreintes salées dont les sels sont détruits, des codes et des dates.",
            "en": "The audit log keeps salted digests whose salts are destroyed, codes and times.",
            "de": "Das Auditprotokoll behält gesalzene Digests, deren Salze vernichtet sind, Codes und Zeiten.",
        },
        "issued_at": timestamp_text(issued_at),
    })  # fmt: skip
