"""Schemas of legal duties: the law as data, an entity, clocks with the steps that lead to each limit."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from notifications.customer.legal_profile import Entity, LegalProfile
from notifications.duties import Clock, Duty, Law, Sector, Start
from service.web.api.fields import Code, CountedMoment, Line, Moment, Out, Schema

_NAMES_MAX = 40


class EntityIn(Schema):
    """What an organisation states of itself."""

    member_state: str | None = Field(default=None, max_length=2, description="ISO 3166-1 code, such as `FR`.")
    region: str | None = Field(
        default=None, max_length=10, description="ISO 3166-2 code of the region whose public holidays it keeps."
    )
    sectors: list[Code] = Field(
        default_factory=list, max_length=_NAMES_MAX, description="Ids of `sectors` in `GET /api/v1/duties`."
    )
    lei: str | None = Field(default=None, max_length=20, description="Legal entity identifier (ISO 17442).")


class LegalProfileOut(Out):
    """One version of what a customer states of itself; version 0 says that it states nothing."""

    version: int
    member_state: str | None
    region: str | None
    sectors: list[str]
    lei: str | None
    recorded_at: Moment | None


class StepOut(Out):
    """One step of the calculation of a limit."""

    kind: str
    at: Moment
    number: int | None
    name: str | None


class ClockOut(Out):
    """A duty, as far as it has come."""

    duty: str
    clause: str
    title: dict[str, str]
    recipient: dict[str, str]
    start: str
    submission_of: str | None
    state: Literal["not_started", "running", "without_delay", "submitted", "falls_away"]
    occasion: Literal["yes", "no", "unknown"] = Field(description="Whether the duty exists; unknown is not no.")
    started_at: Moment | None
    due_at: Moment | None
    provisional: bool = Field(description="The limit holds if the event that starts the clock comes before it.")
    reasons_if_later: bool
    submitted_at: list[Moment]
    in_time: bool | None
    steps: list[StepOut]


class ItemOut(Out):
    """One item of a report."""

    id: str
    clause: str
    text: dict[str, str]


class DutyOut(Out):
    """One version of a legal duty."""

    id: str
    act: str
    clause: str
    title: dict[str, str]
    recipient: dict[str, str]
    owners: list[str]
    occasion: str
    start: str
    submission_of: str | None
    counted: str
    hours: int | None
    days: int | None
    months: int | None
    calendar: str
    sectors: list[str]
    except_sectors: list[str]
    member_states: list[str]
    except_member_states: list[str]
    items: list[ItemOut]
    valid_from: str
    valid_until: str | None


class SectorOut(Out):
    """A kind of organisation."""

    id: str
    group: str | None
    title: dict[str, str]


class LawOut(Out):
    """The law that this installation knows."""

    acts: dict[str, dict[str, str]] = Field(description="Id of an act to its title by language.")
    duties: list[DutyOut]
    sectors: list[SectorOut]
    member_states: dict[str, list[str]] = Field(description="Member State to its regions with holidays of their own.")


class MomentsIn(Schema):
    """When what happened, by the kind of start; what is left out has not happened, or is not known."""

    awareness: CountedMoment | None = None
    receipt: CountedMoment | None = None
    classification: CountedMoment | None = None
    significance: CountedMoment | None = None
    high_risk: CountedMoment | None = None
    fix: CountedMoment | None = None
    handled: CountedMoment | None = None

    def by_start(self) -> dict[Start, datetime]:
        """Return the moments that are stated."""
        return {start: moment for start in Start if (moment := getattr(self, start.value, None)) is not None}


class CalculationIn(Schema):
    """What the clocks of an entity are computed from."""

    entity: EntityIn = EntityIn()
    owner: Literal["cloud_provider", "provider_as_controller", "processor", "customer"] = "customer"
    aware_at: CountedMoment = Field(description="The moment that chooses the versions of duties.")
    moments: MomentsIn = MomentsIn()
    submissions: dict[Code, list[CountedMoment]] = Field(
        default_factory=dict, max_length=100, description="Id of a duty to the moments of its submissions."
    )


class ClockList(Out):
    """The clocks of an entity."""

    items: list[ClockOut]


class Reason(Schema):
    """Why a record is corrected."""

    reason: Line


def entity_of_input(stated: EntityIn) -> Entity:
    """Return the organisation that a request states."""
    return Entity(stated.member_state or None, stated.region or None, frozenset(stated.sectors), stated.lei or None)


def legal_profile_out(profile: LegalProfile | None) -> LegalProfileOut:
    """Return the schema of a legal profile."""
    if profile is None:
        return LegalProfileOut(version=0, member_state=None, region=None, sectors=[], lei=None, recorded_at=None)
    return LegalProfileOut.model_construct(
        version=profile.version,
        member_state=profile.member_state,
        region=profile.region,
        sectors=list(profile.sectors),
        lei=profile.lei,
        recorded_at=profile.recorded_at,
    )


def clock_out(clock: Clock) -> ClockOut:
    """Return the schema of a clock."""
    duty = clock.duty
    return ClockOut.model_construct(
        duty=duty.id,
        clause=duty.clause,
        title=duty.title.as_mapping(),
        recipient=duty.recipient.as_mapping(),
        start=duty.start.value,
        submission_of=duty.submission_of,
        state=clock.state.value,
        occasion=clock.occasion.value,
        started_at=clock.started_at,
        due_at=clock.due_at,
        provisional=clock.provisional,
        reasons_if_later=duty.reasons_if_later,
        submitted_at=list(clock.submitted_at),
        in_time=clock.in_time,
        steps=[
            StepOut.model_construct(kind=step.kind.value, at=step.at, number=step.number, name=step.name)
            for step in clock.steps
        ],
    )


def item_out(duty: Duty) -> list[ItemOut]:
    """Return the schema of the items of a duty's report."""
    return [ItemOut(id=item.id, clause=item.clause, text=item.text.as_mapping()) for item in duty.items]


def duty_out(duty: Duty, act: str) -> DutyOut:
    """Return the schema of a duty."""
    length = duty.duration
    return DutyOut(
        id=duty.id,
        act=act,
        clause=duty.clause,
        title=duty.title.as_mapping(),
        recipient=duty.recipient.as_mapping(),
        owners=[owner.value for owner in duty.owners],
        occasion=duty.occasion.value,
        start=duty.start.value,
        submission_of=duty.submission_of,
        counted=duty.counted.value,
        hours=None if length is None else length.hours,
        days=None if length is None else length.days,
        months=None if length is None else length.months,
        calendar=duty.calendar.value,
        sectors=list(duty.sectors),
        except_sectors=list(duty.except_sectors),
        member_states=list(duty.member_states),
        except_member_states=list(duty.except_member_states),
        items=item_out(duty),
        valid_from=duty.valid_from.isoformat(),
        valid_until=None if duty.valid_until is None else duty.valid_until.isoformat(),
    )


def sector_out(sector: Sector) -> SectorOut:
    """Return the schema of a kind of organisation."""
    return SectorOut(id=sector.id, group=sector.group, title=sector.title.as_mapping())


def law_out(law: Law, member_states: dict[str, list[str]]) -> LawOut:
    """Return the schema of the law."""
    return LawOut(
        acts={act.id: act.title.as_mapping() for act in law.acts},
        duties=[duty_out(duty, act.id) for act in law.acts for duty in act.duties],
        sectors=[sector_out(sector) for sector in law.sectors.values()],
        member_states=member_states,
    )
