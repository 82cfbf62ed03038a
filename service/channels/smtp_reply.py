"""What an SMTP reply means: enhanced status, queue id, and which side must act."""

import re
import unicodedata
from enum import StrEnum

from notifications.delivery.delivery import TOO_LARGE_STATUSES, OutcomeKind, SendingLimit

MAX_TEXT_CHARACTERS = 500
#: Control, format (direction marks), surrogate (bytes that are not UTF-8), line and paragraph separators.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
_QUEUE_IDS = (
    # Postfix, and servers that imitate it
    re.compile(r"\bqueued as ([A-Za-z0-9_.-]{4,80})", re.IGNORECASE),
    # Stalwart
    re.compile(r"\bqueued with id ([A-Za-z0-9_.-]{1,80})", re.IGNORECASE),
    # Exchange: the number is its own, the id in angle brackets is that of the message
    re.compile(r"\[InternalId=(\d{1,40})"),
    # Exim
    re.compile(r"\bid=([A-Za-z0-9_.-]{4,80})"),
    # Sendmail, OpenSMTPD
    re.compile(r"\b([A-Za-z0-9]{8,20}) Message accepted for delivery"),
    # Google
    re.compile(r"(\S{6,80}) - gsmtp\b"),
    # qmail
    re.compile(r"\bqp (\d{1,20})\b"),
    # Haraka
    re.compile(r"\bMessage Queued \(([A-Za-z0-9.-]{4,80})\)", re.IGNORECASE),
    # Amazon
    re.compile(r"^Ok ([0-9a-f]{16}-[0-9a-f-]{10,60})", re.IGNORECASE),
)


class Stage(StrEnum):
    """The current step of the SMTP dialogue."""

    CONNECT = "connect"
    TLS = "tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    #: the DATA command: nothing of the message was sent yet
    DATA = "data"
    #: the message is being sent; without a reply it is not known whether the relay accepted it
    CONTENT = "content"


def one_line(text: str) -> str:
    """Return the text in one line without control characters, cut to 500 characters."""
    # Cut first, because a reply may be long.
    printable = "".join(
        " " if unicodedata.category(character) in _UNPRINTABLE else character
        for character in text[: 4 * MAX_TEXT_CHARACTERS]
    )
    return " ".join(printable.split())[:MAX_TEXT_CHARACTERS]


def enhanced_status(text: str) -> str | None:
    """Return the enhanced status at the beginning of a reply's text (RFC 2034), or None."""
    match = _ENHANCED.match(text)
    return match[1] if match else None


def queue_id(text: str) -> str | None:
    """Return the queue id of the next hop, if its one-line reply has a known form; else None."""
    for pattern in _QUEUE_IDS:
        match = pattern.search(text)
        if match:
            # A full stop at the end is not part of the id.
            return match[1].rstrip(".")
    return None


#: Refusals with first digit 5 that can end by themselves: mailbox full (RFC 3463, X.2.2).
_PASSING = frozenset({"5.2.2"})
#: Refusals about this side's sender, credentials or encryption, at whatever step: bad sender address or domain (X.1.7,
#: X.1.8), security features missing (X.7.0 with 530, X.7.8 to X.7.11).
_OURS = frozenset({"5.1.7", "5.1.8", "5.7.8", "5.7.9", "5.7.10", "5.7.11"})
_OUR_CODES = frozenset({530, 534, 535, 538})
#: Limits of a relay, by the status that reports them (RFC 3463; RFC 6531, 3.5).
_LIMIT_STATUSES = {
    "5.6.1": SendingLimit.EIGHT_BIT,
    "5.6.3": SendingLimit.EIGHT_BIT,
    "5.6.7": SendingLimit.SMTPUTF8,
    "5.6.9": SendingLimit.SMTPUTF8,
}
_SIZE_EXCEEDED = 552
_INSUFFICIENT = 452
#: Statuses of a 452 that says that the connection had its number of messages and stays open: of OpenSMTPD (4.5.3, to
#: MAIL) and of Stalwart (4.4.5, to DATA).
_CONNECTION_USED_UP = frozenset({"4.5.3", "4.4.5"})
_FIRST_PERMANENT = 500


def sending_limit(stage: Stage, code: int, status: str | None) -> SendingLimit | None:
    """Return which limit of the relay a refusal states, or None.

    A size is refused with X.2.3 or X.3.4, or with a bare 552 (RFC 1870, 6.1). After RCPT, a bare 552 is a full mailbox
    (RFC 5321, 4.2.2). Limits of the relay itself come before RCPT or after the content; after RCPT a refusal concerns
    one recipient.
    """
    if code < _FIRST_PERMANENT or stage not in {Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.CONTENT}:
        return None
    if status in TOO_LARGE_STATUSES or (code == _SIZE_EXCEEDED and status is None and stage is not Stage.RCPT):
        return SendingLimit.SIZE
    return None if stage is Stage.RCPT or status is None else _LIMIT_STATUSES.get(status)


def is_connection_used_up(stage: Stage, code: int, status: str | None) -> bool:
    """Return whether a refusal means that the relay takes no more messages on this connection.

    RFC 5321, 3.8, has 421 for this, and the relay closes. Some relays answer 452 and leave the connection open. After
    RCPT the same reply concerns the recipients.
    """
    return stage in {Stage.MAIL, Stage.DATA} and code == _INSUFFICIENT and status in _CONNECTION_USED_UP


def failure_kind(stage: Stage, code: int, status: str | None) -> OutcomeKind:
    """Return what a refusal means.

    1. 4xx is transient (RFC 5321, 4.2.1). 5xx about this recipient or this message is permanent.
    2. 5xx to our EHLO concerns every message alike. It is transient, because the relay may be repaired without us.
    3. 5xx to STARTTLS, to our credentials or to our sender must be repaired by the provider; so must a limit of the
       relay (``sending_limit``). Some relays, such as Postfix, report a fault of the sender only after RCPT; then the
       enhanced status shows it.

    ``notifications.delivery.delivery`` decides whether the first permanent refusal is final.
    """
    if code < _FIRST_PERMANENT or stage is Stage.CONNECT or status in _PASSING:
        return OutcomeKind.TRANSIENT_FAILURE
    if sending_limit(stage, code, status) is not None:
        return OutcomeKind.REFUSED_HERE
    if stage is Stage.CONTENT:
        # The content was sent. So this side did not refuse to send, whatever the status says.
        return OutcomeKind.PERMANENT_FAILURE
    if stage in {Stage.TLS, Stage.AUTH, Stage.MAIL} or code in _OUR_CODES or status in _OURS:
        return OutcomeKind.REFUSED_HERE
    return OutcomeKind.PERMANENT_FAILURE
