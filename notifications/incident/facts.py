"""Declared facts of an incident: what the analyst states, and what is not established yet.

Every fact that may be unknown says so (``unknown``, or ``None`` for texts, counts and times). Unknown is not no
(agreement 3.2): a fact left out is unknown, and classification says what each answer would change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

#: Languages a notice can be written in; the agreement owes French and English (7.6.5, 9.1).
LANGUAGES = ("fr", "en", "de")

#: The value of a coded fact that is not established yet.
UNKNOWN = "unknown"


class Answer(StrEnum):
    """A fact in three values; ``unknown`` is never read as ``no``."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Property(StrEnum):
    """A security property that can be harmed (agreement 3.2), in the order pages show them."""

    AVAILABILITY = "availability"
    INTEGRITY = "integrity"
    CONFIDENTIALITY = "confidentiality"
    TRACEABILITY = "traceability"


class Intent(StrEnum):
    """Whether somebody meant the event (agreement 3.2 a and b)."""

    MALICIOUS = "malicious"
    ACCIDENTAL = "accidental"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """What brought the event about; explains the availability exclusion of 3.2, does not decide it: intent does."""

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
    """Whether personal data is breached; a suspicion owes a notice like a certainty does (DPA art. 7)."""

    NO = "no"
    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"
    UNKNOWN = "unknown"


class Controller(StrEnum):
    """Who is the controller of the breached personal data (GDPR art. 4(7)), seen from one customer."""

    CUSTOMER = "customer"
    PROVIDER = "provider"
    JOINT = "joint"
    UNKNOWN = "unknown"


class UnlistedCustomers(StrEnum):
    """What is known of customers that the facts do not list.

    ``not_affected``: established that their data is not harmed and their use is not touched beyond
    the incident's services, regions and zones. ``unknown``: not established yet.
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


@dataclass(frozen=True, slots=True)
class LocalizedText:
    """Free text in one or more of ``LANGUAGES``."""

    #: (language, text) pairs, sorted by language, at least one, no language twice
    texts: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> "LocalizedText":
        """Build from a mapping of language to text."""
        return cls(tuple(sorted(texts.items())))

    def as_mapping(self) -> dict[str, str]:
        """Return a fresh mapping of language to text."""
        return dict(self.texts)

    def in_language(self, language: str) -> tuple[str, str]:
        """Return (language, text): the wanted language, else French, else English, else the first there is.

        The language that was found is returned too, so that a rendering can mark foreign text as such.
        """
        mapping = dict(self.texts)
        for candidate in (language, "fr", "en"):
            if candidate in mapping:
                return candidate, mapping[candidate]
        return self.texts[0]


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


#: No property is harmed, established.
NO_HARM = Harm(Answer.NO, Answer.NO, Answer.NO, Answer.NO)


@dataclass(frozen=True, slots=True)
class PersonalData:
    """What DPA art. 8 wants said of a personal-data breach; ``None`` is "not known yet"."""

    breach: PersonalDataBreach = PersonalDataBreach.UNKNOWN
    controller: Controller = Controller.UNKNOWN
    categories_of_data_subjects: tuple[str, ...] | None = None
    data_subjects_approx: int | None = None
    categories_of_records: tuple[str, ...] | None = None
    records_approx: int | None = None
    likely_consequences: LocalizedText | None = None


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
    """The incident as it touches one customer."""

    customer_id: UUID
    #: whether the customer's use of the service is touched
    affected: Answer = Answer.YES
    #: harm to the data this customer entrusted to the service
    data_harm: Harm = field(default_factory=Harm)
    personal_data: PersonalData = field(default_factory=PersonalData)
    resources: tuple[Resource, ...] = ()
    #: the effect on this customer, in words for this customer only
    effect: LocalizedText | None = None


@dataclass(frozen=True, slots=True)
class IncidentFacts:
    """One version of what is known of an incident. Times are aware UTC."""

    title: LocalizedText
    #: what happened, in words that every notified customer may read
    summary: LocalizedText
    #: when the provider became aware: every legal clock starts here
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
    #: a level of the agreement, such as ``I1``, or ``unknown``
    impact: str = UNKNOWN
    #: a level of the agreement, such as ``C2``, or ``unknown``
    criticality: str = UNKNOWN
    #: RSIT class and type in machine form, such as ``availability`` and ``ddos``; None while not chosen
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
    #: what is not known yet, in the analyst's words; open facts are listed without being asked
    not_known_yet: LocalizedText | None = None
    next_update_by: datetime | None = None

    def for_customer(self, customer_id: UUID) -> AffectedCustomer | None:
        """Return what is stated for one customer, or None where the facts do not list it."""
        return next((stated for stated in self.affected_customers if stated.customer_id == customer_id), None)


class IncidentState(StrEnum):
    """Lifecycle: an open incident takes changes, a closed one takes none."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as it stands: identity, ticket, state and the facts in force."""

    id: UUID
    #: unique ticket number (7.6.2), such as ``INC-2026-000042``
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
