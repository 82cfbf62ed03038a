"""The parts of an agreement, as frozen types."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from notifications.agreement.conditions import Condition
from notifications.incident import LocalizedText

#: Separator between the numbers of a compound clause such as ``7.1, 9.2``.
CLAUSE_SEPARATOR = ", "


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
    seconds: int


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
    #: whether a notice must be released by another person than its last author
    four_eyes: bool = False
    #: the clause that requires it
    four_eyes_clause: str | None = None

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
