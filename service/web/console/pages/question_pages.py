"""Questions on pages: asked on a notice, listed and answered at the provider; and whether a notice helped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.errors import Fault, GreffierError, InvalidInputError, StateConflictError
from notifications.use_cases.announcements.consent import answer_consent
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.ask_question import ask_question, give_feedback
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.customers.question_answer import answer
from service.ports.store import AccessTransaction
from service.web.api.notices.questions import FeedbackIn, QuestionIn, ReplyIn
from service.web.api.requests import Context
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, local_path, see_other, stated, write_once
from service.web.console.pages.notice_page import RefusedForm, show_notice
from service.web.console.pages.question_list import ShownQuestion, shown_questions
from service.web.console.rendering import page

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayAsk = Annotated[Access, Depends(Requires(Permission.QUESTION_ASK))]
MayAcknowledge = Annotated[Access, Depends(Requires(Permission.NOTICE_ACKNOWLEDGE))]
MayReadIncidents = Annotated[Access, Depends(Requires(Permission.INCIDENT_READ))]
MayReply = Annotated[Access, Depends(Requires(Permission.INCIDENT_CHANGE))]

_CONFLICT, _UNPROCESSABLE = 409, 422
_SHOWN_MAX = 200
_ANSWERS = frozenset({"accept", "refuse"})


@dataclass(frozen=True, slots=True)
class Refused:
    """A reply that was not taken, as it was filled in."""

    form: Form
    problem: str


# -- of the customer


@router.post("/notices/{notice_id}/questions")
async def ask(request: Request, context: Context, access: MayAsk, notice_id: UUID) -> Response:
    """Ask about a notice, once for each time that the form was shown."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        ask_question(tx, act, notice_id, stated(QuestionIn, {"text": form["text"]}).text)
        return f"/notices/{notice_id}?done=asked#questions"

    try:
        return await write_once(access, form, work)
    except (InvalidInputError, StateConflictError) as error:
        refused = RefusedForm("question", form, *_problem(error))
    return await show_notice(request, context, access, notice_id, refused=refused)


@router.post("/notices/{notice_id}/consent")
async def consent(request: Request, context: Context, access: MayAcknowledge, notice_id: UUID) -> Response:
    """Accept or refuse what a notice announces, for one's own customer."""
    form = await form_of(request)
    reason = form["reason"].strip() or None

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        if form["answer"] not in _ANSWERS:
            raise InvalidInputError(Fault("answer", "must be one of those shown"))
        accepts = form["answer"] == "accept"
        answer_consent(tx, act, notice_id, accepts=accepts, name=form["name"], reason=reason)

    try:
        await access.write(work)
    except (InvalidInputError, StateConflictError):
        refused = RefusedForm("consent", form, _UNPROCESSABLE, "consent.not_taken")
        return await show_notice(request, context, access, notice_id, refused=refused)
    return see_other(f"/notices/{notice_id}#consent")


@router.post("/notices/{notice_id}/feedback")
async def feedback(request: Request, context: Context, access: MayAsk, notice_id: UUID) -> Response:
    """Say whether a notice helped; it replaces what the same person said before."""
    form = await form_of(request)
    try:
        given = stated(FeedbackIn, {"helped": form["helped"], "words": form["words"].strip() or None})
        await access.write(lambda tx, act: give_feedback(tx, act, notice_id, given.helped, given.words))
    except InvalidInputError as error:
        refused = RefusedForm("feedback", form, *_problem(error))
        return await show_notice(request, context, access, notice_id, refused=refused)
    return see_other(f"/notices/{notice_id}?done=feedback#feedback")


# -- of the provider


@router.get("/questions")
async def questions_page(request: Request, access: MayReadIncidents, done: str = "") -> Response:
    """Show what customers asked and nobody answered, oldest first."""

    def work(tx: AccessTransaction) -> Sequence[tuple[ShownQuestion, str]]:
        found = shown_questions(tx, access, tx.questions.unanswered(_SHOWN_MAX))
        return [(each, _ticket(tx, each)) for each in found]

    found = await access.read(work)
    return page(request, "questions", access.caller, _values(access) | {"found": found, "done": done == "answered"})


@router.get("/questions/{question_id}")
async def question_page(request: Request, access: MayReadIncidents, question_id: UUID) -> Response:
    """Show one question and its reply form."""
    return await _one(request, access, question_id, None)


@router.post("/questions/{question_id}/reply")
async def reply(request: Request, context: Context, access: MayReply, question_id: UUID) -> Response:
    """Answer a question in words, by a later notice, or both, and go back to the page of the form."""
    form, provider = await form_of(request), context.settings.provider

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        given = stated(ReplyIn, {"text": form["text"].strip() or None, "notice_id": form["notice_id"] or None})
        answer(tx, act, question_id, text=given.text, notice_id=given.notice_id, provider=provider)
        return local_path(form["return_to"] or "/questions?done=answered")

    try:
        return await write_once(access, form, work)
    except (InvalidInputError, StateConflictError) as error:
        status, problem = _problem(error)
    return await _one(request, access, question_id, Refused(form, problem), status)


async def _one(
    request: Request, access: Access, question_id: UUID, refused: Refused | None, status: int = 200
) -> Response:
    def work(tx: AccessTransaction) -> tuple[ShownQuestion, str]:
        (found,) = shown_questions(tx, access, [tx.questions.require(question_id)])
        return found, _ticket(tx, found)

    found, ticket = await access.read(work)
    values = _values(access) | {"found": found, "ticket": ticket, "refused": refused}
    return page(request, "question", access.caller, values, status=status)


def _ticket(tx: AccessTransaction, shown: ShownQuestion) -> str:
    """Return the ticket of the incident; empty where it began before the period of an auditor."""
    incident = tx.incidents.get(shown.notice.incident_id)
    return "" if incident is None else incident.ticket


def _values(access: Access) -> dict[str, Any]:
    return {"may_reply": access.may(Permission.INCIDENT_CHANGE)}


def _problem(error: GreffierError) -> tuple[int, str]:
    """Return the status of a refusal, and the key of its words."""
    if isinstance(error, InvalidInputError):
        return _UNPROCESSABLE, f"questions.problem_{error.faults[0].field}"
    return _CONFLICT, "questions.problem_conflict"
