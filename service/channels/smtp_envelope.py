"""The envelope of one message: its MAIL and RCPT commands for a relay's extensions, and its bytes after DATA."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from notifications.delivery.delivery import SendingLimit
from notifications.errors import Fault, InvalidInputError
from notifications.mail.mail import LinedMail
from notifications.mail_address import a_label_address

#: RFC 3461, 4.4: an ENVID has at most 100 characters.
_MAX_ENVID_CHARACTERS = 100
#: Characters that no path may contain: control characters, angle brackets, surrogates.
_NOT_IN_A_PATH = re.compile(r"[\x00-\x1f\x7f-\x9f<>\ud800-\udfff]")

#: All characters except printable ASCII without ``+`` and ``=``.
_NOT_XTEXT = re.compile(rb"[^!-*,-<>-~]")


class UnsendableError(Exception):
    """The message cannot be sent to this recipient through this relay; the text says why."""


class RelayLimitError(Exception):
    """The relay does not offer what the message needs; the text says what. The provider must change something."""

    def __init__(self, limit: SendingLimit, reason: str) -> None:
        super().__init__(reason)
        self.limit = limit


class SenderUnusableError(Exception):
    """The sender's address is not valid in an SMTP command; the provider must correct it."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message to one recipient, independent of the connection."""

    #: in the form for the wire: with an ASCII local part, the domain as A-labels
    sender: str
    recipient: str
    #: as much of the Message-ID as an ENVID can hold
    envelope_id: str
    content: bytes
    #: needs SMTPUTF8 (RFC 6531): a non-ASCII local part, or non-ASCII bytes in the message
    internationalised: bool

    def mail_command(self, extensions: Mapping[str, str]) -> list[bytes]:
        """Return MAIL with parameters for the relay's extensions; raises RelayLimitError if a needed one is missing."""
        command = [b"MAIL", f"FROM:<{self.sender}>".encode()]
        if self.internationalised:
            if "smtputf8" not in extensions:
                raise RelayLimitError(
                    SendingLimit.SMTPUTF8, "our relay does not take internationalised addresses (it offers no SMTPUTF8)"
                )
            command.append(b"SMTPUTF8")
            if not self.content.isascii():
                if "8bitmime" not in extensions:
                    raise RelayLimitError(
                        SendingLimit.EIGHT_BIT, "our relay does not take bytes beyond ASCII (it offers no 8BITMIME)"
                    )
                command.append(b"BODY=8BITMIME")
        if "size" in extensions:
            limit = extensions["size"].strip()
            if limit.isdecimal() and 0 < int(limit) < len(self.content):
                raise RelayLimitError(
                    SendingLimit.SIZE, f"our relay takes {limit} bytes at most, the message has {len(self.content)}"
                )
            command.append(f"SIZE={len(self.content)}".encode())
        if "dsn" in extensions:
            command += [b"RET=HDRS", f"ENVID={_xtext(self.envelope_id)}".encode()]
        return command

    def rcpt_command(self, extensions: Mapping[str, str]) -> list[bytes]:
        """Return RCPT; if the relay offers DSN (RFC 3461), ask for reports of success, failure and delay."""
        command = [b"RCPT", f"TO:<{self.recipient}>".encode()]
        if "dsn" in extensions:
            original = self.recipient
            original = f"rfc822;{_xtext(original)}" if original.isascii() else f"utf-8;{_utf8_xtext(original)}"
            command += [b"NOTIFY=SUCCESS,FAILURE,DELAY", f"ORCPT={original}".encode()]
        return command

    def wire_content(self) -> bytes:
        """Return the bytes after DATA: dots doubled at line starts (RFC 5321, 4.5.2), and the final dot."""
        if isinstance(self.content, LinedMail):
            return self.content + b".\r\n"
        stuffed = self.content.replace(b"\r\n.", b"\r\n..")
        return (b"." if stuffed.startswith(b".") else b"") + stuffed + b".\r\n"


def prepare_envelope(*, sender: str, recipient: str, message_id: str, content: bytes) -> Envelope:
    """Return the envelope.

    Raises UnsendableError or SenderUnusableError for an address that no relay could accept. Raises InvalidInputError, a
    defect of the caller, if a line of the content does not end in CRLF: a correction would break the signature, and
    some servers read a bare LF or CR as the end of a message.
    """
    if not isinstance(content, LinedMail):
        _check_lines(content)
    try:
        sender_on_wire = _wire_address(sender)
    except ValueError as error:
        raise SenderUnusableError(f"the sender's address cannot be used: {error}") from None
    try:
        recipient_on_wire = _wire_address(recipient)
    except ValueError as error:
        raise UnsendableError(f"the recipient's address cannot be used: {error}") from None
    identifier = message_id.strip("<>")
    if len(_xtext(identifier)) > _MAX_ENVID_CHARACTERS:
        identifier = identifier.partition("@")[0][: _MAX_ENVID_CHARACTERS // 3]
    return Envelope(
        sender=sender_on_wire,
        recipient=recipient_on_wire,
        envelope_id=identifier,
        content=content,
        internationalised=not (sender_on_wire.isascii() and recipient_on_wire.isascii() and content.isascii()),
    )


def _check_lines(content: bytes) -> None:
    ends = content.count(b"\r\n")
    if not content.endswith(b"\r\n") or content.count(b"\n") != ends or content.count(b"\r") != ends:
        raise InvalidInputError(Fault("content", "every line of a message must end in CRLF"))


def _wire_address(address: str) -> str:
    """Return the address for a path; raises ValueError if a path cannot contain it.

    With an ASCII local part, a non-ASCII domain is sent as A-labels. NOT checked: whether the mailbox exists.
    """
    local_part, at, domain = address.rpartition("@")
    if not (local_part and at and domain):
        raise ValueError("it is not an addr-spec")
    if _NOT_IN_A_PATH.search(address):
        raise ValueError("it has characters that no address may have")
    if any(character.isspace() for character in domain) or (
        any(character.isspace() for character in local_part) and not local_part.startswith('"')
    ):
        raise ValueError("it has white space")
    return a_label_address(address)


def _xtext(text: str) -> str:
    """Return ASCII text as xtext (RFC 3461, 4): non-printable characters, ``+`` and ``=`` are escaped."""
    return _NOT_XTEXT.sub(lambda match: b"+%02X" % ord(match[0]), text.encode()).decode("ascii")


def _utf8_xtext(text: str) -> str:
    r"""Return text as utf-8-addr-xtext (RFC 6533, 3): ``\x{...}`` for all but printable ASCII, and for ``+=\``."""
    return "".join(
        character if "\x21" <= character <= "\x7e" and character not in "+=\\" else f"\\x{{{ord(character):02X}}}"
        for character in text
    )
