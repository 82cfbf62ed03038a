"""Parse a bounce: a delivery status (RFC 3464), an automatic reply, or another message that a person must read.

The servers of strangers write these messages. The only trusted fact is the return path to which a message was sent, so
it can be about one attempt of one delivery only. ``bounce_judgement`` decides what it means for the mail that was sent.
All limits are on the part that is read here; the caller stores the whole message.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.utils import parseaddr

from notifications.mail.bounce_record import BounceKind
from notifications.mail.mime_reading import (
    Part,
    decoded_words,
    fields_of_lines,
    one_line,
    read_fields,
    read_parts,
    text_of_bytes,
    words_of,
)

#: The part with the delivery status is before the copy of our message (RFC 6522), and is small.
_MAX_BYTES = 1024 * 1024
_MAX_RECIPIENTS = 100
_MAX_SEARCHED_CHARACTERS = 16 * 1024
#: Limit of the text that is displayed to a person.
_MAX_SHOWN_CHARACTERS = 4000

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
#: A status without a reason (RFC 3463, X.0.0). Some servers give no other.
_GENERIC = re.compile(r"[245]\.0\.0")
#: A permanent failure in a text of any language: a status, or a reply code at the beginning of a reply.
_FAILURE_STATUS = re.compile(r"(?<![\w.])#?(5\.[0-7]\.\d{1,3})(?!\.?\d)")
_REPLY_CODE = re.compile(
    r"(?:^|[:;,'\"‘’“”«»<>\[\](){}#=|])[ \t]*"
    r"(5(?:0[0-4]|1[0-7]|2[1-5]|3[048]|4[1-9]|5[0-9]|7[013]))[ \t:-]{1,4}(?=[^\W\d]|[<\"'#(]|5\.)",
    re.MULTILINE,
)
_VERSION = re.compile(r"(?:version|release|build|ver\.?|/|\bv)[ \t]*\Z", re.IGNORECASE)
#: The beginning of the copy of our message inside a text.
_COPY = re.compile(
    r"^[> \t]*(?:-{3,20}[^\n]{0,80}?(?:copy|copie|copia|kopie|original|ursprüngl|below this line)"
    r"|(?:received|return-path|mime-version|dkim-signature|content-type)[ \t]*:)",
    re.IGNORECASE | re.MULTILINE,
)
_TYPE_OF_VALUE = re.compile(r"[A-Za-z][A-Za-z0-9.-]{0,39}[ \t]*;[ \t]*")
_COMMENT = re.compile(r"\([^()]*\)")
#: Exim reports every success as "delivered". Its text says, beside the address, to what the mail was passed on.
_RELAYED_BY_EXIM = re.compile(r"> \(relayed (?:to|via) non")
#: Postfix reports what it throws away (discard) as "delivered" too. Only a delivery has words about the way it took.
_THROWN_AWAY_BY_POSTFIX = re.compile(r"x-postfix[ \t]*;(?![ \t]*delivery via )", re.IGNORECASE)
_UTF8_ESCAPE = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")

_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ACTIONS = {
    "failed": BounceKind.FAILED,
    "delayed": BounceKind.DELAYED,
    "delivered": BounceKind.DELIVERED,
    "relayed": BounceKind.RELAYED,
    "expanded": BounceKind.EXPANDED,
}
#: The kind of a report with several recipients (an alias at the customer) is the first of these that occurs. So a
#: success never hides a failure, and of several successes the weakest is reported.
_MOST_SEVERE_FIRST = (
    BounceKind.FAILED,
    BounceKind.UNKNOWN,
    BounceKind.DELAYED,
    BounceKind.RELAYED,
    BounceKind.EXPANDED,
    BounceKind.DELIVERED,
)
#: Sender names and subjects of servers that send a text instead of a delivery status.
_DAEMONS = re.compile(
    r"\b(?:mailer-daemon|mail-daemon|maildaemon|postmaster|microsoftexchange[0-9a-f]{32})\b", re.IGNORECASE
)
_BOUNCE_SUBJECTS = re.compile(
    r"undeliver|returned mail|returning message|failure notice|delivery (?:has )?(?:failed|failure|status|report)"
    r"|mail delivery (?:failed|system)|message delayed|could not be delivered|not delivered|non[- ]remis|non[- ]délivr"
    r"|échec de la (?:remise|distribution)|unzustellbar|nicht (?:zugestellt|zustellbar)|zustellung fehlgeschlagen",
    re.IGNORECASE,
)
_QMAIL = "Hi. This is the "
#: Fields of a server's message without a delivery status, and of mailing lists, which hold mail for a moderator.
_REPORT_FIELDS = ("x-failed-recipients", "x-ms-exchange-message-is-ndr")
_LIST_FIELDS = ("list-id", "list-unsubscribe", "list-help", "x-beenthere", "x-mailman-version")
#: Values of Precedence that only machines write. They do not show that somebody is absent.
_PRECEDENCES = frozenset({"bulk", "junk", "list"})
_REPLY_PRECEDENCES = frozenset({"auto_reply", "auto-reply"})
_REPLY_FIELDS = ("x-autoreply", "x-autorespond", "x-auto-reply", "x-autoreply-from", "x-ms-exchange-inbox-rules-loop")
#: RFC 3834, 5. Absence notes of Exchange state auto-generated.
_REPLIES = frozenset({"auto-replied", "auto-generated"})
_AUTO_SUBMITTED = re.compile(r"[a-z-]+")


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """The report on one recipient."""

    kind: BounceKind
    #: RFC 3463 status, or None
    status: str | None
    #: reply of the next server in one line, or None
    diagnostic: str | None
    remote_mta: str | None
    #: the recipient after aliases and forwarding, or None
    final_recipient: str | None
    #: the recipient to which it was sent first (ORCPT), or None
    original_recipient: str | None


@dataclass(frozen=True, slots=True)
class StatedFailure:
    """A permanent failure that a text states by a code."""

    #: RFC 3463 status; None if the text has only a reply code
    status: str | None
    #: the line that states it
    line: str


@dataclass(frozen=True, slots=True)
class Letter:
    """The content of a message without a delivery status. Nothing of it is verified."""

    #: the address in From, or ""
    sender: str
    #: decoded, in one line; may be ""
    subject: str
    #: the text for a person, with line breaks and without the copy of our message
    words: str
    #: whether any sign shows that a machine wrote it
    by_machine: bool
    #: the address in Reply-To, or ""
    reply_to: str
    #: value of X-Failed-Recipients, or ""
    failed_recipients: str
    #: a message that is not from a server needs a reply code, because other numbers may be dates
    failure: StatedFailure | None


@dataclass(frozen=True, slots=True)
class BounceReport:
    """The content of a bounce as a whole."""

    #: AUTO_REPLY is only the message's own statement; ``judge_bounce`` compares it with the sent mail
    kind: BounceKind
    #: status of the recipient that decides ``kind``
    status: str | None
    #: one line; the subject of a message without a delivery status
    diagnostic: str | None
    reporting_mta: str | None = None
    #: the ENVID of the message (RFC 3461), or None
    envelope_id: str | None = None
    #: empty without a delivery status
    recipients: tuple[RecipientReport, ...] = ()
    #: None for a delivery status
    letter: Letter | None = None


def parse_bounce(content: bytes) -> BounceReport:
    """Parse a message to a return path. Accepts any bytes, raises nothing, and reads a limited part.

    1. A delivery status (RFC 3464, RFC 6533) in any multipart gives a report per recipient. If it has no reason
       (OpenSMTPD), the reason is read from the text. A success is "relayed" if the text says so (Exim). It is UNKNOWN
       if nothing delivered the message (Postfix, discard), so that a person reads it.
    2. A text that a server wrote without a delivery status (qmail, old Exim, Exchange) is UNKNOWN, whatever else it
       states.
    3. A message that states to be an automatic reply (RFC 3834 and other common fields), or a receipt that the message
       was displayed (RFC 8098), is AUTO_REPLY. This is no acknowledgement. ``Precedence`` is not enough, because lists,
       moderators and gateways that hold mail use it too.
    4. Everything else, such as an answer of a person, is UNKNOWN, so that a person reads it.
    """
    content = content[:_MAX_BYTES]
    parts, fields = list(read_parts(content)), read_fields(content)
    words = _without_copy(words_of(parts))
    # 1.
    for part in parts:
        if part.media_type in _STATUS_TYPES:
            report = _status_report(part, words)
            if report is not None:
                return report
    subject = one_line(decoded_words(fields.get("subject", "")))
    # 2.
    reported = (
        any(name in fields for name in _REPORT_FIELDS)
        or _DAEMONS.search(fields.get("from", "")) is not None
        or _BOUNCE_SUBJECTS.search(subject or "") is not None
        or words.lstrip().startswith(_QMAIL)
        or any(part.media_type in _STATUS_TYPES or part.report_type == "delivery-status" for part in parts)
    )
    automatic = _is_automatic(fields) or any(part.report_type == "disposition-notification" for part in parts)
    letter = Letter(
        # Before any decoding: a decoded name may hold a comma, which divides addresses (RFC 2047, 6.1).
        sender=parseaddr(fields.get("from", ""))[1],
        subject=subject or "",
        words=words[:_MAX_SHOWN_CHARACTERS],
        by_machine=reported or automatic or fields.get("return-path", "").strip() == "<>",
        reply_to=parseaddr(fields.get("reply-to", ""))[1],
        failed_recipients=fields.get("x-failed-recipients", ""),
        failure=_stated_failure(words) if reported or _REPLY_CODE.search(words) else None,
    )
    unknown = BounceReport(BounceKind.UNKNOWN, _status(words) if reported else None, subject, letter=letter)
    if reported or any(name in fields for name in _LIST_FIELDS):
        return unknown
    # 3.
    receipts = [part for part in parts if part.media_type == "message/disposition-notification"]
    if all(_says_displayed(part) for part in receipts) if receipts else _says_reply(fields):
        return replace(unknown, kind=BounceKind.AUTO_REPLY)
    # 4.
    return unknown


def words_to_read(content: bytes) -> str:
    """Return the text of a bounce for a person: plain text of at most 4000 characters."""
    words = words_of(list(read_parts(content[:_MAX_BYTES])))
    shown = "".join(character if character.isprintable() or character == "\n" else " " for character in words)
    lines = [" ".join(line.split()) for line in shown.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()[:_MAX_SHOWN_CHARACTERS]


def _is_automatic(fields: dict[str, str]) -> bool:
    precedence = fields.get("precedence", "").strip().lower()
    return _auto_submitted(fields) != "no" or precedence in _PRECEDENCES or _says_reply(fields)


def _says_reply(fields: dict[str, str]) -> bool:
    return (
        _auto_submitted(fields) in _REPLIES
        or fields.get("precedence", "").strip().lower() in _REPLY_PRECEDENCES
        or any(name in fields for name in _REPLY_FIELDS)
    )


def _auto_submitted(fields: dict[str, str]) -> str:
    found = _AUTO_SUBMITTED.match(fields.get("auto-submitted", "no").strip().lower())
    return "no" if found is None else found[0]


def _says_displayed(part: Part) -> bool:
    """Return whether a receipt states that the message was displayed. Other receipts are left to a person."""
    fields = fields_of_lines(text_of_bytes(part.body[:_MAX_SEARCHED_CHARACTERS]).replace("\r\n", "\n").split("\n"))
    return fields.get("disposition", "").rpartition(";")[2].strip().lower().partition("/")[0] == "displayed"


# -- texts


def _without_copy(words: str) -> str:
    copy = _COPY.search(words)
    return words if copy is None else words[: copy.start()]


def _stated_failure(words: str) -> StatedFailure | None:
    """Return the permanent failure that a text states by a code, the most specific code first, or None."""
    words = words[:_MAX_SEARCHED_CHARACTERS]
    statuses = [found for found in _FAILURE_STATUS.finditer(words) if not _VERSION.search(words[: found.start()][-12:])]
    exact = next((found for found in statuses if not _GENERIC.fullmatch(found[1])), None)
    found = exact or _REPLY_CODE.search(words) or next(iter(statuses), None)
    if found is None:
        return None
    start, end = words.rfind("\n", 0, found.start(1)) + 1, words.find("\n", found.end(1))
    line = one_line(words[start : end if end >= 0 else None]) or found[1]
    return StatedFailure(found[1] if "." in found[1] else None, line)


def _status(text: str) -> str | None:
    found = _STATUS.search(text[:_MAX_SEARCHED_CHARACTERS])
    return None if found is None else ".".join(found.groups())


# -- delivery status


def _status_report(part: Part, words: str) -> BounceReport | None:
    """Return the report of a delivery status, or None if it has no recipient."""
    message: dict[str, str] = {}
    recipients: list[RecipientReport] = []
    for block in _blocks(text_of_bytes(part.body)):
        if "action" in block or "final-recipient" in block:
            recipients.append(_recipient(block))
        # Some servers write everything in one block.
        message = block | message if not recipients or not message else message
        if len(recipients) == _MAX_RECIPIENTS:
            break
    if not recipients:
        return None
    if _RELAYED_BY_EXIM.search(words):
        recipients = [
            replace(each, kind=BounceKind.RELAYED) if each.kind is BounceKind.DELIVERED else each for each in recipients
        ]
    most_severe = min(recipients, key=lambda recipient: _MOST_SEVERE_FIRST.index(recipient.kind))
    most_severe = _with_reason(most_severe, words)
    return BounceReport(
        kind=most_severe.kind,
        status=most_severe.status,
        diagnostic=most_severe.diagnostic,
        reporting_mta=one_line(_without_type(message.get("reporting-mta", ""))),
        envelope_id=one_line(message.get("original-envelope-id", "")),
        recipients=tuple(recipients),
    )


def _with_reason(failed: RecipientReport, words: str) -> RecipientReport:
    """Return a failure with the reason from the text, if the delivery status has none."""
    if failed.kind is not BounceKind.FAILED or failed.diagnostic is not None:
        return failed
    if failed.status is not None and not _GENERIC.fullmatch(failed.status):
        return failed
    stated = _stated_failure(words)
    return failed if stated is None else replace(failed, status=stated.status or failed.status, diagnostic=stated.line)


def _recipient(block: dict[str, str]) -> RecipientReport:
    reply = _without_type(block.get("diagnostic-code", ""))
    status = _status(block.get("status", ""))
    if status is None or _GENERIC.fullmatch(status):
        # The reply of the next server is more specific than a status without a reason.
        status = _status(reply) or status
    action = _COMMENT.sub("", block.get("action", "")).strip().lower()
    kind = _ACTIONS.get(action, BounceKind.UNKNOWN)
    if status is not None and status[0] != "2" and kind in {BounceKind.DELIVERED, BounceKind.RELAYED}:
        # The report contradicts itself.
        kind = BounceKind.UNKNOWN
    if kind is BounceKind.DELIVERED and _THROWN_AWAY_BY_POSTFIX.match(block.get("diagnostic-code", "").strip()):
        kind = BounceKind.UNKNOWN
    return RecipientReport(
        kind=kind,
        status=status,
        diagnostic=one_line(reply),
        remote_mta=one_line(_without_type(block.get("remote-mta", ""))),
        final_recipient=_address(block.get("final-recipient", "")),
        original_recipient=_address(block.get("original-recipient", "")),
    )


def _blocks(text: str) -> Iterator[dict[str, str]]:
    """Yield the groups of fields in order. The first of several fields with the same name counts."""
    lines: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            lines.append(line.rstrip("\r"))
        elif lines:
            yield fields_of_lines(lines)
            lines = []


def _without_type(value: str) -> str:
    """Return a value without its type, such as ``smtp;`` or ``dns;``."""
    return _TYPE_OF_VALUE.sub("", value.strip(), count=1)


def _address(value: str) -> str | None:
    """Return the address of a recipient field (RFC 3464, 2.3; RFC 6533, 3), or None."""
    address = _without_type(_COMMENT.sub("", value)).strip().strip("<>")
    return one_line(_UTF8_ESCAPE.sub(_unescaped, address))


def _unescaped(escape: re.Match[str]) -> str:
    number = int(escape[1], 16)
    return chr(number) if number <= sys.maxunicode else ""
