"""Pace and limits of the worker, and the deadline of a stop."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from notifications.delivery.delivery import ChannelKind


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Pace and limits of the worker."""

    #: time for which a leased delivery belongs to this worker
    lease_seconds: float = 300
    #: notices leased at once; one wait gets the proofs of all
    sealing_batch: int = 512
    #: notices read, signed and committed together; a longer read would keep its snapshot, and the first mail, longer
    sealing_together: int = 16
    #: such groups composed and signed at once: the first are proven and sent while the last are composed
    sealing_at_once: int = 2
    #: released notices from which a process of its own composes and signs
    large_release: int = 64
    #: mails under way at once: one for each connection, so that no mail waits for a connection
    mails_at_once: int = 8
    #: deliveries are leased for this time ahead; a longer time would delay a notice that becomes due before them
    ahead_seconds: float = 1
    #: interval of looking for work if nothing wakes the worker
    poll_seconds: float = 5
    #: how long a stop waits for work in flight; the rest is given back
    stop_seconds: float = 30

    @property
    def sends_at_once(self) -> Mapping[ChannelKind, int]:
        """Sends under way at once, by channel."""
        others = 4 * self.mails_at_once
        return {ChannelKind.EMAIL: self.mails_at_once, ChannelKind.WEBHOOK: others, ChannelKind.CONSOLE: others}

    @property
    def leased_ahead(self) -> int:
        """Deliveries leased but not yet sent, if the channel sends no more than that within ``ahead_seconds``."""
        return 4 * self.mails_at_once

    @property
    def leased_ahead_most(self) -> int:
        """Most deliveries leased but not yet sent."""
        return 32 * self.mails_at_once


class StopDeadline:
    """The moment after which a stop no longer waits for work under way."""

    def __init__(self, stop_seconds: float) -> None:
        self._stop_seconds = stop_seconds
        #: by the event loop's clock; None before a stop begins
        self._stop_by: float | None = None

    def reset(self) -> None:
        """Forget an earlier stop, because the worker starts."""
        self._stop_by = None

    def begin(self) -> None:
        """Begin a stop; a second call keeps the deadline."""
        if self._stop_by is None:
            self._stop_by = asyncio.get_running_loop().time() + self._stop_seconds

    @property
    def has_begun(self) -> bool:
        """Whether a stop has begun, so that no further work begins."""
        return self._stop_by is not None

    def left_seconds(self) -> float:
        """Return how long the stop still waits; begins the stop."""
        self.begin()
        return max(0.0, (self._stop_by or 0.0) - asyncio.get_running_loop().time())
