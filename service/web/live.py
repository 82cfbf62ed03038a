"""Live events: one reader of the newest entries for every open stream of this process, woken by commits.

A stream says that something happened to an incident, and nothing of what it is. Nothing polls: a commit wakes the
reader, the reader reads once, and each stream passes on what is within its own scope.
"""

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from notifications.ports import Clock
from service.auth.authentication import Authenticator
from service.auth.caller import Scope
from service.auth.permissions import Permission
from service.auth.rate_limits import TooManyRequestsError
from service.auth.route_guard import Access
from service.ports.events import IncidentEvent
from service.ports.store import AccessStore, AccessTransaction

_log = structlog.get_logger(__name__)

#: Streams of one session or token, and of the process. A browser has six connections to one host.
STREAMS_PER_SESSION = 4
_STREAMS = 300
#: A comment after so long without an event keeps proxies from closing the connection.
_HEARTBEAT_SECONDS = 15.0
#: After how long a browser connects again.
_RETRY_MILLISECONDS = 3000
_HEARTBEAT = ": \n\n"
#: Events that are kept for streams that are behind, and entries that a stream gets when it connects again.
_KEPT = 1000
_ENTRIES_AT_ONCE = 500


@dataclass(slots=True, eq=False)
class _Stream:
    """One open stream."""

    key: str
    #: up to which entry it is
    position: int
    wake: asyncio.Event
    #: whether accounts or sessions changed since the credential was read
    is_suspect: bool = True


class LiveEvents:
    """The streams of this process."""

    def __init__(
        self,
        store: AccessStore,
        authenticator: Authenticator,
        clock: Clock,
        *,
        heartbeat_seconds: float = _HEARTBEAT_SECONDS,
    ) -> None:
        self._store, self._authenticator, self._clock = store, authenticator, clock
        self.heartbeat_seconds = heartbeat_seconds
        self._streams: list[_Stream] = []
        self._per_key: Counter[str] = Counter()
        self._recent: deque[IncidentEvent] = deque(maxlen=_KEPT)
        #: everything after ``_since`` and up to ``_read`` is in ``_recent``
        self._since = self._read = 0
        self._is_following = False
        self._beginning = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._unread = False
        self._closed = False
        store.on_commit.append(self._on_commit)

    @property
    def open(self) -> int:
        """Number of open streams."""
        return len(self._streams)

    def close(self) -> None:
        """End every stream, so that the server can stop; later ones end at once."""
        self._closed = True
        self._wake_all()

    async def stream(self, request: Request, access: Access) -> Response:
        """Return the stream of a caller, in the format of server-sent events.

        1. A session has few streams: raises TooManyRequestsError.
        2. A stream begins after the entry that ``Last-Event-ID`` names, otherwise after the newest. Where too much
           happened since, the event ``reset`` says so: everything may have changed.
        3. It goes on until the client leaves, the session ends or loses the permission, or the process stops.
        """
        # 1.
        key = str(access.caller.session_id or access.caller.token_id or access.caller.account_id)
        if self._per_key[key] >= STREAMS_PER_SESSION or len(self._streams) >= _STREAMS:
            raise TooManyRequestsError(self.heartbeat_seconds)
        self._per_key[key] += 1
        stream = _Stream(key, 0, asyncio.Event())
        self._streams.append(stream)
        try:
            # 2.
            first = await self._begin(stream, _last_event_id(request), access.scope)
        except BaseException:
            self._end(stream)
            raise
        # 3.
        return _StreamResponse(self._pass_on(stream, request, first), lambda: self._end(stream))

    # -- one stream

    async def _begin(self, stream: _Stream, last: int | None, scope: Scope) -> list[str]:
        """Return the first part of a stream, and place the stream after it."""
        async with self._beginning:
            if not self._is_following:
                self._since = self._read = await self._store.read(lambda tx: tx.events.last_position())
                self._recent.clear()
                self._is_following = True
                # What was committed while the beginning was looked for may lie behind it.
                self._read_soon()
        opening = format_sse_event(retry=_RETRY_MILLISECONDS).decode()
        if last is None or last > self._read:
            stream.position = self._read
            return [opening, _said_of_all("ready", stream.position)]
        missed, reached = await self._store.read(lambda tx: tx.events.after(last, _ENTRIES_AT_ONCE))
        if reached < self._since:
            stream.position = self._read
            return [opening, _said_of_all("reset", stream.position)]
        stream.position = reached
        missed_events = [_said(event) for event in missed if _covers(scope, event)]
        return [opening, *missed_events, _said_of_all("ready", reached)]

    async def _pass_on(self, stream: _Stream, request: Request, first: Sequence[str]) -> AsyncIterator[str]:
        for part in first:
            yield part
        scope: Scope | None = None
        ends_at = self._clock.now()
        while not self._closed:
            stream.wake.clear()
            if stream.is_suspect or self._clock.now() >= ends_at:
                stream.is_suspect = False
                known = await self._authenticator.without_use(request)
                scope = None if known is None else known[0].scope(Permission.INCIDENT_READ)
                if known is None or scope is None:
                    return
                ends_at = known[1]
            for part in () if scope is None else self._parts(stream, scope):
                yield part
            if not await _woken(stream.wake, self.heartbeat_seconds):
                yield _HEARTBEAT

    def _parts(self, stream: _Stream, scope: Scope) -> list[str]:
        """Return what happened after the position of a stream."""
        behind, stream.position = stream.position, max(stream.position, self._read)
        oldest = self._recent[0].position if len(self._recent) == _KEPT else self._since
        if behind < oldest:
            return [_said_of_all("reset", stream.position)]
        return [_said(event) for event in self._recent if event.position > behind and _covers(scope, event)]

    def _end(self, stream: _Stream) -> None:
        self._streams.remove(stream)
        self._per_key[stream.key] -= 1
        if not self._per_key[stream.key]:
            del self._per_key[stream.key]
        # Commits are not read while nobody listens.
        self._is_following = bool(self._streams)

    # -- the reader

    def _on_commit(self, changed: set[str]) -> None:
        if not self._streams:
            return
        if "access" in changed:
            for stream in self._streams:
                stream.is_suspect = True
            self._wake_all()
        if "audit" in changed:
            self._unread = True
            # Until the beginning is known, a read would go through the whole log.
            if self._is_following:
                self._read_soon()

    def _read_soon(self) -> None:
        if self._unread and self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read_on(), name="live-events")

    async def _read_on(self) -> None:
        """Read until nothing new was committed meanwhile."""
        try:
            while self._unread and self._streams and not self._closed:
                self._unread = False
                after = self._read
                read = partial(_after, position=after)
                events, reached = await self._store.read(read)
                self._recent.extend(events)
                self._read = reached
                self._unread = self._unread or reached >= after + _ENTRIES_AT_ONCE
                if events:
                    self._wake_all()
        except Exception as error:  # noqa: BLE001 - a stream that hears nothing more is noticed; a commit reads again
            _log.error("events.not_read", exc_info=error)
        finally:
            self._reading = None

    def _wake_all(self) -> None:
        for stream in self._streams:
            stream.wake.set()


def _after(tx: AccessTransaction, position: int) -> tuple[Sequence[IncidentEvent], int]:
    return tx.events.after(position, _ENTRIES_AT_ONCE)


async def _woken(wake: asyncio.Event, seconds: float) -> bool:
    """Wait for an event; return whether it came in time."""
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return False
    return True


def _covers(scope: Scope, event: IncidentEvent) -> bool:
    return scope.is_unlimited or scope.covers(None, event.opened_at, served=False)


def _last_event_id(request: Request) -> int | None:
    """Return the entry that a client says it received last; None for what is no identifier of ours."""
    stated = request.headers.get("last-event-id", "")
    return int(stated) if stated.isascii() and stated.isdigit() and len(stated) <= 18 else None  # noqa: PLR2004


def _said(event: IncidentEvent) -> str:
    data = {"kind": event.kind, "incident_id": str(event.incident_id), "ticket": event.ticket}
    return format_sse_event(data_str=json.dumps(data), event="incident", id=str(event.position)).decode()


def _said_of_all(event: str, position: int) -> str:
    """Return an event about no single incident: ``ready`` or ``reset``."""
    return format_sse_event(data_str="{}", event=event, id=str(position)).decode()


class _StreamResponse(EventSourceResponse):
    """A stream that gives its place back however it ends, even if it never began."""

    def __init__(self, parts: AsyncIterator[str], end: Callable[[], None]) -> None:
        # A proxy that collects an answer before it passes it on would hold events back.
        super().__init__(parts, headers={"X-Accel-Buffering": "no"})
        self._end = end

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end()
