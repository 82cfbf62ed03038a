"""Ask and answer questions about a notice, and say whether a notice helped. Texts are in the log by commitment only."""

from dataclasses import replace
from uuid import UUID

from notifications.delivery.question import Feedback, Helped, Question
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError
from notifications.notice import Notice, NoticeState
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import notice_subjects

QUESTION_MAX_CHARACTERS = 4000
REPLY_MAX_CHARACTERS = 8000
WORDS_MAX_CHARACTERS = 2000
#: Questions about one notice that one person may have open: one person cannot fill the list of the analyst.
OPEN_MAX = 10


def ask_question(tx: Transaction, act: AuditContext, notice_id: UUID, text: str) -> Question:
    """Record a question of a person at the customer about a notice, and return it.

    Raises NotFoundError for a notice that is not sealed, InvalidInputError, and StateConflictError where the person has
    too many open questions. NOT checked: whether the actor may act for the customer.
    """
    notice = _sealed_notice(tx, notice_id)
    text = _text(text, "text", QUESTION_MAX_CHARACTERS)
    waiting = [each for each in tx.questions.of_notice(notice_id) if each.asked_by == act.actor]
    if sum(each.answered_at is None for each in waiting) >= OPEN_MAX:
        raise StateConflictError(f"{OPEN_MAX} of your questions about this notice wait for an answer")
    question = Question(act.identifiers.new_id(), notice_id, notice.customer_id, act.actor, act.now, text)
    tx.questions.add(question)
    subjects = _subjects(tx, notice) | {"question": str(question.id)}
    tx.audit.append([act.entry("question.asked", subjects=subjects, private={"text": text}, exercise=notice.exercise)])
    return question


def answer_question(
    tx: Transaction, act: AuditContext, question_id: UUID, *, text: str | None, notice_id: UUID | None
) -> Question:
    """Record the answer to a question: words, a later sealed notice of the incident to the customer, or both.

    1. Something answers, and nothing did before.
    2. The notice is one that the customer has: sealed, later, of the same incident and customer.
    3. Record the answer and its entry.

    Raises NotFoundError, InvalidInputError and StateConflictError.
    """
    question = tx.questions.require(question_id)
    notice = tx.notices.require(question.notice_id)
    # 1.
    if not (text or "").strip() and notice_id is None:
        raise InvalidInputError(Fault("text", "write a reply, or name the notice that answers"))
    reply = _text(text, "text", REPLY_MAX_CHARACTERS) if text and text.strip() else None
    if question.answered_at is not None:
        raise StateConflictError("the question is answered already")
    # 2.
    if notice_id is not None and not any(each.id == notice_id for each in later_notices(tx, notice)):
        raise InvalidInputError(Fault("notice_id", "is no later notice of this incident that the customer has"))
    # 3.
    answered = replace(
        question,
        reply=reply,
        answering_notice_id=notice_id,
        answered_by=act.actor,
        answered_at=act.now,
        version=question.version + 1,
    )
    tx.questions.save(answered, question.version)
    tx.audit.append([
        act.entry(
            "question.answered",
            subjects=_subjects(tx, notice) | {"question": str(question_id)},
            detail={"answering_notice": None if notice_id is None else str(notice_id), "replied": reply is not None},
            private={"text": reply},
            exercise=notice.exercise,
        )
    ])  # fmt: skip
    return answered


def later_notices(tx: Transaction, notice: Notice) -> list[Notice]:
    """Return the later sealed notices of the same incident to the same customer: those that may answer a question."""
    return [
        each
        for each in tx.notices.of_incident(notice.incident_id, notice.customer_id)
        if each.state is NoticeState.SEALED and each.sequence > notice.sequence
    ]


def give_feedback(
    tx: Transaction, act: AuditContext, notice_id: UUID, helped: Helped, words: str | None = None
) -> Feedback:
    """Record whether a notice helped; what the same person said before is replaced, and stays in the log.

    Raises NotFoundError for a notice that is not sealed, and InvalidInputError. NOT checked: whether the actor may act
    for the customer.
    """
    notice = _sealed_notice(tx, notice_id)
    said = _text(words, "words", WORDS_MAX_CHARACTERS) if words and words.strip() else None
    feedback = Feedback(notice_id, notice.customer_id, act.actor, helped, said, act.now)
    tx.questions.set_feedback(feedback)
    tx.audit.append([
        act.entry(
            "feedback.given",
            subjects=_subjects(tx, notice),
            detail={"helped": helped.value, "noted": said is not None},
            private={"words": said},
            exercise=notice.exercise,
        )
    ])  # fmt: skip
    return feedback


def _subjects(tx: Transaction, notice: Notice) -> dict[str, str]:
    return notice_subjects(notice, tx.customers.pseudonym(notice.customer_id))


def _sealed_notice(tx: Transaction, notice_id: UUID) -> Notice:
    notice = tx.notices.get(notice_id)
    if notice is None or notice.state is not NoticeState.SEALED:
        raise NotFoundError("notice", notice_id)
    return notice


def _text(text: str | None, field: str, max_characters: int) -> str:
    text = (text or "").strip()
    if not text:
        raise InvalidInputError(Fault(field, "is empty"))
    if len(text) > max_characters:
        raise InvalidInputError(Fault(field, f"has more than {max_characters} characters"))
    return text
