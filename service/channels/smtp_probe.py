"""Ask the relay whether it would accept mail for an address: MAIL, RCPT, RSET, never DATA. No message is sent."""

import asyncio
import socket
from dataclasses import replace

from aiosmtplib import SMTPException

from notifications.delivery.delivery import Outcome, OutcomeKind
from service.channels.smtp_connection import RefusedError, SmtpConnection
from service.channels.smtp_envelope import (
    Envelope,
    RelayLimitError,
    SenderUnusableError,
    UnsendableError,
    prepare_envelope,
)
from service.channels.smtp_reply import Stage, enhanced_status, failure_kind, one_line
from service.channels.smtp_tls import tls_context
from service.settings.mail import MailSettings

_POSITIVE = range(200, 300)
_CLOSING = 421
#: Questions on one connection. With more of them the relay could suspect a search for addresses.
_PROBES_PER_CONNECTION = 50


class RelayUnavailableError(Exception):
    """The relay cannot be asked. This says nothing about any address."""


class SmtpProbe:
    """Asks about one address after the other on one kept connection; not for concurrent use.

    A positive reply is not certain: many relays accept every domain and learn later that the recipient's server
    refuses. A refusal is certain.
    """

    def __init__(self, settings: MailSettings, sender: str) -> None:
        self._settings, self._sender = settings, sender
        self._password, self._tls_context = settings.secret(), tls_context(settings)
        self._connection: SmtpConnection | None = None
        self._asked = 0

    async def ask(self, recipient: str) -> Outcome:
        """Return the relay's reply for a recipient; an address that cannot be written in SMTP is a permanent failure.

        Raises RelayUnavailableError if the relay cannot be reached, or refuses the connection, the login or the sender.
        """
        try:
            envelope = prepare_envelope(
                sender=self._sender, recipient=recipient, message_id="<check>", content=b"check\r\n"
            )
        except UnsendableError as error:
            return Outcome.failure(OutcomeKind.PERMANENT_FAILURE, str(error))
        except SenderUnusableError as error:
            raise RelayUnavailableError(str(error)) from None
        kept = self._connection is not None
        try:
            return await self._asked_in_time(envelope)
        except RelayLimitError as error:
            return replace(Outcome.failure(OutcomeKind.REFUSED_HERE, str(error)), limit=error.limit)
        except (SMTPException, OSError) as error:
            self._drop()
            if kept:
                # The relay closed the connection since the last question, so it gave no answer.
                return await self.ask(recipient)
            raise RelayUnavailableError(one_line(str(error)) or type(error).__name__) from error
        except BaseException:
            self._drop()
            raise

    async def aclose(self) -> None:
        """Close the connection with QUIT."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.quit()

    async def _asked_in_time(self, envelope: Envelope) -> Outcome:
        async with asyncio.timeout(self._settings.send_timeout_seconds):
            return await self._asked_of(envelope)

    async def _asked_of(self, envelope: Envelope) -> Outcome:
        connection = await self._open()
        extensions = connection.client.esmtp_extensions
        mail = await connection.client.execute_command(*envelope.mail_command(extensions))
        if mail.code not in _POSITIVE:
            # This reply concerns the sender, not the recipient.
            raise RefusedError(mail.code, mail.message)
        answer = await connection.client.execute_command(*envelope.rcpt_command(extensions))
        if answer.code == _CLOSING:
            raise RefusedError(answer.code, answer.message)
        self._asked += 1
        reset = await connection.client.execute_command(b"RSET")
        if reset.code not in _POSITIVE or self._asked >= _PROBES_PER_CONNECTION:
            await self.aclose()
        text = one_line(answer.message)
        if answer.code in _POSITIVE:
            return _outcome(OutcomeKind.ACCEPTED, answer.code, text)
        return _outcome(failure_kind(Stage.RCPT, answer.code, enhanced_status(text)), answer.code, text)

    async def _open(self) -> SmtpConnection:
        if self._connection is not None and self._connection.is_connected:
            return self._connection
        name = "localhost" if self._settings.is_loopback else await asyncio.to_thread(socket.getfqdn)
        connection = SmtpConnection(self._settings, self._password, self._tls_context, name)
        await connection.open()
        self._connection, self._asked = connection, 0
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.discard()


def _outcome(kind: OutcomeKind, code: int, text: str) -> Outcome:
    return Outcome(
        kind=kind,
        code=code,
        enhanced_status=enhanced_status(text),
        text=text,
        queue_id=None,
        tls_version=None,
        tls_cipher=None,
        remote=None,
    )
