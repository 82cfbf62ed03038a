"""Moments as a person types them, and as a form shows them: in one time zone, exact or refused."""

import re
from datetime import UTC, date, datetime, time, timedelta

from notifications.time_zones import time_zone, time_zone_names

_ZONE_OF_LANGUAGE = {"fr": "Europe/Paris", "de": "Europe/Berlin"}
_TIME_OF_DAY = re.compile(r"(\d{1,2})[:h.](\d{2})")


def zone_of_form(own: str | None, language: str) -> str:
    """Return the time zone that a form with a choice of zones begins with: the person's own, else a likely one."""
    return own or _ZONE_OF_LANGUAGE.get(language, "UTC")


def offered_zones(own: str, stated: str) -> tuple[str, list[str]]:
    """Return the zone that a form is read by, and those that it offers: UTC has every time once and no time twice."""
    return (stated if stated in time_zone_names() else own), list(dict.fromkeys((own, "UTC")))


def local_text(at: datetime, zone: str) -> str:
    """Return a moment as a ``datetime-local`` field holds it: in the zone, to the minute, seconds where it has them.

    A moment that the zone has no year for is shown with its offset, which ``parse_moment`` takes too.
    """
    try:
        local = at.astimezone(time_zone(zone) if zone in time_zone_names() else UTC).replace(tzinfo=None)
    except OverflowError:
        return at.isoformat()
    return local.isoformat("T", "minutes" if not local.second and not local.microsecond else "milliseconds")


def moment_of(value: object) -> datetime | None:
    """Return the moment of a fact; None for what is none."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


#: Reasons that a person understands only by their own words.
CLOCKS_CHANGED = frozenset({"facts.wrong.twice", "facts.wrong.skipped"})


class MomentError(ValueError):
    """A field states no exact moment; ``key`` names the words that say why."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


def parse_moment(text: str, zone: str, now: datetime) -> datetime:
    """Return the moment that a person typed; raises MomentError.

    Taken are ``2026-11-29T02:40`` and ``2026-11-29 02:40`` in the zone, the same with an offset, which then counts, and
    ``02:40`` for today in the zone. A time of day that lies ahead may mean yesterday, so it is refused. So is a time
    that the zone's clocks skip or show twice.
    """
    text = text.strip()
    local_zone = time_zone(zone)
    if found := _TIME_OF_DAY.fullmatch(text):
        today = now.astimezone(local_zone).date()
        at = _in_zone(today, found, zone)
        if at > now + timedelta(minutes=5):
            raise MomentError("facts.wrong.day_missing")
        return at
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise MomentError("facts.wrong.moment") from None
    if len(text) <= len("2026-11-29"):
        raise MomentError("facts.wrong.time_missing")
    if at.tzinfo is None:
        return _exact(at, zone)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise MomentError("facts.wrong.moment") from None


def _in_zone(day: date, found: re.Match[str], zone: str) -> datetime:
    try:
        return _exact(datetime.combine(day, time(int(found[1]), int(found[2]))), zone)
    except ValueError as error:
        if isinstance(error, MomentError):
            raise
        raise MomentError("facts.wrong.moment") from None


def _exact(local: datetime, zone: str) -> datetime:
    local_zone = time_zone(zone)
    try:
        early = local.replace(tzinfo=local_zone, fold=0).astimezone(UTC)
        late = local.replace(tzinfo=local_zone, fold=1).astimezone(UTC)
    except OverflowError:
        raise MomentError("facts.wrong.moment") from None
    if early == late:
        return early
    # The two differ where the clocks were changed: back (the time is shown twice) or forward (it is skipped).
    raise MomentError("facts.wrong.twice" if early < late else "facts.wrong.skipped")
