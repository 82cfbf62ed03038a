#!/usr/bin/env bash
# In Italy and Portugal each town has a day of its own. Does the package holidays keep it out of the calendar of the whole
# province or district?
#
# Version: holidays 0.109 from PyPI. CPython 3.11 or newer.
# One would guess: the category "public", the only one by default, has what the law gives to the whole subdivision. It leaves
#   out the Assumption in Bavaria, which most communities keep. Of the Italian provinces the law gives South Tyrol alone a
#   holiday of its own. In Portugal a municipal day is one that a contract may add, in its place (Labour Code, article 235),
#   and the package has a category "optional" for Portugal.
# What happens: subdiv="MI" is the province of Milan by ISO 3166-2, and Saint Ambrose, of the town, is a public holiday of all
#   of it. subdiv="11" is the district of Lisbon with Saint Anthony, which Sintra does not keep (its day is 29 June). So it is
#   with all districts, and with all provinces but South Tyrol and two whose town keeps a day of all Italy. Nothing but
#   the saint's name tells such a day from Pentecost Monday in South Tyrol and the day of Madeira, which are law there.
# The product: notifications/duties/working_days.py (_REGIONS_WITH_HOLIDAYS) counts the days of South Tyrol, the Azores and
#   Madeira only, so that a deadline is not stated a day too late; docs/legal-duties.md says so, and
#   tests/unit/test_duties_clocks.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check holidays==0.109
results=$("$folder/venv/bin/python" - <<'PYTHON'
from datetime import date

import holidays

for state, place, day in (
    ("IT", None, date(2026, 12, 7)),
    ("IT", "MI", date(2026, 12, 7)),
    ("IT", "BZ", date(2026, 5, 25)),
    ("PT", None, date(2028, 6, 13)),
    ("PT", "11", date(2028, 6, 13)),
    ("PT", "30", date(2026, 7, 1)),
):
    own_language = {"IT": "it_IT", "PT": "pt_PT"}[state]
    calendar = holidays.country_holidays(state, subdiv=place, years=day.year, categories="public", language=own_language)
    print(state, place, day, calendar.get(day))
for state in ("IT", "PT"):
    codes = [code for code in getattr(holidays, state).subdivisions if len(code) == 2]
    every = {code: set(holidays.country_holidays(state, subdiv=code, years=range(2025, 2029))) for code in (None, *codes)}
    more = [code for code in codes if every[code] > every[None]]
    print(f"{state}: {len(more)} of {len(codes)} subdivisions have public holidays of their own")
PYTHON
)
echo "$results"
[ "$results" = "IT None 2026-12-07 None
IT MI 2026-12-07 Sant'Ambrogio
IT BZ 2026-05-25 Lunedì di Pentecoste
PT None 2028-06-13 None
PT 11 2028-06-13 Dia de Santo António
PT 30 2026-07-01 Dia da Região Autónoma da Madeira e das Comunidades Madeirenses
IT: 105 of 107 subdivisions have public holidays of their own
PT: 20 of 20 subdivisions have public holidays of their own" ] || { echo "this has changed"; exit 1; }
