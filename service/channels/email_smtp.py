"""E-mail by SMTP through a pool of persistent connections; TLS is required except to a relay on this machine."""

import asyncio
import base64
import socket
import ssl
from collections import deque
from dataclasses import replace

import structlog
from aiosmtplib import SMTPException, SMTPHeloError, SMTPNotSupported, SMTPResponseException
from aiosmtplib.response import SMTPResponse

from notifications.delivery.delivery import ChannelKind, Outcome, OutcomeKind, SendingLimit
from service.channels.smtp_connection import RefusedError, SmtpConnection, StaleConnectionError
from service.channels.smtp_envelope import (
    Envelope,
    RelayLimitError,
    SenderUnusableError,
    UnsendableError,
    prepare_envelope,
)
from service.channels.smtp_reply import Stage, enhanced_status, failure_kind, one_line, queue_id, sending_limit
from service.channels.smtp_tls import tls_context
from service.settings.mail import MailSettings

_log = structlog.get_logger(__name__)

#: Failures of the relay, the network, TLS and the protocol. Any other error is a defect of this program and is raised.
_FAILURES = (SMTPException, OSError, RelayLimitError)


class EmailSmtp:
    """Implements ``notifications.ports.Channel``: sends each message to the relay on a pooled connection.

    Sends beyond ``connections`` wait in order of arrival. This wait has no limit here, so a caller with leases must not
    start more sends than can end within a lease.
    """

    def __init__(self, settings: MailSettings, *, idle_seconds: float = 30) -> None:
        """``idle_seconds``: an unused connection is closed after this time, before the relay closes it."""
        self._settings, self._idle_seconds = settings, idle_seconds
        self._password = settings.secret()
        self._tls_context = tls_context(settings)
        #: asked of the system once, at the first connection
        self._local_hostname = "localhost" if settings.is_loopback else None
        self._places = asyncio.Semaphore(settings.connections)
        #: unused connections, the longest unused first
        self._idle: deque[SmtpConnection] = deque()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False
        #: connections opened so far; a working pool opens few
        self.opened = 0

    @property
    def kind(self) -> ChannelKind:
        """Which channel this is."""
        return ChannelKind.EMAIL

    async def send(
        self, *, sender: str, recipient: str, message_id: str, content: bytes, return_path: str | None = None
    ) -> Outcome:
        """Send the bytes and report the relay's reply; see the port.

        1. Take a pooled connection, or open one.
        2. Send MAIL, RCPT, DATA and the content. If a pooled connection fails before the content, it is replaced once,
           because nothing of the message was sent. A connection lost later is a transient failure: it is not known
           whether the relay accepted the message, and the next attempt has the same Message-ID.
        3. Put the connection back into the pool, unless its state is unknown.

        Raises RuntimeError after ``aclose``, and InvalidInputError if a line of the content does not end in CRLF.
        """
        if self._closed:
            raise RuntimeError("the channel is closed")
        try:
            envelope = prepare_envelope(
                sender=return_path or sender, recipient=recipient, message_id=message_id, content=content
            )
        except (SenderUnusableError, UnsendableError) as error:
            return self._failed(error, None)
        async with self._places:
            # 1.
            connection = self._take()
            try:
                async with asyncio.timeout(self._settings.send_timeout_seconds):
                    # 2.
                    try:
                        response = await self._transact(connection, envelope)
                    except StaleConnectionError:
                        connection.discard()
                        connection = self._new()
                        response = await self._transact(connection, envelope)
            except _FAILURES as error:
                # 3.
                self._give_back(connection, error)
                return self._failed(error, connection)
            except BaseException:
                # Cancelled, or a defect of this program: the SMTP dialogue is unfinished.
                connection.discard()
                raise
            self._give_back(connection, None)
            return self._accepted(response, connection)

    async def aclose(self) -> None:
        """Accept no more sends, wait for those in flight, and close every connection with QUIT."""
        self._closed = True
        taken = 0
        try:
            while taken < self._settings.connections:
                await self._places.acquire()
                taken += 1
        finally:
            for _ in range(taken):
                self._places.release()
        if self._reaper is not None:
            self._reaper.cancel()
        idle, self._idle = self._idle, deque()
        await asyncio.gather(*(connection.quit() for connection in idle))

    # -- connections

    def _take(self) -> SmtpConnection:
        """Return the most recently used open connection, or a new one that is not open yet."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_connected:
                return connection
            connection.discard()
        return self._new()

    def _new(self) -> SmtpConnection:
        return SmtpConnection(self._settings, self._password, self._tls_context, self._local_hostname)

    async def _transact(self, connection: SmtpConnection, envelope: Envelope) -> SMTPResponse:
        if not connection.is_connected:
            if self._local_hostname is None:
                self._local_hostname = await asyncio.to_thread(socket.getfqdn)
            connection.client.local_hostname = self._local_hostname
            await connection.open()
            self.opened += 1
        return await connection.transact(envelope)

    def _give_back(self, connection: SmtpConnection, error: BaseException | None) -> None:
        usable = isinstance(error, RelayLimitError) or connection.may_be_kept_after(error)
        if self._closed or not usable or not connection.is_connected:
            if usable:
                connection.say_goodbye()
            else:
                connection.discard()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._reaper is None:
            self._reaper = loop.call_later(self._idle_seconds, self._reap)

    def _reap(self) -> None:
        """Close the connections that were unused for too long, and schedule the next call."""
        self._reaper = None
        loop = asyncio.get_running_loop()
        horizon = loop.time() - self._idle_seconds
        while self._idle and (self._idle[0].idle_since <= horizon or not self._idle[0].is_connected):
            self._idle.popleft().say_goodbye()
        if self._idle:
            self._reaper = loop.call_at(self._idle[0].idle_since + self._idle_seconds, self._reap)

    # -- outcomes

    def _accepted(self, response: SMTPResponse, connection: SmtpConnection) -> Outcome:
        text = one_line(response.message)
        return self._outcome(OutcomeKind.ACCEPTED, response.code, text, connection, queue_id(text))

    def _failed(self, error: Exception, connection: SmtpConnection | None) -> Outcome:
        stage = connection.stage if connection is not None else Stage.MAIL
        kind, code, text = _meaning(stage, error)
        outcome = self._outcome(kind, code, one_line(self._redacted(text)) or type(error).__name__, connection, None)
        outcome = replace(outcome, limit=_limit(stage, error))
        _log.info(
            "smtp.refused",
            stage=stage.value,
            kind=kind.value,
            code=outcome.code,
            enhanced_status=outcome.enhanced_status,
            limit=None if outcome.limit is None else outcome.limit.value,
        )
        return outcome

    def _outcome(
        self, kind: OutcomeKind, code: int | None, text: str, connection: SmtpConnection | None, queued_as: str | None
    ) -> Outcome:
        return Outcome(
            kind=kind,
            code=code,
            enhanced_status=enhanced_status(text) if code is not None else None,
            text=text,
            queue_id=queued_as,
            tls_version=connection.tls_version if connection is not None else None,
            tls_cipher=connection.tls_cipher if connection is not None else None,
            remote=f"{self._settings.host}:{self._settings.port}" if connection is not None else None,
        )

    def _redacted(self, text: str) -> str:
        """Return a relay's text without our password: some relays repeat the command that they refuse."""
        username, password = self._settings.username, self._password
        if username is None or not password:
            return text
        plain = password.encode()
        for secret in (b"\0" + username.encode() + b"\0" + plain, plain):
            text = text.replace(base64.b64encode(secret).decode(), "[redacted]")
        return text.replace(password, "[redacted]")


def _meaning(stage: Stage, error: Exception) -> tuple[OutcomeKind, int | None, str]:
    """Return what a failure means, its code if the relay sent one, and its text."""
    if isinstance(error, UnsendableError):
        return OutcomeKind.PERMANENT_FAILURE, None, str(error)
    if isinstance(error, SenderUnusableError | RelayLimitError):
        return OutcomeKind.REFUSED_HERE, None, str(error)
    if isinstance(error, RefusedError | SMTPResponseException):
        if error.code not in range(200, 600):
            return OutcomeKind.TRANSIENT_FAILURE, None, _unanswered(stage, f"a reply that is not SMTP: {error.message}")
        # A refused EHLO concerns the connection, in whichever step it was sent.
        at = Stage.CONNECT if isinstance(error, SMTPHeloError) else stage
        return failure_kind(at, error.code, enhanced_status(error.message)), error.code, error.message
    if stage in {Stage.CONNECT, Stage.TLS} and _is_tls_failure(error):
        return OutcomeKind.REFUSED_HERE, None, f"TLS failed, nothing was sent: {error}"
    if stage in {Stage.TLS, Stage.AUTH} and (type(error) is SMTPException or isinstance(error, SMTPNotSupported)):
        # STARTTLS or AUTH is not offered.
        return OutcomeKind.REFUSED_HERE, None, f"{error} Nothing was sent."
    if isinstance(error, TimeoutError):
        return OutcomeKind.TRANSIENT_FAILURE, None, _unanswered(stage, "no answer in time")
    return OutcomeKind.TRANSIENT_FAILURE, None, _unanswered(stage, str(error) or type(error).__name__)


def _limit(stage: Stage, error: Exception) -> SendingLimit | None:
    """Return which limit of the relay a failure states, or None."""
    if isinstance(error, RelayLimitError):
        return error.limit
    if isinstance(error, RefusedError):
        return sending_limit(stage, error.code, enhanced_status(error.message))
    return None


def _is_tls_failure(error: BaseException) -> bool:
    """Whether TLS itself failed (certificate, host name, version), and not only the connection."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return True
        cause = cause.__cause__
    return False


def _unanswered(stage: Stage, what: str) -> str:
    unknown = "; whether the relay took the message is not known" if stage is Stage.CONTENT else ""
    return f"{what} (at {stage.value}){unknown}"
