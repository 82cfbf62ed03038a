"""The service's own mails: alerts, invitations, links, letters."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
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
    #: what the mails of one cause have in common, such as those of an alert
    mailing_id: UUID | None = None


class MailRepository(Protocol):
    """The queue of the service's own mails."""

    def add(self, mail: ServiceMail) -> None:
        """Queue a mail."""
        ...

    def get(self, mail_id: UUID) -> ServiceMail | None:
        """Return the mail."""
        ...

    def of_mailing(self, mailing_id: UUID) -> Sequence[ServiceMail]:
        """Return the mails of one mailing, in the order in which they were queued."""
        ...

    def due(self, now: datetime, limit: int) -> Sequence[ServiceMail]:
        """Return queued mails whose ``next_attempt_at`` (None: at once) has come, oldest first."""
        ...

    def troubled(self, limit: int) -> Sequence[ServiceMail]:
        """Return mails that failed for good, or whose last attempt failed, oldest first."""
        ...

    def save(self, mail: ServiceMail) -> None:
        """Replace words (blanked once they are of no use), state, attempts, next attempt and last error."""
        ...
