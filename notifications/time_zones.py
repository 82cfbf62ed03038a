"""IANA time zones from the pinned ``tzdata`` package, not from the zone files of the system.

``zoneinfo.ZoneInfo(name)`` reads the system's files first and the package last (PEP 615). If the system is older than
the package, the older rules apply. So the zones of customers and contacts are loaded only here.
"""

from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from tzdata import IANA_VERSION

__all__ = ["IANA_VERSION", "OLD_AFTER", "is_old", "time_zone", "time_zone_names"]

#: Older rules are reported, because zones change several times a year, often announced only weeks before.
OLD_AFTER = timedelta(days=183)
_ZONES = files("tzdata") / "zoneinfo"
#: The release in the lock file of this version, and the date on which the package was published.
_LOCKED_VERSION, _LOCKED_RELEASED_ON = "2026f", date(2026, 10, 28)


@cache
def time_zone_names() -> frozenset[str]:
    """Return the names of all zones, including the old names that IANA keeps as links."""
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())


@cache
def time_zone(name: str) -> ZoneInfo:
    """Return a zone by its IANA name, such as ``Europe/Paris``; raises LookupError if the package does not have it."""
    if name not in time_zone_names():
        raise LookupError(f"{name!r} is no IANA time zone of release {IANA_VERSION}")
    with _ZONES.joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def is_old(today: date) -> bool:
    """Return whether the zones in use may lack the changes of the last half year.

    The package states its release but not its date. For a release newer than the locked one, the locked one's date is
    used, so that it is reported too early and never too late. An older release always counts as old.
    """
    return IANA_VERSION < _LOCKED_VERSION or today - _LOCKED_RELEASED_ON > OLD_AFTER
