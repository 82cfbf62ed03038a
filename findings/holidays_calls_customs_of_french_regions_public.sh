#!/usr/bin/env bash
# Which public holidays do Guadeloupe and Moselle have beside those of all France? A deadline there counts on working days.
#
# Version: holidays 0.109 from PyPI. CPython 3.11 or newer.
# One would guess: in the category "public", the only one by default, those of the law. In Guadeloupe it is one: the day of the
#   abolition of slavery, 27 May (Code du travail, L3422-2). In Moselle and Alsace it is Saint Stephen, 26 December; Good
#   Friday is one only of "communes" with a Protestant or a shared church (L3134-13, 2°). For other countries the package has a
#   category "optional", and for Bavaria it leaves out what depends on the town's church.
# What happens: Guadeloupe has Mid-Lent, Good Friday and the day of Victor Schoelcher too, which are customs of its firms and
#   offices; of that day the source says "based on June 30th, 1983 provision", the law on 27 May. So 21 July is public in
#   Martinique, too. Every town in Moselle and Alsace has Good Friday. France has no other category than school holidays, so
#   nothing tells these days from those of the law, and a deadline that moves past them is a day too late.
# The product: notifications/duties/working_days.py (_NOT_BY_LAW) leaves these days out; docs/legal-duties.md says so, and
#   tests/unit/test_duties_clocks.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check holidays==0.109
results=$("$folder/venv/bin/python" - <<'PYTHON'
import holidays

everywhere = holidays.country_holidays("FR", years=2026, language="fr")
print("categories", *everywhere.supported_categories)
for region in ("971", "972", "57", "6AE"):
    calendar = holidays.country_holidays("FR", subdiv=region, years=2026, language="fr")
    print(region, *(f"{day:%d.%m.} {name}" for day, name in sorted(calendar.items()) if day not in everywhere), sep="; ")
PYTHON
)
echo "$results"
[ "$results" = "categories public school
971; 12.03. Mi-Carême; 03.04. Vendredi saint; 27.05. Abolition de l'esclavage; 21.07. Fête de Victor Schoelcher
972; 22.05. Abolition de l'esclavage; 21.07. Fête de Victor Schoelcher
57; 03.04. Vendredi saint; 26.12. Saint-Étienne
6AE; 03.04. Vendredi saint; 26.12. Saint-Étienne" ] || { echo "this has changed"; exit 1; }
