"""What came back of a message after a server had accepted it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class BounceKind(StrEnum):
    """What a returned message says (RFC 3464 actions, RFC 3834 automatic responses)."""

    FAILED = "failed"
    #: still being tried elsewhere: no failure
    DELAYED = "delayed"
    #: a server's statement that the mailbox has it; nobody has read it
    DELIVERED = "delivered"
    #: passed on to a system that reports nothing
    RELAYED = "relayed"
    EXPANDED = "expanded"
    #: an absence note or the like: no acknowledgement
    AUTO_REPLY = "auto_reply"
    #: not understood: shown to a person
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Bounce:
    """A message that came back to the return path of a delivery."""

    id: UUID
    #: None where the return path is of no delivery any more
    delivery_id: UUID | None
    received_at: datetime
    kind: BounceKind
    #: RFC 3463 status such as ``5.1.1``, or None
    status: str | None
    #: what the reporting server said, in one line, or None
    diagnostic: str | None
    reporting_mta: str | None
    #: the message as received
    content: bytes
