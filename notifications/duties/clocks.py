"""clocks(...): the legal clocks of one entity for one incident, each with the steps that lead to its limit."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType

from notifications.customer.legal_profile import Entity
from notifications.duties.entities import applies_to, sectors_and_groups
from notifications.duties.month import add_months
from notifications.duties.terms import Calendar, Counted, Duration, Duty, Handling, Law, Occasion, Owner, Start
from notifications.duties.working_days import day_off, next_working_day, zone_of
from notifications.incident import Answer

_NOON = time(12)
#: Years of moments that limits are counted from: far enough from the ends of the calendar for every duration.
_FIRST_YEAR, _LAST_YEAR = 1900, 9000


class ClockState(StrEnum):
    """How far a clock is."""

    #: the event that starts it has not happened, or its moment is not known
    NOT_STARTED = "not_started"
    RUNNING = "running"
    #: it has started, and the law gives no number
    WITHOUT_DELAY = "without_delay"
    SUBMITTED = "submitted"
    #: another report takes its place, because the incident is over or goes on
    FALLS_AWAY = "falls_away"


class StepKind(StrEnum):
    """One step of the calculation of a limit."""

    STARTED = "started"
    NOT_CLASSIFIED_YET = "not_classified_yet"
    HOURS_ADDED = "hours_added"
    DAYS_ADDED = "days_added"
    MONTHS_ADDED = "months_added"
    LAST_DAY_OF_MONTH = "last_day_of_month"
    SECOND_LIMIT = "second_limit"
    SECOND_LIMIT_LATER = "second_limit_later"
    SECOND_LIMIT_FELL_AWAY = "second_limit_fell_away"
    DAY_OFF = "day_off"
    MOVED_TO_NOON = "moved_to_noon"
    DAY_OFF_EXEMPT = "day_off_exempt"
    MEMBER_STATE_UNKNOWN = "member_state_unknown"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what was done, and the moment that it gave."""

    kind: StepKind
    at: datetime
    #: the number added; None where nothing is added
    number: int | None = None
    #: the start, or the reason of a day off
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Moments:
    """What happened when, as far as it is known. Every moment is aware UTC."""

    at: Mapping[Start, datetime] = field(default_factory=lambda: MappingProxyType({}))
    #: duty id -> moments of submission
    submissions: Mapping[str, Sequence[datetime]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Clock:
    """A duty of one entity, as far as it has come."""

    duty: Duty
    state: ClockState
    started_at: datetime | None
    #: None if it has not started, has no number, or falls away
    due_at: datetime | None
    #: the limit holds only if the event that starts the clock happens before it
    provisional: bool
    steps: tuple[Step, ...]
    #: moments of its own submissions, in order
    submitted_at: tuple[datetime, ...]
    #: whether the occasion is established; unknown is not no
    occasion: Answer

    @property
    def in_time(self) -> bool | None:
        """Return whether the first submission met the limit; None without a submission or a limit."""
        if not self.submitted_at or self.due_at is None:
            return None
        return self.submitted_at[0] <= self.due_at


def is_countable(moment: datetime) -> bool:
    """Return whether limits can be counted from a moment; near the ends of the calendar, some have no date."""
    return _FIRST_YEAR <= moment.year <= _LAST_YEAR


def clocks(
    law: Law,
    entity: Entity,
    owners: Collection[Owner],
    occasions: Mapping[Occasion, Answer],
    moments: Moments,
    aware_at: datetime,
) -> tuple[Clock, ...]:
    """Return the clocks that may run for an entity, in the order of the data.

    1. Take the version of each duty that holds on the day of ``aware_at``, in the entity's time zone.
    2. Leave out duties of other owners, sectors and Member States, and those whose occasion is known to be absent.
    3. Compute each limit from the moments.

    ``occasions``: an occasion that is left out is unknown. ``moments`` holds the entity's own moments; the provider
    does not know when its customer became aware, so it leaves that moment out. Not checked: ``is_countable``.
    """
    day = aware_at.astimezone(zone_of(entity)).date()
    by_id = {duty.id: duty for duty in law.duties if duty.holds_on(day)}
    found = []
    for duty in by_id.values():
        occasion = occasions.get(duty.occasion, Answer.UNKNOWN)
        if occasion is not Answer.NO and set(duty.owners) & set(owners) and applies_to(duty, entity, law.sectors):
            found.append(_clock(duty, by_id, law, entity, moments, occasion))
    return tuple(found)


def _clock(
    duty: Duty, by_id: Mapping[str, Duty], law: Law, entity: Entity, moments: Moments, occasion: Answer
) -> Clock:
    submitted = tuple(sorted(moments.submissions.get(duty.id, ())))
    started_at, due_at, steps, provisional = _limit(duty, law, entity, moments)
    state = _state(duty, started_at, due_at)
    if _falls_away(duty, by_id, law, entity, moments):
        state, due_at, steps, provisional = ClockState.FALLS_AWAY, None, (), False
    if submitted:
        state, provisional = ClockState.SUBMITTED, False
    return Clock(duty, state, started_at, due_at, provisional, steps, submitted, occasion)


def _state(duty: Duty, started_at: datetime | None, due_at: datetime | None) -> ClockState:
    if due_at is not None:
        return ClockState.RUNNING
    return ClockState.WITHOUT_DELAY if started_at is not None and duty.duration is None else ClockState.NOT_STARTED


def _falls_away(duty: Duty, by_id: Mapping[str, Duty], law: Law, entity: Entity, moments: Moments) -> bool:
    """Return whether the incident is over where the report needs one that goes on, or the reverse.

    It is judged at the time of the report. While that time or the end of the handling is not known, the incident goes
    on.
    """
    if duty.handling is None:
        return False
    judged = duty if duty.handling_at is None else by_id.get(duty.handling_at)
    judged_at = None if judged is None else _limit(judged, law, entity, moments)[1]
    handled_at = moments.at.get(Start.HANDLED)
    ended = handled_at is not None and judged_at is not None and handled_at <= judged_at
    return (duty.handling is Handling.ENDED) != ended


def _limit(
    duty: Duty, law: Law, entity: Entity, moments: Moments
) -> tuple[datetime | None, datetime | None, tuple[Step, ...], bool]:
    """Return (start, limit, steps, provisional)."""
    started_at = _start(duty, moments)
    second = duty.second_limit
    if started_at is None:
        first = None if second is None else moments.at.get(second.start)
        if second is None or first is None:
            return None, None, (), False
        # Not classified yet: the second limit is the last moment, if the classification comes before it.
        steps = [Step(StepKind.STARTED, first, name=second.start.value)]
        due_at = _added(first, second.duration, entity, steps)
        steps.append(Step(StepKind.NOT_CLASSIFIED_YET, due_at, name=duty.start.value))
        return None, _on_working_day(due_at, duty, law, entity, steps), tuple(steps), True
    steps = [Step(StepKind.STARTED, started_at, name=duty.submission_of or duty.start.value)]
    if duty.duration is None:
        return started_at, None, tuple(steps), False
    duration = duration_for(duty, law, entity)
    assert duration is not None
    due_at = _added(started_at, duration, entity, steps)
    if second is not None and (second_start := moments.at.get(second.start)) is not None:
        limit_at = _added(second_start, second.duration, entity, [])
        if second.falls_away and started_at > limit_at:
            steps.append(Step(StepKind.SECOND_LIMIT_FELL_AWAY, limit_at, name=second.start.value))
        elif limit_at < due_at:
            due_at = limit_at
            steps.append(Step(StepKind.SECOND_LIMIT, limit_at, second.duration.hours, second.start.value))
        else:
            steps.append(Step(StepKind.SECOND_LIMIT_LATER, limit_at, second.duration.hours, second.start.value))
    return started_at, _on_working_day(due_at, duty, law, entity, steps), tuple(steps), False


def _start(duty: Duty, moments: Moments) -> datetime | None:
    if duty.submission_of is None:
        return moments.at.get(duty.start)
    submitted = sorted(moments.submissions.get(duty.submission_of, ()))
    if not submitted:
        return None
    return submitted[0] if duty.counted is Counted.FIRST else submitted[-1]


def duration_for(duty: Duty, law: Law, entity: Entity) -> Duration | None:
    """Return the time that an entity has for a duty; None if the law gives no number."""
    own = sectors_and_groups(entity, law.sectors)
    return next((variant.duration for variant in duty.variants if own & set(variant.sectors)), duty.duration)


def _added(start: datetime, duration: Duration, entity: Entity, steps: list[Step]) -> datetime:
    """Add a duration: hours as they pass, days and months by date in the entity's time zone."""
    zone = zone_of(entity)
    if duration.hours is not None:
        end = start + timedelta(hours=duration.hours)
        steps.append(Step(StepKind.HOURS_ADDED, end, duration.hours))
        return end
    local = start.astimezone(zone)
    if duration.days is not None:
        end = (local + timedelta(days=duration.days)).astimezone(UTC)
        steps.append(Step(StepKind.DAYS_ADDED, end, duration.days))
        return end
    assert duration.months is not None
    day, shortened = add_months(local.date(), duration.months)
    end = datetime.combine(day, local.timetz()).astimezone(UTC)
    steps.append(Step(StepKind.LAST_DAY_OF_MONTH if shortened else StepKind.MONTHS_ADDED, end, duration.months))
    return end


def _on_working_day(due_at: datetime, duty: Duty, law: Law, entity: Entity, steps: list[Step]) -> datetime:
    """Move a limit to noon of the next working day, where the duty's calendar says so (2025/301 art. 5(4) and (5))."""
    if duty.calendar is Calendar.NONE:
        return due_at
    if entity.member_state is None:
        steps.append(Step(StepKind.MEMBER_STATE_UNKNOWN, due_at))
        return due_at
    zone = zone_of(entity)
    day = due_at.astimezone(zone).date()
    reason = day_off(day, entity.member_state, entity.region)
    if reason is None:
        return due_at
    if sectors_and_groups(entity, law.sectors) & set(duty.calendar_exempt):
        steps.append(Step(StepKind.DAY_OFF_EXEMPT, due_at, name=reason))
        return due_at
    steps.append(Step(StepKind.DAY_OFF, due_at, name=reason))
    working_day = next_working_day(day, entity.member_state, entity.region)
    noon = datetime.combine(working_day, _NOON, zone).astimezone(UTC)
    steps.append(Step(StepKind.MOVED_TO_NOON, noon))
    return noon
