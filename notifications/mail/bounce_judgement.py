"""What a message that came back means for the mail that was sent: an absence, a failure, or something for a person.

What a message says of itself is not enough. Gateways that hold a mail until its sender clicks, moderated lists and
quarantines all write "auto-replied"; passed over as an absence note, they hide that nobody has the notice.
"""

import re
import unicodedata
from dataclasses import dataclass, replace

from notifications.mail.bounce_parser import BounceReport, Letter, RecipientReport
from notifications.mail.bounce_record import BounceKind
from notifications.mail.mime_reading import decoded_words, read_fields
from notifications.mail_address import normal_address

_ADDRESS = re.compile(r"[^\s<>()\[\]{},;:\\\"'«»=|]{1,64}@[^\s<>()\[\]{},;:\\\"'«»=|]{1,255}")
#: A link that leads further than a home page: a note of absence asks for nothing.
_LINK = re.compile(r"https?://[^\s/<>\"']+/[^\s<>\"']", re.IGNORECASE)
#: As much of our subject as servers keep that cut it.
_ECHOED_CHARACTERS = 80
_MAX_ADDRESSES = 200


@dataclass(frozen=True, slots=True)
class SentMail:
    """What was sent, as far as what comes back can be compared with it."""

    recipient: str
    #: its outer subject, decoded; None where the mail is not kept
    subject: str | None


def sent_mail(recipient: str, content: bytes | None) -> SentMail:
    """Return what was sent to a recipient, from the bytes as they were handed over."""
    if content is None:
        return SentMail(recipient, None)
    return SentMail(recipient, decoded_words(read_fields(content).get("subject", "")))


def judge_bounce(report: BounceReport, sent: SentMail) -> BounceReport:
    """Return the report as it counts for the mail that was sent. A delivery status counts as it is.

    1. An automatic reply is believed on positive signs alone, all of them: it comes from the contact itself, answers
       our subject, and asks for nothing (no link to follow, no other address to answer). The sign that it replied is
       ``parse_bounce``'s. One that states a failure too says both: nobody can tell.
    2. A machine's words that state a failure for good by a code (a status 5.x.y or a reply 5yz), and name the recipient
       that was sent to, are a failure of that recipient, in whatever language.
    3. Every other message is UNKNOWN: a person reads it.
    """
    letter = report.letter
    if letter is None:
        return report
    # 1.
    if report.kind is BounceKind.AUTO_REPLY and _is_from_the_contact(letter, sent):
        return report if letter.failure is None else replace(report, kind=BounceKind.UNKNOWN)
    # 2.
    if letter.by_machine and letter.failure is not None and _names(letter, sent.recipient):
        failure = letter.failure
        recipient = RecipientReport(BounceKind.FAILED, failure.status, failure.line, None, sent.recipient, None)
        return replace(
            report,
            kind=BounceKind.FAILED,
            status=failure.status,
            diagnostic=failure.line,
            recipients=(recipient,),
        )
    # 3.
    return replace(report, kind=BounceKind.UNKNOWN)


def _is_from_the_contact(letter: Letter, sent: SentMail) -> bool:
    contact = normal_address(sent.recipient)
    return (
        normal_address(letter.sender) == contact
        and (not letter.reply_to or normal_address(letter.reply_to) == contact)
        and _echoes(letter.subject, sent.subject)
        and _LINK.search(letter.words) is None
    )


def _echoes(theirs: str, ours: str | None) -> bool:
    expected = _plain(ours or "")
    return bool(expected) and expected[:_ECHOED_CHARACTERS] in _plain(theirs)


def _plain(text: str) -> str:
    """Return text without what servers change when they repeat it: forms of letters, case, white space."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _names(letter: Letter, recipient: str) -> bool:
    wanted = normal_address(recipient)
    text = f"{letter.failed_recipients}\n{letter.words}\n{letter.subject}"
    found = (match[0].strip(".") for _, match in zip(range(_MAX_ADDRESSES), _ADDRESS.finditer(text), strict=False))
    return any(normal_address(address) == wanted for address in found)
