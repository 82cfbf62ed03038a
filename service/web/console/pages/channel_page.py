"""The page of the channels: what waits for each channel, and forms that pause and resume it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.delivery.delivery import ChannelKind
from notifications.errors import Fault, InvalidInputError
from notifications.use_cases.notices.pause_channel import PAUSABLE, pause_channel, resume_channel
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.web.api.operations.channels import channels_now, configured_channels
from service.web.console.failures import PageRoute
from service.web.console.forms import form_of, see_other
from service.web.console.rendering import page

router = APIRouter(prefix="/channels", route_class=PageRoute, include_in_schema=False)

MayReadChannels = Annotated[Access, Depends(Requires(Permission.CHANNEL_READ))]
MayChangeChannels = Annotated[Access, Depends(Requires(Permission.CHANNEL_CHANGE))]

_REASON_CHARACTERS = 200
_MAX_HOURS = 24 * 30
#: Messages about the last change that a page may show.
_DONE = frozenset({"paused", "resumed"})


@router.get("")
async def channels_page(request: Request, access: MayReadChannels, done: str = "") -> Response:
    """Show every channel, with the forms that the caller may use."""
    return await _shown(request, access, done=done if done in _DONE else "")


@router.post("/{channel}/pause")
async def pause(request: Request, access: MayChangeChannels, channel: ChannelKind) -> Response:
    """Pause a channel for a number of hours, or until a person resumes it."""
    form = await form_of(request)
    try:
        reason, until = _reason(form["reason"].strip()), _end(form["hours"].strip(), access.clock.now())
        await access.write(lambda tx, act: pause_channel(tx, act, channel, reason=reason, until=until))
    except InvalidInputError as error:
        return await _shown(request, access, error=error, status=422)
    return see_other("/channels?done=paused")


@router.post("/{channel}/resume")
async def resume(access: MayChangeChannels, channel: ChannelKind) -> Response:
    """Resume a channel."""
    await access.write(lambda tx, act: resume_channel(tx, act, channel))
    return see_other("/channels?done=resumed")


def _reason(reason: str) -> str:
    """Return the reason in a form; raises InvalidInputError."""
    if not reason or len(reason) > _REASON_CHARACTERS or not reason.isprintable():
        raise InvalidInputError(Fault("reason", f"must be one line of at most {_REASON_CHARACTERS} characters"))
    return reason


def _end(hours: str, now: datetime) -> datetime | None:
    """Return the end of a pause from a form; raises InvalidInputError."""
    if not hours:
        return None
    if not (hours.isascii() and hours.isdigit() and len(hours) <= len(str(_MAX_HOURS))):
        raise InvalidInputError(Fault("hours", "must be a whole number"))
    if not 1 <= int(hours) <= _MAX_HOURS:
        raise InvalidInputError(Fault("hours", f"must be from 1 to {_MAX_HOURS}"))
    return now.astimezone(UTC) + timedelta(hours=int(hours))


async def _shown(
    request: Request, access: Access, *, done: str = "", error: InvalidInputError | None = None, status: int = 200
) -> Response:
    configured = configured_channels(request.app.state.api_context.settings)
    now = access.clock.now()
    values: dict[str, Any] = {
        "channels": await access.read(lambda tx: channels_now(tx, now, configured)),
        "pausable": PAUSABLE,
        "may_change": access.may(Permission.CHANNEL_CHANGE),
        "done": done,
        "problems": [] if error is None else sorted({f"channels.problem_{fault.field}" for fault in error.faults}),
    }
    return page(request, "channels", access.caller, values, status=status)
