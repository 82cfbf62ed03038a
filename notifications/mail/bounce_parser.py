"""What a message that came back says: RFC 3464 reports, automatic replies, and what is left for a person to read.

What is read here was written by strangers' servers. Nothing in it is believed but that it was sent to this return path:
whoever holds the path speaks about one attempt of one delivery, and about no other. What follows for the mail that was
sent is judged in ``bounce_judgement``. Every bound is on what is looked at; the bytes are kept whole by the caller.
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

#: The part with the status stands before the message that came back (RFC 6522), and is small.
_MAX_BYTES = 1024 * 1024
_MAX_RECIPIENTS = 100
_MAX_SEARCHED_CHARACTERS = 16 * 1024
#: Of the words that are shown to a person.
_MAX_SHOWN_CHARACTERS = 4000

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
#: A status that says no more than that it failed (RFC 3463, X.0.0); some servers give no other.
_GENERIC = re.compile(r"[245]\.0\.0")
#: A failure for good as texts state it in any language: a status, or a reply code where a reply begins. No version.
_FAILURE_STATUS = re.compile(r"(?<![\w.])#?(5\.[0-7]\.\d{1,3})(?!\.?\d)")
_REPLY_CODE = re.compile(
    r"(?:^|[:;,'\"‘’“”«»<>\[\](){}#=|])[ \t]*"
    r"(5(?:0[0-4]|1[0-7]|2[1-5]|3[048]|4[1-9]|5[0-9]|7[013]))[ \t:-]{1,4}(?=[^\W\d]|[<\"'#(]|5\.)",
    re.MULTILINE,
)
_VERSION = re.compile(r"(?:version|release|build|ver\.?|/|\bv)[ \t]*\Z", re.IGNORECASE)
#: Where the message that came back begins inside a text: what follows was written by us.
_COPY = re.compile(
    r"^[> \t]*(?:-{3,20}[^\n]{0,80}?(?:copy|copie|copia|kopie|original|ursprüngl|below this line)"
    r"|(?:received|return-path|mime-version|dkim-signature|content-type)[ \t]*:)",
    re.IGNORECASE | re.MULTILINE,
)
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
#: Fields of a server's report that holds no delivery status, and of lists, which hold mail for a moderator.
_REPORT_FIELDS = ("x-failed-recipients", "x-ms-exchange-message-is-ndr")
_LIST_FIELDS = ("list-id", "list-unsubscribe", "list-help", "x-beenthere", "x-mailman-version")
#: Values of Precedence that machines write, and that people's programs do not; no sign of an absence.
_PRECEDENCES = frozenset({"bulk", "junk", "list"})
_REPLY_PRECEDENCES = frozenset({"auto_reply", "auto-reply"})
_REPLY_FIELDS = ("x-autoreply", "x-autorespond", "x-auto-reply", "x-autoreply-from", "x-ms-exchange-inbox-rules-loop")
#: RFC 3834, 5; absence notes of Exchange call themselves generated.
_REPLIES = frozenset({"auto-replied", "auto-generated"})
_AUTO_SUBMITTED = re.compile(r"[a-z-]+")


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
class StatedFailure:
    """A failure for good that the words of a message state by a code."""

    #: RFC 3463 status, or None where there is no more than a reply code
    status: str | None
    #: the line that states it
    line: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What a message that is no delivery status shows of itself. Nothing of it is verified."""

    #: the address in From, or ""
    sender: str
    #: decoded, in one line
    subject: str
    #: what a person reads, with line breaks; without the copy of the message that came back
    words: str
    #: whether a machine wrote it, by any sign
    by_machine: bool
    #: where answers go instead of the sender, or ""
    reply_to: str
    #: recipients that its header names as failed (X-Failed-Recipients)
    failed_recipients: str
    #: of a message that is no server's report, only where a reply code states it: numbers may be dates
    failure: StatedFailure | None


@dataclass(frozen=True, slots=True)
class BounceReport:
    """What a returned message says as a whole."""

    #: AUTO_REPLY: it says of itself that it is one; whether that is believed is judged against what was sent
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
    #: None for a report
    letter: Letter | None = None


def parse_bounce(content: bytes) -> BounceReport:
    """Return what a message says that came to a return path. Takes any bytes, raises nothing, and is bounded.

    1. A delivery status (RFC 3464, RFC 6533), in whatever multipart it stands, says what it says per recipient. Where
       it gives no reason (OpenSMTPD), its words may.
    2. What looks like a server's own words that are no report (qmail, old Exim, Exchange) is UNKNOWN, whatever else it
       claims.
    3. What says that it is an automatic reply (RFC 3834, and what is common beside it), or a receipt that the message
       was displayed (RFC 8098), is AUTO_REPLY: a claim, and no acknowledgement. ``Precedence`` is no such claim: lists,
       moderators and gateways that hold mail write it too.
    4. Anything else, such as somebody who answered, is UNKNOWN: a person reads it.
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
        sender=parseaddr(decoded_words(fields.get("from", "")))[1],
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
    """Return what a person reads of a message that came back, as plain text of at most 4000 characters."""
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
    """Whether a receipt says that the message was displayed; one of a deletion, or a filter's, is for a person."""
    fields = fields_of_lines(text_of_bytes(part.body[:_MAX_SEARCHED_CHARACTERS]).replace("\r\n", "\n").split("\n"))
    return fields.get("disposition", "").rpartition(";")[2].strip().lower().partition("/")[0] == "displayed"


# -- what words say


def _without_copy(words: str) -> str:
    copy = _COPY.search(words)
    return words if copy is None else words[: copy.start()]


def _stated_failure(words: str) -> StatedFailure | None:
    """Return the failure for good that words state by a code, the most exact first; None for none."""
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
    """Return what a delivery status says, or None where it speaks of no recipient."""
    message: dict[str, str] = {}
    recipients: list[RecipientReport] = []
    for block in _blocks(text_of_bytes(part.body)):
        if "action" in block or "final-recipient" in block:
            recipients.append(_recipient(block))
        # Some servers write all in one block.
        message = block | message if not recipients or not message else message
        if len(recipients) == _MAX_RECIPIENTS:
            break
    if not recipients:
        return None
    gravest = min(recipients, key=lambda recipient: _GRAVEST_FIRST.index(recipient.kind))
    gravest = _explained(gravest, words)
    return BounceReport(
        kind=gravest.kind,
        status=gravest.status,
        diagnostic=gravest.diagnostic,
        reporting_mta=one_line(_without_type(message.get("reporting-mta", ""))),
        envelope_id=one_line(message.get("original-envelope-id", "")),
        recipients=tuple(recipients),
    )


def _explained(failed: RecipientReport, words: str) -> RecipientReport:
    """Return a failure with the reason from the report's words, where the delivery status gives none."""
    if failed.kind is not BounceKind.FAILED or failed.diagnostic is not None:
        return failed
    if failed.status is not None and not _GENERIC.fullmatch(failed.status):
        return failed
    stated = _stated_failure(words)
    return failed if stated is None else replace(failed, status=stated.status or failed.status, diagnostic=stated.line)


def _recipient(block: dict[str, str]) -> RecipientReport:
    said = _without_type(block.get("diagnostic-code", ""))
    status = _status(block.get("status", ""))
    if status is None or _GENERIC.fullmatch(status):
        # What the next server said is more exact than that it failed.
        status = _status(said) or status
    action = _COMMENT.sub("", block.get("action", "")).strip().lower()
    kind = _ACTIONS.get(action, BounceKind.UNKNOWN)
    if status is not None and status[0] != "2" and kind in {BounceKind.DELIVERED, BounceKind.RELAYED}:
        # It says both: nobody can tell.
        kind = BounceKind.UNKNOWN
    return RecipientReport(
        kind=kind,
        status=status,
        diagnostic=one_line(said),
        remote_mta=one_line(_without_type(block.get("remote-mta", ""))),
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
