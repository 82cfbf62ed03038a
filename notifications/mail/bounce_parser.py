"""What a message that came back says: RFC 3464 reports, automatic replies, and what is left for a person to read.

What is read here was written by strangers' servers. Nothing in it is believed but that it was sent to this return path:
whoever holds the path speaks about one attempt of one delivery, and about no other. Every bound below is on what is
looked at; the bytes are kept whole by whoever calls.
"""

import base64
import binascii
import quopri
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

from notifications.mail.bounce_record import BounceKind

#: The part with the status stands before the message that came back (RFC 6522), and is small.
_MAX_BYTES = 1024 * 1024
_MAX_HEADER_BYTES = 64 * 1024
_MAX_PARTS = 64
#: A gateway that adds its footer wraps a report once; nothing honest goes deeper.
_MAX_DEPTH = 4
_MAX_RECIPIENTS = 100
_MAX_FIELDS = 200
_MAX_VALUE_CHARACTERS = 2000
_MAX_LINE_CHARACTERS = 500
_MAX_TEXT_BYTES = 16 * 1024

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(r"([!-9;-~]{1,100})[ \t]*:(.*)", re.DOTALL)
_TYPE_OF_VALUE = re.compile(r"[A-Za-z][A-Za-z0-9.-]{0,39}[ \t]*;[ \t]*")
_COMMENT = re.compile(r"\([^()]*\)")
_UTF8_ESCAPE = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")

_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ACTIONS = {
    "failed": BounceKind.FAILED,
    "delayed": BounceKind.DELAYED,
    "delivered": BounceKind.DELIVERED,
    "relayed": BounceKind.RELAYED,
    "expanded": BounceKind.EXPANDED,
}
#: Of several recipients (an alias at the customer's), what one server says of the whole: a failure is never hidden by
#: what went well, and of what went well the least is claimed.
_GRAVEST_FIRST = (
    BounceKind.FAILED,
    BounceKind.UNKNOWN,
    BounceKind.DELAYED,
    BounceKind.RELAYED,
    BounceKind.EXPANDED,
    BounceKind.DELIVERED,
)
#: What servers that write no report name themselves, and how their subjects begin to be told from people's.
_DAEMONS = re.compile(r"\b(?:mailer-daemon|mail-daemon|maildaemon|postmaster)\b", re.IGNORECASE)
_BOUNCE_SUBJECTS = re.compile(
    r"undeliver|returned mail|returning message|failure notice|delivery (?:has )?(?:failed|failure|status|report)"
    r"|mail delivery (?:failed|system)|message delayed|could not be delivered|not delivered|non[- ]remis|non[- ]délivr"
    r"|échec de la (?:remise|distribution)|unzustellbar|nicht (?:zugestellt|zustellbar)|zustellung fehlgeschlagen",
    re.IGNORECASE,
)
_QMAIL = "Hi. This is the "
_PRECEDENCES = frozenset({"auto_reply", "auto-reply", "bulk", "junk", "list"})
_REPLY_FIELDS = ("x-autoreply", "x-autorespond", "x-auto-reply", "x-autoreply-from", "x-ms-exchange-inbox-rules-loop")


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What a report says of one recipient."""

    kind: BounceKind
    #: RFC 3463 status, or None
    status: str | None
    #: what the next server said, in one line, or None
    diagnostic: str | None
    remote_mta: str | None
    #: whom it did not, or did, get to: after aliases and forwarding
    final_recipient: str | None
    #: whom it was sent to first (ORCPT), where a server says so
    original_recipient: str | None


@dataclass(frozen=True, slots=True)
class BounceReport:
    """What a returned message says as a whole."""

    kind: BounceKind
    #: of the gravest of its recipients
    status: str | None
    #: one line; for what is no report, its subject
    diagnostic: str | None
    reporting_mta: str | None = None
    #: the ENVID of the message (RFC 3461), or None
    envelope_id: str | None = None
    #: empty for what is no report
    recipients: tuple[RecipientReport, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """One part that holds no others."""

    media_type: str
    report_type: str
    fields: dict[str, str]
    body: bytes


def parse_bounce(content: bytes) -> BounceReport:
    """Return what a message says that came to a return path. Takes any bytes, raises nothing, and is bounded.

    1. A delivery status (RFC 3464, RFC 6533), in whatever multipart it stands, says what it says per recipient.
    2. What looks like a server's own words that are no report (qmail, old Exim) is UNKNOWN, whatever else it claims:
       read as an automatic reply it would be passed over.
    3. An automatic reply (RFC 3834, and what is common beside it), or a read receipt: no acknowledgement.
    4. Anything else, such as somebody who answered, is UNKNOWN: a person reads it.
    """
    parts = list(_parts(content[:_MAX_BYTES]))
    fields = _fields(_split(content[:_MAX_BYTES])[0])
    # 1.
    for part in parts:
        if part.media_type in _STATUS_TYPES:
            report = _status_report(part)
            if report is not None:
                return report
    subject = _decoded_words(fields.get("subject", ""))
    text = next((_text(part.body[:_MAX_TEXT_BYTES]) for part in parts if part.media_type == "text/plain"), "")
    # 2.
    if (
        "x-failed-recipients" in fields
        or _DAEMONS.search(fields.get("from", ""))
        or _BOUNCE_SUBJECTS.search(subject)
        or text.lstrip().startswith(_QMAIL)
        or any(part.media_type in _STATUS_TYPES or part.report_type == "delivery-status" for part in parts)
    ):
        return BounceReport(BounceKind.UNKNOWN, _status(text), _one_line(subject))
    # 3.
    if _is_automatic(fields) or any(part.report_type == "disposition-notification" for part in parts):
        return BounceReport(BounceKind.AUTO_REPLY, None, _one_line(subject))
    # 4.
    return BounceReport(BounceKind.UNKNOWN, None, _one_line(subject))


def _is_automatic(fields: dict[str, str]) -> bool:
    submitted = fields.get("auto-submitted", "no").partition(";")[0].strip().lower()
    return (
        submitted not in {"no", ""}
        or fields.get("precedence", "").strip().lower() in _PRECEDENCES
        or any(name in fields for name in _REPLY_FIELDS)
    )


# -- delivery status


def _status_report(part: _Part) -> BounceReport | None:
    """Return what a delivery status says, or None where it speaks of no recipient."""
    message: dict[str, str] = {}
    recipients: list[RecipientReport] = []
    for block in _blocks(_text(part.body)):
        if "action" in block or "final-recipient" in block:
            recipients.append(_recipient(block))
        # Some servers write all in one block.
        message = block | message if not recipients or not message else message
        if len(recipients) == _MAX_RECIPIENTS:
            break
    if not recipients:
        return None
    gravest = min(recipients, key=lambda recipient: _GRAVEST_FIRST.index(recipient.kind))
    return BounceReport(
        kind=gravest.kind,
        status=gravest.status,
        diagnostic=gravest.diagnostic,
        reporting_mta=_one_line(_without_type(message.get("reporting-mta", ""))),
        envelope_id=_one_line(message.get("original-envelope-id", "")),
        recipients=tuple(recipients),
    )


def _recipient(block: dict[str, str]) -> RecipientReport:
    said = _without_type(block.get("diagnostic-code", ""))
    status = _status(block.get("status", "")) or _status(said)
    action = _COMMENT.sub("", block.get("action", "")).strip().lower()
    kind = _ACTIONS.get(action, BounceKind.UNKNOWN)
    if status is not None and status[0] != "2" and kind in {BounceKind.DELIVERED, BounceKind.RELAYED}:
        # It says both: nobody can tell.
        kind = BounceKind.UNKNOWN
    return RecipientReport(
        kind=kind,
        status=status,
        diagnostic=_one_line(said),
        remote_mta=_one_line(_without_type(block.get("remote-mta", ""))),
        final_recipient=_address(block.get("final-recipient", "")),
        original_recipient=_address(block.get("original-recipient", "")),
    )


def _blocks(text: str) -> Iterator[dict[str, str]]:
    """Yield the groups of fields, first one first; of a field that stands twice the first counts."""
    lines: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            lines.append(line.rstrip("\r"))
        elif lines:
            yield _fields_of_lines(lines)
            lines = []


def _status(text: str) -> str | None:
    found = _STATUS.search(text[:_MAX_TEXT_BYTES])
    return None if found is None else ".".join(found.groups())


def _without_type(value: str) -> str:
    """Return a value without its type, such as ``smtp;`` or ``dns;``."""
    return _TYPE_OF_VALUE.sub("", value.strip(), count=1)


def _address(value: str) -> str | None:
    """Return the address of a recipient field (RFC 3464, 2.3; RFC 6533, 3), or None."""
    address = _without_type(_COMMENT.sub("", value)).strip().strip("<>")
    return _one_line(_UTF8_ESCAPE.sub(_unescaped, address))


def _unescaped(escape: re.Match[str]) -> str:
    number = int(escape[1], 16)
    return chr(number) if number <= sys.maxunicode else ""


# -- the message


def _parts(content: bytes) -> Iterator[_Part]:
    """Yield the parts that hold no others, in order; what is nested too deeply or in too many parts is left out.

    A message inside the message is one part: what it says, it says of another delivery or none.
    """
    left = _MAX_PARTS
    waiting: list[tuple[bytes, int]] = [(content, 0)]
    while waiting and left > 0:
        entity, depth = waiting.pop()
        left -= 1
        header, body = _split(entity)
        fields = _fields(header)
        media_type, boundary, report_type = _content_type(fields.get("content-type", ""))
        if media_type.startswith("multipart/") and boundary and depth < _MAX_DEPTH:
            yield _Part(media_type, report_type, fields, b"")
            waiting += [(part, depth + 1) for part in reversed(_divided(body, boundary))]
        else:
            yield _Part(media_type, report_type, fields, _decoded_body(body, fields))


def _split(entity: bytes) -> tuple[bytes, bytes]:
    """Return header and body of an entity."""
    if entity.startswith((b"\n", b"\r\n")):
        return b"", entity
    end = _HEADER_END.search(entity)
    return (entity, b"") if end is None else (entity[: end.start()], entity[end.end() :])


def _divided(body: bytes, boundary: str) -> Sequence[bytes]:
    """Return what stands between the boundaries; a part that is not closed goes to the end."""
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


def _content_type(value: str) -> tuple[str, str, str]:
    """Return media type, boundary and report type; ``text/plain`` for what cannot be read (RFC 2045, 5.2)."""
    message = Message()
    try:
        message["Content-Type"] = value[:_MAX_VALUE_CHARACTERS] or "text/plain"
        boundary, report_type = message.get_boundary(""), message.get_param("report-type", "")
        return message.get_content_type(), str(boundary), str(report_type).lower()
    except (ValueError, LookupError, TypeError, HeaderParseError):
        return "text/plain", "", ""


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


def _fields(header: bytes) -> dict[str, str]:
    """Return the fields of a header by name in lower case."""
    return _fields_of_lines(_text(header[:_MAX_HEADER_BYTES]).replace("\r\n", "\n").split("\n"))


def _fields_of_lines(lines: Sequence[str]) -> dict[str, str]:
    """Return fields by name in lower case, unfolded; what is no field is passed over, the first of a name counts."""
    fields: dict[str, str] = {}
    name, value = "", ""
    for line in [*lines, ":"]:
        if line[:1] in {" ", "\t"}:
            if len(value) < _MAX_VALUE_CHARACTERS:
                value += " " + line.strip()[:_MAX_VALUE_CHARACTERS]
            continue
        if name:
            fields.setdefault(name, value[:_MAX_VALUE_CHARACTERS].strip())
        if len(fields) >= _MAX_FIELDS:
            break
        field = _FIELD.fullmatch(line[: 2 * _MAX_VALUE_CHARACTERS])
        name, value = ("", "") if field is None else (field[1].lower(), field[2])
    return fields


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _decoded_words(value: str) -> str:
    """Return a header value with its encoded words read (RFC 2047), as far as they can be."""
    try:
        return "".join(
            piece if isinstance(piece, str) else piece.decode(charset or "ascii", "replace")
            for piece, charset in decode_header(value)
        )
    except (HeaderParseError, ValueError, LookupError):
        return value


def _one_line(text: str) -> str | None:
    """Return text in one line, without what moves a cursor or turns the direction of what follows; None for nothing."""
    shown = "".join(character if character.isprintable() else " " for character in text[: 2 * _MAX_VALUE_CHARACTERS])
    return " ".join(shown.split())[:_MAX_LINE_CHARACTERS].rstrip() or None
