"""Take a signed mail apart, byte for byte: no re-encoding, no guessing, one reading only.

A mail parser that is kind to malformed mail gives an attacker two readings of one message. This one takes exactly the
shape that ``notifications.mail.mail`` writes, tolerates what relays add on the outside, and refuses everything else.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header

from notifications.errors import VerificationError
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
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_SPACE = re.compile(r"[ \t]+")
#: An encoded word as every reader sees it (RFC 2047, 2): a known alphabet, nothing that only some decode.
_WORD = r"=\?[A-Za-z0-9_-]+\?[QqBb]\?[!->@-~]*\?="
#: The one form of a mailbox: an address, or a quoted or encoded name before one in angle brackets.
_MAILBOX = re.compile(rf'(?:"(?:[^"\\]|\\.)*"|{_WORD}(?: {_WORD})*) <([^<>\s]+)>|([^<>"\s]+)')
_BOUNDARY = re.compile(r'boundary="(=_[a-z]+_[0-9a-f]{24})"')
#: Headers that stand at most once on the outside; a second one is a second reading.
_SINGLE = frozenset(
    {"from", "to", "subject", "date", "message-id", "in-reply-to", "references", "content-type", "mime-version",
     "sender", "cc", "bcc", "reply-to", "mail-reply-to", "mail-followup-to", "content-transfer-encoding",
     "content-language"}
)  # fmt: skip
#: Headers that would name or hide somebody, and that no notice has.
_ABSENT = frozenset(
    {"cc", "bcc", "sender", "reply-to", "mail-reply-to", "mail-followup-to", "content-transfer-encoding"}
)
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


def _refuse(reason: str) -> VerificationError:
    return VerificationError(STRUCTURE, reason)


def parse_signed_mail(mail: bytes) -> SignedMail:
    """Return the parts of a signed notice mail; raises VerificationError for the step ``structure``.

    1. Headers: CRLF or LF line ends on disk are both taken (mail stores change them), but not a mixture.
    2. multipart/signed with exactly two parts: the signed one, and the signature in its one form.
    3. The signed part: protected headers, then multipart/mixed of the words, at most one note of the mail itself in
       its one form, and the attachments, each known by name.
    """
    if len(mail) > _MAX_MAIL_BYTES:
        raise _refuse("the mail is too long")
    # 1.
    data = _crlf(mail)
    header, _, body = data.partition(b"\r\n\r\n")
    fields = _fields(header)
    if any(kind.startswith("application/pkcs7-mime") for kind in fields.get("content-type", ())):
        raise _refuse("is encrypted: decrypt it first (openssl cms -decrypt -in MAIL -inkey KEY -out DECRYPTED)")
    for name in _ABSENT & fields.keys():
        raise _refuse(f"has a header {name} that no notice has")
    kind = _single(fields, "content-type")
    boundary = _BOUNDARY.search(kind)
    expected = 'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary='
    if boundary is None or _SPACE.sub(" ", kind) != f'{expected}"{boundary[1]}"':
        raise _refuse("is not multipart/signed with SHA-256 (S/MIME)")
    if _single(fields, "mime-version") != "1.0":
        raise _refuse("is not MIME 1.0")
    # 2.
    match _parts(body, boundary[1]):
        case [signed, signature_part]:
            pass
        case _:
            raise _refuse("must have exactly a signed part and a signature")
    if not signature_part.startswith(SIGNATURE_PART_HEADER):
        raise _refuse("has a signature part of another form")
    signature = _exact_base64(signature_part.removeprefix(SIGNATURE_PART_HEADER), "the signature")
    # 3.
    inner_header, _, inner_body = signed.partition(b"\r\n\r\n")
    inner = _fields(inner_header)
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
    addresses = _addresses(inner)
    if not addresses["From"]:
        raise _refuse("is not from one address, named in the one form")
    return SignedMail(
        outer=_decoded(fields),
        protected=_decoded(inner),
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
    )


def _crlf(mail: bytes) -> bytes:
    """Return the mail with CRLF line ends; a mail saved with LF is the same mail, a mixture is not."""
    newlines, pairs = mail.count(b"\n"), mail.count(b"\r\n")
    if mail.count(b"\r") != pairs or pairs not in {0, newlines}:
        raise _refuse("mixes line ends")
    return mail if pairs else mail.replace(b"\n", b"\r\n")


def _fields(header: bytes) -> dict[str, list[str]]:
    """Return header values by lower-case name, unfolded, not decoded."""
    fields: dict[str, list[str]] = {}
    for line in _FOLD.sub(b"", header).split(b"\r\n"):
        match = _FIELD.fullmatch(line)
        if match is None:
            raise _refuse("has a line among its headers that is no header")
        name = match[1].decode("ascii").lower()
        # What relays add is theirs; what a notice says is in one form.
        if name in _SINGLE or name == _OUTER:
            fields.setdefault(name, []).append(_text(name, match[2]))
    for name in _SINGLE:
        if len(fields.get(name, ())) > 1:
            raise _refuse(f"has the header {name} twice")
    return fields


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise _refuse(f"has a header {name} that is not UTF-8") from None
    if len(text) > _MAX_HEADER_CHARACTERS or any(char < " " and char != "\t" for char in text):
        raise _refuse(f"has a header {name} that is too long, or holds a control character")
    return text


def _addresses(fields: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the address of From and of To: what is decoded may only look like one."""
    addresses = {}
    for name in ("From", "To"):
        match = _MAILBOX.fullmatch(_SPACE.sub(" ", " ".join(fields.get(name.lower(), ()))).strip(" "))
        addresses[name] = (match[1] or match[2]) if match else ""
    return addresses


def _single(fields: Mapping[str, list[str]], name: str) -> str:
    values = fields.get(name)
    if values is None or len(values) != 1:
        raise _refuse(f"needs the header {name} once")
    return values[0]


def _decoded(fields: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the protected headers' values, encoded words decoded, white space collapsed."""
    decoded = {}
    for name in PROTECTED_HEADERS:
        values = fields.get(name.lower())
        if values:
            if any("=?" in word and not re.fullmatch(_WORD, word) for word in _SPACE.split(values[0])):
                raise _refuse(f"has a malformed header {name}")
            try:
                text = str(make_header(decode_header(values[0])))
            except (HeaderParseError, ValueError, LookupError):
                raise _refuse(f"has a malformed header {name}") from None
            decoded[name] = _SPACE.sub(" ", text).strip(" ")
    return decoded


def _stated_outer(lines: Sequence[str]) -> dict[str, str]:
    """Return the decoded values of the headers that a signed part states to stand outside, each once."""
    fields: dict[str, list[str]] = {}
    known = {header.lower() for header in PROTECTED_HEADERS}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name.lower() not in known or name.lower() in fields:
            raise _refuse("states headers outside that no notice has, or one twice")
        fields[name.lower()] = [value]
    return _decoded(fields)


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
    """Return words by media type, attachments by name, and the languages named."""
    words, *files = parts
    header, _, body = words.partition(b"\r\n\r\n")
    if not files and header.startswith(b"Content-Type: text/plain;"):
        raise _refuse("is a summary, or no notice: the notice with its proofs is in the console")
    boundary = _BOUNDARY.search(header.decode("ascii", "replace"))
    if boundary is None or header != f"Content-Type: multipart/alternative; {boundary[0]}".encode():
        raise _refuse("does not begin with its words")
    texts: dict[str, bytes] = {}
    languages = set()
    for part in _parts(body, boundary[1]):
        header, _, encoded = part.partition(b"\r\n\r\n")
        fields = _fields(header)
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
