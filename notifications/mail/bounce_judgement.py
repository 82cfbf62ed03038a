"""Judge what a bounce means for the mail that was sent: an absence note, a failure, or a message that a person reads.

The message's own statement is not enough. Gateways that hold a mail until its sender clicks a link, moderated lists and
quarantines all state "auto-replied". If they were ignored as absence notes, nobody would see that the notice is held.
"""

import re
import unicodedata
from dataclasses import dataclass, replace

from notifications.mail.bounce_parser import BounceReport, Letter, RecipientReport
from notifications.mail.bounce_record import BounceKind
from notifications.mail.mime_reading import decoded_words, read_fields
from notifications.mail_address import normal_address

_ADDRESS = re.compile(r"[^\s<>()\[\]{},;:\\\"'«»=|]{1,64}@[^\s<>()\[\]{},;:\\\"'«»=|]{1,255}")
#: A link with a path. An absence note asks for nothing, so it has no such link.
_LINK = re.compile(r"https?://[^\s/<>\"']+/[^\s<>\"']", re.IGNORECASE)
#: Number of characters of our subject that must be in the reply. Servers may cut the rest.
_COMPARED_CHARACTERS = 80
_MAX_ADDRESSES = 200


@dataclass(frozen=True, slots=True)
class SentMail:
    """The parts of the sent mail with which a bounce is compared."""

    recipient: str
    #: outer subject, decoded; None if the mail was not stored
    subject: str | None


def sent_mail(recipient: str, content: bytes | None) -> SentMail:
    """Return the sent mail, from its recipient and from the bytes that were handed over."""
    if content is None:
        return SentMail(recipient, None)
    return SentMail(recipient, decoded_words(read_fields(content).get("subject", "")))


def judge_bounce(report: BounceReport, sent: SentMail) -> BounceReport:
    """Return the report with the kind that counts for the sent mail. A delivery status is returned unchanged.

    1. An automatic reply (as ``parse_bounce`` found) keeps its kind only if it comes from the contact itself, repeats
       our subject, and asks for nothing: no link to follow, and no other address for the answer. If it also states a
       failure, it is UNKNOWN.
    2. A text that a machine wrote is a failure if it states a permanent failure by a code (a status 5.x.y or a reply
       5yz) and names the recipient of the mail. The language of the text does not matter.
    3. Every other message is UNKNOWN, so that a person reads it.
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
        and _repeats_subject(letter.subject, sent.subject)
        and _LINK.search(letter.words) is None
    )


def _repeats_subject(theirs: str, ours: str | None) -> bool:
    expected = _plain(ours or "")
    return bool(expected) and expected[:_COMPARED_CHARACTERS] in _plain(theirs)


def _plain(text: str) -> str:
    """Return text without the differences that servers make when they repeat it: letter forms, case, white space."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _names(letter: Letter, recipient: str) -> bool:
    wanted = normal_address(recipient)
    text = f"{letter.failed_recipients}\n{letter.words}\n{letter.subject}"
    found = (match[0].strip(".") for _, match in zip(range(_MAX_ADDRESSES), _ADDRESS.finditer(text), strict=False))
    return any(normal_address(address) == wanted for address in found)
