"""Clocks that a test controls."""

from datetime import UTC, datetime, timedelta


class TurnedClock:
    """The system's clock plus an offset that a test sets."""

    def __init__(self):
        self.ahead = timedelta()

    def now(self):
        return datetime.now(UTC) + self.ahead

    def turn(self, **span):
        self.ahead += timedelta(**span)


class SteppedClock:
    """A clock that moves only when a test steps it."""

    def __init__(self, at=None):
        self._at = at or datetime.now(UTC)

    def now(self):
        return self._at

    def step(self, span):
        self._at += span
