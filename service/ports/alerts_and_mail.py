"""Records of what the service says to people on its own account: mails that are no notices, and alerts."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ServiceMail:
    """A mail of the service itself, no notice: a link, an alert, a warning. Queued with the act that causes it."""

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
    #: ``queued``, ``sent``, ``failed`` (for good) or ``dropped`` (of no use any more)
    state: str = "queued"
    attempts: int = 0
    next_attempt_at: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class UnreleasedDrafts:
    """Drafts of one incident that nobody released, alike in their deadline and in when they were made."""

    incident_id: UUID
    due_at: datetime
    created_at: datetime
    count: int


@dataclass(frozen=True, slots=True)
class WaitingNotices:
    """Released notices of one incident that do not go out, or deliveries of it that are not done."""

    incident_id: UUID
    #: why, as recorded; empty for no recorded reason
    reason: str
    #: the earliest
    due_at: datetime
    count: int


@dataclass(frozen=True, slots=True)
class FailedDelivery:
    """A delivery that failed for good."""

    delivery_id: UUID
    notice_id: UUID


@dataclass(frozen=True, slots=True)
class UnreachableCustomer:
    """A customer that nobody could be told at by mail."""

    customer_id: UUID
    name: str
    #: the sum of its contacts' versions: one that loses its contacts again is another finding
    contacts_state: int


@dataclass(frozen=True, slots=True)
class FailedMail:
    """A mail of the service's own that failed for good."""

    mail_id: UUID
    purpose: str


@dataclass(frozen=True, slots=True)
class ContactToCheck:
    """A contact whose address is to be checked."""

    customer_id: UUID
    contact_id: UUID
    #: whether it was checked before, some time ago
    was_checked: bool


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that analysts and approvers must know now; raised once per key."""

    id: UUID
    #: what it is about and how far it has got, such as ``draft_near_deadline:<notice>:<stage>``; unique
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
