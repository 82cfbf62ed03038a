"""Call tasks: the people to call, with numbers and script; and calls, recorded as evidence."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from notifications.delivery.call_task import CallOutcome, CallReason, CallRecord, CallTask, CallTaskState
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.manage_calls import CallReport, close_call_task, record_call, reopen_call_task
from service.delivery.calls import Task, TaskInFull, open_tasks, task_in_full, tasks_of_state
from service.ports.store import AccessTransaction
from service.web.api.fields import Line, Moment, Out, Prose, Schema
from service.web.api.requests import (
    Answer,
    Context,
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    MayChangeCalls,
    MayReadCalls,
    change,
    etag,
    expected_version,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/call-tasks", tags=["call tasks"])


class CallTaskOut(Out):
    """One customer to call about one notice."""

    id: UUID
    notice_id: UUID
    incident_id: UUID
    ticket: str
    customer_id: UUID
    customer_name: str
    reason: CallReason
    state: CallTaskState
    opened_at: Moment
    due_at: Moment
    overdue: bool
    closed_at: Moment | None
    calls: int = Field(description="How many calls were made.")
    version: int


class CallTaskList(Out):
    """Call tasks."""

    items: list[CallTaskOut]
    next_cursor: str | None = Field(description="Of the next page; null at the end, and for open tasks.")
    complete: bool = Field(description="Whether these are all there are; false where open ones were more than `limit`.")


class ScriptOut(Out):
    """The words to say, in the language of the called person. They contain no fact of the incident."""

    language: str
    say: list[str] = Field(description="In order.")
    voicemail: str = Field(description="Left on a machine, and nothing else.")


class CalleeOut(Out):
    """A contact to call."""

    contact_id: UUID
    name: str
    role: str
    order: int
    fallback: bool
    number: str | None = Field(description="Null where none is known.")
    script: ScriptOut


class CallOut(Out):
    """Evidence of one call, as the person who called stated it."""

    id: UUID
    contact_id: UUID | None
    number: str
    called_at: Moment
    called_by: str
    outcome: CallOutcome
    spoke_to: str | None
    note: str | None


class CallTaskInFull(CallTaskOut):
    """A task with the contacts to call in order, the words to say, and the calls that were made."""

    tlp: str
    callees: list[CalleeOut]
    guidance: list[str] = Field(description="Rules for the person who calls, in the language of the account.")
    records: list[CallOut]


class CallIn(Schema):
    """A call that was made."""

    number: Line = Field(description="As dialled.")
    outcome: CallOutcome = Field(
        description="`reached`: a person of the customer was notified; a machine is not a person."
    )
    contact_id: UUID | None = Field(None, description="Whose number it is; left out for a number of no contact.")
    called_at: Moment | None = Field(None, description="When; left out for now.")
    spoke_to: Line | None = Field(None, description="The name that the other side gave; wanted where reached.")
    note: Prose | None = Field(None, max_length=2000)
    read_out: bool = Field(
        False,
        description="The notice was read out word for word and the contact confirmed it: an acknowledgement by them.",
    )


class ReasonIn(Schema):
    """The reason to close a task or to open it again."""

    reason: Line = Field(description="Kept in the log as a commitment.")


@router.get("", response_model=CallTaskList, summary="List call tasks")
async def list_call_tasks(
    context: Context,
    access: MayReadCalls,
    state: Literal["open", "done", "cancelled", "all"] = "open",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Return the open tasks, nearest deadline first; or tasks in another state, or all, in pages, oldest first."""
    now = context.clock.now()

    def work(tx: AccessTransaction) -> CallTaskList:
        if state == "open":
            found, complete = open_tasks(tx, limit)
            following = None
        else:
            wanted = None if state == "all" else CallTaskState(state)
            found, following = tasks_of_state(tx, access.page(limit, cursor), wanted)
            complete = following is None
        items = [CallTaskOut.model_construct(**_fields(item, now)) for item in found]
        return CallTaskList.model_construct(items=items, next_cursor=access.next_cursor(following), complete=complete)

    return json_response(await access.read(work))


@router.get("/{call_task_id}", response_model=CallTaskInFull, summary="Show a call task")
async def show(context: Context, access: MayReadCalls, call_task_id: UUID) -> Response:
    """Return the contacts to call, the words to say, and the outcomes of earlier calls."""
    now = context.clock.now()
    provider, language = context.sealing.provider.name, access.caller.language
    found = await access.read(lambda tx: task_in_full(tx, call_task_id, provider=provider, language=language))
    return json_response(_in_full(found, now), headers={"ETag": etag(found.item.task.version)})


@router.post("/{call_task_id}/calls", response_model=CallTaskInFull, status_code=201, summary="Record a call")
async def record(
    request: Request,
    context: Context,
    access: MayChangeCalls,
    call_task_id: UUID,
    body: CallIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record a call as evidence, which never changes. A call that reached a person ends the task."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        report = CallReport(
            number=body.number,
            called_at=body.called_at or act.now,
            outcome=body.outcome,
            contact_id=body.contact_id,
            spoke_to=body.spoke_to,
            note=body.note,
            read_out=body.read_out,
        )
        record_call(tx, act, call_task_id, _expected(tx, call_task_id, if_match), report)
        return _answer(tx, context, access.caller.language, call_task_id, act.now, status=201)

    return await change(request, access, idempotency_key, work)


@router.post("/{call_task_id}/close", response_model=CallTaskInFull, summary="Close a call task")
async def close(
    request: Request,
    context: Context,
    access: MayChangeCalls,
    call_task_id: UUID,
    body: ReasonIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Close a task although nobody was reached. No other task is opened for the same reason."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        close_call_task(tx, act, call_task_id, _expected(tx, call_task_id, if_match), body.reason)
        return _answer(tx, context, access.caller.language, call_task_id, act.now)

    return await change(request, access, idempotency_key, work)


@router.post("/{call_task_id}/reopen", response_model=CallTaskInFull, summary="Open a call task again")
async def reopen(
    request: Request,
    context: Context,
    access: MayChangeCalls,
    call_task_id: UUID,
    body: ReasonIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Open a task again; 409 if a task is open, or if the customer got the notice by another way."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        reopen_call_task(tx, act, call_task_id, _expected(tx, call_task_id, if_match), body.reason)
        return _answer(tx, context, access.caller.language, call_task_id, act.now)

    return await change(request, access, idempotency_key, work)


def _expected(tx: AccessTransaction, call_task_id: UUID, if_match: str | None) -> int:
    def current() -> int:
        task = tx.escalations.call_task(call_task_id)
        return 0 if task is None else task.version

    return expected_version(if_match, current)


def _answer(
    tx: AccessTransaction, context: Context, language: str, call_task_id: UUID, now: datetime, status: int = 200
) -> Answer:
    found = task_in_full(tx, call_task_id, provider=context.sealing.provider.name, language=language)
    return Answer(_in_full(found, now), status, {"ETag": etag(found.item.task.version)})


def _fields(item: Task, now: datetime) -> dict[str, Any]:
    task: CallTask = item.task
    return {
        "id": task.id,
        "notice_id": task.notice_id,
        "incident_id": item.notice.incident_id,
        "ticket": item.ticket,
        "customer_id": task.customer_id,
        "customer_name": item.customer.name,
        "reason": task.reason,
        "state": task.state,
        "opened_at": task.opened_at,
        "due_at": task.due_at,
        "overdue": item.is_overdue(now),
        "closed_at": task.closed_at,
        "calls": len(item.calls),
        "version": task.version,
    }


def _in_full(found: TaskInFull, now: datetime) -> CallTaskInFull:
    callees = [
        CalleeOut.model_construct(
            contact_id=callee.contact.id,
            name=callee.contact.name,
            role=callee.contact.role.value,
            order=callee.contact.order,
            fallback=callee.contact.fallback,
            number=callee.contact.phone,
            script=ScriptOut.model_construct(
                language=callee.script.language, say=list(callee.script.say), voicemail=callee.script.voicemail
            ),
        )
        for callee in found.callees
    ]
    return CallTaskInFull.model_construct(
        **_fields(found.item, now),
        tlp=found.tlp,
        callees=callees,
        guidance=list(found.guidance),
        records=[_call(record) for record in found.item.calls],
    )


def _call(record: CallRecord) -> CallOut:
    return CallOut.model_construct(
        id=record.id,
        contact_id=record.contact_id,
        number=record.number,
        called_at=record.called_at,
        called_by=record.called_by,
        outcome=record.outcome,
        spoke_to=record.spoke_to,
        note=record.note,
    )
