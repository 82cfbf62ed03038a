"""Records of what the service says to people on its own account: mails that are no notices, and alerts."""

from dataclasses import dataclass
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
    text: str
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
