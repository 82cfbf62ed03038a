"""Clocks that tests turn by hand."""

from datetime import UTC, datetime, timedelta


class TurnedClock:
    """The system's clock, moved ahead by what a test says."""

    def __init__(self):
        self.ahead = timedelta()

    def now(self):
        return datetime.now(UTC) + self.ahead

    def turn(self, **span):
        self.ahead += timedelta(**span)


class SteppedClock:
    """A clock that stands still but for the steps that a test makes."""

    def __init__(self, at=None):
        self._at = at or datetime.now(UTC)

    def now(self):
        return self._at

    def step(self, span):
        self._at += span
