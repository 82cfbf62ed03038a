"""The result of all steps over a notice: one of four verdicts, with its reasons."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from notifications.errors import UnreadableMailError, VerificationError
from notifications.evidence.verification import Trust, VerifiedStep, examine_notice_mail


class Verdict(StrEnum):
    """What a reader may conclude about a mail."""

    #: every step passed, and nothing around the signed content was changed
    GENUINE = "genuine"
    #: every step over the signed content passed, but something around it is not as it was sent
    CHANGED_OUTSIDE = "changed_outside"
    #: a step failed
    NOT_GENUINE = "not_genuine"
    #: the file does not contain the mail in the form in which it was sent, so that nothing can be concluded
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with the steps and reasons behind it."""

    verdict: Verdict
    #: the steps over the signed content that passed, in order
    steps: tuple[VerifiedStep, ...]
    #: the name of the step that failed or was not possible; None if every step passed
    failed_step: str | None = None
    #: what was changed outside the signed content, why a step failed, or what to save instead; empty for genuine
    reasons: tuple[str, ...] = ()


def judge(steps: Iterator[VerifiedStep]) -> Judgement:
    """Run the steps of a verifier to the end or to the first failure, and return the verdict."""
    held: list[VerifiedStep] = []
    try:
        held.extend(steps)
    except VerificationError as error:
        verdict = Verdict.UNREADABLE if isinstance(error, UnreadableMailError) else Verdict.NOT_GENUINE
        return Judgement(verdict, tuple(held), error.step, (error.reason,))
    changed = tuple(reason for step in held for reason in step.changed)
    return Judgement(Verdict.CHANGED_OUTSIDE if changed else Verdict.GENUINE, tuple(held), reasons=changed)


def judge_notice_mail(mail: bytes, trust: Trust) -> Judgement:
    """Return the verdict on a saved mail. Not checked is the same as for ``verify_notice_mail``."""
    return judge(examine_notice_mail(mail, trust))
