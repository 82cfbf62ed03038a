"""The result of classification, as frozen types."""

from dataclasses import dataclass
from enum import StrEnum

from notifications.incident import Answer


class Nature(StrEnum):
    """The nature of the event by the agreement, most protective first."""

    SECURITY_INCIDENT = "security_incident"
    INCIDENT = "incident"
    EVENT = "event"
    OUTSIDE_PERIMETER = "outside_perimeter"


@dataclass(frozen=True, slots=True)
class Ground:
    """One limb of a definition and whether it holds."""

    #: stable id of the limb in the agreement file, such as ``malicious``
    id: str
    #: clause number in the agreement
    clause: str
    holds: Answer
    #: ids of the unknown facts that this limb depends on; empty unless ``holds`` is unknown
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerEffect:
    """The result that one answer to an open fact would give."""

    answer: str
    natures: tuple[Nature, ...]
    priorities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A fact that is not established and on which the result depends."""

    #: dotted fact id as in the API, such as ``intent`` or ``service_harm.integrity``
    fact: str
    effects: tuple[AnswerEffect, ...]


@dataclass(frozen=True, slots=True)
class Classification:
    """The result of classifying one version of the facts under one agreement."""

    agreement_id: str
    #: the nature if settled; else the most protective one that the open facts still allow
    nature: Nature
    #: every nature that the open facts still allow, most protective first
    possible_natures: tuple[Nature, ...]
    #: every limb of every definition, in the agreement's order, with its answer
    grounds: tuple[Ground, ...]
    #: None while impact or criticality is unknown, and where the agreement gives no priority
    priority: str | None
    #: every priority that the open facts still allow, most urgent first; empty where the agreement gives none
    possible_priorities: tuple[str, ...]
    #: guaranteed time to intervention of ``priority``, in seconds; None if there is no priority, or no guarantee for it
    gti_seconds: int | None
    #: the unknown facts that matter and what each answer would change; empty when settled
    open_questions: tuple[OpenQuestion, ...]
    #: contradictions that the analyst should check, as message ids without free text
    remarks: tuple[str, ...] = ()

    @property
    def provisional(self) -> bool:
        """Whether an unknown fact could still change nature or priority."""
        return len(self.possible_natures) > 1 or len(self.possible_priorities) > 1
