"""The HTTP server as one task of a process: it reports when it has started, and does not handle signals."""

import asyncio
import contextlib
import errno
import math
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from notifications.errors import Fault, InvalidInputError

_REASONS = {
    errno.EADDRINUSE: "is in use by another process: stop it, or choose another port",
    errno.EADDRNOTAVAIL: "is no address of this machine: choose another host",
    errno.EACCES: "may not be used by this user: choose a port of 1024 or higher",
}


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that holds an address and does not listen yet; port 0 chooses a free port.

    A process takes its port before anything else, so that it does no work for a port that it cannot have. Connections
    are refused until the server listens. The socket's protocol is set explicitly, because asyncio sets TCP_NODELAY only
    then, and responses are delayed without it. Raises InvalidInputError if the address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise InvalidInputError(Fault("host", f"{host} is no address of this machine: {error.strerror}")) from None
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        reason = _REASONS.get(error.errno or 0, str(error.strerror))
        raise InvalidInputError(Fault("port", f"{host}:{port} {reason}")) from None
    return bound


def address_text(bound: socket.socket) -> str:
    """Return the address of a socket as it is in a URL: ``127.0.0.1:8080``, ``[::1]:8080``."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class HttpServer(uvicorn.Server):
    """A uvicorn server that its owner stops. So the owner can stop the other tasks after it, in order."""

    def __init__(self, app: Callable[..., Any], *, stop_seconds: float = 30) -> None:
        """``stop_seconds`` is the time that running requests get to finish after ``stop``."""
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=math.ceil(stop_seconds),
            )
        )
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and set the event that callers wait for; also after a failure, so that nobody waits for ever."""
        try:
            await super().startup(sockets=sockets)
        finally:
            self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals: uvicorn would raise them again before the other tasks have stopped."""
        yield

    def stop(self) -> None:
        """Accept no more connections, and end once the running requests are answered."""
        self.should_exit = True
