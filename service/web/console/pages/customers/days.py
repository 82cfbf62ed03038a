"""Days on forms and pages: a day begins at midnight in the customer's own time zone."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time

from notifications.errors import Fault, InvalidInputError
from notifications.time_zones import time_zone
from notifications.wording import formats


def start_of_day(text: str, zone: str, field: str) -> datetime:
    """Return when a day, as a form states it (``2026-03-01``), begins; raises InvalidInputError for the field."""
    try:
        day = date.fromisoformat(text.strip())
        return datetime.combine(day, time.min, time_zone(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInputError(Fault(field, "must be a day")) from None
    except LookupError:
        raise InvalidInputError(Fault("time_zone", "is no IANA time zone")) from None


def day_shown(language: str) -> Callable[[datetime, str], str]:
    """Return what shows the day of a moment in a zone, in a reader's language."""

    def shown(at: datetime, zone: str) -> str:
        try:
            local = at.astimezone(time_zone(zone))
        except LookupError:
            local = at.astimezone(UTC)
        return formats.day(local, language)

    return shown
