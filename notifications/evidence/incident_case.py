"""One customer in one incident, from the leaves of the log: what is kept of them, and the status that follows.

The status is that of the first notice. A deadline of the agreement that only a later decision states, such as that of a
breach found afterwards, is met only by a notice that states this decision or a later one.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from notifications.agreement import DeadlineBinding
from notifications.decision import DueKind
from notifications.evidence.notification_report import ReportStatus
from notifications.evidence.report_status import NO_NOTIFICATION, status_of


@dataclass(frozen=True, slots=True)
class KeptDecision:
    """The parts of a decision that are kept. The whole leaves of 10,000 customers would need too much memory."""

    index: int
    at: datetime
    actor: str
    #: version of the facts
    version: int
    verdict: str
    due_at: datetime | None
    due_kind: str
    binding: DeadlineBinding
    target_at: datetime | None
    reasons: tuple[str, ...]
    duties: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The acceptance of one attempt."""

    channel: str
    at: datetime
    index: int
    notice: str


@dataclass(slots=True)
class IncidentCase:
    """What is kept of the leaves about one customer in one incident."""

    decisions: list[KeptDecision] = field(default_factory=list)
    indices: "array[int]" = field(default_factory=lambda: array("q"))
    #: by delivery and number of the attempt
    accepted: dict[tuple[str, int], Accepted] = field(default_factory=dict)
    #: time, entry, notice, and the version of the facts that the notice states
    released: list[tuple[datetime, int, str, int]] = field(default_factory=list)
    drafted: str | None = None


@dataclass(frozen=True, slots=True)
class JudgedCase:
    """The status by decisions to notify, the one whose deadline counts, and the first release and notification."""

    status: ReportStatus
    stating: KeptDecision | None
    released: tuple[datetime, int, str, int] | None
    notified: Accepted | None


def judged_case(case: IncidentCase, as_of: datetime, *, by_first_notice: bool = False) -> JudgedCase:
    """Judge by all notices, and then by those that state a deadline of the agreement that the first one did not.

    The status is that of the first notice, unless such a later deadline is not over yet or was missed. With
    ``by_first_notice`` it is always that of the first notice.
    """
    owed = [item for item in case.decisions if item.verdict == "notify"]
    judged, later = _judged(case, owed, as_of), _owed_later(case, owed)
    if by_first_notice or not later:
        return judged
    of_later = _judged(case, later, as_of, later[0].version)
    return judged if of_later.status is ReportStatus.NOTIFIED else of_later


def _judged(case: IncidentCase, owed: Sequence[KeptDecision], as_of: datetime, version: int = 0) -> JudgedCase:
    """Judge decisions to notify by the notices that state at least this version of the facts; by all of them with 0."""
    releases = [item for item in case.released if item[3] >= version]
    stated = {notice for _, _, notice, _ in releases}
    notifying = (
        item
        for item in case.accepted.values()
        if item.channel not in NO_NOTIFICATION and (version == 0 or item.notice in stated)
    )
    notified = min(notifying, key=lambda item: (item.at, item.index), default=None)
    stating = _stating(owed, as_of if notified is None else notified.at)
    due = None if stating is None else stating.due_at
    is_hard = stating is not None and stating.binding is DeadlineBinding.HARD
    verdict = case.decisions[-1].verdict if case.decisions else ""
    status = status_of(verdict, due, None if notified is None else notified.at, as_of, is_hard=is_hard)
    return JudgedCase(status, stating, min(releases, default=None), notified)


def _owed_later(case: IncidentCase, owed: Sequence[KeptDecision]) -> list[KeptDecision]:
    """Return the decisions with a deadline of the agreement, if the first notice rests on one without.

    Empty if the last decision has no such deadline any more, or no duty that the first notice does not rest on: then
    the customer has what it is owed.
    """
    versions = {notice: version for _, _, notice, version in case.released}
    told = [
        versions[item.notice]
        for item in case.accepted.values()
        if item.channel not in NO_NOTIFICATION and item.notice in versions
    ]
    version = min(told, default=0)
    resting_on = next((item for item in reversed(case.decisions) if item.version <= version), None)
    last = case.decisions[-1] if case.decisions else None
    if resting_on is None or last is None or _is_of_agreement(resting_on) or not _is_of_agreement(last):
        return []
    if set(last.duties) <= set(resting_on.duties):
        return []
    return [item for item in owed if item.version > version and _is_of_agreement(item)]


def _is_of_agreement(decision: KeptDecision) -> bool:
    return decision.verdict == "notify" and decision.due_kind == DueKind.CONTRACTUAL


def _stating(owed: Sequence[KeptDecision], at: datetime) -> KeptDecision | None:
    """Return the decision whose deadline counts: the earliest missed limit of the agreement, else the earliest time."""
    dated = sorted((item for item in owed if item.due_at), key=lambda item: (item.due_at, item.index))
    missed = (
        item for item in dated if item.binding is DeadlineBinding.HARD and item.due_at is not None and item.due_at < at
    )
    return next(missed, dated[0] if dated else None)
