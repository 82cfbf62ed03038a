"""Parse a signed mail strictly: it is never encoded again, and only one reading is possible.

A tolerant mail parser would let an attacker write a message that two programs read differently. The signed part must be
exactly in the form that ``notifications.mail.mail`` writes. Around it, harmless changes by relays and mail stores are
accepted. Every other difference is reported, because programs may display it and no signature covers it.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from notifications.mail.header_text import parse_mailbox, parse_text
from notifications.mail.parts import ATTACHMENT_TYPES, PROTECTED_HEADERS, base64_lines, note_header
from notifications.mail.signed_copy import (
    HP_OUTER,
    NO_READING,
    fail,
    find_signed_part,
    header_fields,
    refusal,
    single_value,
)

#: Protected headers that contain one mailbox each.
_MAILBOXES = ("From", "To")
_BOUNDARY = re.compile(r'boundary="(=_[a-z]+_[0-9a-f]{24})"')


@dataclass(frozen=True, slots=True)
class SignedMail:
    """A parsed mail. Nothing of it is verified."""

    #: decoded values of the outer headers that are compared, by canonical name
    outer: Mapping[str, str]
    #: decoded values of the protected headers
    protected: Mapping[str, str]
    #: outer headers that an encrypted mail states (HP-Outer); None for a mail that was not encrypted
    stated_outer: Mapping[str, str] | None
    #: the address in the protected From
    sender: str
    #: addresses of the outer From and To, read before decoding; empty if there is not exactly one
    outer_addresses: Mapping[str, str]
    #: addresses of the protected From and To
    protected_addresses: Mapping[str, str]
    #: the bytes that the mail's signature covers
    signed: bytes
    #: DER of the mail's signature
    signature: bytes
    #: language that the mail states for its text
    language: str
    #: media type to body, LF line ends
    texts: Mapping[str, bytes]
    #: name to content
    attachments: Mapping[str, bytes]
    #: the mail's own text after that of the notice, with LF line ends, or None
    note: bytes | None = None
    #: differences outside of the signed part that could mislead a reader, each in a few words; without the differences
    #: between outer and protected headers
    changed: tuple[str, ...] = ()


def parse_signed_mail(mail: bytes) -> SignedMail:
    """Return the parts of a signed mail; raises VerificationError for the step ``structure``.

    A mail without attachments is not a notice but another mail of this service; it is returned without texts. Raises
    UnreadableMailError, with advice, if the file contains the signed mail in another form than it was sent.

    1. The copy: outer headers, and multipart/signed with exactly two parts: the signed part and the signature.
    2. The signed part: protected headers, then multipart/mixed with the text, at most one note in its one form, and the
       attachments, each with a known name.
    """
    # 1.
    copy = find_signed_part(mail)
    # 2.
    inner_header, _, inner_body = copy.signed.partition(b"\r\n\r\n")
    inner = header_fields(inner_header, fail)
    inner_kind = single_value(inner, "content-type")
    inner_boundary = _BOUNDARY.search(inner_kind)
    expected = "" if inner_boundary is None else f"multipart/mixed; {inner_boundary[0]}; hp="
    if inner_boundary is None or inner_kind not in {f'{expected}"clear"', f'{expected}"cipher"'}:
        raise refusal("has a signed part that is no multipart/mixed with protected headers")
    was_encrypted = inner_kind.endswith('"cipher"')
    stated_outer = _stated_outer(inner.get(HP_OUTER, ()))
    if was_encrypted != bool(stated_outer):
        raise refusal("states in two ways whether it was encrypted")
    parts = _parts(inner_body, inner_boundary[1])
    note = _note(parts, single_value(inner, "content-language"))
    texts, attachments, languages = _content(parts)
    languages.add(single_value(inner, "content-language"))
    if len(languages) != 1:
        raise refusal("names its language in two ways")
    protected = _protected_texts(inner)
    addresses = _addresses(inner)
    if not addresses["From"]:
        raise refusal("is not from one address, named in the one form")
    return SignedMail(
        outer=_header_texts(copy.fields),
        protected=protected,
        stated_outer=stated_outer if was_encrypted else None,
        sender=addresses["From"],
        outer_addresses=_addresses(copy.fields),
        protected_addresses=addresses,
        signed=copy.signed,
        signature=copy.signature,
        language=languages.pop(),
        texts=texts,
        attachments=attachments,
        note=note,
        changed=copy.changed,
    )


def _header_texts(fields: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the texts of the protected headers; ``NO_READING`` for one that programs read differently."""
    texts = {}
    for name in PROTECTED_HEADERS:
        match fields.get(name.lower(), []):
            case []:
                continue
            case [value] if name in _MAILBOXES:
                mailbox = parse_mailbox(value)
                texts[name] = NO_READING if mailbox is None else f"{mailbox[0]} <{mailbox[1]}>".strip(" ")
            case [value]:
                text = parse_text(value)
                texts[name] = NO_READING if text is None else text
            case _:
                texts[name] = NO_READING
    return texts


def _protected_texts(fields: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the texts of the headers in the signed part; raises VerificationError for a malformed one."""
    texts = _header_texts(fields)
    for name, text in texts.items():
        if text == NO_READING:
            raise refusal(f"has a malformed header {name}")
    return texts


def _addresses(fields: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the addresses of From and To; empty if there is not exactly one."""
    addresses = {}
    for name in _MAILBOXES:
        values = fields.get(name.lower(), ())
        mailbox = parse_mailbox(values[0]) if len(values) == 1 else None
        addresses[name] = "" if mailbox is None else mailbox[1]
    return addresses


def _stated_outer(lines: Sequence[str]) -> dict[str, str]:
    """Return the texts of the outer headers that a signed part states; raises VerificationError."""
    fields: dict[str, list[str]] = {}
    known = {header.lower() for header in PROTECTED_HEADERS}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name.lower() not in known or name.lower() in fields:
            raise refusal("states headers outside that no notice has, or one twice")
        fields[name.lower()] = [value]
    return _protected_texts(fields)


def _parts(body: bytes, boundary: str) -> list[bytes]:
    """Return the parts between the boundaries; raises VerificationError for anything before or after them."""
    delimiter = f"--{boundary}".encode()
    first, last = delimiter + b"\r\n", b"\r\n" + delimiter + b"--"
    if not body.startswith(first):
        raise refusal("has something before its first part")
    inside, closing, after = body.partition(last)
    if not closing or after.replace(b"\r\n", b""):
        raise refusal("has no end, or something after it")
    if not after:
        raise refusal("is cut off after its end")
    return inside.removeprefix(first).split(b"\r\n" + first)


def _note(parts: list[bytes], language: str) -> bytes | None:
    """Remove the note, the second part, from the parts and return its text; None if there is no note."""
    header, _, encoded = parts[1].partition(b"\r\n\r\n") if len(parts) > 1 else (b"", b"", b"")
    if header != note_header(language):
        return None
    del parts[1]
    return binascii.a2b_qp(encoded).replace(b"\r\n", b"\n")


def _content(parts: list[bytes]) -> tuple[dict[str, bytes], dict[str, bytes], set[str]]:
    """Return texts by media type, attachments by name, and the stated languages; nothing for a mail of plain text."""
    words, *files = parts
    header, _, body = words.partition(b"\r\n\r\n")
    if not files and header.startswith(b"Content-Type: text/plain;"):
        # One of the service's other mails, a summary for example.
        return {}, {}, set()
    boundary = _BOUNDARY.search(header.decode("ascii", "replace"))
    if boundary is None or header != f"Content-Type: multipart/alternative; {boundary[0]}".encode():
        raise refusal("does not begin with its words")
    texts: dict[str, bytes] = {}
    languages = set()
    for part in _parts(body, boundary[1]):
        header, _, encoded = part.partition(b"\r\n\r\n")
        fields = header_fields(header, fail)
        kind = single_value(fields, "content-type").removesuffix("; charset=utf-8")
        if kind not in {"text/plain", "text/html"} or kind in texts:
            raise refusal("has words in another form than text and HTML")
        if single_value(fields, "content-transfer-encoding") != "quoted-printable":
            raise refusal("has words in another encoding than quoted-printable")
        texts[kind] = binascii.a2b_qp(encoded).replace(b"\r\n", b"\n")
        languages.add(single_value(fields, "content-language"))
    attachments: dict[str, bytes] = {}
    for part in files:
        header, _, encoded = part.partition(b"\r\n\r\n")
        name = next((name for name in ATTACHMENT_TYPES if header == _attachment_header(name)), None)
        if name is None or name in attachments:
            raise refusal("has an attachment that no notice has, or one twice")
        attachments[name] = _exact_base64(encoded, name)
    return texts, attachments, languages


def _attachment_header(name: str) -> bytes:
    return (
        f'Content-Type: {ATTACHMENT_TYPES[name]}; name="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        f'Content-Disposition: attachment; filename="{name}"'
    ).encode()


def _exact_base64(encoded: bytes, what: str) -> bytes:
    """Return the content of base64 lines; raises unless encoding it again gives exactly these lines."""
    try:
        content = base64.b64decode(encoded.replace(b"\r\n", b""), validate=True)
    except (binascii.Error, ValueError):
        raise refusal(f"has {what} in malformed base64") from None
    if base64_lines(content) != encoded:
        raise refusal(f"has {what} in base64 of another form")
    return content
