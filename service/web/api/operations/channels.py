"""Channels: whether they are paused, what waits for them, and how to pause and resume them."""

from collections.abc import Mapping
from datetime import datetime

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from notifications.delivery.delivery import ChannelKind, ChannelPause
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.pause_channel import is_paused, pause_channel, resume_channel
from service.ports.figures import QueueFigures
from service.ports.store import AccessTransaction
from service.settings import Settings
from service.web.api.fields import Line, Moment, Out, Schema
from service.web.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
    MayChangeChannels,
    MayReadChannels,
    change,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/channels", tags=["channels"])


class PauseOut(Out):
    """A pause in force."""

    paused_at: Moment
    paused_by: str
    reason: str
    until: Moment | None = Field(description="When it resumes by itself; null for when somebody resumes it.")


class ChannelOut(Out):
    """One channel, with its unfinished deliveries."""

    kind: ChannelKind
    configured: bool = Field(description="Whether this service has what it takes to send by it.")
    pause: PauseOut | None
    due: int = Field(description="Deliveries to be attempted now.")
    waiting: int = Field(description="Deliveries to be attempted later.")
    leased: int = Field(description="Deliveries under way.")
    failed: int = Field(description="Deliveries that failed for good.")
    oldest_due_at: Moment | None = Field(description="Since when the oldest that is due has been due.")
    nearest_deadline: Moment | None


class ChannelList(Out):
    """All channels."""

    items: list[ChannelOut]


class PauseIn(Schema):
    """The reason and the end of a pause."""

    reason: Line = Field(description="For people who find the channel paused. The log keeps it as a commitment.")
    until: Moment | None = Field(None, description="When it resumes by itself; null or left out for never.")


@router.get("", response_model=ChannelList, summary="List channels")
async def list_channels(context: Context, access: MayReadChannels) -> Response:
    """Return every channel with its pause, if any, and its unfinished deliveries."""
    now, configured = context.clock.now(), configured_channels(context.settings)
    found = await access.read(lambda tx: channels_now(tx, now, configured))
    return json_response(ChannelList(items=found))


@router.post("/{channel}/pause", response_model=ChannelOut, summary="Pause a channel")
async def pause(
    request: Request,
    context: Context,
    access: MayChangeChannels,
    channel: ChannelKind,
    body: PauseIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Stop a channel until it is resumed or until the end of the pause. Attempts in progress are finished.

    Nothing is lost: notices are sealed, and deliveries wait in their order. The service still sends its own mails. A
    channel that is paused already gets the new reason and the new end.
    """
    configured = configured_channels(context.settings)

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        pause_channel(tx, act, channel, reason=body.reason, until=body.until)
        return Answer(_one(tx, act.now, configured, channel))

    return await change(request, access, idempotency_key, work)


@router.post("/{channel}/resume", response_model=ChannelOut, summary="Resume a channel")
async def resume(
    request: Request,
    context: Context,
    access: MayChangeChannels,
    channel: ChannelKind,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Resume a channel, nearest deadline first; 409 if it is not paused."""
    configured = configured_channels(context.settings)

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        resume_channel(tx, act, channel)
        return Answer(_one(tx, act.now, configured, channel))

    return await change(request, access, idempotency_key, work)


def configured_channels(settings: Settings) -> frozenset[ChannelKind]:
    """Return the channels that are configured completely."""
    mail = {ChannelKind.EMAIL} if settings.mail.host is not None else set[ChannelKind]()
    return frozenset({ChannelKind.CONSOLE, ChannelKind.WEBHOOK} | mail)


def channels_now(tx: AccessTransaction, now: datetime, configured: frozenset[ChannelKind]) -> list[ChannelOut]:
    """Return the channels for the API and the console."""
    pauses = {item.channel: item for item in tx.deliveries.channel_pauses() if is_paused(item, now)}
    queues = {item.channel: item for item in tx.figures.collect(now).queues}
    return [_channel(kind, kind in configured, pauses.get(kind), queues) for kind in ChannelKind]


def _one(tx: AccessTransaction, now: datetime, configured: frozenset[ChannelKind], channel: ChannelKind) -> ChannelOut:
    return next(item for item in channels_now(tx, now, configured) if item.kind is channel)


def _channel(
    kind: ChannelKind, configured: bool, paused: ChannelPause | None, queues: Mapping[str, QueueFigures]
) -> ChannelOut:
    queue = queues.get(kind.value, QueueFigures(kind.value))
    return ChannelOut(
        kind=kind,
        configured=configured,
        pause=None
        if paused is None
        else PauseOut(paused_at=paused.paused_at, paused_by=paused.paused_by, reason=paused.reason, until=paused.until),
        due=queue.due,
        waiting=queue.waiting,
        leased=queue.leased,
        failed=queue.failed,
        oldest_due_at=queue.oldest_due_at,
        nearest_deadline=queue.nearest_deadline,
    )
