"""The parts of a legal duty, as frozen types."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from notifications.incident import LocalizedText


class Owner(StrEnum):
    """Who owes a report."""

    #: the provider, as an entity of the NIS2 directive
    CLOUD_PROVIDER = "cloud_provider"
    #: the provider, for personal data of which it is the controller
    PROVIDER_AS_CONTROLLER = "provider_as_controller"
    #: the provider, as the processor of the customer's personal data
    PROCESSOR = "processor"
    CUSTOMER = "customer"


class Start(StrEnum):
    """The event that starts a clock."""

    AWARENESS = "awareness"
    RECEIPT = "receipt"
    CLASSIFICATION = "classification"
    SIGNIFICANCE = "significance"
    HIGH_RISK = "high_risk"
    #: a corrective measure is available
    FIX = "fix"
    #: the handling of the incident has ended
    HANDLED = "handled"
    #: the report of another duty was submitted
    SUBMISSION = "submission"


class Counted(StrEnum):
    """Which submission starts a clock, if there is more than one."""

    FIRST = "first"
    LATEST = "latest"


class Occasion(StrEnum):
    """What the incident must be for a duty to exist."""

    PERSONAL_DATA_BREACH = "personal_data_breach"
    HIGH_RISK_BREACH = "high_risk_breach"
    SIGNIFICANT_INCIDENT = "significant_incident"
    MAJOR_INCIDENT = "major_incident"
    TRUST_SERVICE_INCIDENT = "trust_service_incident"
    EXPLOITED_VULNERABILITY = "exploited_vulnerability"
    SEVERE_PRODUCT_INCIDENT = "severe_product_incident"


class Handling(StrEnum):
    """Whether the incident must be over, or must go on, when the time of a report comes."""

    ENDED = "ended"
    ONGOING = "ongoing"


class Calendar(StrEnum):
    """What happens to a limit on a day that is no working day."""

    #: hours run through weekends and holidays
    NONE = "none"
    #: it moves to noon of the next working day of the reporting entity
    NOON_OF_NEXT_WORKING_DAY = "noon_of_next_working_day"


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time: exactly one of hours, days and months is set."""

    hours: int | None = None
    #: calendar days, same time of day
    days: int | None = None
    #: calendar months: the same date, else the last day of the month
    months: int | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """Another duration for entities of some sectors."""

    sectors: tuple[str, ...]
    duration: Duration


@dataclass(frozen=True, slots=True)
class SecondLimit:
    """A second limit: the earlier of the two holds."""

    start: Start
    duration: Duration
    #: it does not hold if the first clock starts after it
    falls_away: bool


@dataclass(frozen=True, slots=True)
class Item:
    """One item that a report must contain."""

    id: str
    clause: str
    text: LocalizedText
    #: the fact that fills it, one of ``content.SOURCES``; None if only the reporting entity can know it
    source: str | None


@dataclass(frozen=True, slots=True)
class Duty:
    """One version of a legal duty to report. The moment of awareness decides which version holds."""

    id: str
    #: the act and the article, such as ``NIS2 23(4)(a)``
    clause: str
    title: LocalizedText
    owners: tuple[Owner, ...]
    recipient: LocalizedText
    occasion: Occasion
    start: Start
    #: id of the duty whose submission starts this clock; only for ``Start.SUBMISSION``
    submission_of: str | None
    counted: Counted
    #: None: without undue delay, no number
    duration: Duration | None
    variants: tuple[Variant, ...]
    second_limit: SecondLimit | None
    #: later is allowed if the report gives the reasons
    reasons_if_later: bool
    calendar: Calendar
    #: sectors whose limits do not move
    calendar_exempt: tuple[str, ...]
    #: the owner is of one of these; empty: of any
    sectors: tuple[str, ...]
    except_sectors: tuple[str, ...]
    member_states: tuple[str, ...]
    except_member_states: tuple[str, ...]
    handling: Handling | None
    #: the duty at whose time ``handling`` is judged; None: this one
    handling_at: str | None
    items: tuple[Item, ...]
    #: first and last day of awareness for which this version holds; the last is None while no end is known
    valid_from: date
    valid_until: date | None

    def holds_on(self, day: date) -> bool:
        """Return whether this version holds for an awareness on that day."""
        return self.valid_from <= day and (self.valid_until is None or day <= self.valid_until)


@dataclass(frozen=True, slots=True)
class Sector:
    """A kind of organisation that a condition can name."""

    id: str
    #: a group that a condition can name in place of its members, such as ``financial``
    group: str | None
    title: LocalizedText
    #: value of field 1.4 of the DORA template; None outside of it
    dora_type: str | None


@dataclass(frozen=True, slots=True)
class Act:
    """One legal act with its duties; the content of one file."""

    id: str
    title: LocalizedText
    duties: tuple[Duty, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """Every act that the product knows."""

    acts: tuple[Act, ...]
    sectors: Mapping[str, Sector]

    @property
    def duties(self) -> tuple[Duty, ...]:
        """Return every version of every duty."""
        return tuple(duty for act in self.acts for duty in act.duties)
