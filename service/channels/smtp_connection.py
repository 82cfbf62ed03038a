"""One SMTP connection: open it until mail can be sent, then run one transaction after the other."""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping

import aiosmtplib
from aiosmtplib import SMTPException, SMTPHeloError, SMTPServerDisconnected, SMTPTimeoutError
from aiosmtplib.response import SMTPResponse

from service.channels.smtp_envelope import Envelope
from service.channels.smtp_reply import Stage, enhanced_status, is_connection_used_up
from service.settings.mail import MailSettings

#: A reused connection must answer its first command within this time, or it is replaced.
_PROBE_SECONDS = 10.0
_GO_AHEAD = 354
_CLOSING = 421
_POSITIVE = range(200, 300)
#: refusals after which the connection can be used further
_REFUSALS = frozenset(range(400, 600)) - {_CLOSING}


class RefusedError(SMTPException):
    """The relay refused a command."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class StaleConnectionError(SMTPException):
    """A reused connection failed before any part of the message was sent; the caller may try another one at once."""


class SmtpConnection:
    """A connection to the relay; ``stage`` is the current step of the SMTP dialogue."""

    def __init__(
        self,
        settings: MailSettings,
        password: str | None,
        tls_context: ssl.SSLContext | None,
        local_hostname: str | None,
    ) -> None:
        self._settings, self._password = settings, password
        self.client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            local_hostname=local_hostname,
            timeout=settings.send_timeout_seconds,
            use_tls=settings.tls == "implicit",
            # STARTTLS and AUTH are done separately below, so that it is known which of them failed.
            start_tls=False,
            tls_context=tls_context,
        )
        self.stage = Stage.CONNECT
        self.tls_version: str | None = None
        self.tls_cipher: str | None = None
        #: time of the last use, by the event loop's clock
        self.idle_since = 0.0
        self._kept = False
        self._needs_reset = False

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open, as far as this side knows."""
        return self.client.is_connected

    async def open(self) -> None:
        """Connect, start TLS, send EHLO, log in, send EHLO again, in this order.

        In clear text only EHLO and STARTTLS are sent.

        Raises the errors of aiosmtplib, ssl and the operating system; the connection is closed then.
        """
        settings = self._settings
        try:
            self.stage = Stage.CONNECT
            await self.client.connect()
            if settings.tls == "starttls":
                self.stage = Stage.TLS
                await self.client.starttls()
            self._note_tls()
            self.stage = Stage.CONNECT
            try:
                await self.client.ehlo()
            except SMTPHeloError:
                if not self.is_connected:
                    raise
                await self.client.helo()
            if settings.username is not None and self._password is not None:
                self.stage = Stage.AUTH
                await self.client.login(settings.username, self._password)
                self.stage = Stage.CONNECT
                # Dovecot's submission server offers DSN and states its size limit only to a client that is logged in. A
                # server that answers EHLO once only has said everything before.
                with contextlib.suppress(SMTPHeloError):
                    await self.client.ehlo()
        except BaseException:
            self.discard()
            raise

    async def transact(self, envelope: Envelope) -> SMTPResponse:
        """Send one message; return the relay's acceptance.

        Raises RefusedError if the relay refuses; StaleConnectionError if a reused connection failed, or had its number
        of messages, before any part of the message was sent; RelayLimitError if the relay does not offer what the
        message needs, and then nothing was sent; otherwise the errors of aiosmtplib and the operating system, with the
        step in ``stage``.
        """
        self.stage = Stage.MAIL
        kept, self._kept = self._kept, True
        try:
            if kept:
                await self._reset_if_needed()
            await self._command(Stage.MAIL, envelope.mail_command(self._extensions()), probe=kept)
            self._needs_reset = True
            await self._command(Stage.RCPT, envelope.rcpt_command(self._extensions()))
            await self._command(Stage.DATA, [b"DATA"], expected=range(_GO_AHEAD, _GO_AHEAD + 1))
        except (SMTPServerDisconnected, ConnectionError) as error:
            if kept:
                raise StaleConnectionError(str(error)) from error
            raise
        except RefusedError as error:
            if kept and is_connection_used_up(self.stage, error.code, enhanced_status(error.message)):
                raise StaleConnectionError(str(error)) from error
            raise
        return await self._content(envelope)

    async def _content(self, envelope: Envelope) -> SMTPResponse:
        """Send the content. If no reply comes from here on, it is not known whether the relay accepted the message."""
        protocol = self.client.protocol
        if protocol is None:
            raise SMTPServerDisconnected("Connection lost")
        self.stage = Stage.CONTENT
        # The library's own DATA changes line ends, and does not report whether the content was sent.
        protocol.write(envelope.wire_content())
        response = await protocol.read_response(timeout=self._settings.send_timeout_seconds)
        self._needs_reset = False
        if response.code not in _POSITIVE:
            raise RefusedError(response.code, response.message)
        return response

    async def _reset_if_needed(self) -> None:
        """Reset the connection after a refused transaction; without a positive reply it is not used again."""
        if self._needs_reset:
            await self._probing(b"RSET")
            self._needs_reset = False

    async def _command(
        self, stage: Stage, command: list[bytes], *, expected: range = _POSITIVE, probe: bool = False
    ) -> None:
        self.stage = stage
        response = await (self._probing(*command) if probe else self.client.execute_command(*command))
        if response.code not in expected:
            raise RefusedError(response.code, response.message)

    async def _probing(self, *command: bytes) -> SMTPResponse:
        """Send the first command on a reused connection; no reply, or 421, makes it stale."""
        try:
            response = await self.client.execute_command(
                *command, timeout=min(_PROBE_SECONDS, self._settings.send_timeout_seconds / 2)
            )
        except SMTPTimeoutError as error:
            raise StaleConnectionError("a kept connection did not answer") from error
        if response.code == _CLOSING or (command == (b"RSET",) and response.code not in _POSITIVE):
            raise StaleConnectionError(response.message)
        return response

    def may_be_kept_after(self, error: BaseException | None) -> bool:
        """Return whether the connection can be used again: the message was accepted, or plainly refused."""
        if error is not None and not isinstance(error, RefusedError):
            return False
        return self.is_connected and (error is None or error.code in _REFUSALS)

    def discard(self) -> None:
        """Close the connection at once, without QUIT; safe at any time."""
        self.client.close()

    def say_goodbye(self) -> None:
        """Send QUIT and close without waiting for the reply."""
        if self.client.protocol is not None:
            with contextlib.suppress(SMTPException, OSError):
                self.client.protocol.write(b"QUIT\r\n")
        self.discard()

    async def quit(self) -> None:
        """Send QUIT and close; waits two seconds at most."""
        try:
            async with asyncio.timeout(2):
                await self.client.quit()
        except (SMTPException, OSError, TimeoutError):
            self.discard()

    def _extensions(self) -> Mapping[str, str]:
        return self.client.esmtp_extensions

    def _note_tls(self) -> None:
        """Keep the TLS version and cipher as evidence; they are not available once the connection is closed."""
        ssl_object = self.client.get_transport_info("ssl_object")
        if ssl_object is not None:
            cipher = ssl_object.cipher()
            self.tls_version, self.tls_cipher = ssl_object.version(), cipher[0] if cipher else None
        if self._settings.tls != "none" and self.tls_version is None:
            # Should be impossible. If it happens, nothing may be sent.
            raise SMTPException("the connection is not encrypted.")
