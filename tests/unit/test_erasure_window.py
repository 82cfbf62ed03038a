"""When an erasure may be done, until when it must be, and what its certificate says."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.canonical_json import parse_canonical
from notifications.customer.erasure import Erasure, certificate, erasure_window

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
ZONES = ("Europe/Paris", "UTC", "Pacific/Auckland", "America/St_Johns", "Pacific/Apia")
ERASURE = Erasure("ab" * 32, AT, AT, AT + timedelta(days=22), 17, compacted_at=AT + timedelta(days=22, minutes=1))


@given(st.integers(0, 6 * 366 * 86_400), st.sampled_from(ZONES), st.integers(1, 60), st.integers(0, 60))
def test_whole_calendar_days_and_no_more_than_the_agreement_gives(seconds, zone, notice_days, more):
    noticed_at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    window = erasure_window(noticed_at, zone, notice_days, notice_days + 2 + more)
    local = ZoneInfo(zone)
    days = (window.not_before.astimezone(local).date() - noticed_at.astimezone(local).date()).days
    assert days == notice_days + 1
    notice = timedelta(days=notice_days)
    assert notice <= window.not_before - noticed_at <= notice + timedelta(days=1, hours=1)
    assert window.due_at - noticed_at == notice + timedelta(days=2 + more)
    assert window.not_before < window.due_at


@pytest.mark.parametrize(
    ("noticed_at", "not_before"),
    [
        # Told in the morning of 2 March in Paris: the 22nd day after begins on 24 March at midnight there.
        (datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 3, 23, 23, tzinfo=UTC)),
        # A clock put forward on the way, and told a second before midnight: 21 times 24 hours are kept.
        (datetime(2026, 3, 14, 22, 59, 59, tzinfo=UTC), datetime(2026, 4, 4, 22, 59, 59, tzinfo=UTC)),
    ],
)
def test_days_are_those_of_the_customer(noticed_at, not_before):
    assert erasure_window(noticed_at, "Europe/Paris", 21, 30).not_before == not_before


def test_an_announced_moment_after_the_days_moves_both_ends_and_one_before_them_changes_nothing():
    plain = erasure_window(AT, "Europe/Paris", 21, 30)
    assert erasure_window(AT, "Europe/Paris", 21, 30, plain.not_before - timedelta(seconds=1)) == plain
    later = erasure_window(AT, "Europe/Paris", 21, 30, plain.not_before + timedelta(days=10))
    assert (later.not_before - plain.not_before, later.due_at - plain.due_at) == (timedelta(days=10),) * 2


def test_a_certificate_says_what_was_done_and_nothing_personal():
    document = certificate(
        ERASURE, provider_name="Fournisseur", clauses=("9.7", "12"), issued_at=AT + timedelta(days=23)
    )
    said = parse_canonical(document)
    assert said == json.loads(document)
    assert (said["schema"], said["customer"], said["clauses"]) == ("greffier.erasure/1", "ab" * 32, ["9.7", "12"])
    assert (said["erased_at"], said["erased_rows"]) == ("2026-03-24T09:00:00.000000Z", 17)
    assert set(said["kept"]) == {"fr", "en", "de"}


def test_nothing_is_certified_while_the_files_still_hold_it():
    with pytest.raises(ValueError, match="not rewritten"):
        certificate(Erasure("ab" * 32, AT, AT, AT, 1), provider_name="P", clauses=(), issued_at=AT)
