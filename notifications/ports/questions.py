"""Questions about notices, and feedback on them."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from notifications.delivery.question import Feedback, Question


class QuestionRepository(Protocol):
    """Questions about notices, and feedback on them."""

    def add(self, question: Question) -> None:
        """Store a new question."""
        ...

    def get(self, question_id: UUID) -> Question | None:
        """Return the question."""
        ...

    def require(self, question_id: UUID) -> Question:
        """Return the question; raises NotFoundError where there is none."""
        ...

    def save(self, question: Question, expected_version: int) -> None:
        """Record the answer; ``Transaction`` has the rule for versions."""
        ...

    def of_notice(self, notice_id: UUID) -> Sequence[Question]:
        """Return the questions about a notice, oldest first."""
        ...

    def of_incident(self, incident_id: UUID) -> Sequence[Question]:
        """Return the questions about all notices of an incident, oldest first."""
        ...

    def unanswered(self, limit: int) -> Sequence[Question]:
        """Return the questions without an answer, oldest first."""
        ...

    def set_feedback(self, feedback: Feedback) -> None:
        """Record what a person says of a notice, in the place of what the same person said before."""
        ...

    def feedback(self, notice_id: UUID) -> Sequence[Feedback]:
        """Return the feedback on a notice, by who was first to give any."""
        ...
