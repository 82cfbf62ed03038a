"""Letter tasks: registered letters to post, with the posting number and the return slip as evidence."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from notifications.errors import NotFoundError
from notifications.ports import LetterOutcome, LetterState, LetterTask, Transaction
from notifications.use_cases.announcements.letters import (
    attach_slip,
    close_letter,
    record_outcome,
    record_posting,
    slip_of,
)
from notifications.use_cases.audit_context import AuditContext
from service.ports.store import AccessTransaction
from service.web.api.fields import Line, Moment, Out, Schema
from service.web.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
    IfMatch,
    MayChangeAnnouncements,
    MayReadAnnouncements,
    change,
    etag,
    expected_version,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/letters", tags=["letters"])

_ENDINGS = {"application/pdf": "pdf", "image/jpeg": "jpg", "image/png": "png"}


class LetterOut(Out):
    """One registered letter to one customer. `GET /notices/{notice_id}/notice.pdf` is what is posted."""

    id: UUID
    notice_id: UUID
    announcement_id: UUID
    ticket: str
    customer_id: UUID
    customer_name: str
    state: LetterState
    due_at: Moment
    overdue: bool
    created_at: Moment
    posting_number: str | None
    posted_on: date | None
    posted_by: str | None
    slip_type: str | None
    slip_sha256: str | None = Field(description="As in the log.")
    outcome: LetterOutcome | None = Field(description="What the return slip says; null until it is recorded.")
    outcome_on: date | None = Field(
        description="Day of the hand-over; of a letter that was returned, its presentation."
    )
    served_on: date | None = Field(description="Day from which it counts as served, by the agreement; else null.")
    closed_at: Moment | None
    closed_by: str | None
    version: int


class LetterList(Out):
    """Letter tasks, nearest deadline first."""

    items: list[LetterOut]


class PostingIn(Schema):
    """The posting of a letter."""

    posting_number: Line = Field(description="The number of the registered letter.")
    posted_on: date


class OutcomeIn(Schema):
    """What the return slip says."""

    outcome: LetterOutcome
    outcome_on: date = Field(
        description="Day of the hand-over; of a letter that was returned, of its first presentation."
    )


def letter_out(tx: Transaction, task: LetterTask, act_now: AuditContext) -> LetterOut:
    """Return the schema of a letter task at a moment."""
    notice = tx.notices.require(task.notice_id)
    announcement = tx.incidents.get(notice.incident_id)
    return LetterOut.model_construct(
        id=task.id,
        notice_id=task.notice_id,
        announcement_id=notice.incident_id,
        ticket="" if announcement is None else announcement.ticket,
        customer_id=task.customer_id,
        customer_name=tx.customers.require(task.customer_id).name,
        state=task.state,
        due_at=task.due_at,
        overdue=task.state is LetterState.OPEN and task.posted_on is None and task.due_at < act_now.now,
        created_at=task.created_at,
        posting_number=task.posting_number,
        posted_on=None if task.posted_on is None else date.fromisoformat(task.posted_on),
        posted_by=task.posted_by,
        slip_type=task.slip_type,
        slip_sha256=task.slip_sha256,
        outcome=None if task.outcome is None else LetterOutcome(task.outcome),
        outcome_on=None if task.outcome_on is None else date.fromisoformat(task.outcome_on),
        served_on=None if task.served_on is None else date.fromisoformat(task.served_on),
        closed_at=task.closed_at,
        closed_by=task.closed_by,
        version=task.version,
    )


@router.get("", response_model=LetterList, summary="Open letter tasks")
async def list_letters(access: MayReadAnnouncements, limit: Annotated[int, Query(ge=1, le=500)] = 200) -> Response:
    """Return the letters that are not posted, or whose return slip is missing."""
    act = access.act()
    found = await access.read(lambda tx: [letter_out(tx, each, act) for each in tx.announcements.open_letters(limit)])
    return json_response(LetterList.model_construct(items=found))


@router.get("/{letter_id}", response_model=LetterOut, summary="Read a letter task")
async def read(access: MayReadAnnouncements, letter_id: UUID) -> Response:
    """Return one letter task."""
    act = access.act()
    found = await access.read(lambda tx: letter_out(tx, tx.announcements.require_letter(letter_id), act))
    return json_response(found, {"ETag": etag(found.version)})


@router.post("/{letter_id}/posting", response_model=LetterOut, summary="Record the posting")
async def post_letter(
    request: Request,
    access: MayChangeAnnouncements,
    letter_id: UUID,
    stated: PostingIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record the posting number and the date. A second record corrects the first; the log keeps both."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        version = _version(tx, letter_id, if_match)
        number, posted_on = stated.posting_number, stated.posted_on
        return _answer(tx, record_posting(tx, act, letter_id, version, number=number, posted_on=posted_on), act)

    return await change(request, access, idempotency_key, work)


@router.put(
    "/{letter_id}/slip",
    response_model=LetterOut,
    summary="Attach the return slip",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _ENDINGS},
        }
    },
)
async def put_slip(
    request: Request,
    access: MayChangeAnnouncements,
    letter_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Keep the return slip as evidence: the body is a PDF, JPEG or PNG of at most 5 MiB. The log has its SHA-256."""
    content = await request.body()

    def work(tx: Transaction, act: AuditContext) -> Answer:
        return _answer(tx, attach_slip(tx, act, letter_id, _version(tx, letter_id, if_match), content), act)

    return await change(request, access, idempotency_key, work)


@router.get("/{letter_id}/slip", response_class=Response, summary="Read the return slip")
async def read_slip(access: MayReadAnnouncements, letter_id: UUID) -> Response:
    """Return the return slip as it was attached."""

    def work(tx: Transaction) -> tuple[str, bytes]:
        task = tx.announcements.require_letter(letter_id)
        content = slip_of(tx, task)
        if content is None or task.slip_type is None:
            raise NotFoundError("return slip of letter task", letter_id)
        return task.slip_type, content

    kind, content = await access.read(work)
    disposition = f'attachment; filename="return-slip.{_ENDINGS[kind]}"'
    return Response(content, media_type=kind, headers={"Content-Disposition": disposition})


@router.post("/{letter_id}/outcome", response_model=LetterOut, summary="Record what the return slip says")
async def record(
    request: Request,
    context: Context,
    access: MayChangeAnnouncements,
    letter_id: UUID,
    stated: OutcomeIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record whether and when the letter was handed over, before or after the task is closed.

    If an order to erase the customer rests on the notice, its days begin on `served_on`. A second record corrects the
    first until they have begun; the log keeps both.
    """

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        version = _version(tx, letter_id, if_match)
        task = record_outcome(
            tx, act, letter_id, version, context.agreements, outcome=stated.outcome, outcome_on=stated.outcome_on
        )
        return _answer(tx, task, act)

    return await change(request, access, idempotency_key, work)


@router.post("/{letter_id}/close", response_model=LetterOut, summary="Close a letter task")
async def close(
    request: Request,
    access: MayChangeAnnouncements,
    letter_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Close a task whose return slip is attached; 409 without one."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        return _answer(tx, close_letter(tx, act, letter_id, _version(tx, letter_id, if_match)), act)

    return await change(request, access, idempotency_key, work)


def _version(tx: Transaction, letter_id: UUID, if_match: str | None) -> int:
    return expected_version(if_match, lambda: tx.announcements.require_letter(letter_id).version)


def _answer(tx: Transaction, task: LetterTask, act: AuditContext) -> Answer:
    return Answer(letter_out(tx, task, act), headers={"ETag": etag(task.version)})
