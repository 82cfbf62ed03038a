"""Read any bytes as a mail message, with limits and without exceptions. Nothing in the result is trusted.

This is for messages that the servers of strangers wrote. ``signed_mail`` has the strict reading of a signed notice.
"""

import base64
import binascii
import quopri
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from html import unescape

_MAX_HEADER_BYTES = 64 * 1024
_MAX_PARTS = 64
#: A gateway that adds a footer wraps a report once more. No genuine message is nested deeper.
_MAX_DEPTH = 4
_MAX_FIELDS = 200
MAX_VALUE_CHARACTERS = 2000
_MAX_LINE_CHARACTERS = 500
#: Limits of the text of a part. The HTML of some mail systems begins with long style sheets.
_MAX_TEXT_BYTES, _MAX_HTML_BYTES = 16 * 1024, 64 * 1024

_HEADER_END = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(r"([!-9;-~]{1,100})[ \t]*:(.*)", re.DOTALL)
#: Character sets that mail programs use; any other one is read as UTF-8.
_CHARSET = re.compile(
    r"us-ascii|utf-?8|iso-?8859-?\d{1,2}|(?:windows|cp)-?\d{3,4}|koi8-[ru]|gb(?:k|2312|18030)|big5|shift_jis|euc-(?:jp|kr)"
    r"|iso-2022-(?:jp|kr)|macintosh"
)
_BLOCK_TAGS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "table", "blockquote", "hr"})
_INVISIBLE = frozenset({"style", "script", "head", "title"})
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]{0,20}|!)([^<>]{0,2000})>")
_HREF = re.compile(r"\bhref\s{0,9}=\s{0,9}[\"']?([^\"'\s]{1,1000})", re.IGNORECASE)
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Part:
    """A part without parts of its own, or a multipart, then with an empty body."""

    media_type: str
    report_type: str
    charset: str
    fields: dict[str, str]
    body: bytes


def read_parts(content: bytes) -> Iterator[Part]:
    """Yield the parts in order, without those beyond the limits of depth and number.

    A message inside the message is one part, because it is about another delivery or about none.
    """
    remaining = _MAX_PARTS
    waiting: list[tuple[bytes, int]] = [(content, 0)]
    while waiting and remaining > 0:
        entity, depth = waiting.pop()
        remaining -= 1
        header, body = _split(entity)
        fields = _fields(header)
        media_type, boundary, report_type, charset = _content_type(fields.get("content-type", ""))
        if media_type.startswith("multipart/") and boundary and depth < _MAX_DEPTH:
            yield Part(media_type, report_type, charset, fields, b"")
            waiting += [(part, depth + 1) for part in reversed(_split_parts(body, boundary))]
        else:
            yield Part(media_type, report_type, charset, fields, _decoded_body(body, fields))


def read_fields(content: bytes) -> dict[str, str]:
    """Return the header fields by name in lower case, unfolded; only the first of each name."""
    return _fields(_split(content)[0])


def fields_of_lines(lines: Sequence[str]) -> dict[str, str]:
    """Return fields by name in lower case, unfolded; only the first of each name. Invalid lines are ignored."""
    fields: dict[str, str] = {}
    name, value = "", ""
    for line in [*lines, ":"]:
        if line[:1] in {" ", "\t"}:
            if len(value) < MAX_VALUE_CHARACTERS:
                value += " " + line.strip()[:MAX_VALUE_CHARACTERS]
            continue
        if name:
            fields.setdefault(name, value[:MAX_VALUE_CHARACTERS].strip())
        if len(fields) >= _MAX_FIELDS:
            break
        field = _FIELD.fullmatch(line[: 2 * MAX_VALUE_CHARACTERS])
        name, value = ("", "") if field is None else (field[1].lower(), field[2])
    return fields


def words_of(parts: Sequence[Part]) -> str:
    """Return the text of the parts for a person: the plain texts, or the text of the HTML if there is no plain text."""
    for wanted, bound in (("text/plain", _MAX_TEXT_BYTES), ("text/html", _MAX_HTML_BYTES)):
        texts = [_decoded(part.body[:bound], part.charset) for part in parts if part.media_type == wanted]
        if wanted == "text/html":
            texts = [_text_of_html(text)[:_MAX_TEXT_BYTES] for text in texts]
        if found := "\n".join(text for text in texts if text.strip()):
            return found[: 2 * _MAX_TEXT_BYTES]
    return ""


def decoded_words(value: str) -> str:
    """Return a header value with its encoded words decoded (RFC 2047); unchanged if that is not possible."""
    try:
        return "".join(
            piece if isinstance(piece, str) else piece.decode(charset or "ascii", "replace")
            for piece, charset in decode_header(value)
        )
    except (HeaderParseError, ValueError, LookupError):
        return value


def one_line(text: str) -> str | None:
    """Return text in one line without control characters; None if nothing is remaining.

    Without them, the text cannot move a cursor or change the writing direction.
    """
    shown = "".join(character if character.isprintable() else " " for character in text[: 2 * MAX_VALUE_CHARACTERS])
    return " ".join(shown.split())[:_MAX_LINE_CHARACTERS].rstrip() or None


def text_of_bytes(raw: bytes) -> str:
    """Return bytes as UTF-8 text; invalid bytes are replaced."""
    return raw.decode("utf-8", "replace")


def _split(entity: bytes) -> tuple[bytes, bytes]:
    """Return header and body of an entity."""
    if entity.startswith((b"\n", b"\r\n")):
        return b"", entity
    end = _HEADER_END.search(entity)
    return (entity, b"") if end is None else (entity[: end.start()], entity[end.end() :])


def _split_parts(body: bytes, boundary: str) -> Sequence[bytes]:
    """Return the parts between the boundaries. A part without an end boundary extends to the end."""
    delimiter = re.compile(
        rb"(?:^|\n)--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(--)?[ \t]*\r?(?=\n|\Z)"
    )
    parts: list[bytes] = []
    start: int | None = None
    for found in delimiter.finditer(body):
        if start is not None:
            parts.append(body[start : found.start()].removesuffix(b"\r"))
        start = None if found[1] else found.end() + 1
        if start is None or len(parts) >= _MAX_PARTS:
            break
    if start is not None and len(parts) < _MAX_PARTS:
        parts.append(body[start:])
    return parts


def _content_type(value: str) -> tuple[str, str, str, str]:
    """Return media type, boundary, report type and charset; ``text/plain`` for an invalid value (RFC 2045, 5.2)."""
    message = Message()
    try:
        message["Content-Type"] = value[:MAX_VALUE_CHARACTERS] or "text/plain"
        boundary, report_type = message.get_boundary(""), message.get_param("report-type", "")
        charset = message.get_content_charset("")
        return message.get_content_type(), str(boundary), str(report_type).lower(), str(charset)
    except (ValueError, LookupError, TypeError, HeaderParseError):
        return "text/plain", "", "", ""


def _decoded_body(body: bytes, fields: dict[str, str]) -> bytes:
    encoding = fields.get("content-transfer-encoding", "").strip().lower()
    if encoding == "quoted-printable":
        return quopri.decodestring(body)
    if encoding == "base64":
        try:
            return base64.b64decode(body + b"==")
        except binascii.Error:
            return body
    return body


def _decoded(raw: bytes, charset: str) -> str:
    if _CHARSET.fullmatch(charset):
        try:
            return raw.decode(charset, "replace")
        except LookupError:
            pass
    return text_of_bytes(raw)


def _fields(header: bytes) -> dict[str, str]:
    return fields_of_lines(text_of_bytes(header[:_MAX_HEADER_BYTES]).replace("\r\n", "\n").split("\n"))


def _text_of_html(text: str) -> str:
    """Return the text of HTML, with each block on its own line and with the targets of links.

    The parser of the standard library is not used: its time grows with the square of the number of unclosed tags.
    """
    pieces: list[str] = []
    invisible, after = 0, 0
    for tag in [*_TAG.finditer(text), None]:
        if not invisible:
            pieces.append(_SPACES.sub(" ", unescape(text[after : None if tag is None else tag.start()])))
        if tag is None:
            break
        after = tag.end()
        name = tag[2].lower()
        if name in _INVISIBLE:
            invisible = max(0, invisible - 1) if tag[1] else invisible + 1
        elif name == "body":
            invisible = 0
        elif name in _BLOCK_TAGS:
            pieces.append("\n")
        elif name == "a" and (link := _HREF.search(tag[3])) is not None:
            pieces.append(f" <{unescape(link[1])}> ")
    return "".join(pieces)
