"""What an SMTP reply means: enhanced status, queue id, and which side has to act."""

import re
from enum import StrEnum

from notifications.delivery import OutcomeKind

_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_MAX_TEXT_CHARACTERS = 500
#: How well-known servers name the message they took: Postfix, Exim, Sendmail, Exchange, and the plain "queued as".
_QUEUE_IDS = (
    re.compile(r"queued as ([A-Za-z0-9_.-]{4,80})"),
    re.compile(r"\bid=([A-Za-z0-9_.-]{4,80})"),
    re.compile(r"\b([A-Za-z0-9]{10,20}) Message accepted for delivery"),
    re.compile(r"<([^<>\s]{4,120})> (?:\[InternalId=\d+[^\]]*\] )?Queued mail for delivery"),
    re.compile(r"\bqueued (?:\()?([A-Za-z0-9_.-]{6,80})\)?$", re.IGNORECASE),
)
#: Mailbox full (RFC 3463 X.2.2) is a state that passes, whatever the first digit says.
_PASSING = {"5.2.2"}


class Stage(StrEnum):
    """How far the conversation had come."""

    CONNECT = "connect"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"


def one_line(text: str) -> str:
    """Return the text in one line without control characters, cut to 500 characters."""
    return _CONTROLS.sub(" ", text).strip()[:_MAX_TEXT_CHARACTERS]


def enhanced_status(text: str) -> str | None:
    """Return the enhanced status that a reply's text begins with (RFC 2034), or None."""
    match = _ENHANCED.match(text)
    return match[1] if match else None


def queue_id(text: str) -> str | None:
    """Return the id under which the next hop took the message, where its reply tells it."""
    for pattern in _QUEUE_IDS:
        match = pattern.search(text)
        if match:
            return match[1]
    return None


def failure_kind(stage: Stage, code: int, status: str | None) -> OutcomeKind:
    """Return what a refusal means.

    4xx passes (RFC 5321, 4.2.1). 5xx is final where it concerns this recipient or this message; a 5xx to our greeting
    or our sender concerns every message alike and may be mended without us, and one to our credentials is ours to mend.
    """
    if stage is Stage.AUTH:
        return OutcomeKind.REFUSED_HERE
    if code < 500 or status in _PASSING:  # noqa: PLR2004 - the border of permanent replies
        return OutcomeKind.TRANSIENT_FAILURE
    if stage is Stage.CONNECT:
        return OutcomeKind.TRANSIENT_FAILURE
    if stage is Stage.MAIL:
        return OutcomeKind.REFUSED_HERE
    return OutcomeKind.PERMANENT_FAILURE
