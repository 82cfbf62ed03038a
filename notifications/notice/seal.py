"""The seal of a notice: the signature, the timestamp, and the proof that the audit log contains it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SealedRendering:
    """The text of a notice for one language and time zone; the document's ``renderings`` have its digests."""

    #: one of ``LANGUAGES``
    language: str
    subject: str
    #: text/plain body, LF line ends
    text: str
    #: text/html body, LF line ends
    html: str
    #: IANA time zone of its times; None for the customer's time zone
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class SealedNotice:
    """Document, signature, timestamp and log proof. The bytes are final: nothing encodes them again."""

    notice_id: UUID
    #: canonical JSON (RFC 8785) of the document
    document: bytes
    #: detached CMS SignedData over ``document``, DER
    signature: bytes
    #: RFC 3161 TimeStampResp, DER, over ``signature``, or, if it is shared, over the checkpoint of ``log_proof``; None
    #: until the authority has answered
    timestamp: bytes | None
    #: whether the authority that gave ``timestamp`` is independent of the provider
    timestamp_independent: bool
    #: CSV of the affected resources if there are many, else None; ``document`` contains its digest
    resources_csv: bytes | None
    sealed_at: datetime
    #: ``c2sp.org/tlog-proof@v1`` text, UTF-8; None until a checkpoint of the log covers the entry
    log_proof: bytes | None = None
    #: one per language and time zone of the customer's contacts; stored, so that a later version of the templates
    #: cannot change a sealed text
    renderings: tuple[SealedRendering, ...] = ()
    #: the timestamp is over a checkpoint of the log, so that other notices share it, as ``document`` says
    shares_timestamp: bool = False


@dataclass(frozen=True, slots=True)
class UndatedNotice:
    """A sealed notice without its timestamp."""

    notice_id: UUID
    sealed_at: datetime
    #: why the authority gave none at the last try; None while that is not recorded
    reason: str | None
