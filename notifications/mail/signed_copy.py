"""Find the signed part in a saved copy of a mail, and report what around it is not as it was sent.

Relays and mail stores add headers, fold lines and change line ends, which is accepted. Every other difference is
reported, because mail programs display it or act on it, although no signature covers it.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from notifications.errors import UnreadableMailError, VerificationError
from notifications.mail.parts import SIGNATURE_PART_HEADER, base64_lines

STRUCTURE = "structure"

_MAX_MAIL_BYTES = 64 * 1024 * 1024
#: Limit of the time that a decoder needs for one header.
_MAX_HEADER_CHARACTERS = 20_000
_FIELD = re.compile(rb"([!-9;-~]+):[ \t]?(.*)", re.DOTALL)
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BLANK_LINE = re.compile(rb"\r\n[ \t]+(?:\r\n|\Z)")
_FOLD = re.compile(rb"\r\n(?=[ \t])")
#: A parameter of Content-Type in the form that every program reads the same way (RFC 2045, 5.1).
_PARAMETER = re.compile(
    r";[ \t]*(?P<name>[A-Za-z0-9!#$%&'*+.^_`|~-]+)"
    r'=(?:"(?P<quoted>[^"\\]*)"|(?P<token>[A-Za-z0-9!#$%&\'*+.^_`|~-]+))[ \t]*'
)
_PARAMETERS = ("protocol", "micalg", "boundary")
_PKCS7_SIGNATURE = "application/pkcs7-signature"
_SIGNATURE_TYPE = re.compile(rb"^content-type:[ \t]*application/(?:x-)?pkcs7-signature\b", re.IGNORECASE | re.MULTILINE)
_SIGNED_INSIDE = re.compile(rb"^content-type:\s*multipart/signed\b", re.IGNORECASE | re.MULTILINE)
_SIGNED_AND_SIGNATURE = 2
_ENCODING = "content-transfer-encoding"
#: The line that an mbox store puts before a mail (RFC 4155).
_MBOX_LINE = re.compile(
    rb"From [^\s:<>\"]+ +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ 0-3]?\d \d\d:\d\d(?::\d\d)?"
    rb"(?: [A-Z+-][A-Z0-9]{0,5})? \d{4}(?: [+-]\d{4})?\r\n"
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: First bytes of files in a mail program's own format (.msg, a compound file) or in UTF-16 (byte order marks).
_OTHER_FORMATS = (b"\xd0\xcf\x11\xe0", b"\xff\xfe", b"\xfe\xff")
#: Outer headers that may occur only once, because programs choose different ones of two.
_SINGLE = frozenset(
    {"from", "to", "subject", "date", "message-id", "in-reply-to", "references", "content-type", "mime-version",
     "sender", "cc", "bcc", "reply-to", "mail-reply-to", "mail-followup-to", "content-transfer-encoding",
     "content-language"}
)  # fmt: skip
#: Headers that no notice has. They name a person, hide something, or direct an answer or a receipt to somebody.
_MISLEADING = frozenset(
    {"cc", "bcc", "sender", "author", "reply-to", "mail-reply-to", "mail-followup-to", "mail-copies-to", "followup-to",
     "newsgroups", "errors-to", "apparently-to", "disposition-notification-to", "disposition-notification-options",
     "return-receipt-to", "read-receipt-to", "x-confirm-reading-to", "autocrypt", "openpgp", "comments", "expires",
     "expiry-date", "supersedes", "obsoletes", "replaces"}
)  # fmt: skip
#: Prefixes of more such headers (RFC 5322, 3.6.6; RFC 2369; RFC 2045, 9).
_MISLEADING_PREFIXES = ("resent-", "list-", "content-")
#: Headers with such a prefix that direct nothing, or that are checked separately.
_HARMLESS = frozenset(
    {"list-id", "content-type", "content-transfer-encoding", "content-language", "content-length"}
)  # fmt: skip
#: Transfer encodings that leave a body as it is (RFC 2045, 6.2).
_IDENTITY_ENCODINGS = frozenset({"7bit", "8bit", "binary"})
#: The text of an outer header that programs read in different ways. No protected header can have this text.
NO_READING = "\0"
#: Name of the header that states an outer header of an encrypted mail (RFC 9788, 2.2), in lower case.
HP_OUTER = "hp-outer"


@dataclass(frozen=True, slots=True)
class SignedCopy:
    """The content of a copy of a mail. Nothing of it is verified."""

    #: values of the outer headers that matter, by lower-case name, unfolded
    fields: Mapping[str, list[str]]
    #: the bytes that the mail's signature is over
    signed: bytes
    #: DER of the mail's signature
    signature: bytes
    #: the differences around the signed part, each in a few words
    changed: tuple[str, ...]


#: Receives the text of a difference, and either records it or raises it.
Differs = Callable[[str], None]


def refusal(reason: str) -> VerificationError:
    """Return the error of the step ``structure``."""
    return VerificationError(STRUCTURE, reason)


def fail(reason: str) -> None:
    """Raise VerificationError, because nothing in the signed part may differ."""
    raise refusal(reason)


def _unreadable(reason: str) -> UnreadableMailError:
    return UnreadableMailError(STRUCTURE, reason)


def find_signed_part(mail: bytes) -> SignedCopy:
    """Return the outer headers and the signed part; raises VerificationError if no signed part is found.

    Raises UnreadableMailError, with advice, if the file contains the signed mail in another form than it was sent.

    1. Read the file: its line ends, and the line of an mbox store before the mail.
    2. Read the outer headers, and record those that could mislead a reader.
    3. Read multipart/signed with exactly two parts: the signed part and the signature.
    """
    if len(mail) > _MAX_MAIL_BYTES:
        raise refusal("the mail is too long")
    changed: list[str] = []
    # 1.
    header, _, body = _lined(mail, changed.append).partition(b"\r\n\r\n")
    # 2.
    fields = header_fields(header, changed.append)
    # 3.
    boundary = _signed_boundary(fields, body, changed.append)
    signed, signature_part = _signed_parts(body, boundary, changed.append)
    signature = _signature(signature_part, changed.append)
    return SignedCopy(fields, signed, signature, tuple(changed))


def _lined(mail: bytes, differs: Differs) -> bytes:
    """Return the mail from its first header, with CRLF line ends. A copy with LF line ends is accepted."""
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


def header_fields(header: bytes, differs: Differs) -> dict[str, list[str]]:
    """Return header values by lower-case name, unfolded, not decoded. Every other form is a difference."""
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
        # Only the headers of a notice must be in the one form. Relays may add others.
        if name in _SINGLE or name == HP_OUTER:
            fields.setdefault(name, []).append(_text(name, match[2], differs))
        if (
            (name in _MISLEADING or name.startswith(_MISLEADING_PREFIXES))
            and name not in _HARMLESS
            and match[2].strip(b" \t")
        ):
            differs(f"has a header {name} that no notice has")
    for name in _SINGLE:
        if len(fields.get(name, ())) > 1:
            differs(f"has the header {name} twice")
    return fields


def _text(name: str, value: bytes, differs: Differs) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        differs(f"has a header {name} that is not UTF-8")
        return NO_READING
    if len(text) > _MAX_HEADER_CHARACTERS or any(char < " " and char != "\t" for char in text):
        differs(f"has a header {name} that is too long, or holds a control character")
        return NO_READING
    return text


def _signed_boundary(fields: Mapping[str, list[str]], body: bytes, differs: Differs) -> str:
    """Return the boundary of the multipart/signed that the outer headers announce."""
    value = single_value(fields, "content-type")
    kind, semicolon, rest = value.partition(";")
    kind = kind.strip(" \t").casefold()
    if kind in {"application/pkcs7-mime", "application/x-pkcs7-mime"}:
        raise _unreadable("is encrypted: decrypt it first (openssl cms -decrypt -in MAIL -inkey KEY -out DECRYPTED)")
    if kind == "application/ms-tnef":
        raise _unreadable("was put into Outlook's own format by a mail server: ask for the mail as .eml")
    if kind.startswith(("multipart/", "message/")) and kind != "multipart/signed" and _SIGNED_INSIDE.search(body):
        raise _unreadable("holds the signed mail inside another one: open the inner mail and save that one as .eml")
    if kind != "multipart/signed":
        raise refusal("is not multipart/signed with SHA-256 (S/MIME)")
    found = list(_PARAMETER.finditer(semicolon + rest))
    parameters = [(match["name"].casefold(), match["quoted"] or match["token"] or "") for match in found]
    boundaries = [text for name, text in parameters if name == "boundary"]
    if not any(boundaries):
        raise refusal("names no boundary of its parts")
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


def _signed_parts(body: bytes, boundary: str, differs: Differs) -> tuple[bytes, bytes]:
    """Return the signed part and the signature part. Only the bytes around these two may differ."""
    delimiter = re.compile(rb"(?:\A|\r\n)--" + re.escape(boundary.encode()) + rb"(?P<end>--)?[ \t]*(?=\r\n|\Z)")
    found = list(delimiter.finditer(body))
    ends = [number for number, match in enumerate(found) if match["end"]]
    if not ends and (found or not body.strip()):
        raise _unreadable("is cut off before its end: save the whole mail again, as .eml or as its source")
    if not ends or ends[0] != _SIGNED_AND_SIGNATURE:
        raise refusal("must have exactly a signed part and a signature")
    first, second, end = found[: ends[0] + 1]
    if first.start() or not body.startswith(b"--"):
        differs("has something before its signed part")
    if body[end.end() :].replace(b"\r\n", b""):
        differs("has something after its end")
    if any(match[0].endswith((b" ", b"\t")) for match in (first, second, end)):
        differs("has white space after a boundary")
    return body[first.end() + 2 : second.start()], body[second.end() + 2 : end.start()]


def _signature(part: bytes, differs: Differs) -> bytes:
    """Return the DER of the signature. The header and the line ends of its part are not signed."""
    header, _, encoded = part.partition(b"\r\n\r\n")
    if not _SIGNATURE_TYPE.search(header):
        raise refusal("has a signature part of another form")
    lines = encoded.replace(b"\r\n", b"")
    try:
        content = base64.b64decode(lines.translate(None, b" \t"), validate=True)
    except (binascii.Error, ValueError):
        raise refusal("has the signature in malformed base64") from None
    if part != SIGNATURE_PART_HEADER + base64_lines(content):
        differs("has a signature part that is written in another form")
    return content


def single_value(fields: Mapping[str, list[str]], name: str) -> str:
    """Return the value of a header that must occur exactly once; raises VerificationError."""
    values = fields.get(name)
    if values is None or len(values) != 1:
        raise refusal(f"has the header {name} twice" if values else f"lacks the header {name}")
    return values[0]
