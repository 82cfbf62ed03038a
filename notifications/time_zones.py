"""IANA time zones from the pinned ``tzdata`` package, whatever zone files the system has.

``zoneinfo.ZoneInfo(name)`` reads the system's files first and the package last (PEP 615). Where the system is
older than the package, the older rules win. So each zone of a customer or a contact is loaded here, and nowhere else.
"""

from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from tzdata import IANA_VERSION

__all__ = ["IANA_VERSION", "OLD_AFTER", "is_old", "time_zone", "time_zone_names"]

#: Rules older than this are reported: zones change several times a year, often on a few weeks' notice.
OLD_AFTER = timedelta(days=183)
_ZONES = files("tzdata") / "zoneinfo"
#: The release that this version of the product is locked to, and the day on which the package was published.
_LOCKED_VERSION, _LOCKED_RELEASED_ON = "2026f", date(2026, 10, 28)


@cache
def time_zone_names() -> frozenset[str]:
    """Return the names of all zones, with the old names that IANA keeps as links."""
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())


@cache
def time_zone(name: str) -> ZoneInfo:
    """Return a zone by its IANA name, such as ``Europe/Paris``; raises LookupError where the package lacks it."""
    if name not in time_zone_names():
        raise LookupError(f"{name!r} is no IANA time zone of release {IANA_VERSION}")
    with _ZONES.joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def is_old(today: date) -> bool:
    """Whether the zones in use may miss half a year of changes.

    The package names its release and not its date. A release newer than the locked one counts from the locked one's
    date, so that it is reported too early and never too late; an older one always counts as old.
    """
    return IANA_VERSION < _LOCKED_VERSION or today - _LOCKED_RELEASED_ON > OLD_AFTER
