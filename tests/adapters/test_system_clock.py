"""The clock of the running program, while somebody sets the system's clock."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from service.system.logging import SystemClock

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
#: passed seconds, and seconds by which the system's clock is set in this time
STEPS = st.lists(st.tuples(st.integers(0, 7200), st.integers(-86_400, 86_400)), max_size=12)


class Machine:
    """A system's clock that can be set, and one that cannot."""

    def __init__(self):
        self.wall, self.elapsed_seconds = NOON, 0.0
        self.clock = SystemClock(lambda: self.wall, lambda: self.elapsed_seconds)

    def go_on(self, passed, set_by=0):
        self.wall += timedelta(seconds=passed + set_by)
        self.elapsed_seconds += passed
        return self.clock.now()


@given(STEPS)
def test_time_goes_on_at_half_speed_at_least_and_is_never_behind_the_system(steps):
    machine = Machine()
    before = machine.clock.now()
    for passed, set_by in steps:
        now = machine.go_on(passed, set_by)
        assert now >= before + timedelta(seconds=passed) / 2
        assert now >= machine.wall
        before = now


def test_set_back_it_is_right_again_after_twice_that_time():
    machine = Machine()
    assert machine.go_on(0, set_by=-3600) == NOON
    assert machine.go_on(600) == NOON + timedelta(minutes=5)
    assert machine.go_on(6000) == NOON + timedelta(minutes=55)
    assert machine.go_on(600) == machine.wall == NOON + timedelta(hours=1)
    assert machine.go_on(60) == machine.wall
