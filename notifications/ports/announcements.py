"""What became of an announcement at each customer: concern, consent, and the registered letter."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from notifications.incident import AnnouncementState


class Consent(StrEnum):
    """What a customer answered to the question for its consent."""

    ASKED = "asked"
    GIVEN = "given"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class AnnouncedCustomer:
    """Whether an announcement concerns a customer, why, and what the customer answered."""

    id: UUID
    announcement_id: UUID
    customer_id: UUID
    #: version of the announcement that was decided on
    facts_version: int
    #: a ``decision.announced.Concern`` value
    concern: str
    #: what binds the customer; None if nothing does
    agreement_id: str | None
    #: where the agreement has this kind of notice; None if it has none
    clause: str | None
    due_at: datetime | None
    #: a ``DeadlineBinding`` value
    binding: str | None
    decided_at: datetime
    #: the clause whose time makes ``due_at``; None if no text sets one, and in records of earlier releases
    due_clause: str | None = None
    #: None: the agreement does not ask for consent first
    consent: Consent | None = None
    #: name of the person that answered, as stated
    consent_name: str | None = None
    consent_reason: str | None = None
    consent_by: str | None = None
    consent_at: datetime | None = None
    version: int = 1


class LetterState(StrEnum):
    """Lifecycle of a letter task."""

    OPEN = "open"
    CLOSED = "closed"


class LetterOutcome(StrEnum):
    """What became of a registered letter, by its return slip."""

    HANDED_OVER = "handed_over"
    REFUSED = "refused"
    NOT_COLLECTED = "not_collected"


@dataclass(frozen=True, slots=True)
class LetterTask:
    """A registered letter that somebody has to post: the notice on paper, its posting number and its return slip."""

    id: UUID
    notice_id: UUID
    customer_id: UUID
    state: LetterState
    due_at: datetime
    created_at: datetime
    posting_number: str | None = None
    #: date of the posting, ISO 8601
    posted_on: str | None = None
    posted_by: str | None = None
    #: media type and SHA-256 (hex) of the return slip, and the entry whose opening ``slip`` it is
    slip_type: str | None = None
    slip_sha256: str | None = None
    slip_entry_id: UUID | None = None
    #: a ``LetterOutcome`` value; None until it is recorded
    outcome: str | None = None
    #: day of the hand-over; of a letter that was returned, of its first presentation; ISO 8601
    outcome_on: str | None = None
    #: day from which the letter counts as served, by the agreement; None if it does not, ISO 8601
    served_on: str | None = None
    closed_at: datetime | None = None
    closed_by: str | None = None
    version: int = 1


class AnnouncementRepository(Protocol):
    """What became of announcements at each customer."""

    def state(self, announcement_id: UUID) -> AnnouncementState | None:
        """Return what became of an announcement; None where there is none."""
        ...

    def add_customers(self, customers: Sequence[AnnouncedCustomer]) -> None:
        """Record customers of a new announcement, or of a changed one that had none of them."""
        ...

    def customers(self, announcement_id: UUID) -> Sequence[AnnouncedCustomer]:
        """Return the customers of an announcement, in the order in which they were added."""
        ...

    def customer(self, announcement_id: UUID, customer_id: UUID) -> AnnouncedCustomer | None:
        """Return one customer of an announcement."""
        ...

    def save_customer(self, customer: AnnouncedCustomer, expected_version: int) -> None:
        """Replace one customer of an announcement; ``Transaction`` has the rule for versions."""
        ...

    def add_letter(self, task: LetterTask) -> None:
        """Open a letter task."""
        ...

    def letter(self, task_id: UUID) -> LetterTask | None:
        """Return the letter task."""
        ...

    def require_letter(self, task_id: UUID) -> LetterTask:
        """Return the letter task; raises NotFoundError where there is none."""
        ...

    def save_letter(self, task: LetterTask, expected_version: int) -> None:
        """Replace the letter task; ``Transaction`` has the rule for versions."""
        ...

    def letters_of_notice(self, notice_id: UUID) -> Sequence[LetterTask]:
        """Return the letter tasks of a notice, oldest first."""
        ...

    def open_letters(self, limit: int) -> Sequence[LetterTask]:
        """Return the open letter tasks, earliest ``due_at`` first."""
        ...
