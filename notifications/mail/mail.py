"""Assemble the mail of a notice to one contact: multipart/signed (RFC 8551) with protected headers (RFC 9788).

This module builds the bytes without a mail library, because the signed bytes must be exactly the sent ones: CRLF line
ends and 7-bit transfer encodings only, so that no gateway encodes them again (RFC 8551, 3.1).
"""

import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from functools import lru_cache

from notifications.errors import Fault, InvalidInputError
from notifications.mail.header_text import names_another_address
from notifications.mail.parts import (
    ATTACHMENT_TYPES,
    DOCUMENT_NAME,
    PDF_NAME,
    PROOF_NAME,
    RESOURCES_NAME,
    SIGNATURE_NAME,
    SIGNATURE_PART_HEADER,
    TIMESTAMP_NAME,
    base64_lines,
    note_header,
)
from notifications.mail_address import a_label_address
from notifications.notice.seal import SealedNotice, SealedRendering

_CRLF = b"\r\n"
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9._-]+@[A-Za-z0-9._-]+>")
#: Old mail stores change a line that begins with "From ", and SMTP one that begins with a dot (RFC 2049, 3).
_CHANGED_ON_THE_WAY = re.compile(rb"^(?:F(?=rom )|\.)", re.MULTILINE)
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\\\"@]+@[^\s<>()\[\],;:\\\"@]+")
_MAX_HEADER_TEXT_CHARACTERS = 400
#: RFC 5321, 4.5.3.1.3, without the angle brackets.
_MAX_ADDRESS_BYTES = 254
#: Maximum of earlier Message-IDs in a mail: the first and the latest ones, which is enough for threading.
_MAX_REFERENCES = 20


class LinedMail(bytes):
    """A whole mail in which every line ends in CRLF and none begins with a dot. It is sent without a change."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class PreparedBody:
    """The body of the signed part. It is the same for every contact of a customer with the same language and zone."""

    #: value of the signed part's Content-Type, without the protection parameter
    content_type: str
    subject: str
    language: str
    #: CRLF line ends, 7-bit
    body: bytes
    #: offset in the body at which the text ends and the attachments begin; a note is inserted there
    words_end: int = 0


def rendering_for(sealed: SealedNotice, language: str, time_zone: str | None = None) -> SealedRendering:
    """Return the sealed text for a contact: in its language, else in French, else in English, else the first one.

    The text is in the contact's time zone if there is one, else in the customer's.
    """
    by_reader = {(rendering.language, rendering.time_zone): rendering for rendering in sealed.renderings}
    for wanted in (language, "fr", "en"):
        for zone in (time_zone, None):
            if (wanted, zone) in by_reader:
                return by_reader[wanted, zone]
    return sealed.renderings[0]


def _reader_of(rendering: SealedRendering) -> str:
    return rendering.language + (rendering.time_zone or "")


# The deliveries of a notice are leased one after the other (``delivery.turn_of``), so a small cache is enough.
@lru_cache(maxsize=128)
def prepare_body(sealed: SealedNotice, language: str, time_zone: str | None = None) -> PreparedBody:
    """Return the shared body: the text as plain text and HTML, and the attachments that prove it."""
    rendering = rendering_for(sealed, language, time_zone)
    token = hashlib.sha256(sealed.document + _reader_of(rendering).encode()).hexdigest()[:24]
    # "=_" occurs in no quoted-printable and no base64 text, so the content can never contain a boundary.
    mixed, alternative = f"=_mixed_{token}", f"=_alt_{token}"
    words = _multipart(
        alternative,
        [
            _text_part("plain", rendering.language, rendering.text),
            _text_part("html", rendering.language, rendering.html),
        ],
    )
    parts = [f'Content-Type: multipart/alternative; boundary="{alternative}"\r\n\r\n'.encode() + words]
    attachments = [
        (DOCUMENT_NAME, sealed.document),
        (SIGNATURE_NAME, sealed.signature),
        (TIMESTAMP_NAME, sealed.timestamp),
        (PROOF_NAME, sealed.log_proof),
        (RESOURCES_NAME, sealed.resources_csv),
    ]
    parts += [_attachment(name, content) for name, content in attachments if content is not None]
    return PreparedBody(
        content_type=f'multipart/mixed; boundary="{mixed}"',
        subject=rendering.subject,
        language=rendering.language,
        body=_lined(_multipart(mixed, parts)),
        words_end=len(_part(mixed, parts[0])),
    )


def with_note(prepared: PreparedBody, text: str) -> PreparedBody:
    """Return the body with a note after the sealed text. The mail's signature covers it, but the notice does not."""
    opening, _, _ = prepared.body.partition(_CRLF)
    header = note_header(prepared.language) + _CRLF + _CRLF
    note = _lined(opening + _CRLF + header + quoted_printable(text) + _CRLF)
    end = prepared.words_end
    return replace(prepared, body=prepared.body[:end] + note + prepared.body[end:])


def with_pdf(prepared: PreparedBody, content: bytes) -> PreparedBody:
    """Return the body of a whole notice with its PDF as the last attachment."""
    opening, _, _ = prepared.body.partition(_CRLF)
    closing = opening + b"--" + _CRLF
    part = _lined(opening + _CRLF + _attachment(PDF_NAME, content) + _CRLF)
    return replace(prepared, body=prepared.body.removesuffix(closing) + part + closing)


def prepare_text(subject: str, text: str, language: str) -> PreparedBody:
    """Return the body of a mail that contains only a text and no notice. ``text`` has LF line ends."""
    token = hashlib.sha256(text.encode()).hexdigest()[:24]
    boundary = f"=_mixed_{token}"
    body = _lined(_multipart(boundary, [_text_part("plain", language, text)]))
    return PreparedBody(f'multipart/mixed; boundary="{boundary}"', subject, language, body)


def _lined(part: bytes) -> bytes:
    """Return the part; raises ValueError, a defect of this module, if a line is not as in a LinedMail."""
    ends = part.count(_CRLF)
    if part.count(b"\n") != ends or part.count(b"\r") != ends or part.startswith(b".") or b"\n." in part:
        raise ValueError("a line of a mail does not end in CRLF, or begins with a dot")
    return part


def _multipart(boundary: str, parts: Sequence[bytes]) -> bytes:
    return b"".join(_part(boundary, part) for part in parts) + f"--{boundary}--\r\n".encode()


def _part(boundary: str, part: bytes) -> bytes:
    return f"--{boundary}\r\n".encode() + part + _CRLF


#: All contacts with the same text of a notice get the same parts, so they are encoded once.
_kept_parts = lru_cache(maxsize=64)


@_kept_parts
def _text_part(subtype: str, language: str, text: str) -> bytes:
    header = (
        f"Content-Type: text/{subtype}; charset=utf-8\r\n"
        f"Content-Language: {language}\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    return header.encode() + quoted_printable(text)


def quoted_printable(text: str) -> bytes:
    """Return the text in quoted-printable. A line feed becomes a line end; a carriage return is encoded like any byte.

    Lines end in CRLF and have at most 76 characters. None begins with "From " or a dot, because relays change these.
    """
    if "\r" in text:
        return _unchanged_on_the_way(
            b"\n".join(binascii.b2a_qp(each.encode(), istext=False) for each in text.split("\n"))
        )
    *lines, last = text.split("\n")
    return b"".join(map(_encoded_line, lines)) + _unchanged_on_the_way(binascii.b2a_qp(last.encode(), istext=True))


# The texts of all notices of an incident have most lines in common.
@lru_cache(maxsize=4096)
def _encoded_line(line: str) -> bytes:
    # The encoder looks at the line end: a space before it is encoded.
    return _unchanged_on_the_way(binascii.b2a_qp(f"{line}\n".encode(), istext=True))


def _unchanged_on_the_way(encoded: bytes) -> bytes:
    while _CHANGED_ON_THE_WAY.search(encoded):
        # The encoded character is two characters longer, so the rest of the line moves to the next one.
        encoded = _CHANGED_ON_THE_WAY.sub(lambda found: b"=%02X=\n" % ord(found[0]), encoded)
    return encoded.replace(b"\n", _CRLF)


@_kept_parts
def _attachment(name: str, content: bytes) -> bytes:
    kind = ATTACHMENT_TYPES[name]
    header = (
        f'Content-Type: {kind}; name="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    )
    return header.encode() + base64_lines(content)


@dataclass(frozen=True, slots=True)
class Envelope:
    """The parts of a mail that differ between contacts."""

    sender: str
    sender_name: str
    recipient: str
    recipient_name: str
    date: datetime
    message_id: str
    #: Message-IDs of earlier notices of the incident to this contact, oldest first
    earlier_message_ids: tuple[str, ...] = ()
    #: whether no person caused the mail. A released notice is not automatic.
    automatic: bool = True


def unprotected_headers(envelope: Envelope) -> str:
    """Return the headers that are outside only, with their line ends.

    RFC 3834, 5: ``auto-generated`` must not be used for what a person caused. Programs at the recipient take less care
    of a mail that has it: Dovecot throws it away where a filter rejects it, reports nothing, and alerts nobody of it.
    """
    return "Auto-Submitted: auto-generated\r\n" if envelope.automatic else ""


def header_lines(envelope: Envelope, subject: str) -> list[tuple[str, str]]:
    """Return the message's headers in order, encoded and folded.

    Raises InvalidInputError for control characters and for anything that could end a header or add a recipient.
    """
    if envelope.date.utcoffset() is None:
        raise InvalidInputError(Fault("date", "has no offset from UTC"))
    for message_id in (envelope.message_id, *envelope.earlier_message_ids):
        if not _MESSAGE_ID.fullmatch(message_id):
            raise InvalidInputError(Fault("message_id", "is not a Message-ID"))
    lines = [
        ("From", _mailbox("From", envelope.sender_name, envelope.sender)),
        ("To", _mailbox("To", envelope.recipient_name, envelope.recipient)),
        ("Subject", _encoded("Subject", subject)),
        ("Date", format_datetime(envelope.date)),
        ("Message-ID", envelope.message_id),
    ]
    if envelope.earlier_message_ids:
        first, *others = envelope.earlier_message_ids
        lines += [
            ("In-Reply-To", envelope.earlier_message_ids[-1]),
            ("References", "\r\n ".join((first, *others[1 - _MAX_REFERENCES :]))),
        ]
    return lines


@lru_cache(maxsize=64)
def _encoded(name: str, text: str) -> str:
    """Return folded header text, in encoded words if it is not ASCII (RFC 2047).

    Cached, because subject and sender are the same for every contact, and folding takes longer than signing.
    """
    if _CONTROLS.search(text) or len(text) > _MAX_HEADER_TEXT_CHARACTERS:
        raise InvalidInputError(Fault(name, "holds a control character, or is too long for a header"))
    charset = "us-ascii" if _is_plain(text) else "utf-8"
    folded = Header(text, charset, header_name=name, maxlinelen=76).encode(linesep="\r\n")
    # The text begins on the first line, also with a word that is too long for it: Python's email package (3.14.2) joins
    # these two lines when it writes a mail again, as mailing lists do, and the signature would be wrong.
    return folded.removeprefix("\r\n ")


def _is_plain(text: str) -> bool:
    """Return whether a text can be in a header unchanged: ASCII, and nothing that a mail program would decode."""
    return text.isascii() and "=?" not in text


def _mailbox(name: str, display: str, address: str) -> str:
    """Return one mailbox. The display name is quoted or encoded, so that it can neither add nor hide an address.

    A sender's name that contains another address is omitted, because readers would take it for the sender's address.
    """
    known = _ADDRESS.fullmatch(address) and not _CONTROLS.search(address)
    if not known or len(address.encode()) > _MAX_ADDRESS_BYTES:
        raise InvalidInputError(Fault(name, "is no mail address"))
    try:
        # Without this, a domain beyond ASCII would need SMTPUTF8.
        address = a_label_address(address)
    except ValueError as error:
        raise InvalidInputError(Fault(name, f"is no mail address: {error}")) from None
    if _CONTROLS.search(display) or len(display) > _MAX_HEADER_TEXT_CHARACTERS:
        raise InvalidInputError(Fault(name, "holds a control character, or is too long for a header"))
    if not display or (name == "From" and names_another_address(display, address)):
        return address
    if _is_plain(display):
        quoted = display.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"\r\n <{address}>'
    return f"{_encoded(name, display)}\r\n <{address}>"


def assemble_mail(prepared: PreparedBody, envelope: Envelope, sign: Callable[[bytes], bytes]) -> LinedMail:
    """Return the whole message. ``sign`` returns detached CMS (DER) over its argument; its errors are not caught.

    The mail contains its headers twice: outside, and as protected headers in the signed part. Raises InvalidInputError
    as ``header_lines`` does.
    """
    headers = _header_block(header_lines(envelope, prepared.subject))
    outside = _lined((headers + unprotected_headers(envelope)).encode())
    # hp="clear": signed, not encrypted, and every header of the message is in there (RFC 9788, 2.1).
    entity = _signed_entity(prepared, "clear", headers, envelope.message_id, sign)
    return LinedMail(b"".join([outside, *entity]))


def assemble_entity_to_encrypt(
    prepared: PreparedBody, envelope: Envelope, sign: Callable[[bytes], bytes], outer_subject: str
) -> bytes:
    """Return the signed entity to encrypt. It has protected headers only.

    It also states the outer headers of the encrypted mail, which everybody can read (HP-Outer, RFC 9788, 2.2).
    """
    lines = header_lines(envelope, prepared.subject)
    outside = [("HP-Outer", f"{name}: {value}") for name, value in header_lines(envelope, outer_subject)]
    headers = _header_block([*lines, *outside])
    return b"".join(_signed_entity(prepared, "cipher", headers, envelope.message_id, sign))


def _header_block(lines: Sequence[tuple[str, str]]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in lines)


def _signed_entity(
    prepared: PreparedBody, protection: str, headers: str, message_id: str, sign: Callable[[bytes], bytes]
) -> list[bytes]:
    """Return multipart/signed with its own MIME headers, in pieces.

    1. The signed part: protected headers and the shared body, CRLF, 7-bit.
    2. The signature over exactly these bytes, and multipart/signed around both.
    """
    # 1.
    content_type = f'Content-Type: {prepared.content_type};\r\n hp="{protection}"\r\n'
    language = f"Content-Language: {prepared.language}\r\n"
    signed = (content_type + language + headers).encode() + _CRLF + prepared.body
    # 2.
    token = hashlib.sha256(message_id.encode()).hexdigest()[:24]
    boundary = f"=_signed_{token}"
    outer = (
        "MIME-Version: 1.0\r\n"
        'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n'
        f' micalg=sha-256; boundary="{boundary}"\r\n'
        "\r\n"
    )
    delimiter = f"--{boundary}".encode()
    return [
        outer.encode(),
        delimiter, _CRLF, signed, _CRLF,
        delimiter, _CRLF, SIGNATURE_PART_HEADER, base64_lines(sign(signed)), _CRLF,
        delimiter, b"--", _CRLF,
    ]  # fmt: skip
