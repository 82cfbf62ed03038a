"""Take a signed mail apart, byte for byte: no re-encoding, no guessing, one reading only.

A mail parser that is kind to malformed mail gives an attacker two readings of one message. The signed part must have
exactly the shape that ``notifications.mail.mail`` writes. Around the signed part, what relays and mail stores change
harmlessly is accepted; every other difference is named, because programs may show it and no signature covers it.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from notifications.errors import UnreadableMailError, VerificationError
from notifications.mail.header_text import parse_mailbox, parse_text
from notifications.mail.mail import (
    ATTACHMENT_TYPES,
    PROTECTED_HEADERS,
    SIGNATURE_PART_HEADER,
    base64_lines,
    note_header,
)

STRUCTURE = "structure"

_MAX_MAIL_BYTES = 64 * 1024 * 1024
#: Longer ones cost a decoder more time than a header is worth.
_MAX_HEADER_CHARACTERS = 20_000
_FIELD = re.compile(rb"([!-9;-~]+):[ \t]?(.*)", re.DOTALL)
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BLANK_LINE = re.compile(rb"\r\n[ \t]+(?:\r\n|\Z)")
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_BOUNDARY = re.compile(r'boundary="(=_[a-z]+_[0-9a-f]{24})"')
#: A parameter of Content-Type in the form that every program reads alike (RFC 2045, 5.1).
_PARAMETER = re.compile(
    r";[ \t]*(?P<name>[A-Za-z0-9!#$%&'*+.^_`|~-]+)"
    r'=(?:"(?P<quoted>[^"\\]*)"|(?P<token>[A-Za-z0-9!#$%&\'*+.^_`|~-]+))[ \t]*'
)
_PARAMETERS = ("protocol", "micalg", "boundary")
_PKCS7_SIGNATURE = "application/pkcs7-signature"
_SIGNATURE_TYPE = re.compile(rb"^content-type:[ \t]*application/(?:x-)?pkcs7-signature\b", re.IGNORECASE | re.MULTILINE)
_SIGNED_INSIDE = re.compile(rb"^content-type:\s*multipart/signed\b", re.IGNORECASE | re.MULTILINE)
_SIGNED_AND_SIGNATURE = 2
#: Protected headers that are one mailbox each.
_MAILBOXES = ("From", "To")
_ENCODING = "content-transfer-encoding"
#: Lines as stores of the mbox kind put before a mail (RFC 4155).
_MBOX_LINE = re.compile(
    rb"From [^\s:<>\"]+ +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ 0-3]?\d \d\d:\d\d(?::\d\d)?"
    rb"(?: [A-Z+-][A-Z0-9]{0,5})? \d{4}(?: [+-]\d{4})?\r\n"
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: How files begin that hold a mail in a program's own format or in UTF-16: compound files (.msg), byte order marks.
_OTHER_FORMATS = (b"\xd0\xcf\x11\xe0", b"\xff\xfe", b"\xfe\xff")
#: Headers that occur at most once outside; a second one is a second reading.
_SINGLE = frozenset(
    {"from", "to", "subject", "date", "message-id", "in-reply-to", "references", "content-type", "mime-version",
     "sender", "cc", "bcc", "reply-to", "mail-reply-to", "mail-followup-to", "content-transfer-encoding",
     "content-language"}
)  # fmt: skip
#: Headers that no notice has, and that name somebody, hide something, or say where an answer or a receipt goes.
_STEERING = frozenset(
    {"cc", "bcc", "sender", "author", "reply-to", "mail-reply-to", "mail-followup-to", "mail-copies-to", "followup-to",
     "newsgroups", "errors-to", "apparently-to", "disposition-notification-to", "disposition-notification-options",
     "return-receipt-to", "read-receipt-to", "x-confirm-reading-to", "autocrypt", "openpgp", "comments", "expires",
     "expiry-date", "supersedes", "obsoletes", "replaces"}
)  # fmt: skip
#: The same, by how their names begin (RFC 5322, 3.6.6; RFC 2369; RFC 2045, 9).
_STEERING_PREFIXES = ("resent-", "list-", "content-")
#: Headers with such names that steer nothing, or are looked at by themselves.
_NOT_STEERING = frozenset(
    {"list-id", "content-type", "content-transfer-encoding", "content-language", "content-length"}
)  # fmt: skip
#: Transfer encodings that leave a body as it is (RFC 2045, 6.2).
_IDENTITY_ENCODINGS = frozenset({"7bit", "8bit", "binary"})
#: What is said of an outer header that programs read in different ways. No header under a signature says it.
_NO_READING = "\0"
#: States a header that stands outside an encrypted mail (RFC 9788, 2.2), lower case.
_OUTER = "hp-outer"


@dataclass(frozen=True, slots=True)
class SignedMail:
    """A mail taken apart. Nothing of it is verified."""

    #: decoded values of the outer headers that matter, by canonical name
    outer: Mapping[str, str]
    #: decoded values of the protected headers
    protected: Mapping[str, str]
    #: for a mail that was encrypted, what it states to stand outside (HP-Outer); None for one that went in clear
    stated_outer: Mapping[str, str] | None
    #: the address in the protected From
    sender: str
    #: addresses of the outer From and To, read before anything is decoded; empty where there is not just one
    outer_addresses: Mapping[str, str]
    #: the same of the protected ones
    protected_addresses: Mapping[str, str]
    #: the bytes that the mail's signature is over
    signed: bytes
    #: DER of the mail's signature
    signature: bytes
    #: language that the mail says its words are in
    language: str
    #: media type to body, LF line ends
    texts: Mapping[str, bytes]
    #: name to content
    attachments: Mapping[str, bytes]
    #: the mail's own words after the notice's, LF line ends; None without
    note: bytes | None = None
    #: differences outside the signed part that could mislead a reader, each in a few words; outer headers that differ
    #: from protected ones are not among them
    changed: tuple[str, ...] = ()


#: Takes the reason of a difference: raises it, or notes it.
_Differs = Callable[[str], None]


def _refuse(reason: str) -> VerificationError:
    return VerificationError(STRUCTURE, reason)


def _raise(reason: str) -> None:
    raise _refuse(reason)


def _unreadable(reason: str) -> UnreadableMailError:
    return UnreadableMailError(STRUCTURE, reason)


def parse_signed_mail(mail: bytes) -> SignedMail:
    """Return the parts of a signed mail; raises VerificationError for the step ``structure``.

    A mail without attachments is returned too, without words: it is one of the service's other mails, and no notice.
    Raises UnreadableMailError, with what to do, where the file holds the signed mail in another form than it was sent.

    1. The file: line ends, the line of a mail store before the mail.
    2. Outer headers, and multipart/signed with exactly two parts: the signed one and the signature.
    3. The signed part: protected headers, then multipart/mixed of the words, at most one note of the mail itself in
       its one form, and the attachments, each known by name.
    """
    if len(mail) > _MAX_MAIL_BYTES:
        raise _refuse("the mail is too long")
    changed: list[str] = []
    # 1.
    header, _, body = _lined(mail, changed.append).partition(b"\r\n\r\n")
    # 2.
    fields = _fields(header, changed.append)
    boundary = _signed_boundary(fields, body, changed.append)
    signed, signature_part = _signed_parts(body, boundary, changed.append)
    signature = _signature(signature_part, changed.append)
    # 3.
    inner_header, _, inner_body = signed.partition(b"\r\n\r\n")
    inner = _fields(inner_header, _raise)
    inner_kind = _single(inner, "content-type")
    inner_boundary = _BOUNDARY.search(inner_kind)
    expected = "" if inner_boundary is None else f"multipart/mixed; {inner_boundary[0]}; hp="
    if inner_boundary is None or inner_kind not in {f'{expected}"clear"', f'{expected}"cipher"'}:
        raise _refuse("has a signed part that is no multipart/mixed with protected headers")
    was_encrypted = inner_kind.endswith('"cipher"')
    stated_outer = _stated_outer(inner.get(_OUTER, ()))
    if was_encrypted != bool(stated_outer):
        raise _refuse("states in two ways whether it was encrypted")
    parts = _parts(inner_body, inner_boundary[1])
    note = _note(parts, _single(inner, "content-language"))
    texts, attachments, languages = _content(parts)
    languages.add(_single(inner, "content-language"))
    if len(languages) != 1:
        raise _refuse("names its language in two ways")
    protected = _protected_texts(inner)
    addresses = _addresses(inner)
    if not addresses["From"]:
        raise _refuse("is not from one address, named in the one form")
    return SignedMail(
        outer=_header_texts(fields),
        protected=protected,
        stated_outer=stated_outer if was_encrypted else None,
        sender=addresses["From"],
        outer_addresses=_addresses(fields),
        protected_addresses=addresses,
        signed=signed,
        signature=signature,
        language=languages.pop(),
        texts=texts,
        attachments=attachments,
        note=note,
        changed=tuple(changed),
    )


def _lined(mail: bytes, differs: _Differs) -> bytes:
    """Return the mail with CRLF line ends, from its first header; a mail saved with LF is the same mail."""
    if mail.startswith(_OTHER_FORMATS):
        raise _unreadable("is in a mail program's own format: save the mail as .eml, or save its source")
    newlines, pairs = mail.count(b"\n"), mail.count(b"\r\n")
    if mail.count(b"\r") != pairs or pairs not in {0, newlines}:
        differs("mixes line ends, and programs break its lines in different places")
    data = mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if data.startswith(_BYTE_ORDER_MARK):
        differs("begins with a byte order mark, which hides the first header from some programs")
        data = data.removeprefix(_BYTE_ORDER_MARK)
    line = _MBOX_LINE.match(data)
    return data if line is None else data[line.end() :]


def _fields(header: bytes, differs: _Differs) -> dict[str, list[str]]:
    """Return header values by lower-case name, unfolded, not decoded; what is not in the one form differs."""
    fields: dict[str, list[str]] = {}
    if _CONTROL.search(header):
        differs("has a control character among its headers")
    if _BLANK_LINE.search(header):
        differs("has a blank line among its headers, where some programs end them")
    for line in _FOLD.sub(b"", header).split(b"\r\n"):
        match = _FIELD.fullmatch(line)
        if match is None:
            differs("has a line among its headers that is no header")
            continue
        name = match[1].decode("ascii").lower()
        # What relays add is theirs; what a notice says is in one form.
        if name in _SINGLE or name == _OUTER:
            fields.setdefault(name, []).append(_text(name, match[2], differs))
        if (
            (name in _STEERING or name.startswith(_STEERING_PREFIXES))
            and name not in _NOT_STEERING
            and match[2].strip(b" \t")
        ):
            differs(f"has a header {name} that no notice has")
    for name in _SINGLE:
        if len(fields.get(name, ())) > 1:
            differs(f"has the header {name} twice")
    return fields


def _text(name: str, value: bytes, differs: _Differs) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        differs(f"has a header {name} that is not UTF-8")
        return _NO_READING
    if len(text) > _MAX_HEADER_CHARACTERS or any(char < " " and char != "\t" for char in text):
        differs(f"has a header {name} that is too long, or holds a control character")
        return _NO_READING
    return text


def _signed_boundary(fields: Mapping[str, list[str]], body: bytes, differs: _Differs) -> str:
    """Return the boundary of the multipart/signed that the outer headers announce."""
    value = _single(fields, "content-type")
    kind, semicolon, rest = value.partition(";")
    kind = kind.strip(" \t").casefold()
    if kind in {"application/pkcs7-mime", "application/x-pkcs7-mime"}:
        raise _unreadable("is encrypted: decrypt it first (openssl cms -decrypt -in MAIL -inkey KEY -out DECRYPTED)")
    if kind == "application/ms-tnef":
        raise _unreadable("was put into Outlook's own format by a mail server: ask for the mail as .eml")
    if kind.startswith(("multipart/", "message/")) and kind != "multipart/signed" and _SIGNED_INSIDE.search(body):
        raise _unreadable("holds the signed mail inside another one: open the inner mail and save that one as .eml")
    if kind != "multipart/signed":
        raise _refuse("is not multipart/signed with SHA-256 (S/MIME)")
    found = list(_PARAMETER.finditer(semicolon + rest))
    parameters = [(match["name"].casefold(), match["quoted"] or match["token"] or "") for match in found]
    boundaries = [text for name, text in parameters if name == "boundary"]
    if not any(boundaries):
        raise _refuse("names no boundary of its parts")
    stated = {name: text.casefold() for name, text in parameters}
    announced = stated.get("protocol") == _PKCS7_SIGNATURE and stated.get("micalg") in {"sha-256", "sha256"}
    whole = "".join(match[0] for match in found) == semicolon + rest
    if not (announced and whole and len(parameters) == len(_PARAMETERS)):
        differs("is not announced as signed with SHA-256 (S/MIME) in the one form")
    if [version.strip(" \t") for version in fields.get("mime-version", ())] != ["1.0"]:
        differs("is not announced as MIME 1.0")
    if not {text.strip(" \t").casefold() for text in fields.get(_ENCODING, ())} <= _IDENTITY_ENCODINGS:
        differs(f"has a header {_ENCODING} that no notice has")
    return boundaries[0]


def _signed_parts(body: bytes, boundary: str, differs: _Differs) -> tuple[bytes, bytes]:
    """Return the signed part and the part of the signature; only what is around the two may differ."""
    delimiter = re.compile(rb"(?:\A|\r\n)--" + re.escape(boundary.encode()) + rb"(?P<end>--)?[ \t]*(?=\r\n|\Z)")
    found = list(delimiter.finditer(body))
    ends = [number for number, match in enumerate(found) if match["end"]]
    if not ends and (found or not body.strip()):
        raise _unreadable("is cut off before its end: save the whole mail again, as .eml or as its source")
    if not ends or ends[0] != _SIGNED_AND_SIGNATURE:
        raise _refuse("must have exactly a signed part and a signature")
    first, second, end = found[: ends[0] + 1]
    if not body.startswith(b"--"):
        differs("has something before its signed part")
    if body[end.end() :].replace(b"\r\n", b""):
        differs("has something after its end")
    if any(match[0].endswith((b" ", b"\t")) for match in (first, second, end)):
        differs("has white space after a boundary")
    return body[first.end() + 2 : second.start()], body[second.end() + 2 : end.start()]


def _signature(part: bytes, differs: _Differs) -> bytes:
    """Return the DER of the signature; its own header and its lines are not signed."""
    header, _, encoded = part.partition(b"\r\n\r\n")
    if not _SIGNATURE_TYPE.search(header):
        raise _refuse("has a signature part of another form")
    lines = encoded.replace(b"\r\n", b"")
    try:
        content = base64.b64decode(lines.translate(None, b" \t"), validate=True)
    except (binascii.Error, ValueError):
        raise _refuse("has the signature in malformed base64") from None
    if part != SIGNATURE_PART_HEADER + base64_lines(content):
        differs("has a signature part that is written in another form")
    return content


def _single(fields: Mapping[str, list[str]], name: str) -> str:
    values = fields.get(name)
    if values is None or len(values) != 1:
        raise _refuse(f"has the header {name} twice" if values else f"lacks the header {name}")
    return values[0]


def _header_texts(fields: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the texts of the headers that are protected, mailboxes in one spelling; ``_NO_READING`` without one."""
    texts = {}
    for name in PROTECTED_HEADERS:
        match fields.get(name.lower(), []):
            case []:
                continue
            case [value] if name in _MAILBOXES:
                mailbox = parse_mailbox(value)
                texts[name] = _NO_READING if mailbox is None else f"{mailbox[0]} <{mailbox[1]}>".strip(" ")
            case [value]:
                text = parse_text(value)
                texts[name] = _NO_READING if text is None else text
            case _:
                texts[name] = _NO_READING
    return texts


def _protected_texts(fields: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the texts of headers under a signature; raises VerificationError where one has no reading."""
    texts = _header_texts(fields)
    for name, text in texts.items():
        if text == _NO_READING:
            raise _refuse(f"has a malformed header {name}")
    return texts


def _addresses(fields: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the address of From and of To, empty where there is not exactly one."""
    addresses = {}
    for name in _MAILBOXES:
        values = fields.get(name.lower(), ())
        mailbox = parse_mailbox(values[0]) if len(values) == 1 else None
        addresses[name] = "" if mailbox is None else mailbox[1]
    return addresses


def _stated_outer(lines: Sequence[str]) -> dict[str, str]:
    """Return the texts of the headers that a signed part states to be outside, each once."""
    fields: dict[str, list[str]] = {}
    known = {header.lower() for header in PROTECTED_HEADERS}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name.lower() not in known or name.lower() in fields:
            raise _refuse("states headers outside that no notice has, or one twice")
        fields[name.lower()] = [value]
    return _protected_texts(fields)


def _parts(body: bytes, boundary: str) -> list[bytes]:
    """Return the parts between boundaries: nothing before the first, nothing but line ends after the last."""
    delimiter = f"--{boundary}".encode()
    first, last = delimiter + b"\r\n", b"\r\n" + delimiter + b"--"
    if not body.startswith(first):
        raise _refuse("has something before its first part")
    inside, closing, after = body.partition(last)
    if not closing or after.replace(b"\r\n", b""):
        raise _refuse("has no end, or something after it")
    if not after:
        raise _refuse("is cut off after its end")
    return inside.removeprefix(first).split(b"\r\n" + first)


def _note(parts: list[bytes], language: str) -> bytes | None:
    """Take the mail's own words, right after the notice's and in their language, out of the parts; None without."""
    header, _, encoded = parts[1].partition(b"\r\n\r\n") if len(parts) > 1 else (b"", b"", b"")
    if header != note_header(language):
        return None
    del parts[1]
    return binascii.a2b_qp(encoded).replace(b"\r\n", b"\n")


def _content(parts: list[bytes]) -> tuple[dict[str, bytes], dict[str, bytes], set[str]]:
    """Return words by media type, attachments by name, and the languages named; nothing for a mail of plain words."""
    words, *files = parts
    header, _, body = words.partition(b"\r\n\r\n")
    if not files and header.startswith(b"Content-Type: text/plain;"):
        # One of the service's other mails, a summary for example.
        return {}, {}, set()
    boundary = _BOUNDARY.search(header.decode("ascii", "replace"))
    if boundary is None or header != f"Content-Type: multipart/alternative; {boundary[0]}".encode():
        raise _refuse("does not begin with its words")
    texts: dict[str, bytes] = {}
    languages = set()
    for part in _parts(body, boundary[1]):
        header, _, encoded = part.partition(b"\r\n\r\n")
        fields = _fields(header, _raise)
        kind = _single(fields, "content-type").removesuffix("; charset=utf-8")
        if kind not in {"text/plain", "text/html"} or kind in texts:
            raise _refuse("has words in another form than text and HTML")
        if _single(fields, "content-transfer-encoding") != "quoted-printable":
            raise _refuse("has words in another encoding than quoted-printable")
        texts[kind] = binascii.a2b_qp(encoded).replace(b"\r\n", b"\n")
        languages.add(_single(fields, "content-language"))
    attachments: dict[str, bytes] = {}
    for part in files:
        header, _, encoded = part.partition(b"\r\n\r\n")
        name = next((name for name in ATTACHMENT_TYPES if header == _attachment_header(name)), None)
        if name is None or name in attachments:
            raise _refuse("has an attachment that no notice has, or one twice")
        attachments[name] = _exact_base64(encoded, name)
    return texts, attachments, languages


def _attachment_header(name: str) -> bytes:
    return (
        f'Content-Type: {ATTACHMENT_TYPES[name]}; name="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        f'Content-Disposition: attachment; filename="{name}"'
    ).encode()


def _exact_base64(encoded: bytes, what: str) -> bytes:
    """Return the content of base64 lines; raises unless encoding it again gives the very same lines."""
    try:
        content = base64.b64decode(encoded.replace(b"\r\n", b""), validate=True)
    except (binascii.Error, ValueError):
        raise _refuse(f"has {what} in malformed base64") from None
    if base64_lines(content) != encoded:
        raise _refuse(f"has {what} in base64 of another form")
    return content
