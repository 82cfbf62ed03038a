"""Schemas of results: classification, decisions, dry runs."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from pydantic import Field

from notifications.agreement import Agreement
from notifications.classification import Classification
from notifications.customer.records import Customer
from notifications.decision import Decision, binding_of
from notifications.incident import LANGUAGES
from notifications.ports import StoredDecision
from notifications.use_cases.incidents.other_agreements import OtherClassification
from notifications.wording import words
from service.web.api.fields import Moment, Out


class GroundOut(Out):
    """One limb of a definition and whether it holds."""

    id: str
    clause: str
    holds: str
    missing: list[str]
    text: dict[str, str] = Field(description="The clause in plain words, by language.")


class AnswerEffectOut(Out):
    """The result that one answer to an open fact would give."""

    answer: str
    natures: list[str]
    priorities: list[str]


class OpenQuestionOut(Out):
    """An open fact, and the effect of each answer."""

    fact: str
    effects: list[AnswerEffectOut]


class OtherAgreementOut(Out):
    """The classification by another agreement that binds customers."""

    agreement_id: str
    nature: str
    provisional: bool
    possible_natures: list[str]
    priority: str | None = Field(description="Null while it is open, and where the agreement gives none.")
    possible_priorities: list[str]
    gti_seconds: int | None = Field(description="Null where the priority is open or has no guaranteed time.")


class ClassificationOut(Out):
    """The classification of the facts by an agreement."""

    agreement_id: str
    nature: str = Field(description="If provisional: the most protective nature that the open facts still allow.")
    provisional: bool
    possible_natures: list[str]
    grounds: list[GroundOut]
    priority: str | None
    possible_priorities: list[str]
    gti_seconds: int | None
    gti_target_percent: int | None
    open_questions: list[OpenQuestionOut]
    remarks: list[str]
    other_agreements: list[OtherAgreementOut] = Field(
        default=[],
        description="Other agreements that bind customers and give another nature or priority. Empty where one"
        " agreement was asked for.",
    )


@lru_cache(maxsize=1024)
def _limb_text(agreement: Agreement, limb_id: str) -> dict[str, str]:
    """Return a limb's plain words by language. The result is cached; do not change it."""
    return agreement.limb(limb_id).text.as_mapping()


@lru_cache(maxsize=4096)
def _reason_text(message: str) -> dict[str, str]:
    """Return a reason's words by language. The result is cached; do not change it."""
    return {language: words(message, language) for language in LANGUAGES}


def classification_out(
    classification: Classification, agreement: Agreement, others: Sequence[OtherClassification] = ()
) -> ClassificationOut:
    """Return the schema of a classification."""
    target = next((level for level in agreement.priorities if level.id == classification.priority), None)
    return ClassificationOut.model_construct(
        agreement_id=classification.agreement_id,
        nature=classification.nature.value,
        provisional=classification.provisional,
        possible_natures=[nature.value for nature in classification.possible_natures],
        grounds=[
            GroundOut.model_construct(
                id=ground.id,
                clause=ground.clause,
                holds=ground.holds.value,
                missing=list(ground.missing),
                text=_limb_text(agreement, ground.id),
            )
            for ground in classification.grounds
        ],
        priority=classification.priority,
        possible_priorities=list(classification.possible_priorities),
        gti_seconds=classification.gti_seconds,
        gti_target_percent=target.target_percent if target else None,
        open_questions=open_questions_out(classification),
        remarks=[words(remark, "en") for remark in classification.remarks],
        other_agreements=[_other_agreement(other.classification) for other in others],
    )


def _other_agreement(found: Classification) -> OtherAgreementOut:
    return OtherAgreementOut.model_construct(
        agreement_id=found.agreement_id,
        nature=found.nature.value,
        provisional=found.provisional,
        possible_natures=[nature.value for nature in found.possible_natures],
        priority=found.priority,
        possible_priorities=list(found.possible_priorities),
        gti_seconds=found.gti_seconds,
    )


def open_questions_out(classification: Classification) -> list[OpenQuestionOut]:
    """Return the schema of what is missing, and what hangs on it."""
    return [
        OpenQuestionOut.model_construct(
            fact=question.fact,
            effects=[
                AnswerEffectOut.model_construct(
                    answer=effect.answer,
                    natures=[nature.value for nature in effect.natures],
                    priorities=list(effect.priorities),
                )
                for effect in question.effects
            ],
        )
        for question in classification.open_questions
    ]


class ReasonOut(Out):
    """One examined level or rule, with its result."""

    id: str
    clause: str
    holds: str
    obliges: bool
    text: dict[str, str] = Field(description="Why, in words, by language.")
    missing: list[str]


class DecisionOut(Out):
    """Whether one customer is notified, why, and by when."""

    customer_id: UUID
    customer_name: str
    verdict: str = Field(description="`notify`, `do_not_notify`, or `pending`: an open fact decides.")
    nature: str
    priority: str | None
    agreement_id: str
    profile_version: int | None = Field(description="Null where the default levels applied.")
    reasons: list[ReasonOut]
    due_at: Moment | None
    due_kind: str | None = Field(
        description="`contractual`: a time that the agreement names; `internal_target`: the provider's own."
    )
    binding: str | None = Field(
        description="How strictly `due_at` binds. `hard`: a notice after it is late. `soft`: to be met where possible."
        " `no_number`: the agreement names no number, and the time is the provider's own."
    )
    target_at: Moment | None = Field(description="The provider's internal target; not contractual.")
    missing: list[str]
    personal_data_breach: bool


class StoredDecisionOut(DecisionOut):
    """A recorded decision."""

    id: UUID
    incident_id: UUID
    facts_version: int
    recorded_at: Moment


def _decision_fields(customer: Customer, decision: Decision) -> dict[str, Any]:
    return {
        "customer_id": decision.customer_id,
        "customer_name": customer.name,
        "verdict": decision.verdict.value,
        "nature": decision.nature.value,
        "priority": decision.priority,
        "agreement_id": decision.agreement_id,
        "profile_version": decision.profile_version,
        "reasons": [
            ReasonOut.model_construct(
                id=reason.id,
                clause=reason.clause,
                holds=reason.holds.value,
                obliges=reason.obliges,
                text=_reason_text(reason.message),
                missing=list(reason.missing),
            )
            for reason in decision.reasons
        ],
        "due_at": decision.due_at,
        "due_kind": decision.due_kind.value if decision.due_kind else None,
        "binding": None if decision.due_kind is None else binding_of(decision.due_kind, decision.binding).value,
        "target_at": decision.target_at,
        "missing": list(decision.missing),
        "personal_data_breach": decision.personal_data_breach,
    }


def decision_out(customer: Customer, decision: Decision) -> DecisionOut:
    """Return the schema of a decision that is not recorded (a dry run)."""
    return DecisionOut.model_construct(**_decision_fields(customer, decision))


def stored_decision_out(customer: Customer, stored: StoredDecision) -> StoredDecisionOut:
    """Return the schema of a recorded decision."""
    return StoredDecisionOut.model_construct(
        id=stored.id,
        incident_id=stored.incident_id,
        facts_version=stored.facts_version,
        recorded_at=stored.recorded_at,
        **_decision_fields(customer, stored.decision),
    )
