"""Time, identifiers and random bytes for the use cases."""

from datetime import datetime
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    """Gives the current time."""

    def now(self) -> datetime:
        """Return the current time: aware UTC, in microseconds, never earlier than a time returned before."""
        ...


class Identifiers(Protocol):
    """Gives identifiers and random bytes that nobody can guess."""

    def new_id(self) -> UUID:
        """Return an identifier that was never returned before."""
        ...

    def new_salt(self) -> bytes:
        """Return 32 bytes from the system's secure random source."""
        ...
