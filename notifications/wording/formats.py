"""Times, numbers and foreign text as a reader of one language and time zone expects them."""

import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from notifications.time_zones import time_zone as zone_of

#: CLDR patterns. Minutes are precise enough for a reader; the document contains the microseconds.
_DAY_PATTERNS = {"en": "d MMMM y", "fr": "d MMMM y", "de": "d. MMMM y"}
_TIME_PATTERNS = {"en": ", HH:mm", "fr": " 'à' HH:mm", "de": ", HH:mm 'Uhr'"}

#: Control characters except line feed and tab; zero-width characters; direction marks, overrides and isolates; tag
#: characters; surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_FRENCH_SPACE_BEFORE = re.compile(r"(?<=\S) (?=[;:!?%»])")
_FRENCH_SPACE_AFTER = re.compile("(?<=«) ")
#: No-break spaces are not in it: they are typography.
_WHITE_SPACE = re.compile("[ \\t\\n]+")
NARROW_NO_BREAK_SPACE = "\u202f"


def visible(text: str) -> str:
    """Return text in which every invisible character is replaced by its name, such as ``⟨U+202E⟩``.

    Line ends become line feeds. So text that an analyst pasted can neither reorder nor hide what a reader sees.
    """
    return _UNSEEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", _LINE_ENDS.sub("\n", text))


def on_one_line(text: str) -> str:
    """Return visible text without line ends and tabs."""
    return _WHITE_SPACE.sub(" ", visible(text)).strip()


def set_in_french(text: str) -> str:
    """Return French text of the template or of the agreement with narrow no-break spaces and curved apostrophes."""
    spaced = _FRENCH_SPACE_BEFORE.sub(NARROW_NO_BREAK_SPACE, text)
    return _FRENCH_SPACE_AFTER.sub(NARROW_NO_BREAK_SPACE, spaced).replace("'", "’")


def moment(timestamp: str, language: str, time_zone: str) -> str:
    """Return a moment in the reader's zone and in UTC: ``2 March 2026, 09:00 Europe/Paris (2026-03-02 08:00 UTC)``.

    ``timestamp``: as in documents. A zone that IANA removed since it was chosen is left out: the moment is in UTC. The
    zone has its IANA name, because Babel (2.18.0) exchanges the names of summer and winter time in Dublin.
    """
    return _moment(timestamp, language, time_zone)


def _zone(name: str) -> tzinfo | None:
    try:
        return zone_of(name)
    except LookupError:
        return None


@lru_cache(maxsize=4_096)
def _moment(timestamp: str, language: str, time_zone: str) -> str:
    at = datetime.fromisoformat(timestamp).astimezone(UTC)
    zone = _zone(time_zone)
    if zone is None or at.astimezone(zone).utcoffset() == at.utcoffset():
        return f"{_local(at, language)} UTC"
    return f"{_local(at.astimezone(zone), language)} {time_zone} ({at:%Y-%m-%d %H:%M} UTC)"


def day(local: datetime, language: str) -> str:
    """Return the day of a moment that is in its zone already: ``2 March 2026``, ``1er mars 2026``."""
    return _written(local, language, "")


def _local(at: datetime, language: str) -> str:
    return _written(at, language, _TIME_PATTERNS.get(language, _TIME_PATTERNS["en"]))


def _written(local: datetime, language: str, time_pattern: str) -> str:
    pattern = _DAY_PATTERNS.get(language, _DAY_PATTERNS["en"])
    # Only the first day of a month is an ordinal in French, and CLDR has no letter for it.
    if language == "fr" and local.day == 1:
        pattern = pattern.replace("d", "d'er'", 1)
    from babel.dates import format_datetime  # noqa: PLC0415 - a service that writes nothing needs no CLDR

    return format_datetime(local, pattern + time_pattern, tzinfo=local.tzinfo, locale=language)


def number(value: int, language: str) -> str:
    """Return a count with the digit groups of the language."""
    from babel.numbers import format_decimal  # noqa: PLC0415 - as above

    return format_decimal(value, locale=language)
