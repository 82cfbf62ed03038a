"""Pause and resume a channel. Deliveries wait during a pause; none is lost."""

from collections.abc import Iterable
from datetime import datetime

from notifications.audit.entry import AuditEntry
from notifications.canonical_json import timestamp_text
from notifications.delivery.delivery import ChannelKind, ChannelPause
from notifications.errors import Fault, InvalidInputError, StateConflictError
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext

#: The console is part of this service. It has no outside destination that could require a pause.
PAUSABLE = (ChannelKind.EMAIL, ChannelKind.WEBHOOK)


def pause_channel(
    tx: Transaction, act: AuditContext, channel: ChannelKind, *, reason: str, until: datetime | None
) -> ChannelPause:
    """Pause a channel: no new attempt starts, and running attempts end normally. This replaces an earlier pause.

    Raises InvalidInputError for the console, for an empty reason, and for an end in the past.
    """
    faults = []
    if channel not in PAUSABLE:
        faults.append(
            Fault("channel", "the console cannot be paused: it is part of this service and has no outside destination")
        )
    if not reason.strip():
        faults.append(Fault("reason", "must say why the channel is paused"))
    if until is not None and until <= act.now:
        faults.append(Fault("until", "must be in the future"))
    if faults:
        raise InvalidInputError(*faults)
    pause = ChannelPause(channel, act.now, act.actor, reason.strip(), until)
    tx.deliveries.pause_channel(pause)
    tx.audit.append([
        act.entry(
            "channel.paused",
            subjects={"channel": channel.value},
            detail={"until": None if until is None else timestamp_text(until)},
            private={"reason": pause.reason},
        )
    ])  # fmt: skip
    return pause


def resume_channel(tx: Transaction, act: AuditContext, channel: ChannelKind) -> None:
    """Resume a channel; raises StateConflictError if it is not paused."""
    if not tx.deliveries.resume_channel(channel):
        raise StateConflictError(f"the channel {channel.value} is not paused")
    tx.audit.append([_resumed(act, channel, by="person")])


def end_pauses(tx: Transaction, act: AuditContext) -> list[ChannelPause]:
    """Remove the pauses whose end has come, each with its audit entry, and return them.

    Such a pause already has no effect before it is removed, see ``is_paused``.
    """
    over = [pause for pause in tx.deliveries.channel_pauses() if not is_paused(pause, act.now)]
    for pause in over:
        tx.deliveries.resume_channel(pause.channel)
        tx.audit.append([_resumed(act, pause.channel, by="end")])
    return over


def is_paused(pause: ChannelPause, now: datetime) -> bool:
    """Return whether a pause has effect. It has none after its end, even if it is still stored."""
    return pause.until is None or pause.until > now


def paused_channels(pauses: Iterable[ChannelPause], now: datetime) -> frozenset[ChannelKind]:
    """Return the channels that are paused now."""
    return frozenset(pause.channel for pause in pauses if is_paused(pause, now))


def _resumed(act: AuditContext, channel: ChannelKind, *, by: str) -> AuditEntry:
    return act.entry("channel.resumed", subjects={"channel": channel.value}, detail={"by": by})
