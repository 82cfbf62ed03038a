"""Questions about notices with their answers, and feedback on notices."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import bindparam, select

from notifications.delivery.question import Feedback, Question
from notifications.errors import required
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled, compiled_text, limited
from service.store.tables import FeedbackRow, NoticeRow, QuestionRow, table

_QUESTIONS, _FEEDBACK = FlatTable(Question, QuestionRow), FlatTable(Feedback, FeedbackRow)
_questions, _notices = table(QuestionRow).c, table(NoticeRow).c

_QUESTION, _OF_NOTICE = _QUESTIONS.by("id"), _QUESTIONS.by("notice_id", ordered=True)
_OF_INCIDENT = compiled(
    _QUESTIONS.select()
    .where(_questions.notice_id.in_(select(_notices.id).where(_notices.incident_id == bindparam("incident_id"))))
    .order_by(_questions.position),
    "incident_id",
)
_UNANSWERED = limited(_QUESTIONS.select().where(_questions.answered_at.is_(None)).order_by(_questions.position))
_VERSION = compiled(select(_questions.version).where(_questions.id == bindparam("id")), "id")
_ANSWER = compiled_text(
    "UPDATE questions SET reply = :reply, answering_notice_id = :answering_notice_id, answered_by = :answered_by,"
    " answered_at = :answered_at, version = :version WHERE id = :id AND version = :expected",
    "reply", "answering_notice_id", "answered_by", "answered_at", "version", "id", "expected",
)  # fmt: skip
_SET_FEEDBACK = (
    f'{_FEEDBACK.insert} ON CONFLICT (notice_id, "by") DO UPDATE SET'
    " helped = excluded.helped, words = excluded.words, given_at = excluded.given_at"
)
_FEEDBACK_ON = _FEEDBACK.by("notice_id", ordered=True)


class QuestionRecords(Records):
    """Implements ``notifications.ports.questions.QuestionRepository``."""

    def add(self, question: Question) -> None:
        """Store a new question."""
        self._session.execute(_QUESTIONS.insert, _QUESTIONS.values(question))
        self._changed("questions")

    def get(self, question_id: UUID) -> Question | None:
        """Return the question."""
        row = self._session.one(_QUESTION, (question_id.bytes,))
        return None if row is None else _QUESTIONS.record(row)

    def require(self, question_id: UUID) -> Question:
        """Return the question; raises NotFoundError where there is none."""
        return required("question", question_id, self.get(question_id))

    def save(self, question: Question, expected_version: int) -> None:
        """Record the answer; raises VersionMismatchError."""
        names = ("reply", "answering_notice_id", "answered_by", "answered_at")
        self._replace(
            "question",
            question.id,
            expected_version,
            question.version,
            _VERSION,
            _ANSWER,
            _QUESTIONS.some_values(question, *names),
        )
        self._changed("questions")

    def of_notice(self, notice_id: UUID) -> Sequence[Question]:
        """Return the questions about a notice, oldest first."""
        return [_QUESTIONS.record(row) for row in self._session.all(_OF_NOTICE, (notice_id.bytes,))]

    def of_incident(self, incident_id: UUID) -> Sequence[Question]:
        """Return the questions about all notices of an incident, oldest first."""
        return [_QUESTIONS.record(row) for row in self._session.all(_OF_INCIDENT, (incident_id.bytes,))]

    def unanswered(self, limit: int) -> Sequence[Question]:
        """Return the questions without an answer, oldest first."""
        return [_QUESTIONS.record(row) for row in self._session.all(_UNANSWERED, (limit,))]

    def set_feedback(self, feedback: Feedback) -> None:
        """Record what a person says of a notice, in the place of what the same person said before."""
        self._session.execute(_SET_FEEDBACK, _FEEDBACK.values(feedback))
        self._changed("questions")

    def feedback(self, notice_id: UUID) -> Sequence[Feedback]:
        """Return the feedback on a notice, by who was first to give any."""
        return [_FEEDBACK.record(row) for row in self._session.all(_FEEDBACK_ON, (notice_id.bytes,))]
