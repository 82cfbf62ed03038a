"""Commitments beside the classification: support hours, retention, service levels, other kinds of notice."""

from dataclasses import dataclass
from datetime import time
from enum import StrEnum

from notifications.incident import LocalizedText


class DeadlineBinding(StrEnum):
    """How strictly a time binds the provider."""

    #: a limit: a notice after it is late
    HARD = "hard"
    #: a time to meet where possible: a notice after it is after the time aimed at
    SOFT = "soft"
    #: the text names no number of hours; the time that counts is the provider's own target
    NO_NUMBER = "no_number"


class Weekday(StrEnum):
    """A day of the week."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


class DayCount(StrEnum):
    """Which days count."""

    CALENDAR = "calendar"
    #: Monday to Friday without public holidays
    WORKING = "working"


class NoticeChannel(StrEnum):
    """How a notice of the agreement may reach the customer."""

    CONSOLE = "console"
    EMAIL = "email"
    REGISTERED_LETTER = "registered_letter"


@dataclass(frozen=True, slots=True)
class SupportHours:
    """When support is given."""

    clause: str
    days: tuple[Weekday, ...]
    #: local times in ``time_zone``
    from_at: time
    until_at: time
    #: IANA name
    time_zone: str
    #: country whose public holidays are no support days, ISO 3166-1 alpha-2
    holidays: str
    products: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """How long records are kept, at least."""

    id: str
    clause: str
    text: LocalizedText
    months: int
    products: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """A service level, by the number that the agreement gives it."""

    id: str
    clause: str
    text: LocalizedText
    #: id of the indicator; None if the agreement names none
    indicator: str | None
    products: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class NoticeTime:
    """When a notice is owed: so many days before what it announces, or so long after what it reports.

    At most one of ``days`` and ``months`` is set; neither with the binding ``NO_NUMBER``.
    """

    days: int | None
    months: int | None
    day_count: DayCount
    binding: DeadlineBinding
    #: the clause that says so; None: that of the kind of notice
    clause: str | None = None


@dataclass(frozen=True, slots=True)
class NoticeItem:
    """One thing that a kind of notice says."""

    id: str
    text: LocalizedText
    #: a notice without it cannot be sent
    mandatory: bool
    #: the clause that says so; None: that of the kind of notice
    clause: str | None = None


@dataclass(frozen=True, slots=True)
class NoticeKind:
    """A kind of notice beside that of incidents."""

    id: str
    clause: str
    title: LocalizedText
    channels: tuple[NoticeChannel, ...]
    items: tuple[NoticeItem, ...]
    #: counted back from what is announced; None if nothing is announced ahead
    lead: NoticeTime | None
    #: counted from what is reported; None if nothing is reported afterwards
    after: NoticeTime | None
    #: whether the customer must consent in writing first
    consent_first: bool
    products: frozenset[str] | None = None
    #: set in the notice that precedes the erasure of a customer's data: days after it within which all is erased
    erased_within_days: int | None = None
    #: a registered letter that was refused or not collected counts as served on the day of its first presentation
    served_at_first_presentation: bool = False
    #: the time that the DPA sets beside ``lead`` or ``after``, in the same direction; None if it sets none
    dpa_time: NoticeTime | None = None

    @property
    def times(self) -> tuple[NoticeTime, ...]:
        """The times that the documents set; the stricter counts."""
        return tuple(each for each in (self.lead or self.after, self.dpa_time) if each is not None)

    @property
    def used_channels(self) -> tuple[NoticeChannel, ...]:
        """The channels that an announcement uses. Before an erasure mail and letter are alternatives: mail is used."""
        if self.erased_within_days is None or NoticeChannel.EMAIL not in self.channels:
            return self.channels
        return tuple(each for each in self.channels if each is not NoticeChannel.REGISTERED_LETTER)
