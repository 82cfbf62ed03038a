"""Records of the service's own messages to people: mails that are not notices, and alerts."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ServiceMail:
    """A mail of the service that is not a notice: a link, an alert, a warning. Queued with its cause."""

    id: UUID
    #: ``address_link``, ``invitation``, ``reset``, ``alert`` …
    purpose: str
    recipient: str
    recipient_name: str
    #: one of ``LANGUAGES``
    language: str
    subject: str
    #: plain text, LF line ends
    text: str = field(repr=False)  # it may hold a link that is as good as a password
    created_at: datetime
    #: ``queued``, ``sent``, ``failed`` (for good) or ``dropped`` (expired)
    state: str = "queued"
    attempts: int = 0
    next_attempt_at: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class UnreleasedDrafts:
    """Unreleased drafts of one incident with the same deadline and the same creation time."""

    incident_id: UUID
    due_at: datetime
    created_at: datetime
    count: int


@dataclass(frozen=True, slots=True)
class WaitingNotices:
    """Released notices of one incident that are not sent, or deliveries of it that are not done."""

    incident_id: UUID
    #: the recorded reason; empty if none is recorded
    reason: str
    #: the earliest deadline among them
    due_at: datetime
    count: int


@dataclass(frozen=True, slots=True)
class FailedDelivery:
    """A delivery that failed for good."""

    delivery_id: UUID
    notice_id: UUID


@dataclass(frozen=True, slots=True)
class UnreachableCustomer:
    """A customer without a contact that can be reached by mail."""

    customer_id: UUID
    name: str
    #: the sum of its contacts' versions. It changes with every change of a contact, so that a later loss of all
    #: contacts raises a new alert
    contacts_state: int


@dataclass(frozen=True, slots=True)
class FailedMail:
    """A mail of the service that failed for good."""

    mail_id: UUID
    purpose: str


@dataclass(frozen=True, slots=True)
class ContactToCheck:
    """A contact whose address is to be checked."""

    customer_id: UUID
    contact_id: UUID
    #: whether it was checked before
    was_checked: bool


@dataclass(frozen=True, slots=True)
class Alert:
    """An event that analysts and approvers must know at once; raised once per key."""

    id: UUID
    #: unique: the event, its object and its stage, such as ``draft_near_deadline:<notice>:<stage>``
    key: str
    kind: str
    raised_at: datetime
    incident_id: UUID | None = None
    notice_id: UUID | None = None
    customer_id: UUID | None = None
    #: in one line
    what: str = ""
    seen_at: datetime | None = None
    seen_by: str | None = None
