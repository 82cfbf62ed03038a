"""How the worker paces itself, and until when a stop waits."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from notifications.delivery.delivery import ChannelKind


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How the worker paces itself."""

    #: how long a delivery is ours before another worker may take it
    lease_seconds: float = 300
    #: notices taken at once; their proofs are waited for together
    sealing_batch: int = 512
    #: of them, composed and signed at once: the first are proven and sent while the last are composed
    sealing_at_once: int = 8
    #: mails under way at once: as many as there are connections, so that a send begins at once
    mails_at_once: int = 8
    #: deliveries are taken ahead for so long; more than that keeps a notice waiting that is due before those taken
    ahead_seconds: float = 1
    #: how often work is looked for when nothing wakes the worker
    poll_seconds: float = 5
    #: how long a stop waits for what is in flight; what is not done by then is handed back
    stop_seconds: float = 30

    @property
    def sends_at_once(self) -> Mapping[ChannelKind, int]:
        """Sends under way at once, by channel."""
        others = 4 * self.mails_at_once
        return {ChannelKind.EMAIL: self.mails_at_once, ChannelKind.WEBHOOK: others, ChannelKind.CONSOLE: others}

    @property
    def leased_ahead(self) -> int:
        """Deliveries taken and not sent yet, where no more goes out within ``ahead_seconds``."""
        return 4 * self.mails_at_once

    @property
    def leased_ahead_most(self) -> int:
        """Deliveries taken and not sent yet, at most."""
        return 32 * self.mails_at_once


class StopDeadline:
    """The moment after which a stop waits no longer for what is under way."""

    def __init__(self, stop_seconds: float) -> None:
        self._stop_seconds = stop_seconds
        #: by the event loop's clock; None while no stop has begun
        self._stop_by: float | None = None

    def reset(self) -> None:
        """Forget a stop: the worker starts."""
        self._stop_by = None

    def begin(self) -> None:
        """Begin a stop; one that has begun keeps its deadline."""
        if self._stop_by is None:
            self._stop_by = asyncio.get_running_loop().time() + self._stop_seconds

    @property
    def has_begun(self) -> bool:
        """Whether nothing new is to be begun."""
        return self._stop_by is not None

    def left_seconds(self) -> float:
        """Return for how long the stop waits from now on; begins it."""
        self.begin()
        return max(0.0, (self._stop_by or 0.0) - asyncio.get_running_loop().time())
