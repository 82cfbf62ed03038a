"""Questions of customers about notices with their answers, and whether a notice helped."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from notifications.delivery.question import Feedback, Helped, Question
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.ask_question import (
    QUESTION_MAX_CHARACTERS,
    REPLY_MAX_CHARACTERS,
    WORDS_MAX_CHARACTERS,
    ask_question,
    give_feedback,
)
from service.customers.question_answer import answer
from service.ports.store import AccessTransaction
from service.web.api.fields import Moment, Out, Prose, Schema
from service.web.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
    MayAskQuestions,
    MayChangeIncidents,
    MayReadIncidents,
    MayReadNotices,
    change,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1", tags=["questions"])


class QuestionIn(Schema):
    """A question about a notice."""

    text: Prose = Field(max_length=QUESTION_MAX_CHARACTERS)


class ReplyIn(Schema):
    """What answers a question: words, a later notice, or both."""

    text: Prose | None = Field(None, max_length=REPLY_MAX_CHARACTERS)
    notice_id: UUID | None = Field(None, description="A later notice of the same incident that the customer has.")


class QuestionOut(Out):
    """A question and its answer."""

    id: UUID
    notice_id: UUID
    customer_id: UUID
    asked_by: str
    asked_by_name: str | None
    asked_at: Moment
    text: str
    reply: str | None
    answering_notice_id: UUID | None
    answered_at: Moment | None
    version: int


class QuestionList(Out):
    """Questions, oldest first."""

    items: list[QuestionOut]


class FeedbackIn(Schema):
    """Whether a notice helped."""

    helped: Helped
    words: Prose | None = Field(None, max_length=WORDS_MAX_CHARACTERS)


class FeedbackOut(Out):
    """What one person says of a notice; its last word."""

    notice_id: UUID
    by: str
    by_name: str | None
    helped: Helped
    words: str | None
    given_at: Moment


class FeedbackList(Out):
    """The feedback on a notice."""

    items: list[FeedbackOut]


@router.get("/notices/{notice_id}/questions", response_model=QuestionList, summary="Questions about a notice")
async def list_of_notice(access: MayReadNotices, notice_id: UUID) -> Response:
    """Return the questions about the notice with their answers."""

    def work(tx: AccessTransaction) -> QuestionList:
        tx.notices.require(notice_id)
        named = names_of(tx)
        return QuestionList.model_construct(
            items=[question_out(each, named) for each in tx.questions.of_notice(notice_id)]
        )

    return json_response(await access.read(work))


@router.post(
    "/notices/{notice_id}/questions", status_code=201, response_model=QuestionOut, summary="Ask about a notice"
)
async def ask(
    request: Request,
    access: MayAskQuestions,
    notice_id: UUID,
    question: QuestionIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Ask the provider, in one's own name, about a notice of one's customer. It waits on the provider's board."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        return Answer(question_out(ask_question(tx, act, notice_id, question.text), names_of(tx)), 201)

    return await change(request, access, idempotency_key, work)


@router.get("/questions", response_model=QuestionList, summary="Questions that wait for an answer")
async def list_unanswered(access: MayReadIncidents, limit: Annotated[int, Query(ge=1, le=500)] = 200) -> Response:
    """Return what customers asked and nobody answered, oldest first."""

    def work(tx: AccessTransaction) -> QuestionList:
        named = names_of(tx)
        return QuestionList.model_construct(
            items=[question_out(each, named) for each in tx.questions.unanswered(limit)]
        )

    return json_response(await access.read(work))


@router.post("/questions/{question_id}/reply", response_model=QuestionOut, summary="Answer a question")
async def reply(
    request: Request,
    context: Context,
    access: MayChangeIncidents,
    question_id: UUID,
    reply: ReplyIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Answer in words, by naming a later notice, or both; once. The person who asked gets a mail that there is one."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        provider = context.settings.provider
        answered = answer(tx, act, question_id, text=reply.text, notice_id=reply.notice_id, provider=provider)
        return Answer(question_out(answered, names_of(tx)))

    return await change(request, access, idempotency_key, work)


@router.get("/notices/{notice_id}/feedback", response_model=FeedbackList, summary="Whether a notice helped")
async def list_feedback(access: MayReadNotices, notice_id: UUID) -> Response:
    """Return what each person of the customer said of the notice."""

    def work(tx: AccessTransaction) -> FeedbackList:
        tx.notices.require(notice_id)
        named = names_of(tx)
        found = tx.questions.feedback(notice_id)
        return FeedbackList.model_construct(items=[feedback_out(each, named) for each in found])

    return json_response(await access.read(work))


@router.put("/notices/{notice_id}/feedback", response_model=FeedbackOut, summary="Say whether a notice helped")
async def put_feedback(request: Request, access: MayAskQuestions, notice_id: UUID, feedback: FeedbackIn) -> Response:
    """Say in one's own name whether the notice helped; it replaces what one said before."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        given = give_feedback(tx, act, notice_id, feedback.helped, feedback.words)
        return Answer(feedback_out(given, names_of(tx)))

    return await change(request, access, None, work)


def names_of(tx: AccessTransaction) -> Callable[[str], str | None]:
    """Return the function from an actor of the log to the name of its account; each is looked up once."""
    known: dict[str, str | None] = {}

    def name(actor: str) -> str | None:
        if actor not in known:
            kind, _, identifier = actor.partition(":")
            account = tx.accounts.get(UUID(identifier)) if kind == "account" else None
            known[actor] = None if account is None else account.name
        return known[actor]

    return name


def question_out(question: Question, named: Callable[[str], str | None]) -> QuestionOut:
    """Return the schema of a question."""
    # Who of the provider answered is not the customer's to know: the provider answers.
    return QuestionOut.model_construct(
        id=question.id,
        notice_id=question.notice_id,
        customer_id=question.customer_id,
        asked_by=question.asked_by,
        asked_by_name=named(question.asked_by),
        asked_at=question.asked_at,
        text=question.text,
        reply=question.reply,
        answering_notice_id=question.answering_notice_id,
        answered_at=question.answered_at,
        version=question.version,
    )


def feedback_out(feedback: Feedback, named: Callable[[str], str | None]) -> FeedbackOut:
    """Return the schema of feedback."""
    return FeedbackOut.model_construct(
        notice_id=feedback.notice_id,
        by=feedback.by,
        by_name=named(feedback.by),
        helped=feedback.helped,
        words=feedback.words,
        given_at=feedback.given_at,
    )
