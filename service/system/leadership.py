"""Leader election: which process does the work that only one process should do at a time.

The leader extends the log, raises alerts and sends the service's own mails. With the embedded store this process is
always the leader. On PostgreSQL the leader is the process that holds an advisory lock. The server gives the lock to one
session and releases it when that session ends for any reason. Leader election only avoids duplicate work and noise.
Safety does not depend on it: the head is replaced by compare-and-swap, an alert has a unique key, a mail a Message-ID.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol


class Leadership(Protocol):
    """Knows whether this process is the leader. Only ``leads`` may be called from any thread."""

    #: called in the event loop after this process became the leader, and after it stopped being the leader
    on_change: list[Callable[[], None]]

    @property
    def leads(self) -> bool:
        """Return whether this process is the leader, as far as it knows."""
        ...

    async def gained(self) -> None:
        """Return as soon as this process is the leader."""
        ...

    async def lost(self) -> None:
        """Return as soon as this process is not the leader."""
        ...

    def health(self) -> str | None:
        """Return why this process cannot take part in the election, or None."""
        ...


class SoleLeadership:
    """Implements ``Leadership`` for the only process of a store: it is always the leader."""

    def __init__(self) -> None:
        self.on_change: list[Callable[[], None]] = []

    @property
    def leads(self) -> bool:
        """Return True."""
        return True

    async def gained(self) -> None:
        """Return at once."""

    async def lost(self) -> None:
        """Never return."""
        await asyncio.Event().wait()

    def health(self) -> str | None:
        """Return None."""
        return None


async def while_leading(leadership: Leadership, duty: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a leader task while this process is the leader, and cancel it when that ends; runs until cancelled.

    Raises what the task raises.
    """
    while True:
        await leadership.gained()
        doing, losing = asyncio.create_task(duty()), asyncio.create_task(leadership.lost())
        try:
            await asyncio.wait({doing, losing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (doing, losing):
                task.cancel()
            await asyncio.wait({doing, losing})
        if not doing.cancelled():
            doing.result()
