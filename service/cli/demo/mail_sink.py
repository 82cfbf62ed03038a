"""A local mail sink: accepts every message on loopback and keeps it byte for byte. For demos and tests."""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

_MAX_MESSAGE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it arrived."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    tls: bool


class MailSink:
    """An SMTP server on loopback in the running event loop; with a TLS context it accepts mail only after STARTTLS.

    With a folder, each message is also written to ``000001.eml`` and so on before it is accepted.
    """

    def __init__(self, *, port: int = 0, tls_context: ssl.SSLContext | None = None, folder: Path | None = None) -> None:
        self._port, self._tls_context, self._folder = port, tls_context, folder
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Condition()
        self._count = 0
        self._connections: set[_SinkConnection] = set()
        self.messages: list[Received] = []

    @property
    def port(self) -> int:
        """The port it listens on; a free port if none was asked for."""
        if self._server is None:
            raise RuntimeError("the sink is not started")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        """Listen."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _SinkConnection(self, self._tls_context, self._connections), "127.0.0.1", self._port
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                if connection.transport is not None:
                    connection.transport.close()
            await self._server.wait_closed()

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the message; the reply has a queue id like that of a relay."""
        content = envelope.original_content
        if not isinstance(content, bytes):
            return "451 4.3.0 no content"
        self._count += 1
        number = self._count
        if self._folder is not None:
            try:
                await asyncio.to_thread((self._folder / f"{number:06d}.eml").write_bytes, content)
            except OSError as error:
                return f"452 4.3.1 not kept: {error.strerror}"
        received = Received(envelope.mail_from or "", tuple(envelope.rcpt_tos), content, session.ssl is not None)
        async with self._arrived:
            self.messages.append(received)
            self._arrived.notify_all()
        return f"250 2.0.0 Ok: queued as SINK{number:06d}"

    async def wait_for(self, count: int, *, timeout_seconds: float = 30) -> list[Received]:
        """Return the messages once there are at least ``count``; raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.messages) >= count)
        return list(self.messages)


class _SinkConnection(SMTP):
    """One connection; it leaves the sink's list when it ends."""

    def __init__(self, sink: MailSink, tls_context: ssl.SSLContext | None, connections: "set[_SinkConnection]") -> None:
        super().__init__(
            sink,
            hostname="localhost",
            ident="sink",
            enable_SMTPUTF8=True,
            data_size_limit=_MAX_MESSAGE_BYTES,
            tls_context=tls_context,
            require_starttls=tls_context is not None,
            loop=asyncio.get_running_loop(),
        )
        self._open_connections = connections
        connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._open_connections.discard(self)
        super().connection_lost(error)
