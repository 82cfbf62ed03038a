"""A listener only for metrics, without authentication: on loopback or a private network, never in public."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from notifications.errors import Fault, InvalidInputError
from service.monitoring.metrics import CONTENT_TYPE, Metrics

_log = structlog.get_logger(__name__)

#: The request of a scraper is one line and a few headers.
_MAX_REQUEST_BYTES = 16 * 1024
_REQUEST_SECONDS = 10.0
_CONNECTIONS = 8


@asynccontextmanager
async def metrics_listener(metrics: Metrics, host: str, port: int) -> AsyncIterator[int]:
    """Answer ``GET /metrics`` on an address, 0 for a free port; yields the port.

    Raises InvalidInputError if the address is neither loopback nor private, OSError if it cannot be used.
    """
    address = _private_address(host, port)
    listener = _Listener(metrics)
    server = await asyncio.start_server(listener.answer, *address, limit=_MAX_REQUEST_BYTES)
    bound: int = server.sockets[0].getsockname()[1]
    _log.info("metrics.listening", host=address[0], port=bound)
    try:
        yield bound
    finally:
        server.close()
        listener.stop()
        await server.wait_closed()


def _private_address(host: str, port: int) -> tuple[str, int]:
    """Return the address to bind; every address of the host name must be private."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise InvalidInputError(Fault("metrics.host", f"cannot be resolved: {error}")) from None
    addresses = [str(item[4][0]) for item in found]
    for text in addresses:
        address = ipaddress.ip_address(text.partition("%")[0])
        # An address such as ::ffff:192.0.2.1 is treated as the IPv4 address in it.
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_unspecified or not (address.is_loopback or address.is_private):
            raise InvalidInputError(Fault("metrics.host", f"{text} is neither loopback nor a private address"))
    return addresses[0], port


class _Listener:
    """Answers one request per connection. A response never contains a part of the request."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._places = asyncio.Semaphore(_CONNECTIONS)
        self._writers: set[asyncio.StreamWriter] = set()

    def stop(self) -> None:
        """Close the open connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request, answer it and close the connection; a malformed or slow request gets no answer."""
        self._writers.add(writer)
        try:
            async with asyncio.timeout(_REQUEST_SECONDS), self._places:
                head = await reader.readuntil(b"\r\n\r\n")
                status, body = await self._answer_to(head.split(b"\r\n", 1)[0].split(b" "))
                lines = [
                    f"HTTP/1.1 {status}",
                    f"Content-Type: {CONTENT_TYPE}",
                    f"Content-Length: {len(body)}",
                    "Cache-Control: no-store",
                    "Connection: close",
                ]
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer_to(self, request_line: list[bytes]) -> tuple[str, bytes]:
        if len(request_line) != 3 or request_line[1].split(b"?")[0] != b"/metrics":  # noqa: PLR2004 - method, path, version
            return "404 Not Found", b""
        if request_line[0] != b"GET":
            return "405 Method Not Allowed", b""
        return "200 OK", await self._metrics.exposition()
