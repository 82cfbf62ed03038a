"""The HTTP server as a part among others: says when it is up, and leaves signals to whoever runs the process."""

import asyncio
import contextlib
import math
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens, port 0 for a free one; raises OSError where the address cannot be had.

    Its protocol is named, so that answers are not held back for want of TCP_NODELAY.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listener


class HttpServer(uvicorn.Server):
    """A uvicorn server whose owner decides when it stops: parts that outlive it are stopped after it, in order."""

    def __init__(self, app: Callable[..., Any], *, stop_seconds: float = 30) -> None:
        """``stop_seconds`` is how long requests that are being answered may take once the server is told to stop."""
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
        """Start, and say so; also when it cannot, so that nobody waits for ever."""
        try:
            await super().startup(sockets=sockets)
        finally:
            self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: uvicorn would raise them again before the parts that outlive it have stopped."""
        yield

    def stop(self) -> None:
        """Take no more connections, and end once what is in flight is answered."""
        self.should_exit = True
