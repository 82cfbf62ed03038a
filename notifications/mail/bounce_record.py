"""The record of a bounce: a message about a mail that a server had accepted before."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class BounceKind(StrEnum):
    """Kinds of bounces (RFC 3464 actions, RFC 3834 automatic responses)."""

    FAILED = "failed"
    #: another server still tries; no failure
    DELAYED = "delayed"
    #: a server states that the mail is in the mailbox; this does not mean that somebody read it
    DELIVERED = "delivered"
    #: passed on to a system that sends no reports
    RELAYED = "relayed"
    EXPANDED = "expanded"
    #: an absence note or similar; no acknowledgement
    AUTO_REPLY = "auto_reply"
    #: not understood; a person must read it
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Bounce:
    """A message to the return path of a delivery."""

    id: UUID
    #: None if the delivery does not exist any more
    delivery_id: UUID | None
    received_at: datetime
    kind: BounceKind
    #: RFC 3463 status such as ``5.1.1``, or None
    status: str | None
    #: reason of the reporting server in one line, or None
    diagnostic: str | None
    reporting_mta: str | None
    #: the message as received
    content: bytes
