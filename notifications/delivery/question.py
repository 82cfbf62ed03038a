"""What a customer says back about a notice: questions, which the provider answers, and whether the notice helped."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a person at the customer about a sealed notice, and its answer: words, a later notice, or both."""

    id: UUID
    notice_id: UUID
    customer_id: UUID
    #: the person, as in the audit log
    asked_by: str
    asked_at: datetime
    text: str
    reply: str | None = None
    #: a later notice of the same incident to the same customer that answers it
    answering_notice_id: UUID | None = None
    answered_by: str | None = None
    answered_at: datetime | None = None
    version: int = 1


class Helped(StrEnum):
    """Whether a notice helped."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What one person says of one notice. The last word counts."""

    notice_id: UUID
    customer_id: UUID
    by: str
    helped: Helped
    words: str | None
    given_at: datetime
