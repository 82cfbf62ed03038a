"""The HTTP server as one task of a process: it reports when it has started, and does not handle signals."""

import asyncio
import contextlib
import errno
import math
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import structlog
import uvicorn

from notifications.errors import Fault, InvalidInputError
from service.system.http_protocol import BoundedHttpProtocol, ConnectionLimits

_log = structlog.get_logger(__name__)

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


def _trusted_hosts(proxies: Iterable[IPv4Network | IPv6Network]) -> list[str]:
    """Return the networks as uvicorn takes them; a socket for both IP versions sees IPv4 as ``::ffff:a.b.c.d``."""
    hosts: list[str] = []
    for network in proxies:
        hosts.append(str(network))
        if isinstance(network, IPv4Network):
            hosts.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return hosts


#: How long an idle connection stays open: longer than proxies and clients keep theirs (nginx 60 s, httpx2 5 s). If the
#: server closed first, it would sometimes do so just when the other side sends the next request, which would then fail.
_IDLE_SECONDS = 75


class HttpServer(uvicorn.Server):
    """A uvicorn server that its owner stops. So the owner can stop the other tasks after it, in order."""

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        stop_seconds: float = 30,
        trusted_proxies: Iterable[IPv4Network | IPv6Network] = (),
        limits: ConnectionLimits | None = None,
        on_stop: Callable[[], None] | None = None,
    ) -> None:
        """``on_stop`` ends answers that would go on by themselves; it is called before the server waits for them.

        ``stop_seconds`` is the time that running requests get to finish after ``stop``.

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
                timeout_keep_alive=_IDLE_SECONDS,
                server_header=False,
                # Always stated: else uvicorn trusts loopback, and what an environment variable says.
                forwarded_allow_ips=_trusted_hosts(trusted_proxies),
                timeout_graceful_shutdown=math.ceil(stop_seconds),
            )
        )
        self.is_up = asyncio.Event()
        self._stopping = asyncio.Event()
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and set the event that callers wait for; also after a failure, so that nobody waits for ever."""
        try:
            await super().startup(sockets=sockets)
        finally:
            self.is_up.set()

    async def main_loop(self) -> None:
        """Wait for ``stop``, with a new date for answers each second; uvicorn looks ten times a second instead."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the answers that go on, then wait for the others.

        As uvicorn does, but without its pause of a tenth of a second where no connection is left to wait for.
        """
        if self._on_stop is not None:
            self._on_stop()
        for server in self.servers:
            server.close()
        for bound in sockets or []:
            bound.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        # Connections on which nothing is answered are gone after this turn of the loop.
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await self._wait_tasks_to_complete()
        except TimeoutError:
            _log.warning("http.requests_cancelled", count=len(self.server_state.tasks))
            for task in self.server_state.tasks:
                task.cancel(msg="the time to finish is over")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals: uvicorn would raise them again before the other tasks have stopped."""
        yield

    def stop(self) -> None:
        """Accept no more connections, and end once the running requests are answered."""
        self.should_exit = True
        self._stopping.set()
