#!/usr/bin/env bash
# Babel writes a moment in Dublin with the name of its time: which name has 12:00 in January, which in July?
#
# Versions: Babel 2.18.0 (CLDR 47) and tzdata 2026.6 (IANA 2026f) from PyPI; Node.js 20 or newer, for its ICU. CPython 3.11 or
#   newer.
# One would guess: "Greenwich Mean Time" in January and "Irish Standard Time" in July, as the law of Ireland (Standard Time Act
#   1968, amended 1971), the abbreviations of tzdata (GMT, IST) and Node's Intl have it.
# What happens: Babel has the two exchanged: "Irish Standard Time" in January, "Greenwich Mean Time" in July, in French "heure
#   d’été irlandaise" (summer time) in January. The hour is right, so a reader who trusts the name is an hour off. By law
#   the summer is Ireland's standard time, so tzdata has a daylight saving of minus one hour in winter; Babel takes every
#   dst() that is not zero for summer, and CLDR's names are made for data without negative values. Nothing is raised.
# The product: notifications/wording/formats.py (moment) takes the hours from Babel, never the name of a time: it writes the
#   IANA name of the zone and the moment in UTC; tests/unit/test_time_zones.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check babel==2.18.0 tzdata==2026.6
results=$(PYTHONTZPATH="" "$folder/venv/bin/python" - <<'PYTHON'
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

for month in (1, 7):
    at = datetime(2026, month, 20, 12, tzinfo=UTC).astimezone(ZoneInfo("Europe/Dublin"))
    names = [format_datetime(at, "HH:mm zzzz", tzinfo=at.tzinfo, locale=language) for language in ("en", "fr")]
    print(f"tzdata {at:%H:%M %Z}, dst {at.dst().total_seconds():.0f}; Babel {'; '.join(names)}")
PYTHON
node -e 'for (const month of ["01", "07"]) console.log("Intl " + new Intl.DateTimeFormat("en-GB", {
  timeZone: "Europe/Dublin", timeZoneName: "long", hour: "2-digit", minute: "2-digit",
}).format(new Date(`2026-${month}-20T12:00Z`)))'
)
echo "$results"
[ "$results" = "tzdata 12:00 GMT, dst -3600; Babel 12:00 Irish Standard Time; 12:00 heure d’été irlandaise
tzdata 13:00 IST, dst 0; Babel 13:00 Greenwich Mean Time; 13:00 heure moyenne de Greenwich
Intl 12:00 Greenwich Mean Time
Intl 13:00 Irish Standard Time" ] || { echo "this has changed"; exit 1; }
