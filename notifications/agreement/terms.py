"""The parts of an agreement, as frozen types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType

from notifications.agreement.conditions import Condition
from notifications.incident import LocalizedText

#: Separator between the numbers of a compound clause such as ``7.1, 9.2``.
CLAUSE_SEPARATOR = ", "


class Reference(StrEnum):
    """What a clause is cited for: the role of a clause, which has another number in each agreement."""

    #: the channel of news of the handling
    NEWS_CHANNEL = "news_channel"
    #: the customer's right to complain to the authority
    COMPLAINT = "complaint"
    #: status and history of an incident in the customer interface
    STATUS_AND_HISTORY = "status_and_history"
    #: the customer chooses the levels that it is informed of
    PROFILE = "profile"
    #: erasure of the customer's data at the end of the contract
    ERASURE = "erasure"
    #: what a notice of a personal-data breach must contain
    BREACH_CONTENT = "breach_content"
    #: a suspected personal-data breach is notified like a certain one
    BREACH_SUSPICION = "breach_suspicion"


class DeadlineBinding(StrEnum):
    """How strictly a time binds the provider."""

    #: a limit: a notice after it is late
    HARD = "hard"
    #: a time to meet where possible: a notice after it is after the time aimed at
    SOFT = "soft"
    #: the text names no number of hours; the time that counts is the provider's own target
    NO_NUMBER = "no_number"


@dataclass(frozen=True, slots=True)
class Limb:
    """One limb of a definition: the definition holds when any of its limbs does."""

    id: str
    clause: str
    text: LocalizedText
    when: Condition


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of one nature. Definitions are tried in order; the first that holds gives the nature."""

    #: one of ``conditions.NATURES``
    nature: str
    clause: str
    title: LocalizedText
    text: LocalizedText
    limbs: tuple[Limb, ...]
    #: cases that the limbs exclude on purpose; they explain the result and never change it
    exclusions: tuple[Limb, ...]


@dataclass(frozen=True, slots=True)
class ScaleLevel:
    """A level of impact or of criticality."""

    id: str
    clause: str
    text: LocalizedText


@dataclass(frozen=True, slots=True)
class Priority:
    """A priority and the support commitments for it."""

    id: str
    clause: str
    text: LocalizedText
    #: guaranteed time to first intervention, in seconds from the opening of the ticket
    gti_seconds: int
    #: share of the month's tickets for which the guarantee must be met
    target_percent: int


@dataclass(frozen=True, slots=True)
class Level:
    """A rule that can oblige the provider to notify a customer."""

    id: str
    clause: str
    text: LocalizedText
    when: Condition
    #: whether a profile that the customer chose replaces it
    waivable: bool
    #: id of the deadline that it sets; None where the contract says "as soon as possible"
    deadline: str | None


@dataclass(frozen=True, slots=True)
class Deadline:
    """A time by which a notice is owed, counted from awareness."""

    id: str
    clause: str
    text: LocalizedText
    #: None exactly if the binding is ``NO_NUMBER``
    seconds: int | None
    #: version 1 of the schema cannot state it; its deadlines are soft
    binding: DeadlineBinding = DeadlineBinding.SOFT


@dataclass(frozen=True, slots=True)
class LegalClock:
    """A legal deadline of the customer. Exactly one of ``seconds`` and ``months`` is set."""

    id: str
    clause: str
    text: LocalizedText
    #: ``aware``, ``classified``, or the id of the clock whose report starts this one
    starts: str
    seconds: int | None
    #: calendar months
    months: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """One version of an agreement. Compared by identity, so that results computed from it can be cached."""

    id: str
    version: str
    dated_on: date
    title: LocalizedText
    #: clause number to its plain wording
    clauses: Mapping[str, LocalizedText]
    #: in the order in which they are tried
    definitions: tuple[Definition, ...]
    #: gravest first
    impacts: tuple[ScaleLevel, ...]
    criticalities: tuple[ScaleLevel, ...]
    #: most urgent first
    priorities: tuple[Priority, ...]
    matrix_clause: str
    #: (impact, criticality) to priority; complete
    matrix: Mapping[tuple[str, str], str]
    default_levels: tuple[Level, ...]
    #: information on incidents that are not security incidents
    plain_incident: Level
    deadlines: Mapping[str, Deadline]
    legal_clocks: tuple[LegalClock, ...]
    #: whether a notice must be released by another person than its last author
    four_eyes: bool = False
    #: the clause that requires it
    four_eyes_clause: str | None = None
    #: the clause of each role that has one; a sentence whose role is missing is shown without a clause
    references: Mapping[Reference, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def impact_ids(self) -> tuple[str, ...]:
        """Ids of the impact levels, gravest first."""
        return tuple(level.id for level in self.impacts)

    @property
    def criticality_ids(self) -> tuple[str, ...]:
        """Ids of the criticality levels, gravest first."""
        return tuple(level.id for level in self.criticalities)

    @property
    def priority_ids(self) -> tuple[str, ...]:
        """Ids of the priorities, most urgent first."""
        return tuple(priority.id for priority in self.priorities)

    def gti_seconds(self, priority_id: str) -> int:
        """Return the guaranteed time to intervention of a priority; raises KeyError for an unknown id."""
        for priority in self.priorities:
            if priority.id == priority_id:
                return priority.gti_seconds
        raise KeyError(priority_id)

    def reference(self, role: Reference) -> str | None:
        """Return the clause to cite for a role, or None if this agreement has none."""
        return self.references.get(role)

    def definition(self, nature: str) -> Definition:
        """Return the definition of a nature; raises KeyError for an unknown one."""
        for definition in self.definitions:
            if definition.nature == nature:
                return definition
        raise KeyError(nature)

    def limb(self, limb_id: str) -> Limb:
        """Return a limb or an exclusion by id; raises KeyError for an unknown id."""
        for definition in self.definitions:
            for limb in (*definition.limbs, *definition.exclusions):
                if limb.id == limb_id:
                    return limb
        raise KeyError(limb_id)

    def level(self, level_id: str) -> Level:
        """Return a default level or the rule for plain incidents by id; raises KeyError for an unknown id."""
        for level in (*self.default_levels, self.plain_incident):
            if level.id == level_id:
                return level
        raise KeyError(level_id)

    def clause_texts(self, clause: str) -> tuple[tuple[str, LocalizedText], ...]:
        """Return (number, wording) of each part of a clause such as ``7.1, 9.2``."""
        return tuple((number, self.clauses[number]) for number in clause.split(CLAUSE_SEPARATOR))
