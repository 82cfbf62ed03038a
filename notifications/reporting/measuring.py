"""Measure the incidents and announcements of a period from the leaves of the log, one leaf at a time.

An incident belongs to the period in which its ticket was opened, which is the moment of its declaration in the log; an
announcement to the period in which it was declared. Exercises are in no number. When a customer was notified, and by
when it had to be, is what ``notifications.evidence.notification_report_builder`` finds; so the reports and the audit
account agree.

The priority that counts for the GTI is the one that was in force when the first intervention started: the team
worked under this one. If none was established then, the first that was established afterwards counts. Without an
intervention the last one counts. An incident whose priority was another one at its opening is counted as changed.

A moment that lies before the opening, or a notice before a corrected awareness, counts as zero seconds.

Not verified here: that these are all leaves, and whether the records are true.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from notifications.agreement import DeadlineBinding
from notifications.audit.entry import Leaf
from notifications.canonical_json import parse_timestamp
from notifications.evidence.notification_report import AnnouncementLine, ReportLine, ReportStatus
from notifications.evidence.notification_report_builder import ReportBuilder
from notifications.reporting.figures import InterventionOutcome, NoticeOutcome
from notifications.reporting.period import Period
from notifications.reporting.service_level import ServiceLevel, parse_service_level

_FACTS = frozenset({"incident.declared", "incident.facts_changed", "incident.closed", "incident.reopened"})
#: Of an announcement: the notice was served, or its time is over. A notice that is awaited nobody may have released.
COUNTED = (ReportStatus.NOTIFIED, ReportStatus.AFTER_AIM, ReportStatus.LATE, ReportStatus.MISSING)
_INTERVENTIONS = frozenset({"intervention.recorded", "intervention.corrected"})


@dataclass(frozen=True, slots=True)
class InterventionMeasure:
    """The first intervention on one incident, by one agreement."""

    level: ServiceLevel
    #: the priority when the ticket was opened
    opened_priority: str | None
    #: from the opening of the ticket to the first intervention; None if none is recorded
    elapsed_seconds: int | None
    outcome: InterventionOutcome

    @property
    def is_changed(self) -> bool:
        """Whether the priority was another one when the ticket was opened. A priority that became known is none."""
        return self.opened_priority is not None and self.opened_priority != self.level.priority


@dataclass(frozen=True, slots=True)
class NoticeMeasure:
    """The first notice of one incident to one customer that had to be notified, or was."""

    #: the customer's pseudonym
    customer: str
    #: the agreement of the customer's last decision, and whether that decision states a priority
    agreement: str
    has_priority: bool
    binding: DeadlineBinding
    due_at: datetime | None
    notified_at: datetime | None
    outcome: NoticeOutcome


@dataclass(frozen=True, slots=True)
class MeasuredIncident:
    """One incident of the period."""

    incident: str
    ticket: str | None
    opened_at: datetime
    #: by the reference agreement, from the last facts
    nature: str | None
    priority: str | None
    #: class of RSIT; None if it is not stated
    rsit_class: str | None
    #: ``no``, ``suspected``, ``confirmed`` or ``unknown``; None in old entries, which did not record it
    personal_data_breach: str | None
    #: whether it is significant (Implementing Regulation 2024/2690), by the last assessment: ``yes``, ``no`` or
    #: ``unknown``; None if nobody assessed it, or in an entry that did not record the result
    significant: str | None
    aware_at: datetime | None
    detected_at: datetime | None
    #: the last record of it, and whether an earlier record was corrected
    intervened_at: datetime | None
    is_corrected: bool
    #: by agreement
    interventions: tuple[InterventionMeasure, ...]
    #: by customer
    notices: tuple[NoticeMeasure, ...]


@dataclass(frozen=True, slots=True)
class AnnouncementMeasure:
    """The first notice of one announcement to one customer that was owed it by now, or got it."""

    #: the customer's pseudonym
    customer: str
    #: id of the kind of notice; None if no entry states it
    kind: str | None
    #: ``NOTIFIED``, ``AFTER_AIM``, ``LATE`` or ``MISSING``
    status: ReportStatus


#: Version of the JSON form: reports of version 1 say nothing of announcements.
REPORT_VERSION = 2


@dataclass(frozen=True, slots=True)
class MeasuredPeriod:
    """The incidents of a period, in the order of the log, as the entries up to a size state them."""

    period: Period
    #: the moment of the measurement: deadlines after it are not over
    as_of: datetime
    #: number of entries that it is computed from
    tree_size: int
    incidents: tuple[MeasuredIncident, ...]
    #: exercises of the period; they are in no other number
    exercises: int
    #: by announcement, then by customer
    announcements: tuple[AnnouncementMeasure, ...] = ()
    version: int = REPORT_VERSION


@dataclass(slots=True)
class _Kept:
    """What is kept of one incident."""

    index: int
    opened_at: datetime
    #: (moment of the entry, level by agreement) of each version of the facts
    levels: list[tuple[datetime, dict[str, ServiceLevel]]] = field(default_factory=list)
    #: the detail of the last facts
    detail: dict[str, object] = field(default_factory=dict)
    records_interventions: bool = False
    intervened_at: datetime | None = None
    is_corrected: bool = False
    significant: str | None = None


class PeriodReader:
    """Takes the leaves in the order of the log. Leaves of other periods and other kinds are passed over.

    ``version``: of the JSON form that is wanted.
    """

    def __init__(self, period: Period, version: int = REPORT_VERSION) -> None:
        self._period, self._version = period, version
        self._notices = ReportBuilder(by_first_notice=version == 1)
        self._incidents: dict[str, _Kept] = {}
        self._exercises: set[str] = set()
        self._announcements: set[str] = set()
        #: by incident and customer: agreement of the last decision, and whether it states a priority
        self._agreements: dict[tuple[str, str], tuple[str, bool]] = {}

    def take(self, index: int, leaf: Leaf) -> None:
        """Take the next leaf."""
        incident = leaf.subjects.get("incident")
        if incident is None:
            self._take_announced(index, leaf)
            return
        if leaf.type == "incident.declared" and self._period.covers(leaf.at):
            if leaf.detail.get("exercise") is True:
                self._exercises.add(incident)
            else:
                self._incidents.setdefault(incident, _Kept(index, leaf.at))
        kept = self._incidents.get(incident)
        if kept is None:
            return
        self._notices.take(index, leaf)
        if leaf.type in _FACTS:
            _take_facts(kept, leaf)
        elif leaf.type in _INTERVENTIONS:
            kept.intervened_at = _time(leaf.detail.get("started_at"))
            kept.is_corrected = leaf.type == "intervention.corrected"
        elif leaf.type == "duty.assessed":
            kept.significant = _text(leaf.detail.get("significant"))
        elif leaf.type == "decision.recorded":
            agreement = str(leaf.detail.get("agreement") or "")
            has_priority = leaf.detail.get("priority") is not None
            self._agreements[incident, leaf.subjects.get("customer", "")] = agreement, has_priority

    def _take_announced(self, index: int, leaf: Leaf) -> None:
        announcement = leaf.subjects.get("announcement")
        if announcement is None or self._version < REPORT_VERSION:
            return
        if leaf.type == "announcement.declared" and self._period.covers(leaf.at):
            self._announcements.add(announcement)
        if announcement in self._announcements:
            self._notices.take(index, leaf)

    def measured(self, as_of: datetime, tree_size: int) -> MeasuredPeriod:
        """Return the measurement at a moment, from the leaves that were taken."""
        found = self._notices.findings(as_of, whole=False)
        aware = {item.incident: item.aware_at for item in found.incidents}
        tickets = {item.incident: item.ticket for item in found.incidents}
        notices: dict[str, list[NoticeMeasure]] = {}
        for line in found.lines:
            if (measure := self._notice(line, as_of)) is not None:
                notices.setdefault(line.incident, []).append(measure)
        incidents = tuple(
            MeasuredIncident(
                incident=incident,
                ticket=tickets.get(incident),
                opened_at=kept.opened_at,
                nature=_text(kept.detail.get("nature")),
                priority=_text(kept.detail.get("priority")),
                rsit_class=_text(kept.detail.get("rsit_class")),
                personal_data_breach=_text(kept.detail.get("personal_data_breach")),
                significant=kept.significant,
                aware_at=aware.get(incident),
                detected_at=_time(kept.detail.get("detected_at")),
                intervened_at=kept.intervened_at,
                is_corrected=kept.is_corrected,
                interventions=tuple(_measures(kept, as_of)),
                notices=tuple(notices.get(incident, ())),
            )
            for incident, kept in sorted(self._incidents.items(), key=lambda item: item[1].index)
        )
        announcements = tuple(
            AnnouncementMeasure(line.customer, line.kind, line.status)
            for line in found.announcements.with_status(*COUNTED)
            if isinstance(line, AnnouncementLine)
        )
        return MeasuredPeriod(
            self._period, as_of, tree_size, incidents, len(self._exercises), announcements, self._version
        )

    def _notice(self, line: ReportLine, as_of: datetime) -> NoticeMeasure | None:
        """Return the measure of a line, or None if the customer neither had to be notified nor was."""
        outcome = _notice_outcome(line, as_of)
        if outcome is None:
            return None
        agreement, has_priority = self._agreements.get((line.incident, line.customer), ("", False))
        binding = line.binding or DeadlineBinding.NO_NUMBER
        return NoticeMeasure(line.customer, agreement, has_priority, binding, line.due_at, line.notified_at, outcome)


def _notice_outcome(line: ReportLine, as_of: datetime) -> NoticeOutcome | None:
    if line.notified_at is not None:
        late = line.due_at is not None and line.notified_at > line.due_at
        return NoticeOutcome.AFTER if late else NoticeOutcome.IN_TIME
    if line.verdict != "notify":
        return None
    return NoticeOutcome.AWAITED if line.due_at is not None and as_of <= line.due_at else NoticeOutcome.MISSING


def _take_facts(kept: _Kept, leaf: Leaf) -> None:
    kept.detail = dict(leaf.detail)
    stated = leaf.detail.get("service_levels")
    if leaf.type == "incident.declared":
        kept.records_interventions = isinstance(stated, list)
    if isinstance(stated, list):
        found = [level for code in stated if (level := parse_service_level(code)) is not None]
    else:
        # An old entry: it has the priority by the reference agreement, but not what the agreement guarantees.
        agreement, priority = str(leaf.detail.get("agreement") or ""), _text(leaf.detail.get("priority"))
        found = [ServiceLevel(agreement, priority, None, None)]
    kept.levels.append((leaf.at, {level.agreement: level for level in found}))


def _measures(kept: _Kept, as_of: datetime) -> Iterator[InterventionMeasure]:
    """Yield the measure of the first intervention by each agreement that was applied, in the order of their ids."""
    elapsed = None if kept.intervened_at is None else seconds_between(kept.opened_at, kept.intervened_at)
    for agreement in sorted({name for _, levels in kept.levels for name in levels}):
        history = [(at, levels[agreement]) for at, levels in kept.levels if agreement in levels]
        level = _level_that_counts(history, kept.intervened_at)
        yield InterventionMeasure(level, history[0][1].priority, elapsed, _intervention_outcome(kept, level, as_of))


def _level_that_counts(history: Sequence[tuple[datetime, ServiceLevel]], at: datetime | None) -> ServiceLevel:
    """Return the level that counts; see the head of this module."""
    known = [(since, level) for since, level in history if level.priority is not None]
    if at is None:
        return history[-1][1]
    before = [level for since, level in history if since <= at]
    if before and before[-1].priority is not None:
        return before[-1]
    after = [level for since, level in known if since > at]
    return after[0] if after else (known[-1][1] if known else history[-1][1])


def _intervention_outcome(kept: _Kept, level: ServiceLevel, as_of: datetime) -> InterventionOutcome:
    if not kept.records_interventions and (kept.intervened_at is None or level.gti_seconds is None):
        return InterventionOutcome.NOT_RECORDED
    if level.gti_seconds is None:
        return InterventionOutcome.WITHOUT_GTI
    ends_at = kept.opened_at + timedelta(seconds=level.gti_seconds)
    if kept.intervened_at is not None:
        return InterventionOutcome.IN_TIME if kept.intervened_at <= ends_at else InterventionOutcome.LATE
    return InterventionOutcome.RUNNING if as_of <= ends_at else InterventionOutcome.MISSING


def seconds_between(start: datetime, end: datetime) -> int:
    """Return the whole seconds from one moment to another; 0 if the other is earlier."""
    return max(0, (end - start) // timedelta(seconds=1))


def _time(value: object) -> datetime | None:
    return parse_timestamp(value) if isinstance(value, str) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
