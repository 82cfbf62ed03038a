"""A decision and its parts, as frozen types."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from notifications.agreement import DeadlineBinding
from notifications.classification import Nature
from notifications.incident import Answer


class Verdict(StrEnum):
    """Whether a customer is notified."""

    NOTIFY = "notify"
    DO_NOT_NOTIFY = "do_not_notify"
    #: an open fact decides; the case stays on the analysts' board and its deadline runs
    PENDING = "pending"


class DueKind(StrEnum):
    """The kind of deadline that ``due_at`` is."""

    #: a time that the agreement names; ``binding`` says how strictly it binds
    CONTRACTUAL = "contractual"
    #: the provider's own target where the contract says "as soon as possible"
    INTERNAL_TARGET = "internal_target"
    #: the time of a notice that is about no incident; ``binding`` says how strictly it binds
    ANNOUNCED = "announced"


def binding_of(due_kind: str, stated: str | None = None) -> DeadlineBinding:
    """Return how strictly a deadline binds; raises ValueError for an unknown ``stated``.

    Records of earlier releases state no binding. Their contractual deadlines are soft: the only agreement of these
    releases says "where possible". A target of the provider is never a time of the agreement.
    """
    if stated:
        return DeadlineBinding(stated)
    return DeadlineBinding.SOFT if due_kind == DueKind.CONTRACTUAL else DeadlineBinding.NO_NUMBER


@dataclass(frozen=True, slots=True)
class Reason:
    """One level or rule that was examined, and its result."""

    #: id in the agreement file, such as ``impact_high`` or ``plain_incident``; ``profile`` for a chosen level
    id: str
    #: clause number in the agreement; empty if the agreement cites none
    clause: str
    holds: Answer
    #: whether this reason, if it holds, obliges to notify
    obliges: bool
    #: why, as a message id of the wording catalogue such as ``reason.impact_high.waived``
    message: str
    #: ids of the unknown facts that it depends on, when ``holds`` is unknown
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision for one customer on one version of the facts."""

    customer_id: UUID
    agreement_id: str
    #: profile version in force at awareness; None when the default levels applied
    profile_version: int | None
    verdict: Verdict
    nature: Nature
    priority: str | None
    #: every rule examined, those that oblige first
    reasons: tuple[Reason, ...]
    #: when the notice is due; for ``pending`` the earliest time at which it could be due; else None
    due_at: datetime | None
    due_kind: DueKind | None
    #: the internal target, even if ``due_at`` is contractual and later; None if ``due_at`` is None
    target_at: datetime | None
    #: fact ids that could still change the verdict
    missing: tuple[str, ...] = ()
    #: the notice must carry the items on a personal-data breach
    personal_data_breach: bool = False
    #: how strictly ``due_at`` binds; None if ``due_at`` is None, and in decisions of releases that did not record it
    binding: DeadlineBinding | None = None


def carrying(decision: Decision) -> tuple[Reason, ...]:
    """Return the reasons that carry the verdict: those that hold, those that are open, or all that do not hold."""
    wanted = {Verdict.NOTIFY: Answer.YES, Verdict.PENDING: Answer.UNKNOWN}.get(decision.verdict)
    if wanted is None:
        return decision.reasons
    return tuple(reason for reason in decision.reasons if reason.holds is wanted and reason.obliges)


def without_consent(decision: Decision) -> Decision:
    """Return the decision of an exercise for a customer without a contact that takes part: it is not notified."""
    if decision.verdict is Verdict.DO_NOT_NOTIFY:
        return decision
    reason = Reason(
        "exercise_without_consent", "", Answer.YES, obliges=False, message="reason.exercise_without_consent"
    )
    return replace(
        decision,
        verdict=Verdict.DO_NOT_NOTIFY,
        reasons=(reason,),
        due_at=None,
        due_kind=None,
        target_at=None,
        missing=(),
        personal_data_breach=False,
        binding=None,
    )
