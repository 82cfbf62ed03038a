"""Destinations: concurrency, pace, and circuit breakers."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.delivery.delivery import ChannelKind, Outcome, OutcomeKind
from service.delivery.destinations import DestinationLimits, Destinations, is_about_destination

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
MAIL, HOOK, CONSOLE = ChannelKind.EMAIL, ChannelKind.WEBHOOK, ChannelKind.CONSOLE
TAKEN = Outcome(OutcomeKind.ACCEPTED, 250, "2.0.0", "ok", None, None, None, None)
SILENT = replace(TAKEN, kind=OutcomeKind.TRANSIENT_FAILURE, code=None, enhanced_status=None, text="no answer in time")
GREYLISTED = replace(SILENT, code=451, enhanced_status="4.7.1")


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def fail(destinations, channel, destination, times, outcome=SILENT, now=NOW):
    for _ in range(times):
        assert destinations.begin(channel, destination, now)
        destinations.end(channel, destination, outcome, now)


def test_a_destination_takes_twice_what_it_sends_at_once_and_the_console_has_no_end():
    destinations = Destinations(DestinationLimits(concurrent={MAIL: 1}))
    assert [destinations.begin(MAIL, "email:a", NOW) for _ in range(3)] == [True, True, False]
    assert destinations.begin(MAIL, "email:b", NOW)
    assert all(destinations.begin(CONSOLE, "console", NOW) for _ in range(50))
    assert destinations.blocked(NOW) == (frozenset(), {"email:a"})
    destinations.end(MAIL, "email:a", TAKEN, NOW)
    assert destinations.blocked(NOW) == (frozenset(), frozenset())
    assert destinations.begin(MAIL, "email:a", NOW)


async def test_of_what_has_begun_so_many_are_sent_at_once():
    destinations = Destinations(DestinationLimits(concurrent={MAIL: 1}))
    assert destinations.begin(MAIL, "email:a", NOW)
    assert destinations.begin(MAIL, "email:a", NOW)
    order, inside, leave = [], asyncio.Event(), asyncio.Event()

    async def first():
        async with destinations.place("email:a"):
            inside.set()
            await leave.wait()
            order.append("first")

    async def second():
        await inside.wait()
        leave.set()
        async with destinations.place("email:a"):
            order.append("second")

    await asyncio.gather(first(), second())
    assert order == ["first", "second"]
    assert destinations.begin(CONSOLE, "console", NOW)
    async with destinations.place("console"), destinations.place("console"):
        pass


def test_a_destination_takes_so_many_a_minute_and_says_when_it_takes_more():
    destinations = Destinations(DestinationLimits(per_minute={MAIL: 2}))
    fail(destinations, MAIL, "email:a", 1, TAKEN)
    fail(destinations, MAIL, "email:a", 1, TAKEN, at(10))
    assert not destinations.begin(MAIL, "email:a", at(59))
    assert destinations.reopens_at(at(59)) == at(60)
    assert destinations.begin(MAIL, "email:a", at(60))
    assert not destinations.begin(MAIL, "email:a", at(61))
    assert destinations.begin(MAIL, "email:b", at(61))


def test_a_relay_that_does_not_answer_is_left_alone_for_every_recipient_and_tried_by_one():
    destinations = Destinations(DestinationLimits(failures_to_open=3, first_open_seconds=5, longest_open_seconds=12))
    fail(destinations, MAIL, "email:a", 2)
    fail(destinations, MAIL, "email:b", 1)
    assert destinations.blocked(NOW) == ({MAIL}, frozenset())
    assert destinations.open_circuits(NOW) == ["relay"]
    assert destinations.open_by_channel(NOW) == {MAIL: 1, HOOK: 0}
    assert not destinations.begin(MAIL, "email:c", at(4))
    assert destinations.begin(HOOK, "webhook:c", at(4))
    assert destinations.reopens_at(at(4)) == at(5)
    assert destinations.begin(MAIL, "email:c", at(5))
    assert not destinations.begin(MAIL, "email:d", at(5)), "one tries, the others wait"
    assert destinations.blocked(at(5)) == ({MAIL}, frozenset())
    destinations.end(MAIL, "email:c", SILENT, at(6))
    assert destinations.reopens_at(at(6)) == at(16), "it doubles"
    assert destinations.begin(MAIL, "email:c", at(16))
    destinations.end(MAIL, "email:c", SILENT, at(16))
    assert destinations.reopens_at(at(16)) == at(28), "and ends at the longest"
    assert destinations.begin(MAIL, "email:c", at(28))
    destinations.end(MAIL, "email:c", TAKEN, at(28))
    assert destinations.blocked(at(28)) == (frozenset(), frozenset())
    assert [destinations.begin(MAIL, "email:c", at(28)) for _ in range(16)] == [True] * 16


def test_a_trial_that_was_cut_short_leaves_the_next_one_to_try():
    destinations = Destinations(DestinationLimits(failures_to_open=1))
    fail(destinations, HOOK, "webhook:a", 1)
    assert destinations.begin(HOOK, "webhook:a", at(5))
    destinations.end(HOOK, "webhook:a", None, at(5))
    assert destinations.begin(HOOK, "webhook:a", at(5))


def test_a_webhook_that_fails_stands_in_nobodys_way():
    destinations = Destinations(DestinationLimits(failures_to_open=2))
    fail(destinations, HOOK, "webhook:a", 2, replace(SILENT, code=503))
    assert destinations.blocked(NOW) == (frozenset(), {"webhook:a"})
    assert destinations.begin(HOOK, "webhook:b", NOW)
    assert destinations.begin(MAIL, "email:a", NOW)


def test_an_answer_about_one_recipient_says_nothing_of_the_relay():
    destinations = Destinations(DestinationLimits(failures_to_open=2))
    fail(destinations, MAIL, "email:a", 1)
    fail(destinations, MAIL, "email:a", 1, GREYLISTED)
    fail(destinations, MAIL, "email:a", 1)
    assert destinations.blocked(NOW) == (frozenset(), frozenset()), "only failures in a row count"


@pytest.mark.parametrize(
    ("channel", "outcome", "expected"),
    [
        (MAIL, SILENT, True),
        (MAIL, replace(SILENT, code=421), True),
        (MAIL, GREYLISTED, False),
        (MAIL, replace(SILENT, kind=OutcomeKind.PERMANENT_FAILURE, code=550), False),
        (MAIL, replace(SILENT, kind=OutcomeKind.REFUSED_HERE), False),
        (MAIL, TAKEN, False),
        (HOOK, replace(SILENT, code=500), True),
        (HOOK, replace(SILENT, code=429), True),
        (HOOK, replace(SILENT, code=404), False),
    ],
)
def test_what_a_failure_is_about(channel, outcome, expected):
    assert is_about_destination(channel, outcome) is expected


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([TAKEN, SILENT, None]), st.integers(0, 30))))
def test_nothing_is_counted_twice_or_kept_for_ever(steps):
    """Every send that began ends; then, whatever happened, each destination takes something again within a minute."""
    destinations, seconds = Destinations(DestinationLimits(concurrent={HOOK: 1})), 0
    for name, outcome, passed in steps:
        seconds += passed
        if destinations.begin(HOOK, name, at(seconds)):
            destinations.end(HOOK, name, outcome, at(seconds))
    for name in "ab":
        assert destinations.begin(HOOK, name, at(seconds + 60))
