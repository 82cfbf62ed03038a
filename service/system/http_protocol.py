"""One connection of the HTTP server: deadlines for header and body, bounds on their number and on header bytes.

uvicorn has a deadline only between requests. Without the deadlines here, a client that stops in the middle of a request
would be held for ever.
"""

import asyncio
import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_log = structlog.get_logger(__name__)

#: Descriptors that are left for the database, files, and connections to other servers.
_DESCRIPTORS_KEPT = 100
#: A header that is still not complete after so many bytes is refused.
_MAX_HEADER_BYTES = 64 * 1024
#: How often the log says that connections are refused.
_LOG_EVERY_SECONDS = 60
_REFUSALS = {408: "Request Timeout", 431: "Request Header Fields Too Large", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one client may hold, and how many there may be."""

    #: time for a whole header, from the connection or from the first byte of a later request
    header_seconds: float = 10
    #: time for a whole body, from the end of the header
    body_seconds: float = 60
    #: open connections of the process; fewer where the limit of descriptors is lower
    max_connections: int = 1000

    @property
    def connections(self) -> int:
        """The connections that are taken: below the limit of descriptors of the process."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return self.max_connections
        return max(min(self.max_connections, soft - _DESCRIPTORS_KEPT), 1)


class BoundedHttpProtocol(HttpToolsProtocol):
    """As uvicorn's protocol, with deadlines and bounds."""

    #: when the log last said that connections are refused; of the loop's clock
    _logged_at = float("-inf")

    def __init__(self, *arguments: Any, limits: ConnectionLimits, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None
        self._reads_header = True
        self._header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, or refuse it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._log_refusal()
            self._refuse(503)
            return
        self._start(self._limits.header_seconds, self._header_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; whatever arrives between requests starts the deadline of the next header."""
        if self.transport.is_closing():
            return
        if self._reads_header:
            self._header_bytes += len(data)
            if self._deadline is None:
                self._start(self._limits.header_seconds, self._header_is_late)
        super().data_received(data)
        if self._reads_header and self._header_bytes > _MAX_HEADER_BYTES:
            self._refuse(431)

    def on_headers_complete(self) -> None:
        """Begin with the request; its body has a deadline of its own."""
        self._reads_header, self._header_bytes = False, 0
        super().on_headers_complete()
        self._start(self._limits.body_seconds, self._body_is_late)

    def on_message_complete(self) -> None:
        """End the request: what arrives next is another header."""
        self._reads_header = True
        self._stop()
        super().on_message_complete()

    def _start(self, seconds: float, late: Callable[[], None]) -> None:
        self._stop()
        self._deadline = self.loop.call_later(seconds, late)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _header_is_late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # The request before is still being answered. Its answer is not cut off.
            self._start(self._limits.header_seconds, self._header_is_late)
        else:
            self._refuse(408)

    def _body_is_late(self) -> None:
        if self.pipeline:
            # It cannot arrive: reading waits for the answer to the request before.
            self._start(self._limits.body_seconds, self._body_is_late)
        else:
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Answer, where no answer has begun, and close. A request that is being read ends as after a disconnection."""
        self._stop()
        if self.transport.is_closing():
            return
        cycle = self.cycle
        is_running = cycle is not None and not cycle.response_complete
        if not is_running or not cycle.response_started:
            line = f"HTTP/1.1 {status} {_REFUSALS[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            self.transport.write(line.encode())
        if is_running:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _log_refusal(self) -> None:
        now = self.loop.time()
        if now - BoundedHttpProtocol._logged_at > _LOG_EVERY_SECONDS:
            BoundedHttpProtocol._logged_at = now
            _log.warning("http.connections_refused", open=len(self.connections) - 1)
