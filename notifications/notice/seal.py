"""The seal of a notice: signature, timestamp, proof that the audit log holds it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SealedRendering:
    """The words of a notice to one kind of reader, exactly as the document's ``renderings`` digests commit to them."""

    #: one of ``LANGUAGES``
    language: str
    subject: str
    #: text/plain body, LF line ends
    text: str
    #: text/html body, LF line ends
    html: str
    #: IANA time zone of its times where it is not the customer's, else None
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class SealedNotice:
    """Document + signature + timestamp + log proof. The bytes are final: nothing re-encodes them."""

    notice_id: UUID
    #: canonical JSON (RFC 8785) of the document
    document: bytes
    #: detached CMS SignedData over ``document``, DER
    signature: bytes
    #: RFC 3161 TimeStampResp over ``signature``, DER; None while the authority has not answered
    timestamp: bytes | None
    #: whether the authority that gave ``timestamp`` is independent of the provider
    timestamp_independent: bool
    #: CSV of the affected resources when they are many, else None; its digest stands in ``document``
    resources_csv: bytes | None
    sealed_at: datetime
    #: ``c2sp.org/tlog-proof@v1`` text, UTF-8; None until the sequencer has put the entry under a checkpoint
    log_proof: bytes | None = None
    #: one per language and time zone that a contact of the customer reads in; kept, so that a later wording cannot
    #: change sealed words
    renderings: tuple[SealedRendering, ...] = ()


@dataclass(frozen=True, slots=True)
class UndatedNotice:
    """A sealed notice without its timestamp."""

    notice_id: UUID
    sealed_at: datetime
    #: why the authority gave none at the last try; None while that is not recorded
    reason: str | None
