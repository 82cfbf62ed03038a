"""Moments as a person types them: exact in the zone that is stated, or refused with the reason."""

from datetime import UTC, datetime

import pytest

from service.web.console.facts_form import Fields, facts_to_fields, parse_fields
from service.web.console.moments import MomentError, local_text, parse_moment

#: 03:30 in Paris.
NOW = datetime(2026, 11, 29, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "at"),
    [
        ("2026-11-29T02:40", "UTC", "2026-11-29T02:40:00+00:00"),
        ("2026-11-29 02:40", "Europe/Paris", "2026-11-29T01:40:00+00:00"),
        ("2026-07-01T02:40:30.5", "Europe/Paris", "2026-07-01T00:40:30.500000+00:00"),
        # An offset that is typed counts, whatever zone is stated.
        ("2026-11-29T02:40:00+05:00", "Europe/Paris", "2026-11-28T21:40:00+00:00"),
        ("2026-11-29T02:40Z", "Europe/Paris", "2026-11-29T02:40:00+00:00"),
        # A time of day is of today in the zone.
        ("02:40", "Europe/Paris", "2026-11-29T01:40:00+00:00"),
        ("2h40", "Europe/Paris", "2026-11-29T01:40:00+00:00"),
        (" 02.40 ", "UTC", None),
        ("02:40", "UTC", None),
        # The hour that exists twice, stated so that it exists once.
        ("2026-10-25T02:30+02:00", "Europe/Paris", "2026-10-25T00:30:00+00:00"),
    ],
)
def test_an_exact_moment_is_taken_and_a_time_that_lies_ahead_is_not(text, zone, at):
    if at is None:
        with pytest.raises(MomentError, match="day_missing"):
            parse_moment(text, zone, NOW)
    else:
        assert parse_moment(text, zone, NOW) == datetime.fromisoformat(at)


@pytest.mark.parametrize(
    ("text", "zone", "why"),
    [
        ("yesterday 23:10", "UTC", "moment"),
        ("25:10", "UTC", "moment"),
        ("29.11.2026 02:40", "UTC", "moment"),
        ("2026-11-29", "UTC", "time_missing"),
        ("20261129", "UTC", "time_missing"),
        ("2026-10-25T02:30", "Europe/Paris", "twice"),
        ("2026-03-29T02:30", "Europe/Paris", "skipped"),
        ("0001-01-01T00:00", "Asia/Tokyo", "moment"),
        ("9999-12-31T23:59", "America/Los_Angeles", "moment"),
        ("0001-01-01T00:00+14:00", "UTC", "moment"),
        ("9999-12-31T23:59-14:00", "UTC", "moment"),
    ],
)
def test_what_is_not_exact_is_refused_with_the_reason(text, zone, why):
    with pytest.raises(MomentError, match=why):
        parse_moment(text, zone, NOW)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Asia/Kolkata"])
def test_a_moment_that_nobody_changed_keeps_its_microseconds(zone):
    facts = {"aware_at": "2026-11-29T01:40:30.123456Z", "detected_at": "2026-11-29T01:00:00Z"}
    fields = facts_to_fields(facts, zone)
    again = parse_fields(fields, NOW, before=facts).facts
    assert datetime.fromisoformat(again["aware_at"]) == datetime.fromisoformat(facts["aware_at"])
    assert local_text(datetime.fromisoformat(facts["detected_at"]), "Europe/Paris") == "2026-11-29T02:00"


def test_facts_of_another_shape_make_no_fields():
    odd = {"title": 7, "aware_at": "soon", "services": "dns", "service_harm": [], "affected_customers": {"a": 1}}
    assert facts_to_fields(odd, "UTC").values == {"time_zone": ["UTC"]}
    assert facts_to_fields({"affected_customers": [{}, 7, {"effect": "x"}]}, "UTC").all("customers") == []
    assert Fields({"a": ["", "x"]})["a"] == "x"


@pytest.mark.parametrize(
    ("at", "zone"), [("9999-12-31T23:59:00+00:00", "Asia/Tokyo"), ("0001-01-01T00:00:00+00:00", "America/New_York")]
)
def test_a_moment_without_a_year_in_the_zone_is_shown_and_read_with_its_offset(at, zone):
    """An alert may state it: the page of its draft must be shown all the same."""
    shown = facts_to_fields({"detected_at": at}, zone)
    assert shown["detected_at"] == at
    assert parse_moment(shown["detected_at"], zone, NOW) == datetime.fromisoformat(at)
