"""Pause a channel, and resume it: nothing that is owed is lost meanwhile, everything waits in its order."""

from collections.abc import Iterable
from datetime import datetime

from notifications.audit.entry import AuditEntry
from notifications.canonical_json import timestamp_text
from notifications.delivery.delivery import ChannelKind, ChannelPause
from notifications.errors import Fault, InvalidInputError, StateConflictError
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext

#: The console is this service's own: what stands in the way there is no destination.
PAUSABLE = (ChannelKind.EMAIL, ChannelKind.WEBHOOK)


def pause_channel(
    tx: Transaction, act: AuditContext, channel: ChannelKind, *, reason: str, until: datetime | None
) -> ChannelPause:
    """Stop handing over notices by a channel; what is under way ends. In place of an earlier pause.

    Raises InvalidInputError for a channel that is never paused, no reason, or an end that is past.
    """
    faults = []
    if channel not in PAUSABLE:
        faults.append(Fault("channel", "the console is never paused: notices are placed there without a destination"))
    if not reason.strip():
        faults.append(Fault("reason", "must say why, for whoever finds the channel paused"))
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
    """Hand over by a channel again; raises StateConflictError where it is not paused."""
    if not tx.deliveries.resume_channel(channel):
        raise StateConflictError(f"the channel {channel.value} is not paused")
    tx.audit.append([_resumed(act, channel, by="person")])


def end_pauses(tx: Transaction, act: AuditContext) -> list[ChannelPause]:
    """Take away the pauses whose end has come, each with its entry; returns them. They count no more in any case."""
    over = [pause for pause in tx.deliveries.channel_pauses() if not is_paused(pause, act.now)]
    for pause in over:
        tx.deliveries.resume_channel(pause.channel)
        tx.audit.append([_resumed(act, pause.channel, by="end")])
    return over


def is_paused(pause: ChannelPause, now: datetime) -> bool:
    """Whether a pause holds: one whose end has come does not, whether or not anybody took it away."""
    return pause.until is None or pause.until > now


def paused_channels(pauses: Iterable[ChannelPause], now: datetime) -> frozenset[ChannelKind]:
    """Return the channels that nothing is handed over by now."""
    return frozenset(pause.channel for pause in pauses if is_paused(pause, now))


def _resumed(act: AuditContext, channel: ChannelKind, *, by: str) -> AuditEntry:
    return act.entry("channel.resumed", subjects={"channel": channel.value}, detail={"by": by})
