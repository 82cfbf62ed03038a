"""Return paths: each names one attempt of one delivery, and nobody else can write one."""

import string
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.errors import InvalidInputError, VerificationError
from notifications.mail.return_path import MAX_LOCAL_PART_OCTETS, ReturnPaths

NOW = datetime(2026, 3, 2, 10, 0, 30, tzinfo=UTC)
DELIVERY = UUID("0b4c8a54-1d0e-4c55-9e0e-7d1a4b3f2c11")
KEY, OLD_KEY = b"k" * 32, b"o" * 32
PATHS = ReturnPaths("bounces.provider.example", [KEY, OLD_KEY])


def test_an_address_says_its_delivery_its_attempt_and_when_it_was_made():
    address = PATHS.address_of(DELIVERY, 3, NOW)
    local_part, _, domain = address.rpartition("@")
    assert domain == "bounces.provider.example"
    assert local_part.startswith("bounce+")
    found = PATHS.verify_return_path(address, NOW + timedelta(days=4))
    assert (found.delivery_id, found.attempt, found.issued_at) == (DELIVERY, 3, NOW)


def test_the_local_part_fits_every_server_at_the_longest_prefix():
    local_part = ReturnPaths("b.example", [KEY], prefix="a" * 11).address_of(DELIVERY, 70_000, NOW).split("@")[0]
    assert len(local_part) <= MAX_LOCAL_PART_OCTETS
    assert set(local_part) <= set(string.ascii_lowercase + string.digits + "+-")


@pytest.mark.parametrize("change", [str.upper, str.title, str.swapcase])
def test_servers_may_change_the_case(change):
    assert PATHS.verify_return_path(change(PATHS.address_of(DELIVERY, 1, NOW)), NOW).delivery_id == DELIVERY


def test_each_attempt_has_its_own_address_and_counts_past_its_field():
    assert PATHS.address_of(DELIVERY, 1, NOW) != PATHS.address_of(DELIVERY, 2, NOW)
    found = PATHS.verify_return_path(PATHS.address_of(DELIVERY, 65_537, NOW), NOW)
    assert found.is_before(65_538)
    assert found.is_after(65_536)
    assert not found.is_before(65_537)
    assert not found.is_after(65_537)


def test_a_master_key_that_was_replaced_still_verifies_until_it_is_gone():
    of_old = ReturnPaths("bounces.provider.example", [OLD_KEY]).address_of(DELIVERY, 1, NOW)
    assert PATHS.verify_return_path(of_old, NOW).delivery_id == DELIVERY
    with pytest.raises(VerificationError, match="not made by this service"):
        ReturnPaths("bounces.provider.example", [KEY]).verify_return_path(of_old, NOW)


def test_no_single_character_can_be_changed():
    address = PATHS.address_of(DELIVERY, 1, NOW)
    start, end = address.index("+") + 1, address.index("@")
    for place in range(start, end):
        for other in "abcdefghijklmnopqrstuvwxyz234567":
            if other == address[place]:
                continue
            with pytest.raises(VerificationError):
                PATHS.verify_return_path(address[:place] + other + address[place + 1 :], NOW)


@pytest.mark.parametrize(
    "other",
    [
        ReturnPaths("bounces.other.example", [KEY]),
        ReturnPaths("bounces.provider.example", [KEY], prefix="back"),
        ReturnPaths("bounces.provider.example", [b"x" * 32]),
    ],
)
def test_what_was_made_for_another_domain_prefix_or_key_is_refused(other):
    token = other.address_of(DELIVERY, 1, NOW).split("+")[1].split("@")[0]
    with pytest.raises(VerificationError):
        PATHS.verify_return_path(f"bounce+{token}@bounces.provider.example", NOW)
    with pytest.raises(VerificationError):
        PATHS.verify_return_path(other.address_of(DELIVERY, 1, NOW), NOW)


def test_it_expires_and_none_is_of_the_future():
    address = PATHS.address_of(DELIVERY, 1, NOW)
    PATHS.verify_return_path(address, NOW + timedelta(days=30))
    for then in (NOW + timedelta(days=30, seconds=1), NOW - timedelta(minutes=6)):
        with pytest.raises(VerificationError, match="expired"):
            PATHS.verify_return_path(address, then)


@given(st.text(max_size=120) | st.from_regex(r"\Abounce\+[a-z2-7]{50,54}@bounces\.provider\.example\Z"))
def test_nothing_that_was_not_made_here_is_taken(address):
    with pytest.raises(VerificationError):
        PATHS.verify_return_path(address, NOW)


@pytest.mark.parametrize(
    ("domain", "prefix"),
    [
        ("", "b"),
        ("a b.example", "b"),
        ("Upper.example", "b"),
        ("a.example", ""),
        ("a.example", "a" * 12),
        ("a.example", "a+b"),
    ],
)
def test_a_domain_or_prefix_that_cannot_be_is_refused(domain, prefix):
    with pytest.raises(InvalidInputError):
        ReturnPaths(domain, [KEY], prefix=prefix)


def test_a_short_key_is_a_defect():
    with pytest.raises(ValueError, match="32 bytes"):
        ReturnPaths("b.example", [b"short"])
