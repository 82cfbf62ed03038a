"""A local mail sink: takes every message on loopback and keeps it byte for byte. For demos and tests."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it arrived."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    tls: bool


class MailSink:
    """An SMTP server on loopback, in the running event loop."""

    def __init__(self, *, port: int = 0, tls_context: ssl.SSLContext | None = None) -> None:
        self._port, self._tls_context = port, tls_context
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Condition()
        self._protocols: set[SMTP] = set()
        self.messages: list[Received] = []

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise RuntimeError("the sink is not started")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.get_running_loop().create_server(self._protocol, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and drop what is connected."""
        if self._server is not None:
            self._server.close()
            for protocol in list(self._protocols):
                if protocol.transport is not None:
                    protocol.transport.close()
            await self._server.wait_closed()

    def _protocol(self) -> SMTP:
        protocol = SMTP(
            self,
            hostname="localhost",
            ident="sink",
            enable_SMTPUTF8=True,
            data_size_limit=64 * 1024 * 1024,
            tls_context=self._tls_context,
            require_starttls=self._tls_context is not None,
            loop=asyncio.get_running_loop(),
        )
        self._protocols.add(protocol)
        return protocol

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the message; the reply names it as a relay's would."""
        content = envelope.original_content
        if not isinstance(content, bytes):
            return "451 4.3.0 no content"
        async with self._arrived:
            self.messages.append(
                Received(envelope.mail_from or "", tuple(envelope.rcpt_tos), content, session.ssl is not None)
            )
            self._arrived.notify_all()
            return f"250 2.0.0 Ok: queued as SINK{len(self.messages):06d}"

    async def wait_for(self, count: int, *, timeout_seconds: float = 30) -> list[Received]:
        """Return the messages once there are at least so many; raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.messages) >= count)
        return list(self.messages)
