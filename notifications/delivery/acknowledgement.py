"""What a customer did with a notice: opened it, acknowledged it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class AcknowledgedVia(StrEnum):
    """How an acknowledgement reached us."""

    CONSOLE = "console"
    API = "api"
    #: the link in a mail, followed and confirmed by a click
    LINK = "link"
    #: read out on the telephone
    CALL = "call"


@dataclass(frozen=True, slots=True)
class NoticeOpening:
    """The first time that somebody of the customer opened a notice."""

    notice_id: UUID
    customer_id: UUID
    #: who, as in the audit log
    by: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class MailedLink:
    """The link in one mail that lets its reader acknowledge."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody of the customer confirmed that they have a notice. Once per notice and person."""

    id: UUID
    notice_id: UUID
    customer_id: UUID
    #: the contact whose link or call it was; None for an account
    contact_id: UUID | None
    #: who, as in the audit log
    by: str
    via: AcknowledgedVia
    acknowledged_at: datetime
    note: str | None = None
