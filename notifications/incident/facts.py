"""Declared facts of an incident: what the analyst states, and what is not established yet.

A fact that is not established has the value ``unknown``, or ``None`` for texts, counts and times. Unknown does not
mean no. A fact that is left out is unknown; classification lists what each answer would change.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from notifications.incident.announcement import Announcement
from notifications.incident.localized_text import LocalizedText

#: Languages a notice can be written in; the agreement owes French and English.
LANGUAGES = ("fr", "en", "de")

#: The value of a coded fact that is not established yet.
UNKNOWN = "unknown"


class Answer(StrEnum):
    """The answer to a yes-or-no fact; ``unknown`` is never read as ``no``."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Property(StrEnum):
    """A security property that can be harmed, in the order pages show them."""

    AVAILABILITY = "availability"
    INTEGRITY = "integrity"
    CONFIDENTIALITY = "confidentiality"
    TRACEABILITY = "traceability"


class Intent(StrEnum):
    """Whether somebody caused the event on purpose."""

    MALICIOUS = "malicious"
    ACCIDENTAL = "accidental"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """What caused the event. It explains the exclusion of availability; the intent decides that exclusion."""

    HARDWARE_FAILURE = "hardware_failure"
    BUG = "bug"
    MALFUNCTION = "malfunction"
    NATURAL_DISASTER = "natural_disaster"
    HUMAN_ERROR = "human_error"
    ATTACK = "attack"
    UNKNOWN = "unknown"


class Tlp(StrEnum):
    """Traffic Light Protocol 2.0 labels (FIRST); never translated."""

    RED = "TLP:RED"
    AMBER_STRICT = "TLP:AMBER+STRICT"
    AMBER = "TLP:AMBER"
    GREEN = "TLP:GREEN"
    CLEAR = "TLP:CLEAR"


class PersonalDataBreach(StrEnum):
    """Whether personal data is breached; a suspected breach must be notified like a certain one.

    The duty to notify is wider than a breach: it covers a data-protection rule that is broken without one.
    """

    NO = "no"
    #: no breach, but a data-protection rule is suspected to be broken
    RULE_SUSPECTED = "rule_suspected"
    #: no breach, but a data-protection rule is broken
    RULE_BROKEN = "rule_broken"
    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"
    UNKNOWN = "unknown"

    @property
    def of_data(self) -> Answer:
        """Whether data is breached: yes also for a suspicion, no where only a rule is broken."""
        if self is PersonalDataBreach.UNKNOWN:
            return Answer.UNKNOWN
        breached = self in {PersonalDataBreach.SUSPECTED, PersonalDataBreach.CONFIRMED}
        return Answer.YES if breached else Answer.NO


class Controller(StrEnum):
    """Who is the controller of the breached personal data (GDPR art. 4(7)), from the point of view of one customer."""

    CUSTOMER = "customer"
    PROVIDER = "provider"
    JOINT = "joint"
    UNKNOWN = "unknown"


class UnlistedCustomers(StrEnum):
    """What is known about the customers that the facts do not list.

    ``not_affected``: it is established that their data is not harmed, and that their use of the service is affected
    only in the incident's services, regions and zones. ``unknown``: not established yet.
    """

    NOT_AFFECTED = "not_affected"
    UNKNOWN = "unknown"


class ResourceKind(StrEnum):
    """Kinds of cloud resources a notice can name."""

    TENANT = "tenant"
    MACHINE = "machine"
    VOLUME = "volume"
    OBJECT = "object"
    NETWORK = "network"
    ACCOUNT = "account"


#: A category of people or of records: a text by language. A plain string is the form of earlier facts. Readers of every
#: language get it as it is.
Category = LocalizedText | str


def is_restated(then: Sequence[str | Mapping[str, str]], now: Sequence[str | Mapping[str, str]]) -> bool:
    """Return whether a list of names or texts still has each item of an earlier one; both in the form of JSON.

    A text by language is the same one while it has a text in common. So a translation that is added changes nothing.
    """
    return all(any(_is_same(old, new) for new in now) for old in then)


def _is_same(old: str | Mapping[str, str], new: str | Mapping[str, str]) -> bool:
    if isinstance(old, str):
        return old == new if isinstance(new, str) else old in new.values()
    if isinstance(new, str):
        return new in old.values()
    return any(new.get(language) == text for language, text in old.items())


@dataclass(frozen=True, slots=True)
class Harm:
    """Which security properties are harmed."""

    availability: Answer = Answer.UNKNOWN
    integrity: Answer = Answer.UNKNOWN
    confidentiality: Answer = Answer.UNKNOWN
    traceability: Answer = Answer.UNKNOWN

    def of(self, harmed: Property) -> Answer:
        """Return the answer for one property."""
        return Answer(getattr(self, harmed.value))


#: It is established that no property is harmed.
NO_HARM = Harm(Answer.NO, Answer.NO, Answer.NO, Answer.NO)


@dataclass(frozen=True, slots=True)
class PersonalData:
    """The items that the DPA requires about a personal-data breach; ``None`` means "not known yet"."""

    breach: PersonalDataBreach = PersonalDataBreach.UNKNOWN
    controller: Controller = Controller.UNKNOWN
    categories_of_data_subjects: tuple[Category, ...] | None = None
    data_subjects_approx: int | None = None
    categories_of_records: tuple[Category, ...] | None = None
    records_approx: int | None = None
    likely_consequences: LocalizedText | None = None
    #: whether health data is concerned
    health_data: Answer = Answer.UNKNOWN


@dataclass(frozen=True, slots=True)
class Resource:
    """One affected resource of one customer."""

    kind: ResourceKind
    #: the provider's identifier, as the customer sees it in its console
    id: str
    name: str | None = None
    region: str | None = None
    availability_zone: str | None = None


@dataclass(frozen=True, slots=True)
class AffectedCustomer:
    """How the incident affects one customer."""

    customer_id: UUID
    #: whether the customer's use of the service is affected
    affected: Answer = Answer.YES
    #: harm to the data this customer entrusted to the service
    data_harm: Harm = field(default_factory=Harm)
    personal_data: PersonalData = field(default_factory=PersonalData)
    resources: tuple[Resource, ...] = ()
    #: the effect on this customer, in words for this customer only
    effect: LocalizedText | None = None


class _CustomerIndex:
    """Has the statements of facts by customer, made with the first look-up: no field, so it is never stored."""

    __slots__ = ("_by_customer",)
    _by_customer: dict[UUID, AffectedCustomer]


@dataclass(frozen=True, slots=True)
class IncidentFacts(_CustomerIndex):
    """One version of the facts of an incident. Times are aware UTC."""

    title: LocalizedText
    #: what happened, in words that every notified customer may read
    summary: LocalizedText
    #: when the provider became aware; every legal deadline is counted from it
    aware_at: datetime
    detected_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    inside_perimeter: Answer = Answer.UNKNOWN
    intent: Intent = Intent.UNKNOWN
    cause: Cause = Cause.UNKNOWN
    service_harm: Harm = field(default_factory=Harm)
    security_measures_harmed: Answer = Answer.UNKNOWN
    normal_operation_disrupted: Answer = Answer.UNKNOWN
    #: a service level of the agreement is not met
    service_level_breached: Answer = Answer.UNKNOWN
    #: a customer has suffered damage, to its data or otherwise
    damage_to_customer: Answer = Answer.UNKNOWN
    #: the event may still cause a breach of service levels, a disturbance or interruption, or damage to a customer
    may_cause: Answer = Answer.UNKNOWN
    #: a level of the agreement, such as ``I1``, or ``unknown``
    impact: str = UNKNOWN
    #: a level of the agreement, such as ``C2``, or ``unknown``
    criticality: str = UNKNOWN
    #: RSIT class and type, as identifiers such as ``availability`` and ``ddos``; None while not chosen
    rsit_class: str | None = None
    rsit_type: str | None = None
    tlp: Tlp = Tlp.AMBER_STRICT
    #: what the event affects; empty means that no narrower scope is established
    services: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    availability_zones: tuple[str, ...] = ()
    affected_customers: tuple[AffectedCustomer, ...] = ()
    unlisted_customers: UnlistedCustomers = UnlistedCustomers.UNKNOWN
    measures_taken: LocalizedText | None = None
    recommendations: LocalizedText | None = None
    #: what is not known yet, in the analyst's words; a notice lists the open facts in addition
    not_known_yet: LocalizedText | None = None
    next_update_by: datetime | None = None
    #: what is announced, if this is no incident but another notice of the agreement
    announcement: Announcement | None = None

    def for_customer(self, customer_id: UUID) -> AffectedCustomer | None:
        """Return what the facts state about one customer, or None if they do not list it."""
        try:
            by_customer = self._by_customer
        except AttributeError:
            by_customer = {stated.customer_id: stated for stated in self.affected_customers}
            object.__setattr__(self, "_by_customer", by_customer)
        return by_customer.get(customer_id)

    def with_customers(self, stated: Sequence[AffectedCustomer], unlisted: Collection[UUID] = ()) -> "IncidentFacts":
        """Return the facts with these statements about customers; each replaces an earlier one about the same customer.

        ``unlisted``: the customers of which nothing is stated any more. The order of the others stays.
        """
        by_customer = {each.customer_id: each for each in self.affected_customers}
        by_customer |= {each.customer_id: each for each in stated}
        kept = tuple(each for each in by_customer.values() if each.customer_id not in unlisted)
        return replace(self, affected_customers=kept)


class IncidentState(StrEnum):
    """Lifecycle: an open incident can be changed, a closed one cannot."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Incident:
    """The current version of an incident: identity, ticket, state and the facts in force."""

    id: UUID
    #: unique ticket number, such as ``INC-2026-000042``, or ``INC-2026-493817205`` if random; ``EX-…`` for an
    #: exercise
    ticket: str
    state: IncidentState
    #: version of the facts in force, from 1; also the entity tag of the incident
    version: int
    facts: IncidentFacts
    opened_at: datetime
    updated_at: datetime
    #: who declared it, as recorded in the audit log
    opened_by: str
    closed_at: datetime | None = None
    #: declared as an exercise; it never changes. No customer without consent learns of it, and no statistic counts it
    exercise: bool = False
