"""Questions about the notices within a scope, and feedback on them."""

from collections.abc import Sequence
from uuid import UUID

from notifications.delivery.question import Feedback, Question
from notifications.errors import required
from service.auth.scope.visibility import ScopedRepository


class ScopedQuestions(ScopedRepository):
    """The questions within: those about a notice within."""

    _name = "questions"

    def add(self, question: Question) -> None:
        self._verify_notice(question.notice_id, question.customer_id)
        self._tx.questions.add(question)

    def get(self, question_id: UUID) -> Question | None:
        question = self._tx.questions.get(question_id)
        return question if question is not None and self._notice(question.notice_id) is not None else None

    def require(self, question_id: UUID) -> Question:
        return required("question", question_id, self.get(question_id))

    def save(self, question: Question, expected_version: int) -> None:
        self.require(question.id)
        self._verify_notice(question.notice_id, question.customer_id)
        self._tx.questions.save(question, expected_version)

    def of_notice(self, notice_id: UUID) -> Sequence[Question]:
        return () if self._notice(notice_id) is None else self._tx.questions.of_notice(notice_id)

    def of_incident(self, incident_id: UUID) -> Sequence[Question]:
        found = self._tx.questions.of_incident(incident_id)
        return [question for question in found if self._notice(question.notice_id) is not None]

    def unanswered(self, limit: int) -> Sequence[Question]:
        self._verify_at_provider("unanswered")
        return [each for each in self._tx.questions.unanswered(limit) if self._notice(each.notice_id) is not None]

    def set_feedback(self, feedback: Feedback) -> None:
        self._verify_notice(feedback.notice_id, feedback.customer_id)
        self._tx.questions.set_feedback(feedback)

    def feedback(self, notice_id: UUID) -> Sequence[Feedback]:
        return () if self._notice(notice_id) is None else self._tx.questions.feedback(notice_id)
