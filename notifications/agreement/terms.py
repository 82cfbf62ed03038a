"""The parts of an agreement, as frozen types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType

from notifications.agreement.commitments import DeadlineBinding, NoticeKind, Retention, ServiceLevel, SupportHours
from notifications.agreement.conditions import Condition
from notifications.incident import LocalizedText

#: The products that a part of an agreement holds for, by id; None: for every product.
Products = frozenset[str] | None

#: Separator between the numbers of a compound clause.
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
    products: Products = None


@dataclass(frozen=True, slots=True)
class ScaleLevel:
    """A level of impact or of criticality."""

    id: str
    clause: str
    text: LocalizedText
    products: Products = None


@dataclass(frozen=True, slots=True)
class Priority:
    """A priority and the support commitments for it."""

    id: str
    clause: str
    text: LocalizedText
    #: guaranteed time to first intervention, in seconds from the opening of the ticket; None: no time is guaranteed
    gti_seconds: int | None
    #: share of the month's tickets for which the guarantee must be met; None exactly if no time is guaranteed
    target_percent: int | None
    products: Products = None


@dataclass(frozen=True, slots=True)
class Level:
    """A rule that can oblige the provider to notify a customer."""

    id: str
    clause: str
    text: LocalizedText
    when: Condition
    #: whether a profile that the customer chose replaces it
    waivable: bool
    #: id of the deadline that counts: the shortest of ``deadlines``, and of equal ones the strictest; None where the
    #: contract says "as soon as possible", and in an agreement whose DPA is not joined yet
    deadline: str | None
    #: ids of all deadlines that it sets, in the agreement or in the DPA
    deadlines: tuple[str, ...] = ()
    products: Products = None


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
    #: it holds for a breach that is certain, and not for a suspicion
    certain_only: bool = False


@dataclass(frozen=True, slots=True)
class Product:
    """A service that customers order under an agreement."""

    #: as in ``products`` of the parts that hold for it only
    id: str
    title: LocalizedText


@dataclass(frozen=True, slots=True)
class Validity:
    """The days on which a text holds, both included."""

    from_on: date
    #: None: no end is stated
    until_on: date | None


@dataclass(frozen=True, slots=True)
class ContractDocument:
    """A document that binds the customer. The earlier one in the list prevails."""

    id: str
    title: LocalizedText
    #: where this place in the list comes from
    source: LocalizedText


@dataclass(frozen=True, slots=True)
class DpaPeriod:
    """The DPA that holds for customers without a DPA of their own, on the days of ``validity``."""

    dpa_id: str
    validity: Validity


@dataclass(frozen=True, slots=True)
class Doubt:
    """A place where the text can be read in two ways, and how it is read here."""

    id: str
    clause: str
    text: LocalizedText


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a notice must say."""

    id: str
    text: LocalizedText


@dataclass(frozen=True, slots=True)
class OtherTime:
    """A time of the DPA other than that of a notice. Exactly one of ``hours``, ``days`` and ``months`` is set."""

    id: str
    clause: str
    text: LocalizedText
    hours: int | None
    days: int | None
    months: int | None
    #: ``calendar`` or ``working``
    calendar: str


@dataclass(frozen=True, slots=True, eq=False)
class Dpa:
    """One version of the data-protection annex (DPA). It has dates of its own."""

    id: str
    #: the document of which this is a version; of one document, one version is in force at a time
    series: str
    version: str
    dated_on: date
    title: LocalizedText
    authoritative_language: str
    validity: Validity
    #: clause number to its plain wording
    clauses: Mapping[str, LocalizedText]
    deadlines: Mapping[str, Deadline]
    #: rules of the DPA that oblige to notify, beside those of the agreement
    levels: tuple[Level, ...]
    #: what the notice of a personal-data breach must say
    breach_items: tuple[Item, ...]
    other_times: tuple[OtherTime, ...]
    references: Mapping[Reference, str]
    #: the kinds of notice that it owes beside that of incidents; one that the agreement has too is joined with it
    notices: tuple[NoticeKind, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """One version of an agreement. Compared by identity, so that results computed from it can be cached.

    ``parse_agreement`` returns the file's own parts. ``bound_terms`` joins the DPA and keeps what holds for the
    products that a customer ordered: that is what binds the customer.
    """

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
    #: None if there is no matrix
    matrix_clause: str | None
    #: (impact, criticality) to priority; complete, or empty if no matrix holds for the products ordered
    matrix: Mapping[tuple[str, str], str]
    default_levels: tuple[Level, ...]
    #: information on incidents that are not security incidents
    plain_incident: Level
    deadlines: Mapping[str, Deadline]
    #: whether a notice must be released by another person than its last author
    four_eyes: bool = False
    #: the clause that requires it
    four_eyes_clause: str | None = None
    #: the clause of each role that has one; a sentence whose role is missing is shown without a clause
    references: Mapping[Reference, str] = field(default_factory=lambda: MappingProxyType({}))
    #: the language whose text prevails over translations; None if the file does not say
    authoritative_language: str | None = None
    validity: Validity | None = None
    #: what customers can order; empty: the agreement knows no products, and everything holds for everybody
    products: tuple[Product, ...] = ()
    matrix_products: Products = None
    #: the clauses that hold for some products only
    clause_products: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    #: the contract documents, in order of precedence
    documents: tuple[ContractDocument, ...] = ()
    #: the DPA by default, by day; empty: the agreement contains its DPA
    dpa_periods: tuple[DpaPeriod, ...] = ()
    support_hours: SupportHours | None = None
    retention: tuple[Retention, ...] = ()
    service_levels: tuple[ServiceLevel, ...] = ()
    #: the other kinds of notice that the agreement owes, or, in bound terms, that it and the DPA owe
    notices: tuple[NoticeKind, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    #: the DPA joined to it; None if none is
    dpa: Dpa | None = None
    #: the file's own parts; None in an agreement that is these parts
    own: "Agreement | None" = None

    @property
    def product_ids(self) -> tuple[str, ...]:
        """Ids of the products that can be ordered, or, in bound terms, of those ordered."""
        return tuple(product.id for product in self.products)

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

    def gti_seconds(self, priority_id: str) -> int | None:
        """Return the guaranteed time to intervention of a priority, None if it has none; raises KeyError."""
        for priority in self.priorities:
            if priority.id == priority_id:
                return priority.gti_seconds
        raise KeyError(priority_id)

    def reference(self, role: Reference) -> str | None:
        """Return the clause to cite for a role, or None if this agreement has none."""
        return self.references.get(role)

    @property
    def erasure_notice(self) -> NoticeKind | None:
        """The notice that precedes the erasure of a customer's data; None if the agreement has none."""
        return next((kind for kind in self.notices if kind.erased_within_days is not None), None)

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
        """Return (number, wording) of each number of a compound clause."""
        return tuple((number, self.clauses[number]) for number in clause.split(CLAUSE_SEPARATOR))
