"""Identifiers, retry decisions and states of deliveries."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.delivery.delivery import (
    DEFAULT_RETRY_POLICY,
    ChannelKind,
    Delivery,
    DeliveryState,
    Outcome,
    OutcomeKind,
    RetryPolicy,
    SendingLimit,
    delivery_id,
    next_state,
    retry_decision,
    turn_of,
)
from notifications.delivery.delivery import delivery_message_id as message_id

NOW = datetime(2026, 11, 23, 4, 45, tzinfo=UTC)
NOTICE, CONTACT = UUID(int=0xA0A0), UUID(int=0xB1B1)
POLICY = DEFAULT_RETRY_POLICY


def outcome(kind, code=None, status=None, text="said so"):
    return Outcome(
        kind=kind,
        code=code,
        enhanced_status=status,
        text=text,
        queue_id=None,
        tls_version=None,
        tls_cipher=None,
        remote=None,
    )


GREYLISTED = outcome(OutcomeKind.TRANSIENT_FAILURE, 451, "4.7.1", "4.7.1 greylisted")
NO_SUCH_USER = outcome(OutcomeKind.PERMANENT_FAILURE, 550, "5.1.1", "5.1.1 no such user")
RELAYING_DENIED = outcome(OutcomeKind.PERMANENT_FAILURE, 554, "5.7.1", "5.7.1 relay access denied")
NO_KEY = outcome(OutcomeKind.REFUSED_HERE, text="no usable key")
ACCEPTED = outcome(OutcomeKind.ACCEPTED, 250, "2.0.0", "2.0.0 Ok")

DELIVERY = Delivery(
    id=delivery_id(NOTICE, ChannelKind.EMAIL, CONTACT),
    notice_id=NOTICE,
    customer_id=UUID(int=3),
    channel=ChannelKind.EMAIL,
    contact_id=CONTACT,
    message_id=message_id(NOTICE, CONTACT, "greffier.example"),
    state=DeliveryState.QUEUED,
    attempts=0,
    next_attempt_at=NOW,
    last_error=None,
    created_at=NOW,
)


def wait_seconds(result, *, attempts=1, until_due_seconds=30 * 86_400, jitter=0.5, policy=POLICY):
    decision = retry_decision(
        result,
        attempts=attempts,
        now=NOW,
        due_at=NOW + timedelta(seconds=until_due_seconds),
        jitter=jitter,
        policy=policy,
    )
    return None if decision.next_attempt_at is None else (decision.next_attempt_at - NOW).total_seconds()


# -- identifiers


def test_a_delivery_is_named_by_notice_channel_and_contact_alone():
    names = {
        delivery_id(notice, channel, contact)
        for notice in (NOTICE, UUID(int=9))
        for channel in ChannelKind
        for contact in (CONTACT, UUID(int=8), None)
    }
    assert len(names) == 2 * 3 * 3
    # Kept in stores: a release that changed it would queue again what is queued.
    assert delivery_id(NOTICE, ChannelKind.EMAIL, CONTACT) == UUID("b7462787-036f-5271-b842-ddc4c6cf5d57")


def test_a_message_id_is_the_same_on_every_attempt_and_another_for_each_contact_and_notice():
    assert message_id(NOTICE, CONTACT, "greffier.example") == message_id(NOTICE, CONTACT, "greffier.example")
    ids = {
        message_id(notice, contact, "greffier.example")
        for notice in (NOTICE, UUID(int=9))
        for contact in (CONTACT, UUID(int=8), None)
    }
    assert len(ids) == 6


def test_a_message_id_has_the_form_of_one_and_tells_neither_identifier():
    text = message_id(NOTICE, CONTACT, "greffier.example")
    assert re.fullmatch(r"<[0-9a-f]{40}@greffier\.example>", text)
    for identifier in (NOTICE, CONTACT):
        assert str(identifier) not in text
        assert identifier.hex not in text


# -- retries


def test_what_was_accepted_is_not_sent_again():
    assert wait_seconds(ACCEPTED) is None


def test_transient_failures_wait_twice_as_long_each_time_up_to_the_ceiling():
    waits = [wait_seconds(GREYLISTED, attempts=attempts) for attempts in range(1, 10)]
    assert waits == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]


def test_jitter_spreads_the_whole_wait():
    assert wait_seconds(GREYLISTED, attempts=5, jitter=0.0) == POLICY.shortest_seconds
    assert wait_seconds(GREYLISTED, attempts=5, jitter=0.25) == 240
    assert 959 < wait_seconds(GREYLISTED, attempts=5, jitter=0.999999) < 960


@pytest.mark.parametrize(
    ("until_due_seconds", "longest"),
    [
        (30 * 86_400, 3600),
        (86_400, 3600),
        (4 * 3600, 1800),
        (3600, 450),
        (1800, 300),
        (400, 200),
        (60, 30),
        (1, 5),
        (0, 300),
        (-60, 300),
        (-4 * 3600, 1800),
        (-30 * 86_400, 3600),
    ],
)
def test_the_nearer_the_deadline_the_more_urgently(until_due_seconds, longest):
    wait = wait_seconds(GREYLISTED, attempts=50, until_due_seconds=until_due_seconds, jitter=0.999_999_9)
    assert wait == pytest.approx(longest, rel=1e-4)


@given(
    attempts=st.integers(1, 10**9),
    until_due_seconds=st.floats(-(10**8), 10**8),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_a_transient_failure_never_ends_the_trying_and_never_sleeps_through_the_deadline(
    attempts, until_due_seconds, jitter
):
    wait = wait_seconds(GREYLISTED, attempts=attempts, until_due_seconds=until_due_seconds, jitter=jitter)
    assert POLICY.shortest_seconds <= wait <= POLICY.longest_seconds
    if until_due_seconds > POLICY.shortest_seconds:
        assert wait <= until_due_seconds


@given(until_due_seconds=st.floats(-(10**8), 10**8), attempts=st.integers(1, 10**9))
def test_what_is_ours_to_repair_is_tried_at_a_steady_pace_for_ever(until_due_seconds, attempts):
    waits = [
        wait_seconds(NO_KEY, attempts=attempts, until_due_seconds=until_due_seconds, jitter=jitter)
        for jitter in (0, 0.5)
    ]
    assert waits == [60, 90]


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        (550, "5.1.1", "address"),
        (550, "5.1.10", "address"),
        (550, "5.2.1", "mailbox"),
        (552, "5.3.4", "too large"),
        (554, "5.6.0", "form"),
        (550, "5.0.0", "refused"),
        (550, None, "refused"),
        (None, None, "refused"),
    ],
)
def test_what_is_about_the_address_or_the_message_fails_for_good_with_its_reason(code, status, reason):
    result = outcome(OutcomeKind.PERMANENT_FAILURE, code, status)
    decision = retry_decision(result, attempts=1, now=NOW, due_at=NOW + timedelta(days=2), jitter=0.5)
    assert decision.next_attempt_at is None
    assert reason in decision.reason


@pytest.mark.parametrize("status", ["5.7.1", "5.7.26", "5.3.2", "5.4.6", "5.5.1"])
def test_what_may_be_our_own_fault_is_tried_slowly_until_the_deadline_and_then_believed(status):
    result = outcome(OutcomeKind.PERMANENT_FAILURE, 554, status)
    assert wait_seconds(result) == 900
    # Before the deadline it is never given up, and near it more urgent.
    assert wait_seconds(result, attempts=100, until_due_seconds=1200) == 150
    # After it, only once it was tried several times.
    assert wait_seconds(result, attempts=7, until_due_seconds=-1) == 150
    assert wait_seconds(result, attempts=8, until_due_seconds=-1) is None
    assert wait_seconds(result, attempts=8, until_due_seconds=0) is None


def test_patience_is_a_matter_of_policy():
    hasty = RetryPolicy(
        first_seconds=2, longest_seconds=4, urgent_seconds=1, shortest_seconds=0, refused_here_seconds=3
    )
    assert [wait_seconds(GREYLISTED, attempts=attempts, policy=hasty) for attempts in (1, 2, 3)] == [1, 2, 2]
    assert wait_seconds(NO_KEY, jitter=0, policy=hasty) == 3


@pytest.mark.parametrize(("jitter", "attempts"), [(-0.1, 1), (1.0, 1), (float("nan"), 1), (0.5, 0)])
def test_a_jitter_or_a_count_that_cannot_be_is_a_defect(jitter, attempts):
    with pytest.raises(ValueError, match="jitter"):
        retry_decision(GREYLISTED, attempts=attempts, now=NOW, due_at=NOW, jitter=jitter)


# -- states


def after(delivery, result, **changes):
    arguments = {"now": NOW, "due_at": NOW + timedelta(days=2), "jitter": 0.5} | changes
    return next_state(delivery, result, **arguments)


def test_accepted_means_sent():
    sent = after(replace(DELIVERY, last_error="451 4.7.1 greylisted", attempts=2), ACCEPTED)
    assert sent == replace(
        DELIVERY, state=DeliveryState.SENT, attempts=3, next_attempt_at=None, last_error=None, sent_at=NOW
    )


def test_a_transient_failure_stays_queued_and_says_what_was_said():
    queued = after(DELIVERY, GREYLISTED)
    assert (queued.state, queued.attempts) == (DeliveryState.QUEUED, 1)
    assert queued.next_attempt_at == NOW + timedelta(seconds=30)
    assert queued.last_error == "451 4.7.1 greylisted (failed for now; tried again)"


def test_a_permanent_failure_is_visible_with_its_reason():
    failed = after(DELIVERY, NO_SUCH_USER)
    assert (failed.state, failed.next_attempt_at) == (DeliveryState.FAILED, None)
    assert failed.last_error == "550 5.1.1 no such user (the address is refused for good)"


def test_refused_here_stays_queued():
    queued = after(DELIVERY, NO_KEY)
    assert queued.state is DeliveryState.QUEUED
    assert queued.last_error == "no usable key (ours to repair; tried again until it is)"


def test_what_was_sent_stays_sent_when_a_second_attempt_raced_it():
    sent = after(DELIVERY, ACCEPTED)
    for result in (GREYLISTED, NO_SUCH_USER, NO_KEY):
        again = after(sent, result)
        assert again == replace(sent, attempts=2)


@given(
    st.lists(st.sampled_from([GREYLISTED, NO_SUCH_USER, RELAYING_DENIED, NO_KEY, ACCEPTED]), min_size=1, max_size=30),
    st.integers(-100_000, 100_000),
)
def test_no_delivery_is_ever_lost(outcomes, until_due_seconds):
    """Whatever happens, it is sent, or planned again, or stands failed with a reason, always under the same name."""
    delivery = DELIVERY
    for number, result in enumerate(outcomes, 1):
        delivery = after(delivery, result, due_at=NOW + timedelta(seconds=until_due_seconds))
        assert (delivery.id, delivery.message_id, delivery.attempts) == (DELIVERY.id, DELIVERY.message_id, number)
        match delivery.state:
            case DeliveryState.SENT:
                assert delivery.next_attempt_at is None
            case DeliveryState.QUEUED:
                assert delivery.next_attempt_at > NOW
                assert delivery.last_error
            case DeliveryState.FAILED:
                assert delivery.next_attempt_at is None
                assert delivery.last_error


class TestRetryAfter:
    """The other side says how long it wants to be left alone; a deadline is never slept through for it."""

    def decide(self, seconds, *, due_in, jitter=0.0, attempts=1):
        outcome = replace(GREYLISTED, retry_after_seconds=seconds)
        due_at = NOW + timedelta(seconds=due_in)
        decision = retry_decision(outcome, attempts=attempts, now=NOW, due_at=due_at, jitter=jitter)
        return (decision.next_attempt_at - NOW).total_seconds()

    def test_it_is_left_alone_for_so_long(self):
        assert self.decide(600, due_in=86_400) == 600
        assert self.decide(600, due_in=86_400, jitter=0.8) == pytest.approx(660)
        assert self.decide(1, due_in=86_400) == 5, "the shortest wait still counts"

    def test_but_never_past_half_of_the_time_to_the_deadline(self):
        assert self.decide(86_400, due_in=86_400) == 3600
        assert self.decide(86_400, due_in=400) == 200
        assert self.decide(86_400, due_in=-60) == 300

    def test_it_never_shortens_a_wait(self):
        assert self.decide(10, due_in=86_400, jitter=0.5, attempts=9) == pytest.approx(1800)


def test_each_channel_is_as_patient_as_its_other_side_is_slow():
    waits = {
        channel: after(replace(DELIVERY, channel=channel), GREYLISTED).next_attempt_at - NOW for channel in ChannelKind
    }
    assert waits[ChannelKind.EMAIL] > waits[ChannelKind.WEBHOOK] >= waits[ChannelKind.CONSOLE]


def test_every_notice_has_a_turn_before_one_has_many():
    assert [turn_of(number) for number in range(20)] == [0, 1, *[2] * 16, 3, 3]
    turns = [turn_of(number) for number in range(1000)]
    assert turns == sorted(turns)


@pytest.mark.parametrize("kind", [OutcomeKind.REFUSED_HERE, OutcomeKind.PERMANENT_FAILURE])
def test_what_is_too_large_is_sent_as_a_summary_at_once_and_then_decided_by_its_kind(kind):
    result = replace(outcome(kind, 552, "5.2.3"), limit=SendingLimit.SIZE)
    moments = {"attempts": 1, "now": NOW, "due_at": NOW + timedelta(days=2), "jitter": 0.5}
    first = retry_decision(result, **moments)
    assert first.next_attempt_at == NOW
    assert "summary" in first.reason
    assert "refused for good" not in first.reason
    again = retry_decision(result, **moments, is_summary=True)
    assert (again.next_attempt_at is None) is (kind is OutcomeKind.PERMANENT_FAILURE)
    assert ("ours to repair" in again.reason) is (kind is OutcomeKind.REFUSED_HERE)
    assert "mailbox takes no mail" not in again.reason


def test_a_delivery_remembers_since_when_the_notice_is_too_large():
    delivery = DELIVERY
    result = replace(outcome(OutcomeKind.REFUSED_HERE, None, None), limit=SendingLimit.SIZE)
    moments = {"due_at": NOW + timedelta(days=2), "jitter": 0.5}
    first = next_state(delivery, result, now=NOW, **moments)
    assert (first.state, first.next_attempt_at, first.too_large_at) == (DeliveryState.QUEUED, NOW, NOW)
    later = next_state(first, result, now=NOW + timedelta(hours=1), **moments)
    assert (later.state, later.too_large_at) == (DeliveryState.QUEUED, NOW)
    assert later.next_attempt_at > NOW + timedelta(hours=1)


@pytest.mark.parametrize("limit", [SendingLimit.SMTPUTF8, SendingLimit.EIGHT_BIT])
def test_another_limit_makes_no_summary_and_is_tried_until_it_is_repaired(limit):
    result = replace(outcome(OutcomeKind.REFUSED_HERE, None, None), limit=limit)
    assert wait_seconds(result, jitter=0) == 60
