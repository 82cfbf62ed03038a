"""Erasure of a customer at the end of its contract: the formal notice, the window, the certificate.

The agreement requires a formal notice some calendar days before the erasure, the erasure within some days after "it",
and a certificate. Both numbers are data of the agreement, and are kept in the order. Both periods are counted from the
moment the notice was served. This satisfies either reading of "it".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from uuid import UUID

from notifications.canonical_json import canonicalize, timestamp_text
from notifications.time_zones import time_zone as zone_of

CERTIFICATE_SCHEMA = "greffier.erasure/1"


class ServedBy(StrEnum):
    """How the formal notice reaches the customer."""

    #: signed mails to every contact; it counts as served when the first is accepted by a mail server
    MAIL = "mail"
    #: by other means, such as a registered letter; the person who orders the erasure is responsible for it
    LETTER = "letter"
    #: by a sealed notice that announced it; it counts as served when the first of its mails is accepted, or on the day
    #: on which its registered letter was handed over
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class ErasureOrder:
    """An erasure that was ordered and is not done yet."""

    customer_id: UUID
    ordered_at: datetime
    ordered_by: str
    served_by: ServedBy
    #: identifies a letter, for instance by its registration number; None for mails
    reference: str | None
    #: ids of the mails that serve the notice, as text
    mail_ids: tuple[str, ...]
    #: when the formal notice was served; None before that
    noticed_at: datetime | None
    #: calendar days between the notice and the erasure; the day of the notice does not count
    notice_days: int
    #: days after the notice within which everything is erased
    within_days: int
    #: never set in a committed row: one transaction sets it and deletes the order
    begun_at: datetime | None = None
    #: the sealed notice that serves it, and the moment that the notice announced; None for mails and a letter
    notice_id: UUID | None = None
    announced_at: datetime | None = None

    def window(self, time_zone: str) -> "ErasureWindow | None":
        """Return when the erasure may be done; None while its notice is not served."""
        if self.noticed_at is None:
            return None
        return erasure_window(self.noticed_at, time_zone, self.notice_days, self.within_days, self.announced_at)


@dataclass(frozen=True, slots=True)
class ErasureWindow:
    """From when an erasure may be done, and by when it must be done."""

    not_before: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class ErasedRows:
    """What an erasure removed."""

    rows: int
    #: erased accounts: those that had no other role
    accounts: tuple[UUID, ...]
    #: log entries that name no customer, but whose openings contained data of this one
    entries: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure that was done. It names the customer only by its pseudonym, which identifies nobody any more."""

    pseudonym: str
    ordered_at: datetime
    noticed_at: datetime
    erased_at: datetime
    #: number of rows that were deleted, or blanked in part
    erased_rows: int
    #: when the database files were rewritten, so that they contain nothing of the rows; None before that
    compacted_at: datetime | None = None
    #: the certificate, its CMS signature and the RFC 3161 token over the signature; None until they are made
    document: bytes | None = None
    signature: bytes | None = None
    timestamp: bytes | None = None
    certified_at: datetime | None = None
    #: the agreement in force when the erasure was ordered, whose clauses the certificate cites; None if none was, and
    #: in erasures of earlier releases
    agreement_id: str | None = None


def erasure_window(
    noticed_at: datetime, time_zone: str, notice_days: int, within_days: int, announced_at: datetime | None = None
) -> ErasureWindow:
    """Return from when and until when an erasure may be done after its formal notice was served at ``noticed_at``.

    It may begin when ``notice_days`` whole calendar days are over in the customer's time zone, the day of the notice
    not counted. It may never begin earlier than so many times 24 hours after the notice; this matters when clocks went
    forward in between. It is due ``within_days`` times 24 hours after the notice. An announced moment after the days of
    the notice moves both by as much.
    """
    try:
        zone = zone_of(time_zone)
    except LookupError:
        # IANA removed the zone: this is late enough in each zone on earth, also where clocks go back meanwhile, by two
        # hours in Antarctica/Troll.
        begins = noticed_at + timedelta(days=notice_days + 1, hours=2)
    else:
        day = noticed_at.astimezone(zone).date() + timedelta(days=notice_days + 1)
        begins = datetime.combine(day, time(), zone).astimezone(UTC)
    not_before = max(begins, noticed_at + timedelta(days=notice_days))
    later = timedelta() if announced_at is None else max(announced_at - not_before, timedelta())
    return ErasureWindow(not_before + later, noticed_at + timedelta(days=within_days) + later)


def begin_of_day(day: date, time_zone: str) -> datetime:
    """Return when a day begins in a customer's time zone; in UTC if IANA removed the zone."""
    try:
        zone: tzinfo = zone_of(time_zone)
    except LookupError:
        zone = UTC
    return datetime.combine(day, time(), zone).astimezone(UTC)


def certificate(erasure: Erasure, *, provider_name: str, clauses: Sequence[str], issued_at: datetime) -> bytes:
    """Return the certificate of an erasure: canonical JSON without personal data.

    ``clauses``: the numbers of the clauses that require the erasure in the customer's agreement; may be empty.

    Raises ValueError if the database files were not rewritten yet: the certificate would claim too much.
    """
    if erasure.compacted_at is None:
        raise ValueError("the database files were not rewritten yet")
    return canonicalize({
        "schema": CERTIFICATE_SCHEMA,
        "provider": provider_name,
        "customer": erasure.pseudonym,
        "clauses": list(clauses),
        "ordered_at": timestamp_text(erasure.ordered_at),
        "noticed_at": timestamp_text(erasure.noticed_at),
        "erased_at": timestamp_text(erasure.erased_at),
        "files_rewritten_at": timestamp_text(erasure.compacted_at),
        "erased_rows": erasure.erased_rows,
        "kept": {
            "fr": "Le journal d'audit garde des empreintes salées dont les sels sont détruits, des codes et des dates."
            " Les rapports du prestataire à des autorités, sur ses propres obligations, restent tels quels.",
            "en": "The audit log keeps salted digests whose salts are destroyed, codes and times."
            " Reports that the provider submitted to authorities on its own duties stay as they are.",
            "de": "Das Auditprotokoll behält gesalzene Digests, deren Salze vernichtet sind, Codes und Zeiten."
            " Berichte, die der Anbieter wegen eigener Pflichten an Behörden gab, bleiben, wie sie sind.",
        },
        "issued_at": timestamp_text(issued_at),
    })  # fmt: skip
