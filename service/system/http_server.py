"""The HTTP server as one task of a process: it reports when it has started, and does not handle signals."""

import asyncio
import contextlib
import math
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import uvicorn

from service.system.http_protocol import BoundedHttpProtocol, ConnectionLimits


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 chooses a free port. Raises OSError if the address cannot be used.

    The socket's protocol is set explicitly, because asyncio sets TCP_NODELAY only then. Responses are delayed without
    it.
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


def _trusted_hosts(proxies: Iterable[IPv4Network | IPv6Network]) -> list[str]:
    """Return the networks as uvicorn takes them; a socket for both IP versions sees IPv4 as ``::ffff:a.b.c.d``."""
    hosts: list[str] = []
    for network in proxies:
        hosts.append(str(network))
        if isinstance(network, IPv4Network):
            hosts.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return hosts


class HttpServer(uvicorn.Server):
    """A uvicorn server that its owner stops. So the owner can stop the other tasks after it, in order."""

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        stop_seconds: float = 30,
        trusted_proxies: Iterable[IPv4Network | IPv6Network] = (),
        limits: ConnectionLimits | None = None,
    ) -> None:
        """``stop_seconds`` is the time that running requests get to finish after ``stop``.

        Only ``trusted_proxies`` state the client's address and scheme in ``X-Forwarded-For`` and ``X-Forwarded-Proto``.
        """
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(BoundedHttpProtocol, limits=limits or ConnectionLimits()),  # type: ignore[arg-type]  # called like a class
                # No route takes one, and an upgraded connection would leave the bounds.
                ws="none",
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
                # Always stated: else uvicorn trusts loopback, and what an environment variable says.
                forwarded_allow_ips=_trusted_hosts(trusted_proxies),
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
