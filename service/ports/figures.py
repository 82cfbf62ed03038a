"""Numbers about the store, for metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from notifications.delivery.delivery import ChannelKind, OutcomeKind


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The deliveries of one channel that are not done."""

    channel: str
    #: due now, including those with an expired lease
    due: int = 0
    #: due later
    waiting: int = 0
    #: in progress
    leased: int = 0
    #: leased by a worker that did not finish in time; they can be leased again
    lease_expired: int = 0
    #: failed for good
    failed: int = 0
    #: since when the oldest due delivery has been due
    oldest_due_at: datetime | None = None
    #: the nearest deadline of a notice that is not delivered
    nearest_deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class LogFigures:
    """The progress of the log."""

    #: entries covered by a signed checkpoint
    size: int = 0
    #: entries that no checkpoint covers yet
    pending: int = 0
    #: when the oldest pending entry was written
    oldest_pending_at: datetime | None = None
    #: when the newest entry covered by a checkpoint was written
    newest_sequenced_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """All figures, from one snapshot."""

    queues: tuple[QueueFigures, ...]
    log: LogFigures
    #: number of notices that are not sealed, without those of exercises, by state: ``draft``, ``released``
    unsealed: Mapping[str, int]
    #: nearest deadline of these notices, by state
    unsealed_deadlines: Mapping[str, datetime]
    #: number of released notices that are held, by recorded reason
    held: Mapping[str, int]
    #: number of seals with a missing part, by part: ``timestamp``, ``proof``
    owed: Mapping[str, int]
    #: number of the service's own mails by state: ``queued``, ``failed``
    mails: Mapping[str, int]
    #: number of alerts that nobody has acknowledged, by kind
    open_alerts: Mapping[str, int]
    #: customers that have no active contact
    without_contact: int = 0
    #: webhook endpoints by state
    endpoints: Mapping[str, int] = field(default_factory=dict)
    #: calls that wait for a person
    open_calls: int = 0
    #: exercises that are not closed; they are in none of the numbers of notices
    open_exercises: int = 0
    #: channels that are paused now
    paused: frozenset[str] = frozenset()


def hold_reason_kind(reason: str) -> str:
    """Return the kind of a hold reason: ``log``, ``signing``, ``sender`` or ``other``.

    Metrics show the kind, because the reason itself may contain file names.
    """
    if reason.startswith("the audit log"):
        return "log"
    if reason.startswith("the From address"):
        return "sender"
    return "signing" if "certificate" in reason or reason.startswith("key ") else "other"


class FigureRepository(Protocol):
    """Numbers about the store, for metrics."""

    def collect(self, now: datetime) -> StoreFigures:
        """Return how the service fares, in numbers. Costs what is open, not what was ever done."""
        ...

    def recent_outcomes(self, since: datetime, limit: int) -> Mapping[tuple[ChannelKind, OutcomeKind], int]:
        """Return how many of the last ``limit`` attempts that ended after a moment came to what, by channel."""
        ...
