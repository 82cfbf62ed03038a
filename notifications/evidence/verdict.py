"""What the steps over a notice come to: one of four verdicts, with its reasons."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from notifications.errors import UnreadableMailError, VerificationError
from notifications.evidence.verification import Trust, VerifiedStep, examine_notice_mail


class Verdict(StrEnum):
    """What a reader may believe."""

    #: every step held, and nothing around the signed content was changed
    GENUINE = "genuine"
    #: every step held over the signed content; what is around it is not as it was sent
    CHANGED_OUTSIDE = "changed_outside"
    #: a step failed
    NOT_GENUINE = "not_genuine"
    #: the file does not hold the mail in the form in which it was sent: nothing can be said
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and what it rests on."""

    verdict: Verdict
    #: the steps that held over the signed content, in order
    steps: tuple[VerifiedStep, ...]
    #: the name of the step that failed or could not be taken; None where every step held
    failed_step: str | None = None
    #: what was changed outside the signed content, why a step failed, or what to save instead; empty for genuine
    reasons: tuple[str, ...] = ()


def judge(steps: Iterator[VerifiedStep]) -> Judgement:
    """Take the steps of any verifier to their end, or to the first that fails, and return what they come to."""
    held: list[VerifiedStep] = []
    try:
        held.extend(steps)
    except VerificationError as error:
        verdict = Verdict.UNREADABLE if isinstance(error, UnreadableMailError) else Verdict.NOT_GENUINE
        return Judgement(verdict, tuple(held), error.step, (error.reason,))
    changed = tuple(reason for step in held for reason in step.changed)
    return Judgement(Verdict.CHANGED_OUTSIDE if changed else Verdict.GENUINE, tuple(held), reasons=changed)


def judge_notice_mail(mail: bytes, trust: Trust) -> Judgement:
    """Return the verdict on a saved mail; what is not checked is as for ``verify_notice_mail``."""
    return judge(examine_notice_mail(mail, trust))
