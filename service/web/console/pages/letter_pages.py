"""The pages of letter tasks: the list, and one letter with its posting and its return slip."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from notifications.errors import Fault, GreffierError, InvalidInputError, StateConflictError, VersionMismatchError
from notifications.ports import LetterOutcome
from notifications.use_cases.announcements.letters import attach_slip, close_letter, record_outcome, record_posting
from notifications.use_cases.audit_context import AuditContext
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.announcements.letters import letter_out, read_slip
from service.web.api.requests import Context
from service.web.console.failures import PageRoute
from service.web.console.forms import form_of, see_other, stated_version
from service.web.console.listing import access_under
from service.web.console.rendering import page

router = APIRouter(prefix="/letters", route_class=PageRoute, include_in_schema=False)

MayRead = Annotated[Access, Depends(Requires(Permission.ANNOUNCEMENT_READ))]
MayChange = Annotated[Access, Depends(Requires(Permission.ANNOUNCEMENT_CHANGE))]

_SHOWN = 200


@router.get("")
async def list_page(request: Request, access: MayRead) -> Response:
    """Show the letters to post, and those whose return slip is missing."""
    act = access.act()
    found = await access.read(lambda tx: [letter_out(tx, each, act) for each in tx.announcements.open_letters(_SHOWN)])
    return page(request, "letters", access.caller, {"letters": found})


@router.get("/{letter_id}")
async def one_page(request: Request, access: MayRead, letter_id: UUID) -> Response:
    """Show one letter, with the forms that the caller may use."""
    return await _one(request, access, letter_id)


@router.post("/{letter_id}/posting")
async def posting(request: Request, access: MayChange, letter_id: UUID) -> Response:
    """Record the posting number and the date."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        try:
            posted_on = date.fromisoformat(form["posted_on"])
        except ValueError:
            raise InvalidInputError(Fault("posted_on", "must be a date")) from None
        record_posting(
            tx, act, letter_id, stated_version(form["version"]), number=form["posting_number"], posted_on=posted_on
        )

    return await _done(request, access, letter_id, work)


@router.post("/{letter_id}/slip")
async def slip(request: Request, access: MayChange, letter_id: UUID) -> Response:
    """Keep the return slip."""
    form, sent = await form_of(request), await request.form()
    file = sent.get("slip")
    content = await file.read() if isinstance(file, UploadFile) else b""
    await sent.close()

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        attach_slip(tx, act, letter_id, stated_version(form["version"]), content)

    return await _done(request, access, letter_id, work)


@router.get("/{letter_id}/slip")
async def slip_file(access: MayRead, letter_id: UUID) -> Response:
    """Return the return slip as a file."""
    return await read_slip(access, letter_id)


@router.post("/{letter_id}/outcome")
async def outcome(request: Request, context: Context, access: MayChange, letter_id: UUID) -> Response:
    """Record what the return slip says."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        try:
            said, on = LetterOutcome(form["outcome"]), date.fromisoformat(form["outcome_on"])
        except ValueError:
            raise InvalidInputError(Fault("outcome_on", "must be an outcome and a date")) from None
        version = stated_version(form["version"])
        record_outcome(tx, act, letter_id, version, context.agreements, outcome=said, outcome_on=on)

    return await _done(request, access, letter_id, work)


@router.post("/{letter_id}/close")
async def close(request: Request, access: MayChange, letter_id: UUID) -> Response:
    """Close a letter whose slip is attached."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        close_letter(tx, act, letter_id, stated_version(form["version"]))

    return await _done(request, access, letter_id, work)


async def _done(request: Request, access: Access, letter_id: UUID, work: Any) -> Response:
    try:
        await access.write(work)
    except InvalidInputError as error:
        return await _one(request, access, letter_id, error=error, status=422)
    except (StateConflictError, VersionMismatchError) as error:
        return await _one(request, access, letter_id, error=error, status=409)
    return see_other(f"/letters/{letter_id}")


def _refusals(error: GreffierError | None) -> list[str]:
    """Return the keys of the words that say why an act was refused."""
    if isinstance(error, InvalidInputError):
        return [f"letters.refused_{fault.field}" for fault in error.faults]
    if isinstance(error, VersionMismatchError):
        return ["letters.refused_changed"]
    return [] if error is None else ["letters.refused_order"]


async def _one(
    request: Request, access: Access, letter_id: UUID, *, error: GreffierError | None = None, status: int = 200
) -> Response:
    act, reading = access.act(), access_under(access, Permission.ANNOUNCEMENT_READ) or access
    found = await reading.read(lambda tx: letter_out(tx, tx.announcements.require_letter(letter_id), act))
    values = {
        "letter": found,
        "may_change": access.may(Permission.ANNOUNCEMENT_CHANGE),
        "may_read_notice": access.may(Permission.NOTICE_READ),
        "outcomes": [each.value for each in LetterOutcome],
        "refusals": _refusals(error),
        "makes_pdfs": request.app.state.api_context.sealing.pdf_maker is not None,
    }
    return page(request, "letter", access.caller, values, status=status)
