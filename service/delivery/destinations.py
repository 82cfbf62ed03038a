"""Destinations: how many sends run at once to each, at what rate, and a circuit breaker for failing ones.

The state is in the memory of each worker. After a restart, new failures build it up again; no delivery depends on it.
Limits are therefore per process.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from notifications.delivery.delivery import ChannelKind, Outcome, OutcomeKind

#: The relay is closing the connection. This reply is about the relay, not about the recipient.
_CLOSING = 421
_SERVER_ERRORS = range(500, 600)
_TOO_MANY_REQUESTS = 429
#: Name of the one circuit for all mail, because every mail goes through the same relay.
_RELAY = "relay"


@dataclass(frozen=True, slots=True)
class DestinationLimits:
    """The limits of one destination."""

    #: sends at once to one destination, and as many more that wait for a place; a channel not named has no limit
    concurrent: Mapping[ChannelKind, int] = field(
        default_factory=lambda: {ChannelKind.EMAIL: 8, ChannelKind.WEBHOOK: 4}
    )
    #: sends begun per minute to one destination; a channel not named has no limit
    per_minute: Mapping[ChannelKind, int] = field(default_factory=dict)
    #: consecutive failures after which the circuit opens
    failures_to_open: int = 5
    #: time for which the circuit is open at first; each failed trial doubles it
    first_open_seconds: float = 5
    longest_open_seconds: float = 60


@dataclass(slots=True)
class _Destination:
    channel: ChannelKind
    #: limits the sends at once; None without a limit
    places: asyncio.Semaphore | None
    #: sends that run or wait for a place
    under_way: int = 0
    #: start times of the last minute's sends, oldest first; recorded only if there is a rate limit
    begun: deque[datetime] = field(default_factory=deque)


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    #: no sends until then; afterwards one send at a time is a trial, until one succeeds
    open_until: datetime | None = None
    under_trial: bool = False


class Destinations:
    """Counts the sends under way and knows which destinations accept no sends now."""

    def __init__(self, settings: DestinationLimits | None = None) -> None:
        self._settings = settings or DestinationLimits()
        self._destinations: dict[str, _Destination] = {}
        self._circuits: dict[str, _Circuit] = {}

    def open_circuits(self, now: datetime) -> list[str]:
        """Return the destinations whose circuit is open."""
        return sorted(name for name, circuit in self._circuits.items() if _is_open(circuit, now))

    def open_by_channel(self, now: datetime) -> dict[ChannelKind, int]:
        """Return the number of open circuits by channel."""
        names = self.open_circuits(now)
        mail = names.count(_RELAY)
        return {ChannelKind.EMAIL: mail, ChannelKind.WEBHOOK: len(names) - mail}

    def blocked(self, now: datetime) -> tuple[frozenset[ChannelKind], frozenset[str]]:
        """Return the channels and destinations that accept no sends now."""
        destinations = {name for name in self._destinations if not self._has_place(name, now)}
        destinations |= {
            name for name, circuit in self._circuits.items() if name != _RELAY and not _accepts(circuit, now)
        }
        relay = self._circuits.get(_RELAY)
        channels = {ChannelKind.EMAIL} if relay is not None and not _accepts(relay, now) else set[ChannelKind]()
        return frozenset(channels), frozenset(destinations)

    def begin(self, channel: ChannelKind, destination: str, now: datetime) -> bool:
        """Register a send, which then waits for its ``place``; return False if the destination accepts no sends now."""
        circuit = self._circuits.get(_circuit_name(channel, destination))
        if circuit is not None and not _accepts(circuit, now):
            return False
        if not self._has_place(destination, now):
            return False
        entry = self._destinations.get(destination)
        if entry is None:
            limit = self._settings.concurrent.get(channel)
            entry = self._destinations[destination] = _Destination(
                channel, None if limit is None else asyncio.Semaphore(limit)
            )
        entry.under_way += 1
        if channel in self._settings.per_minute:
            entry.begun.append(now)
        if circuit is not None and circuit.open_until is not None:
            circuit.under_trial = True
        return True

    @asynccontextmanager
    async def place(self, destination: str) -> AsyncIterator[None]:
        """Wait for a place; the send must have begun."""
        places = self._destinations[destination].places
        async with places or contextlib.nullcontext():
            yield

    def end(self, channel: ChannelKind, destination: str, outcome: Outcome | None, now: datetime) -> None:
        """Register the end of a send and its outcome; None if the outcome is unknown, for example after an abort."""
        entry = self._destinations[destination]
        entry.under_way -= 1
        if entry.under_way == 0 and not entry.begun:
            del self._destinations[destination]
        name = _circuit_name(channel, destination)
        circuit = self._circuits.get(name)
        if outcome is None:
            if circuit is not None:
                circuit.under_trial = False
            return
        if not is_about_destination(channel, outcome):
            # Any other answer shows that the destination is reachable.
            self._circuits.pop(name, None)
            return
        circuit = self._circuits.setdefault(name, _Circuit())
        circuit.failures += 1
        circuit.under_trial = False
        beyond = circuit.failures - self._settings.failures_to_open
        if beyond >= 0:
            open_seconds = min(
                self._settings.longest_open_seconds, self._settings.first_open_seconds * 2 ** min(beyond, 20)
            )
            circuit.open_until = now + timedelta(seconds=open_seconds)

    def reopens_at(self, now: datetime) -> datetime | None:
        """Return when the next destination with an open circuit, or at its rate limit, accepts sends again."""
        moments = [
            circuit.open_until
            for circuit in self._circuits.values()
            if circuit.open_until is not None and circuit.open_until > now
        ]
        moments += [
            destination.begun[0] + timedelta(minutes=1)
            for destination in self._destinations.values()
            if destination.begun
            and len(destination.begun) >= self._settings.per_minute.get(destination.channel, len(destination.begun) + 1)
        ]
        return min(moments, default=None)

    def _has_place(self, name: str, now: datetime) -> bool:
        destination = self._destinations.get(name)
        if destination is None:
            return True
        if destination.under_way >= 2 * self._settings.concurrent.get(destination.channel, destination.under_way + 1):
            return False
        per_minute = self._settings.per_minute.get(destination.channel)
        if per_minute is None:
            return True
        while destination.begun and destination.begun[0] <= now - timedelta(minutes=1):
            destination.begun.popleft()
        return len(destination.begun) < per_minute


def is_about_destination(channel: ChannelKind, outcome: Outcome) -> bool:
    """Whether a failure concerns the whole destination, and not one recipient or message.

    For mail: the relay does not answer, or says that it is closing. For a webhook also a server error (5xx) and 429
    (too many requests).
    """
    if outcome.kind is not OutcomeKind.TRANSIENT_FAILURE:
        return False
    if outcome.code is None or outcome.code == _CLOSING:
        return True
    return channel is ChannelKind.WEBHOOK and (outcome.code in _SERVER_ERRORS or outcome.code == _TOO_MANY_REQUESTS)


def _circuit_name(channel: ChannelKind, destination: str) -> str:
    return _RELAY if channel is ChannelKind.EMAIL else destination


def _is_open(circuit: _Circuit, now: datetime) -> bool:
    return circuit.open_until is not None and now < circuit.open_until


def _accepts(circuit: _Circuit, now: datetime) -> bool:
    return not _is_open(circuit, now) and not circuit.under_trial
