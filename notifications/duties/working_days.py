"""Working days of a Member State and its regions, and their time zones.

The public holidays are those of the package ``holidays``, category "public". A holiday that only some municipalities
of a region keep (the Assumption in Bavaria, Saint Ambrose in the province of Milan, Good Friday in Alsace) does not
count, nor one of custom only (Mid-Lent in Guadeloupe): so a limit is rather stated too early than too late.
"""

from collections.abc import Mapping
from datetime import date, timedelta, tzinfo
from functools import cache, lru_cache
from types import MappingProxyType

import holidays

from notifications.customer.legal_profile import Entity
from notifications.time_zones import time_zone

#: Member States of the Union and, for the EEA, IS, LI and NO, with the time zone of the capital.
MEMBER_STATES = MappingProxyType({
    "AT": "Europe/Vienna", "BE": "Europe/Brussels", "BG": "Europe/Sofia", "CY": "Asia/Nicosia", "CZ": "Europe/Prague",
    "DE": "Europe/Berlin", "DK": "Europe/Copenhagen", "EE": "Europe/Tallinn", "ES": "Europe/Madrid",
    "FI": "Europe/Helsinki", "FR": "Europe/Paris", "GR": "Europe/Athens", "HR": "Europe/Zagreb",
    "HU": "Europe/Budapest", "IE": "Europe/Dublin", "IS": "Atlantic/Reykjavik", "IT": "Europe/Rome",
    "LI": "Europe/Vaduz", "LT": "Europe/Vilnius", "LU": "Europe/Luxembourg", "LV": "Europe/Riga",
    "MT": "Europe/Malta", "NL": "Europe/Amsterdam", "NO": "Europe/Oslo", "PL": "Europe/Warsaw",
    "PT": "Europe/Lisbon", "RO": "Europe/Bucharest", "SE": "Europe/Stockholm", "SI": "Europe/Ljubljana",
    "SK": "Europe/Bratislava",
})  # fmt: skip
#: Regions whose clock differs from the capital's.
_REGION_ZONES = MappingProxyType({
    "ES-CN": "Atlantic/Canary", "PT-20": "Atlantic/Azores", "PT-30": "Atlantic/Madeira", "FR-971": "America/Guadeloupe",
    "FR-972": "America/Martinique", "FR-973": "America/Cayenne", "FR-974": "Indian/Reunion",
    "FR-976": "Indian/Mayotte", "FR-BL": "America/St_Barthelemy", "FR-MF": "America/Marigot",
    "FR-NC": "Pacific/Noumea", "FR-PF": "Pacific/Tahiti", "FR-PM": "America/Miquelon", "FR-TF": "Indian/Kerguelen",
    "FR-WF": "Pacific/Wallis",
})  # fmt: skip
#: States of whose regions only these have holidays by law. To an Italian province and to a Portuguese district the
#: package gives the holiday of the town that it is named after.
_REGIONS_WITH_HOLIDAYS = MappingProxyType({"IT": frozenset({"IT-BZ"}), "PT": frozenset({"PT-20", "PT-30"})})
_GOOD_FRIDAY, _OF_SCHOELCHER = "Vendredi saint", "Fête de Victor Schoelcher"
#: Days that the package calls public and that the law does not give to the whole region. Good Friday is a holiday in
#: those communes of Alsace and Moselle that have a Protestant church (Code du travail, L3134-13). In the Antilles the
#: law adds the day of the abolition of slavery (L3422-2); the others are customs.
_NOT_BY_LAW = MappingProxyType({
    "FR-57": frozenset({_GOOD_FRIDAY}),
    "FR-6AE": frozenset({_GOOD_FRIDAY}),
    "FR-971": frozenset({"Mi-Carême", _GOOD_FRIDAY, _OF_SCHOELCHER}),
    "FR-972": frozenset({_OF_SCHOELCHER}),
    "FR-MF": frozenset({_OF_SCHOELCHER}),
})  # fmt: skip
#: Subdivisions of the package that are no ISO 3166-2 code: zones of school holidays, cities, language communities.
_CODE_CHARACTERS_MAX = 3
_SATURDAY = 5
#: Longer runs of days that are no working days do not exist.
_SEARCH_DAYS = 60


@cache
def regions(member_state: str) -> tuple[str, ...]:
    """Return the ISO 3166-2 codes of the regions that the package knows; none if it knows none of a state."""
    supported = getattr(holidays, member_state).subdivisions
    return tuple(f"{member_state}-{code}" for code in supported if len(code) <= _CODE_CHARACTERS_MAX and code.isalnum())


def zone_of(entity: Entity) -> tzinfo:
    """Return the time zone of an entity; UTC if it states no Member State."""
    name = _REGION_ZONES.get(entity.region or "") or MEMBER_STATES.get(entity.member_state or "")
    return time_zone(name or "UTC")


def day_off(day: date, member_state: str, region: str | None) -> str | None:
    """Return why a day is no working day: ``weekend`` or the holiday's name in its own language; None if it is one."""
    if day.weekday() >= _SATURDAY:
        return "weekend"
    return _holidays_of(member_state, region, day.year).get(day)


@lru_cache(maxsize=256)
def _holidays_of(member_state: str, region: str | None, year: int) -> Mapping[date, str]:
    """Return the public holidays of a year with their names."""
    counts = region in _REGIONS_WITH_HOLIDAYS.get(member_state, {region})
    code = region.partition("-")[2] if region is not None and counts else None
    # Without a language the package takes the one of the environment (LANG), so that names would differ by machine.
    own_language = getattr(holidays, member_state).default_language
    public = holidays.country_holidays(member_state, subdiv=code, years=year, language=own_language)
    left_out = _NOT_BY_LAW.get(region or "", frozenset())
    return {day: name for day, name in public.items() if name not in left_out}


def next_working_day(day: date, member_state: str, region: str | None) -> date:
    """Return the first working day after a day."""
    for distance in range(1, _SEARCH_DAYS):
        candidate = day + timedelta(days=distance)
        if day_off(candidate, member_state, region) is None:
            return candidate
    raise AssertionError(f"no working day within {_SEARCH_DAYS} days of {day}")
