"""Rate limits: a burst, then a steady rate, one key at a time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth import rate_limits
from service.auth.rate_limits import RateLimiter, TooManyRequestsError

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def allowed(limiter, key, at):
    try:
        limiter.take(key, at)
    except TooManyRequestsError:
        return False
    return True


@given(st.lists(st.floats(0, 5), max_size=80), st.integers(1, 8), st.sampled_from([0.5, 1.0, 4.0]))
def test_no_window_holds_more_than_the_burst_and_what_came_since(gaps, burst, per_second):
    limiter, at, taken = RateLimiter(per_second=per_second, burst=burst), NOW, []
    for gap in gaps:
        at += timedelta(seconds=gap)
        if allowed(limiter, "k", at):
            taken.append(at)
    for start, first in enumerate(taken):
        for end, last in enumerate(taken[start:], 1):
            assert end <= burst + per_second * (last - first).total_seconds() + 1e-3


def test_a_refusal_says_when_to_come_back_and_that_is_true():
    limiter = RateLimiter(per_second=2, burst=3)
    for _ in range(3):
        limiter.take("k", NOW)
    with pytest.raises(TooManyRequestsError) as refused:
        limiter.take("k", NOW)
    wait = timedelta(seconds=refused.value.retry_after_seconds)
    assert not allowed(limiter, "k", NOW + wait - timedelta(milliseconds=1))
    assert allowed(limiter, "k", NOW + wait)


def test_asking_while_refused_does_not_lengthen_the_wait():
    limiter = RateLimiter(per_second=1, burst=1)
    limiter.take("k", NOW)
    for _ in range(50):
        assert not allowed(limiter, "k", NOW)
    assert allowed(limiter, "k", NOW + timedelta(seconds=1))


def test_keys_do_not_share_and_looking_takes_nothing():
    limiter = RateLimiter(per_second=1, burst=1)
    for _ in range(3):
        limiter.verify("a", NOW)
    limiter.take("a", NOW)
    with pytest.raises(TooManyRequestsError):
        limiter.verify("a", NOW)
    assert allowed(limiter, "b", NOW)


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(rate_limits, "_KEYS", 10)
    limiter = RateLimiter(per_second=1, burst=1)
    for number in range(100):
        limiter.take(str(number), NOW)
    assert len(limiter._full_at) <= 10
