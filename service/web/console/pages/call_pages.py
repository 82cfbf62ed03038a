"""The pages of calls: the list of tasks, and one task with numbers, words and the form for the outcome of a call."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.delivery.call_task import CallOutcome
from notifications.errors import Fault, InvalidInputError, StateConflictError, VersionMismatchError
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.manage_calls import CallReport, close_call_task, record_call, reopen_call_task
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.delivery.calls import open_tasks, task_in_full
from service.ports.store import AccessTransaction
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, see_other, stated_version
from service.web.console.rendering import page, reader_language

router = APIRouter(prefix="/calls", route_class=PageRoute, include_in_schema=False)

MayReadCalls = Annotated[Access, Depends(Requires(Permission.CALL_READ))]
MayChangeCalls = Annotated[Access, Depends(Requires(Permission.CALL_CHANGE))]

_SHOWN = 200
_LINE_CHARACTERS = 200
_NOTE_CHARACTERS = 2000
_MAX_MINUTES = 24 * 60
#: Messages about the last change that a page may show.
_DONE = frozenset({"recorded", "closed", "reopened"})
#: The choice of a number that belongs to no contact.
_OTHER = "other"


@router.get("")
async def board(request: Request, access: MayReadCalls) -> Response:
    """Show the customers to call, nearest deadline first."""
    now = access.clock.now()
    tasks, complete = await access.read(lambda tx: open_tasks(tx, _SHOWN))
    return page(request, "calls", access.caller, {"tasks": tasks, "complete": complete, "now": now})


@router.get("/{call_task_id}")
async def call_page(request: Request, access: MayReadCalls, call_task_id: UUID, done: str = "") -> Response:
    """Show one task, with the forms that the caller may use."""
    return await _shown(request, access, call_task_id, done=done if done in _DONE else "")


@router.post("/{call_task_id}/calls")
async def record(request: Request, access: MayChangeCalls, call_task_id: UUID) -> Response:
    """Record a call."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        record_call(tx, act, call_task_id, stated_version(form["version"]), _report(tx, act, call_task_id, form))

    return await _done(request, access, call_task_id, form, work, "recorded")


@router.post("/{call_task_id}/close")
async def close(request: Request, access: MayChangeCalls, call_task_id: UUID) -> Response:
    """Close a task although nobody was reached."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        close_call_task(tx, act, call_task_id, stated_version(form["version"]), _line(form, "reason"))

    return await _done(request, access, call_task_id, form, work, "closed")


@router.post("/{call_task_id}/reopen")
async def reopen(request: Request, access: MayChangeCalls, call_task_id: UUID) -> Response:
    """Open a task again."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        reopen_call_task(tx, act, call_task_id, stated_version(form["version"]), _line(form, "reason"))

    return await _done(request, access, call_task_id, form, work, "reopened")


async def _done(request: Request, access: Access, call_task_id: UUID, form: Form, work: Any, what: str) -> Response:
    """Make a change and show the task. If the change is refused, the form keeps its input."""
    try:
        await access.write(work)
    except InvalidInputError as error:
        problems = sorted({f"calls.problem_{fault.field}" for fault in error.faults})
        return await _shown(request, access, call_task_id, form=form, problems=problems, status=422)
    except VersionMismatchError:
        return await _shown(request, access, call_task_id, form=form, problems=["calls.problem_version"], status=412)
    except StateConflictError:
        return await _shown(request, access, call_task_id, form=form, problems=["calls.problem_state"], status=409)
    return see_other(f"/calls/{call_task_id}?done={what}")


def _line(form: Form, name: str) -> str:
    """Return a field of one line; raises InvalidInputError."""
    stated = form[name].strip()
    if len(stated) > _LINE_CHARACTERS or not stated.isprintable():
        raise InvalidInputError(Fault(name, f"must be one line of at most {_LINE_CHARACTERS} characters"))
    return stated


def _report(tx: AccessTransaction, act: AuditContext, call_task_id: UUID, form: Form) -> CallReport:
    """Return the report of a call from a form; raises InvalidInputError."""
    if form["outcome"] not in set(CallOutcome):
        raise InvalidInputError(Fault("outcome", "must be one of those shown"))
    minutes = form["minutes_ago"].strip() or "0"
    if not (minutes.isascii() and minutes.isdigit() and len(minutes) <= len(str(_MAX_MINUTES))):
        raise InvalidInputError(Fault("called_at", "must be a whole number of minutes"))
    note = form["note"].strip().replace("\r\n", "\n")
    if len(note) > _NOTE_CHARACTERS:
        raise InvalidInputError(Fault("note", f"has more than {_NOTE_CHARACTERS} characters"))
    contact_id, number = _called(tx, call_task_id, form)
    return CallReport(
        number=number,
        called_at=act.now - timedelta(minutes=int(minutes)),
        outcome=CallOutcome(form["outcome"]),
        contact_id=contact_id,
        spoke_to=_line(form, "spoke_to") or None,
        note=note or None,
        read_out=form["read_out"] == "yes",
    )


def _called(tx: AccessTransaction, call_task_id: UUID, form: Form) -> tuple[UUID | None, str]:
    """Return the called contact and number. A number typed beside a contact is another number of that contact."""
    typed = _line(form, "other_number")
    if form["whom"] == _OTHER:
        return None, typed
    task = tx.escalations.call_task(call_task_id)
    contacts = [] if task is None else tx.customers.contacts(task.customer_id)
    contact = next((item for item in contacts if str(item.id) == form["whom"]), None)
    if contact is None:
        raise InvalidInputError(Fault("contact_id", "must be one of those shown"))
    return contact.id, typed or contact.phone or ""


async def _shown(
    request: Request,
    access: Access,
    call_task_id: UUID,
    *,
    form: Form | None = None,
    problems: list[str] | None = None,
    done: str = "",
    status: int = 200,
) -> Response:
    provider, now = request.app.state.api_context.sealing.provider.name, access.clock.now()
    language = reader_language(request, access.caller)
    found = await access.read(lambda tx: task_in_full(tx, call_task_id, provider=provider, language=language))
    names = ("whom", "other_number", "outcome", "spoke_to", "minutes_ago", "note", "read_out", "reason")
    values: dict[str, Any] = {
        "full": found,
        "exercise": found.item.notice.exercise,
        "task": found.item.task,
        "now": now,
        "outcomes": list(CallOutcome),
        "may_change": access.may(Permission.CALL_CHANGE),
        "filled": {name: "" if form is None else form[name] for name in names},
        "problems": problems or [],
        "done": done,
        "other": _OTHER,
        "dialled": lambda number: "".join(sign for sign in number if sign.isdigit() or sign == "+"),
    }
    return page(request, "call", access.caller, values, status=status)
