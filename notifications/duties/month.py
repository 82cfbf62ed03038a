"""Calendar months by date."""

from calendar import monthrange
from datetime import date

_MONTHS_OF_YEAR = 12


def add_months(day: date, months: int) -> tuple[date, bool]:
    """Return the same date some months later, else the last day of that month; and whether it had to be the last day.

    ``months`` may be negative.
    """
    year, month = divmod(day.year * _MONTHS_OF_YEAR + day.month - 1 + months, _MONTHS_OF_YEAR)
    last = monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last)), day.day > last
