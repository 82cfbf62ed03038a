"""E-mail by SMTP through a pool of kept connections; TLS required except to a loopback relay."""

import asyncio
import ipaddress
import ssl
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiosmtplib
import structlog
from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupported,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from aiosmtplib.response import SMTPResponse

from notifications.delivery import ChannelKind, Outcome, OutcomeKind
from notifications.errors import Fault, InvalidInputError
from service.channels.smtp_reply import Stage, enhanced_status, failure_kind, one_line, queue_id

_log = structlog.get_logger(__name__)

#: Failures of the network, of TLS and of the protocol; anything else is a defect of ours and is raised.
_FAILURES = (SMTPException, OSError, ssl.SSLError, TimeoutError)


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """How to reach the relay."""

    host: str
    port: int
    #: ``none`` is taken for a loopback address alone
    tls: Literal["starttls", "implicit", "none"]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    #: CA bundle for the relay's certificate; None for the system's
    ca_file: Path | None = None
    #: connections at most, one message in flight on each
    connections: int = 8
    #: bound on one message from the first command to the last reply
    send_timeout_seconds: float = 60
    #: a connection unused for longer is closed, before the relay does it
    idle_seconds: float = 30
    #: name in EHLO; None for the system's
    local_hostname: str | None = None


class _Connection:
    """One connection and since when it is unused."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self.client = client
        self.idle_since = time.monotonic()
        self.messages = 0


class EmailSmtp:
    """Implements ``notifications.ports.Channel``: hands each message to the relay on a kept connection."""

    def __init__(self, settings: SmtpSettings) -> None:
        if settings.tls == "none" and not _is_loopback(settings.host):
            raise InvalidInputError(
                Fault("smtp_tls", "none is taken for a loopback relay alone; use starttls or implicit")
            )
        if settings.username is not None and settings.tls == "none":
            raise InvalidInputError(Fault("smtp_username", "credentials are not sent without TLS"))
        self._settings = settings
        self._places = asyncio.Semaphore(settings.connections)
        self._idle: deque[_Connection] = deque()
        self._tls_context = None if settings.tls == "none" else _tls_context(settings.ca_file)
        self._closed = False
        #: connections opened so far; a pool that works opens few
        self.opened = 0

    @property
    def kind(self) -> ChannelKind:
        """Which channel this is."""
        return ChannelKind.EMAIL

    async def send(self, *, sender: str, recipient: str, message_id: str, content: bytes) -> Outcome:
        """Hand over the bytes and report what the relay said; see the port.

        1. Take a kept connection, or open one. A kept one that turns out dead before the message's content was sent is
           replaced once: nothing was handed over.
        2. MAIL, RCPT, DATA. A connection lost after DATA is a transient failure: whether the relay took the message is
           not known, and the next attempt carries the same Message-ID.
        3. Keep the connection for the next message, unless anything went wrong on it.
        """
        async with self._places:
            stage, fresh = Stage.CONNECT, False
            connection: _Connection | None = None
            try:
                async with asyncio.timeout(self._settings.send_timeout_seconds):
                    while True:
                        connection = None if fresh else self._kept()
                        fresh = connection is None
                        stage = Stage.CONNECT
                        if connection is None:
                            connection = await self._open()
                        try:
                            stage = Stage.MAIL
                            await self._begin(connection, sender, recipient, message_id, content)
                            break
                        except (SMTPServerDisconnected, ConnectionError):
                            _discard(connection)
                            if fresh:
                                raise
                            fresh = True
                    stage = Stage.RCPT
                    await self._recipient(connection, recipient, message_id)
                    stage = Stage.DATA
                    response = await connection.client.data(content)
            except asyncio.CancelledError:
                if connection is not None:
                    _discard(connection)
                raise
            except _FAILURES as error:
                outcome = self._failed(stage, error, connection)
                if connection is not None:
                    await self._recover(connection, error)
                return outcome
            outcome = self._accepted(response, connection)
            self._keep(connection)
            return outcome

    async def aclose(self) -> None:
        """Close every kept connection politely."""
        self._closed = True
        while self._idle:
            client = self._idle.popleft().client
            try:
                async with asyncio.timeout(2):
                    await client.quit()
            except _FAILURES:
                client.close()

    # -- connections

    def _kept(self) -> _Connection | None:
        """Return the most recently used connection that is alive; close those unused for too long."""
        horizon = time.monotonic() - self._settings.idle_seconds
        while self._idle and self._idle[0].idle_since < horizon:
            _discard(self._idle.popleft())
        while self._idle:
            connection = self._idle.pop()
            if connection.client.is_connected:
                return connection
            _discard(connection)
        return None

    def _keep(self, connection: _Connection) -> None:
        if self._closed or not connection.client.is_connected:
            _discard(connection)
            return
        connection.messages += 1
        connection.idle_since = time.monotonic()
        self._idle.append(connection)

    async def _open(self) -> _Connection:
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            local_hostname=settings.local_hostname or "localhost",
            timeout=settings.send_timeout_seconds,
            use_tls=settings.tls == "implicit",
            # True demands STARTTLS and fails without it; None would be content to go on in clear.
            start_tls=settings.tls == "starttls",
            tls_context=self._tls_context,
            username=settings.username,
            password=settings.password,
        )
        await client.connect()
        self.opened += 1
        return _Connection(client)

    async def _recover(self, connection: _Connection, error: BaseException) -> None:
        """Keep a connection on which the relay only said no; drop one on which anything else happened."""
        refused = isinstance(error, SMTPResponseException) and error.code != 421  # noqa: PLR2004 - closing channel
        if refused and connection.client.is_connected:
            try:
                async with asyncio.timeout(5):
                    await connection.client.rset()
            except _FAILURES:
                _discard(connection)
            else:
                self._keep(connection)
            return
        _discard(connection)

    # -- the conversation

    async def _begin(
        self, connection: _Connection, sender: str, recipient: str, message_id: str, content: bytes
    ) -> None:
        client = connection.client
        if not client.last_ehlo_response:
            await client.ehlo()
        options = []
        if not (sender.isascii() and recipient.isascii()):
            if not client.supports_extension("smtputf8"):
                raise SMTPNotSupported("the relay does not take internationalised addresses (SMTPUTF8)")
            options.append("SMTPUTF8")
            if client.supports_extension("8bitmime"):
                options.append("BODY=8BITMIME")
        if client.supports_extension("size"):
            options.append(f"SIZE={len(content)}")
        if client.supports_extension("dsn"):
            options += ["RET=HDRS", f"ENVID={_xtext(message_id.strip('<>'))}"]
        encoding = "utf-8" if "SMTPUTF8" in options else "ascii"
        await client.mail(sender, options=options, encoding=encoding)

    async def _recipient(self, connection: _Connection, recipient: str, message_id: str) -> None:  # noqa: ARG002
        client = connection.client
        options = []
        if client.supports_extension("dsn"):
            kind = "rfc822" if recipient.isascii() else "utf-8"
            options = ["NOTIFY=SUCCESS,FAILURE,DELAY", f"ORCPT={kind};{_xtext(recipient)}"]
        await client.rcpt(recipient, options=options, encoding="ascii" if recipient.isascii() else "utf-8")

    # -- outcomes

    def _accepted(self, response: SMTPResponse, connection: _Connection) -> Outcome:
        version, cipher = _tls_of(connection.client)
        return Outcome(
            kind=OutcomeKind.ACCEPTED,
            code=int(response.code),
            enhanced_status=enhanced_status(response.message),
            text=one_line(response.message),
            queue_id=queue_id(one_line(response.message)),
            tls_version=version,
            tls_cipher=cipher,
            remote=f"{self._settings.host}:{self._settings.port}",
        )

    def _failed(self, stage: Stage, error: BaseException, connection: _Connection | None) -> Outcome:
        kind, code, text = _meaning(stage, error)
        version, cipher = _tls_of(connection.client) if connection is not None else (None, None)
        _log.info("smtp.refused", stage=stage.value, code=code, kind=kind.value)
        return Outcome(
            kind=kind,
            code=code,
            enhanced_status=enhanced_status(text),
            text=one_line(text) or type(error).__name__,
            queue_id=None,
            tls_version=version,
            tls_cipher=cipher,
            remote=f"{self._settings.host}:{self._settings.port}",
        )


def _meaning(stage: Stage, error: BaseException) -> tuple[OutcomeKind, int | None, str]:
    """Return what a failure means, its code if the relay gave one, and its text."""
    if isinstance(error, SMTPAuthenticationError):
        return OutcomeKind.REFUSED_HERE, error.code, error.message
    if isinstance(error, SMTPResponseException):
        return failure_kind(stage, error.code, enhanced_status(error.message)), error.code, error.message
    if isinstance(error, SMTPNotSupported):
        # Before MAIL: TLS or authentication is not offered, ours to repair. Then: this recipient's address.
        kind = OutcomeKind.REFUSED_HERE if stage is Stage.CONNECT else OutcomeKind.PERMANENT_FAILURE
        return kind, None, str(error)
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return OutcomeKind.REFUSED_HERE, None, f"TLS failed: {error}"
    if isinstance(error, SMTPException) and stage is Stage.CONNECT and "STARTTLS" in str(error).upper():
        return OutcomeKind.REFUSED_HERE, None, str(error)
    if isinstance(error, TimeoutError):
        return OutcomeKind.TRANSIENT_FAILURE, None, f"no answer in time ({stage.value})"
    return OutcomeKind.TRANSIENT_FAILURE, None, f"{type(error).__name__} ({stage.value}): {error}"


def _discard(connection: _Connection) -> None:
    connection.client.close()


def _tls_of(client: aiosmtplib.SMTP) -> tuple[str | None, str | None]:
    cipher = client.get_transport_info("cipher")
    return (str(cipher[1]), str(cipher[0])) if cipher else (None, None)


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError as error:
        raise InvalidInputError(Fault("smtp_ca_file", f"cannot be used: {error}")) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _xtext(text: str) -> str:
    """Return text as xtext (RFC 3461, 4): what is not printable ASCII, ``+`` or ``=`` is escaped."""
    return "".join(
        chr(byte) if 0x21 <= byte <= 0x7E and byte not in b"+=" else f"+{byte:02X}"  # noqa: PLR2004 - printable ASCII
        for byte in text.encode()
    )
