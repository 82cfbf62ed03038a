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
    #: to be attempted now; among them those whose lease ran out
    due: int = 0
    #: to be attempted later
    waiting: int = 0
    #: under way
    leased: int = 0
    #: taken by a worker that did not finish in time, and free again
    lease_expired: int = 0
    #: failed for good
    failed: int = 0
    #: since when the oldest that is due has been due
    oldest_due_at: datetime | None = None
    #: the nearest deadline of a notice that is not delivered
    nearest_deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class LogFigures:
    """How far the log has come."""

    #: entries under a signed checkpoint
    size: int = 0
    #: entries that wait for one
    pending: int = 0
    #: when the oldest of those was written
    oldest_pending_at: datetime | None = None
    #: when the newest entry under a checkpoint was written
    newest_sequenced_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """All of it, from one snapshot."""

    queues: tuple[QueueFigures, ...]
    log: LogFigures
    #: notices by state, of those that are not sealed: ``draft``, ``released``
    unsealed: Mapping[str, int]
    #: their nearest deadlines, by state
    unsealed_deadlines: Mapping[str, datetime]
    #: released notices that something holds, by the reason as recorded
    held: Mapping[str, int]
    #: what seals still lack: ``timestamp``, ``proof``
    owed: Mapping[str, int]
    #: mails of the service's own by state: ``queued``, ``failed``
    mails: Mapping[str, int]
    #: alerts that nobody saw, by kind
    open_alerts: Mapping[str, int]
    #: customers that have no active contact
    without_contact: int = 0
    #: webhook endpoints by state
    endpoints: Mapping[str, int] = field(default_factory=dict)
    #: calls that wait for a person
    open_calls: int = 0
    #: channels that are paused now
    paused: frozenset[str] = frozenset()


def hold_kind(reason: str) -> str:
    """Return what kind of thing holds a notice: ``log``, ``signing``, ``sender`` or ``other``; its words name files."""
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
