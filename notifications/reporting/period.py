"""The period of a report: a calendar month or year in the provider's time zone, and the moment of its basis."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from notifications.errors import Fault, InvalidInputError
from notifications.time_zones import time_zone

_MONTH, _YEAR = re.compile(r"([2-9][0-9]{3})-(0[1-9]|1[0-2])"), re.compile(r"([2-9][0-9]{3})")
_DECEMBER = 12


@dataclass(frozen=True, slots=True)
class Period:
    """A month or a year. An incident belongs to the period in which its ticket was opened."""

    #: ``2026-11`` or ``2026``
    name: str
    time_zone: str
    starts_at: datetime
    #: exclusive
    ends_at: datetime
    #: the report is computed from the entries that were recorded before
    cut_at: datetime

    @property
    def is_year(self) -> bool:
        """Whether it is a year."""
        return "-" not in self.name

    def covers(self, at: datetime) -> bool:
        """Return whether a moment is within."""
        return self.starts_at <= at < self.ends_at


def parse_period(name: str, zone: str, cut_after: timedelta) -> Period:
    """Return the period of a name such as ``2026-11`` or ``2026``; raises InvalidInputError for another name.

    Its days begin at midnight in the zone, so a month with a change of clocks has an hour more or less.
    """
    if found := _MONTH.fullmatch(name):
        year, month = int(found[1]), int(found[2])
        following = (year + 1, 1) if month == _DECEMBER else (year, month + 1)
        return _period(name, zone, (year, month), following, cut_after)
    if found := _YEAR.fullmatch(name):
        return _period(name, zone, (int(found[1]), 1), (int(found[1]) + 1, 1), cut_after)
    raise InvalidInputError(Fault("period", "must be a month such as 2026-11 or a year such as 2026"))


def month_of(at: datetime, zone: str) -> str:
    """Return the name of the month of a moment."""
    return f"{at.astimezone(time_zone(zone)):%Y-%m}"


def _period(name: str, zone: str, first: tuple[int, int], following: tuple[int, int], cut_after: timedelta) -> Period:
    try:
        starts_at, ends_at = (
            datetime(year, month, 1, tzinfo=time_zone(zone)).astimezone(UTC) for year, month in (first, following)
        )
        return Period(name, zone, starts_at, ends_at, ends_at + cut_after)
    except (OverflowError, ValueError):
        raise InvalidInputError(Fault("period", "is too far away")) from None
