"""Evidence that a customer has a notice: a person there opened or acknowledged it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class AcknowledgedVia(StrEnum):
    """How an acknowledgement was given."""

    CONSOLE = "console"
    API = "api"
    #: by the link in a mail and the button on its page
    LINK = "link"
    #: on the telephone
    CALL = "call"


@dataclass(frozen=True, slots=True)
class NoticeOpening:
    """The first time that a person at the customer opened a notice."""

    notice_id: UUID
    customer_id: UUID
    #: the person, as in the audit log
    by: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class MailedLink:
    """The link in one mail with which its reader can acknowledge the notice."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A person at the customer confirmed that they have a notice. At most one per notice and person."""

    id: UUID
    notice_id: UUID
    customer_id: UUID
    #: the contact whose link or call was used; None for an account
    contact_id: UUID | None
    #: the person, as in the audit log
    by: str
    via: AcknowledgedVia
    acknowledged_at: datetime
    note: str | None = None
