"""A small listener for bounces: LMTP from a mail server of the provider, or SMTP. It relays nothing.

It accepts mail only for return paths that this service made, and refuses others at RCPT, before any content is sent. So
strangers cannot store anything here. Accepted mail is on disk.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from notifications.errors import Fault, InvalidInputError, StateConflictError, VerificationError
from notifications.mail.return_path import ReturnPath, ReturnPaths
from notifications.ports import Clock
from service.auth.rate_limits import RateLimiter, TooManyRequestsError
from service.settings.mail import BounceSettings

_log = structlog.get_logger(__name__)

#: Unknown recipients on one connection before it is closed.
_REFUSED_AT_MOST = 10
#: How long a stop waits for messages that are being stored.
_STOP_SECONDS = 10.0

Receive = Callable[[ReturnPath, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """Limits of what senders can use."""

    connections: int = 32
    #: messages accepted per second, from all senders together
    per_second: float = 20
    burst: int = 200
    #: a connection is closed after this time without a command or without the end of a message
    timeout_seconds: float = 60


class BounceListener:
    """Accepts messages for return paths and passes them to ``receive``, which returns once they are stored.

    Only then is the reply 250. InvalidInputError gives 550, because a retry would fail too. Any other error of
    ``receive`` gives 451, so that the sender keeps the message and tries again.
    """

    def __init__(
        self,
        paths: ReturnPaths,
        receive: Receive,
        clock: Clock,
        settings: BounceSettings,
        limits: ListenerLimits | None = None,
    ) -> None:
        self._paths, self._receive, self._clock, self._settings = paths, receive, clock, settings
        self._limits = limits or ListenerLimits()
        self._limiter = RateLimiter(per_second=self._limits.per_second, burst=self._limits.burst)
        self._server: asyncio.Server | None = None
        self._storing: set[asyncio.Task[None]] = set()
        self._failure: str | None = None
        self.connections: set[_Connection] = set()

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise RuntimeError("the listener is not started")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def health(self) -> str | None:
        """Return why bounces cannot be stored, or None."""
        return self._failure

    async def __aenter__(self) -> Self:
        """Listen; raises InvalidInputError if the address is not available."""
        settings = self._settings
        kind = _LmtpConnection if settings.listen_protocol == "lmtp" else _SmtpConnection
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: kind(self, self._paths.domain, settings.max_bytes, self._limits),
                settings.listen_host,
                settings.listen_port,
            )
        except OSError as error:
            reason = f"cannot listen on {settings.listen_host}:{settings.listen_port}: {error.strerror or error}"
            raise InvalidInputError(Fault("bounces.listen_port", reason)) from None
        _log.info("returns.listening", host=settings.listen_host, port=self.port, protocol=settings.listen_protocol)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening; finish storing, then close every connection."""
        if self._server is None:
            return
        self._server.close()
        if self._storing:
            await asyncio.wait(self._storing, timeout=_STOP_SECONDS)
        for connection in list(self.connections):
            if connection.transport is not None:
                connection.transport.close()
        await self._server.wait_closed()

    # -- called by aiosmtpd, which sets the names

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, server: "_Connection", _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept a recipient: a return path of this service, one for each message."""
        if envelope.rcpt_tos:
            # One reply covers the whole message, for LMTP as for SMTP. A sender with more recipients tries again for
            # each (RFC 5321, 4.5.3.1.10).
            return "452 4.5.3 one recipient at a time"
        try:
            self._paths.verify_return_path(address, self._clock.now())
        except VerificationError as error:
            _log.info("return.refused", reason=error.reason)
            return server.refused("550 5.1.1 no such return path")
        try:
            self._limiter.take("all", self._clock.now())
        except TooManyRequestsError:
            return "451 4.7.1 too many messages; try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, _server: "_Connection", _session: Session, envelope: Envelope) -> str:  # noqa: N802 - the name that aiosmtpd calls
        """Store a message. With 250 the sender may forget it."""
        content = envelope.original_content
        if not isinstance(content, bytes):
            return "451 4.3.0 no content"
        try:
            path = self._paths.verify_return_path(envelope.rcpt_tos[0], self._clock.now())
        except VerificationError:
            return "550 5.1.1 no such return path"
        storing = asyncio.ensure_future(self._store(path, content))
        self._storing.add(storing)
        storing.add_done_callback(self._stored)
        try:
            # A sender that disconnects meanwhile sends the message again; the second copy is recognised.
            await asyncio.shield(storing)
        except InvalidInputError as error:
            return f"550 5.7.1 not accepted: {error}"
        except StateConflictError:
            return "451 4.3.0 not yet; try again later"
        except Exception as error:  # noqa: BLE001 - whatever it was, the message is not stored, and must come again
            self._failure = f"bounces cannot be stored: {type(error).__name__}: {error}"
            _log.error("return.not_stored", exc_info=error)
            return "451 4.3.0 cannot be stored now; try again later"
        self._failure = None
        return "250 2.0.0 Ok: stored"

    def _stored(self, storing: asyncio.Task[None]) -> None:
        self._storing.discard(storing)
        if not storing.cancelled():
            # Mark the error as retrieved: ``handle_DATA`` reports it, and a disconnected sender tries again.
            storing.exception()

    async def _store(self, path: ReturnPath, content: bytes) -> None:
        await self._receive(path, content)

    async def handle_VRFY(self, *_: object) -> str:  # noqa: N802 - the name that aiosmtpd calls
        """Refuse VRFY, so that nobody can search for addresses."""
        return "502 5.5.1 not offered"

    async def handle_exception(self, error: Exception) -> str:
        """Reply to an error in the SMTP dialogue; no message was accepted."""
        _log.warning("return.conversation_failed", error=type(error).__name__)
        return "451 4.3.0 not understood; try again later"


class _Connection(SMTP):
    """One connection; beyond the limit, a connection is refused before anything is read from it."""

    #: some servers do not fold lines; a report with a long line is still valid
    line_length_limit = 64 * 1024

    def __init__(self, listener: BounceListener, domain: str, max_bytes: int, limits: ListenerLimits) -> None:
        super().__init__(
            listener,
            hostname=domain,
            ident="returns",
            enable_SMTPUTF8=True,
            data_size_limit=max_bytes,
            timeout=limits.timeout_seconds,
            loop=asyncio.get_running_loop(),
        )
        self._listener, self._most = listener, limits.connections
        self._refused = 0
        self._turned_away = self._closing = False

    def refused(self, reply: str) -> str:
        """Count an unknown recipient; return the reply, which closes the connection once the limit is reached."""
        self._refused += 1
        if self._refused < _REFUSED_AT_MOST:
            return reply
        self._closing = True
        return "421 4.7.0 too many unknown recipients"

    async def push(self, status: Any) -> None:
        await super().push(status)
        if self._closing and self.transport is not None:
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._listener.connections) >= self._most and isinstance(transport, asyncio.WriteTransport):
            self._turned_away = True
            transport.write(b"421 4.7.0 too many connections; try again later\r\n")
            transport.close()
            return
        self._listener.connections.add(self)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._turned_away:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._turned_away else super().eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._listener.connections.discard(self)
        if not self._turned_away:
            super().connection_lost(error)


class _SmtpConnection(_Connection):
    """SMTP."""


class _LmtpConnection(_Connection, LMTP):
    """LMTP (RFC 2033); a message has one recipient here, so there is one reply."""
