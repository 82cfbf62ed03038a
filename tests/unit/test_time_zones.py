"""Zones come from the pinned package in every process, whatever the system has."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from importlib.resources import files

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifications import time_zones
from notifications.customer.erasure import erasure_window
from notifications.time_zones import IANA_VERSION, OLD_AFTER, is_old, time_zone, time_zone_names
from notifications.wording.formats import moment

LATE_EVENING = "2026-11-28T23:30:00Z"
_ASK = """
from datetime import datetime, UTC
from zoneinfo import ZoneInfo
from notifications.time_zones import time_zone
at = datetime(2026, 11, 28, 23, 30, tzinfo=UTC)
print(at.astimezone(ZoneInfo("Africa/Casablanca")).hour, at.astimezone(time_zone("Africa/Casablanca")).hour)
"""


def test_zone_files_of_the_system_do_not_change_a_local_time(tmp_path):
    """A system with old rules: Casablanca an hour ahead, as before 2026-09-20."""
    folder = tmp_path / "Africa"
    folder.mkdir()
    an_hour_ahead = (files("tzdata") / "zoneinfo" / "Etc" / "GMT-1").read_bytes()
    (folder / "Casablanca").write_bytes(an_hour_ahead)
    environment = {**os.environ, "PYTHONTZPATH": str(tmp_path)}
    asked = subprocess.run(
        [sys.executable, "-c", _ASK], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert asked == ["0", "23"]


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        # Morocco left UTC+1 on 2026-09-20; British Columbia and Alberta stay on their summer time (tzdata 2026).
        ("Africa/Casablanca", "28 November 2026, 23:30 UTC"),
        ("America/Vancouver", "28 November 2026, 16:30 America/Vancouver (2026-11-28 23:30 UTC)"),
        ("America/Edmonton", "28 November 2026, 17:30 America/Edmonton (2026-11-28 23:30 UTC)"),
        ("Europe/Paris", "29 November 2026, 00:30 Europe/Paris (2026-11-28 23:30 UTC)"),
        # An old name that IANA keeps as a link.
        ("Asia/Calcutta", "29 November 2026, 05:00 Asia/Calcutta (2026-11-28 23:30 UTC)"),
    ],
)
def test_a_notice_says_the_local_time_by_the_rules_of_2026(zone, shown):
    assert moment(LATE_EVENING, "en", zone) == shown


@pytest.mark.parametrize(
    ("timestamp", "zone", "shown"),
    [
        ("2026-12-01T08:05:00.000000Z", "UTC", "1er décembre 2026 à 08:05 UTC"),
        # The reader's own day counts: in Paris the month has begun.
        (
            "2026-11-30T23:30:00.000000Z",
            "Europe/Paris",
            "1er décembre 2026 à 00:30 Europe/Paris (2026-11-30 23:30 UTC)",
        ),
        ("2026-12-11T08:05:00.000000Z", "UTC", "11 décembre 2026 à 08:05 UTC"),
    ],
)
def test_french_writes_the_first_day_of_a_month_as_an_ordinal(timestamp, zone, shown):
    assert moment(timestamp, "fr", zone) == shown


@pytest.mark.parametrize(
    ("language", "january", "july"),
    [
        ("en", "20 January 2026, 12:00 UTC", "20 July 2026, 13:00 Europe/Dublin (2026-07-20 12:00 UTC)"),
        ("fr", "20 janvier 2026 à 12:00 UTC", "20 juillet 2026 à 13:00 Europe/Dublin (2026-07-20 12:00 UTC)"),
        ("de", "20. Januar 2026, 12:00 Uhr UTC", "20. Juli 2026, 13:00 Uhr Europe/Dublin (2026-07-20 12:00 UTC)"),
    ],
)
def test_a_moment_in_dublin_has_no_name_of_summer_or_winter_time(language, january, july):
    """Babel 2.18.0 exchanges these names there (findings/babel_calls_irish_winter_standard_time.sh)."""
    assert moment("2026-01-20T12:00:00Z", language, "Europe/Dublin") == january
    assert moment("2026-07-20T12:00:00Z", language, "Europe/Dublin") == july


class TestARemovedZone:
    def test_a_notice_goes_on_in_utc(self):
        assert moment(LATE_EVENING, "en", "Europe/Atlantis") == "28 November 2026, 23:30 UTC"

    @given(st.integers(0, 4 * 365 * 24 * 60), st.sampled_from(sorted(time_zone_names())))
    @example(2_002_920, "Antarctica/Troll")
    def test_an_erasure_is_not_done_earlier_than_in_any_zone(self, minutes, zone):
        noticed_at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
        removed, known = (erasure_window(noticed_at, name, 21, 30) for name in ("Europe/Atlantis", zone))
        assert removed.not_before >= known.not_before
        assert removed.due_at == known.due_at > removed.not_before

    def test_it_is_refused_by_name(self):
        with pytest.raises(LookupError, match="'Europe/Atlantis' is no IANA time zone of release"):
            time_zone("Europe/Atlantis")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/localtime", "Europe", "", "europe/paris", "Europe/Paris/"])
def test_only_names_of_the_package_reach_its_files(name):
    with pytest.raises(LookupError):
        time_zone(name)


def test_each_name_of_the_package_loads():
    for name in time_zone_names():
        assert time_zone(name).key == name


class TestAge:
    def test_the_date_of_the_locked_release_is_kept_with_the_lock(self):
        """Change both when the lock moves: the date is that of the files in the wheel."""
        assert (IANA_VERSION, version("tzdata")) == (time_zones._LOCKED_VERSION, "2026.6")

    def test_rules_are_old_after_half_a_year(self):
        released = date(2026, 10, 28)
        assert not is_old(released + OLD_AFTER)
        assert is_old(released + OLD_AFTER + timedelta(days=1))

    def test_an_older_release_than_the_locked_one_is_old(self, monkeypatch):
        monkeypatch.setattr(time_zones, "IANA_VERSION", "2026e")
        assert is_old(date(2026, 10, 28))
