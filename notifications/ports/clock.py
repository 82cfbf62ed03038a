"""Time, identifiers and randomness, as the use cases need them."""

from datetime import datetime
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present as aware UTC, to the microsecond, never earlier than a value returned before."""
        ...


class Identifiers(Protocol):
    """Gives identifiers and randomness that nobody can guess."""

    def new_id(self) -> UUID:
        """Return an identifier never given before."""
        ...

    def new_salt(self) -> bytes:
        """Return 32 bytes from the system's secure random source."""
        ...
