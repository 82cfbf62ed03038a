#!/usr/bin/env bash
# Does the calendar of Bavaria in the package holidays know the Assumption (15 August), when offices in Munich are closed?
#
# Version: holidays 0.109 from PyPI. CPython 3.11 or newer.
# One would guess: country_holidays("DE", subdiv="BY") has 15 August. It is a public holiday by law in most communities of
#   Bavaria, Munich and Augsburg among them, and the calendars of its authorities show it.
# What happens: the category "public", the only one by default, leaves it out. It is in the category "catholic", which has to
#   be asked for by name. In the Saarland, where the day is a holiday everywhere, "public" has it.
# The product: notifications/duties/working_days.py counts the categories by default, so that a deadline in Bavaria is stated
#   a day too early rather than too late; docs/legal-duties.md says so, and tests/unit/test_duties_clocks.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check holidays==0.109
results=$("$folder/venv/bin/python" - <<'PYTHON'
from datetime import date

import holidays

day = date(2025, 8, 15)
for place, categories in (("BY", None), ("BY", ("public", "catholic")), ("SL", None)):
    calendar = holidays.country_holidays("DE", subdiv=place, years=2025, categories=categories, language="de")
    print(place, "+".join(categories or ("default",)), calendar.get(day))
PYTHON
)
echo "$results"
[ "$results" = "BY default None
BY public+catholic Mariä Himmelfahrt
SL default Mariä Himmelfahrt" ] || { echo "this has changed"; exit 1; }
