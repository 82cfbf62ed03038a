#!/usr/bin/env bash
# Python's zoneinfo with the tzdata package installed: which rules compute a customer's local time?
#
# Versions: tzdata 2026.6 (IANA 2026f) from PyPI beside zone files of IANA 2025b, as a system has them that was set up
#   in 2025 (Debian 12 of November 2026 has 2025b). CPython 3.11 or newer.
# One would guess: a pinned tzdata package computes local times, so that a lock file fixes them.
# What happens: zoneinfo looks in the system's folders (zoneinfo.TZPATH) first and in the package last (PEP 615). The pin
#   has no effect where the system has the zone: a notice for Casablanca says 00:30 where the clock there shows 23:30,
#   because Morocco left UTC+1 on 2026-09-20. Nothing is raised and nothing is logged.
# The product: notifications/time_zones.py loads each zone from the package; tests/unit/test_time_zones.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps)
"${pip[@]}" tzdata==2026.6
"${pip[@]}" --target "$folder/old" tzdata==2025.2

ask() {
  "$folder/venv/bin/python" -c '
from datetime import datetime, UTC
from zoneinfo import ZoneInfo
print(datetime(2026, 11, 28, 23, 30, tzinfo=UTC).astimezone(ZoneInfo("Africa/Casablanca")).strftime("%d %B %H:%M"))'
}
with_system=$(PYTHONTZPATH="$folder/old/tzdata/zoneinfo" ask)
package_only=$(PYTHONTZPATH='' ask)
echo "zone files of 2025b in TZPATH, tzdata 2026.6 installed: $with_system"
echo "no TZPATH, tzdata 2026.6 installed:                     $package_only"
[ "$with_system" = "29 November 00:30" ]
[ "$package_only" = "28 November 23:30" ]
