"""One SMTP connection: opening it to the point where mail may flow, and one transaction at a time on it."""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping

import aiosmtplib
from aiosmtplib import SMTPException, SMTPHeloError, SMTPServerDisconnected, SMTPTimeoutError
from aiosmtplib.response import SMTPResponse

from service.channels.smtp_envelope import Envelope
from service.channels.smtp_reply import Stage
from service.settings.mail import MailSettings

#: A kept connection must answer its first command within this, or it is taken for dead and replaced.
_PROBE_SECONDS = 10.0
_GO_AHEAD = 354
_CLOSING = 421
_POSITIVE = range(200, 300)
#: plain refusals, after which the connection goes on
_REFUSALS = frozenset(range(400, 600)) - {_CLOSING}


class RefusedError(SMTPException):
    """The relay answered no."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class StaleConnectionError(SMTPException):
    """A kept connection turned out dead before anything of the message was sent: another may be tried at once."""


class SmtpConnection:
    """A connection to the relay; ``stage`` tells how far the conversation came."""

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
            # STARTTLS and AUTH are done below, one by one: so it is known which of them failed.
            start_tls=False,
            tls_context=tls_context,
        )
        self.stage = Stage.CONNECT
        self.tls_version: str | None = None
        self.tls_cipher: str | None = None
        #: when it was last used, by the event loop's clock
        self.idle_since = 0.0
        self._kept = False
        self._needs_reset = False

    @property
    def is_connected(self) -> bool:
        """Whether the transport stands, as far as this side knows."""
        return self.client.is_connected

    async def open(self) -> None:
        """Connect, secure, introduce, log in, in this order; nothing but EHLO and STARTTLS goes out in clear.

        Raises what aiosmtplib, ssl and the operating system raise; the connection is closed then.
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
        except BaseException:
            self.discard()
            raise

    async def transact(self, envelope: Envelope) -> SMTPResponse:
        """Hand over one message; returns the relay's acceptance.

        Raises RefusedError with the relay's no; StaleConnectionError where a kept connection was dead and nothing of
        the message was sent; otherwise what aiosmtplib and the operating system raise, at the stage that ``stage``
        names; RelayLimitError where the relay does not offer what the message needs, and nothing was said then.
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
        return await self._content(envelope)

    async def _content(self, envelope: Envelope) -> SMTPResponse:
        """Send the message itself; from the first byte on, no answer means that nobody knows."""
        protocol = self.client.protocol
        if protocol is None:
            raise SMTPServerDisconnected("Connection lost")
        self.stage = Stage.CONTENT
        # Not through the library's own DATA: that rewrites line ends, and does not tell whether the content went out.
        protocol.write(envelope.wire_content())
        response = await protocol.read_response(timeout=self._settings.send_timeout_seconds)
        self._needs_reset = False
        if response.code not in _POSITIVE:
            raise RefusedError(response.code, response.message)
        return response

    async def _reset_if_needed(self) -> None:
        """Clear what a refused transaction left behind; any other answer than yes, and the connection is not used."""
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
        """Send the first command on a kept connection: silence, or a relay that says goodbye, makes it stale."""
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
        """Return whether the connection is in a known state: the message was taken, or the relay said a plain no."""
        if error is not None and not isinstance(error, RefusedError):
            return False
        return self.is_connected and (error is None or error.code in _REFUSALS)

    def discard(self) -> None:
        """Drop the connection without a word; safe at any time."""
        self.client.close()

    def say_goodbye(self) -> None:
        """Send QUIT and close without waiting for an answer that nobody needs."""
        if self.client.protocol is not None:
            with contextlib.suppress(SMTPException, OSError):
                self.client.protocol.write(b"QUIT\r\n")
        self.discard()

    async def quit(self) -> None:
        """Close politely, within two seconds."""
        try:
            async with asyncio.timeout(2):
                await self.client.quit()
        except (SMTPException, OSError, TimeoutError):
            self.discard()

    def _extensions(self) -> Mapping[str, str]:
        return self.client.esmtp_extensions

    def _note_tls(self) -> None:
        """Keep version and cipher now: they are evidence, and gone when the connection is."""
        ssl_object = self.client.get_transport_info("ssl_object")
        if ssl_object is not None:
            cipher = ssl_object.cipher()
            self.tls_version, self.tls_cipher = ssl_object.version(), cipher[0] if cipher else None
        if self._settings.tls != "none" and self.tls_version is None:
            # Cannot happen; were it to, nothing may go out.
            raise SMTPException("the connection is not encrypted.")
