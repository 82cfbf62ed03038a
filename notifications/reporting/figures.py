"""The figures of a report: times of intervention against their target, times to notice, notices in time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from notifications.agreement import DeadlineBinding

_PERMILLE = 1000
_PERCENT = 100
_PERCENTILE = 95


class InterventionOutcome(StrEnum):
    """Whether the first intervention on one incident was within the GTI of one agreement."""

    IN_TIME = "in_time"
    LATE = "late"
    #: no intervention is recorded, and the GTI is over
    MISSING = "missing"
    #: no intervention is recorded, and the GTI is not over
    RUNNING = "running"
    #: declared by a release that did not record interventions: nobody can say whether it was in time
    NOT_RECORDED = "not_recorded"
    #: the agreement guarantees no time for the priority, or the priority was never established
    WITHOUT_GTI = "without_gti"


class NoticeOutcome(StrEnum):
    """Whether a customer was notified by the deadline."""

    IN_TIME = "in_time"
    #: after the deadline; after a soft deadline this is "after the time aimed at" and breaks no promise
    AFTER = "after"
    #: the deadline is over, and the customer is not notified
    MISSING = "missing"
    #: the deadline is not over, and the customer is not notified
    AWAITED = "awaited"


@dataclass(frozen=True, slots=True)
class ServiceLevelRow:
    """The incidents of one priority under one agreement."""

    agreement: str
    priority: str | None
    gti_seconds: int | None
    target_percent: int | None
    #: incidents by outcome
    in_time: int
    late: int
    missing: int
    running: int
    not_recorded: int
    without_gti: int
    #: incidents whose priority was another one when their ticket was opened
    changed: int

    @property
    def opened(self) -> int:
        """The number of incidents."""
        return self.measured + self.running + self.not_recorded + self.without_gti

    @property
    def measured(self) -> int:
        """The number of incidents that the share is of."""
        return self.in_time + self.late + self.missing

    @property
    def share_permille(self) -> int | None:
        """The share in time, rounded down; None if nothing was measured."""
        return _PERMILLE * self.in_time // self.measured if self.measured else None

    @property
    def is_target_met(self) -> bool | None:
        """Whether the share reaches the target, exactly; None without a target or a measurement."""
        if self.target_percent is None or not self.measured:
            return None
        return _PERCENT * self.in_time >= self.target_percent * self.measured


@dataclass(frozen=True, slots=True)
class TimeSpread:
    """How long a number of notices took, in whole seconds; None if there is none."""

    notices: int
    #: notices of incidents for which the start is not recorded
    not_recorded: int
    minimum_seconds: int | None
    #: rounded down
    mean_seconds: int | None
    #: by nearest rank
    percentile_95_seconds: int | None
    maximum_seconds: int | None


@dataclass(frozen=True, slots=True)
class TimelinessRow:
    """The notices that were due, by how their deadline binds."""

    binding: DeadlineBinding
    in_time: int
    after: int
    missing: int

    @property
    def due(self) -> int:
        """The number of notices whose deadline is over, or which were served."""
        return self.in_time + self.after + self.missing

    @property
    def share_permille(self) -> int | None:
        """The share in time, rounded down; None if none was due."""
        return _PERMILLE * self.in_time // self.due if self.due else None


@dataclass(frozen=True, slots=True)
class AnnouncementRow:
    """The announcements of one kind: each customer of each of them that was owed a notice by now, or got one."""

    #: id of the kind of notice; None if no entry states it
    kind: str | None
    in_time: int
    #: after a time that is to be met where possible, or that has no number
    after_aim: int
    #: after a limit of the agreement
    late: int
    #: the time is over, and the customer is not notified
    missing: int

    @property
    def due(self) -> int:
        """The number of notices whose time is over, or which were served."""
        return self.in_time + self.after_aim + self.late + self.missing

    @property
    def share_permille(self) -> int | None:
        """The share in time, rounded down; None if none was due."""
        return _PERMILLE * self.in_time // self.due if self.due else None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of all customers, or of one."""

    #: by agreement, most urgent priority first
    service_levels: tuple[ServiceLevelRow, ...]
    from_detection: TimeSpread
    from_awareness: TimeSpread
    #: every binding, also those of no notice
    timeliness: tuple[TimelinessRow, ...]
    #: by kind
    announcements: tuple[AnnouncementRow, ...]


def nearest_rank(ordered: Sequence[int], percent: int) -> int:
    """Return the percentile of values in ascending order: the smallest that so many percent do not exceed.

    This is the nearest-rank method. It returns a value that occurred and interpolates nothing. Raises IndexError for no
    value.
    """
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


def spread_of(seconds: Iterable[int], not_recorded: int) -> TimeSpread:
    """Return the spread of durations."""
    ordered = sorted(seconds)
    if not ordered:
        return TimeSpread(0, not_recorded, None, None, None, None)
    mean = sum(ordered) // len(ordered)
    return TimeSpread(len(ordered), not_recorded, ordered[0], mean, nearest_rank(ordered, _PERCENTILE), ordered[-1])
