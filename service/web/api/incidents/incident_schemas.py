"""Schemas of incidents and their facts, for requests and answers."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from notifications.decision import Verdict
from notifications.errors import Fault, InvalidInputError
from notifications.incident import (
    AffectedCustomer,
    Answer,
    Category,
    Cause,
    Controller,
    Harm,
    Incident,
    IncidentFacts,
    Intent,
    LocalizedText,
    PersonalData,
    PersonalDataBreach,
    Resource,
    ResourceKind,
    Tlp,
    UnlistedCustomers,
)
from notifications.use_cases.audit_context import as_json
from notifications.use_cases.incidents.record_incident import IncidentResult
from service.ports.board import LISTED_CUSTOMERS_MAX
from service.web.api.fields import (
    Code,
    CountedMoment,
    Language,
    Line,
    LineText,
    Moment,
    Out,
    ProseText,
    Schema,
    localized,
)
from service.web.api.incidents.assessment_schemas import ClassificationOut

Count = Annotated[int, Field(ge=0, le=10_000_000_000)]


class HarmIn(Schema):
    """The harmed security properties. A property that is left out is unknown."""

    availability: Answer = Answer.UNKNOWN
    integrity: Answer = Answer.UNKNOWN
    confidentiality: Answer = Answer.UNKNOWN
    traceability: Answer = Answer.UNKNOWN

    def to_domain(self) -> Harm:
        """Return the domain record."""
        return Harm(self.availability, self.integrity, self.confidentiality, self.traceability)


_CATEGORIES = (
    "Each category by language (`fr`, `en`, `de`). A plain string is deprecated: readers of every language get it as"
    " it is."
)


class PersonalDataIn(Schema):
    """Personal data of one customer; null is "not known yet"."""

    breach: PersonalDataBreach = Field(
        default=PersonalDataBreach.UNKNOWN,
        description=(
            "A suspicion owes a notice like a certainty does. `rule_suspected` and `rule_broken`: no breach, but a"
            " data-protection rule is, or may be, broken."
        ),
    )
    controller: Controller = Controller.UNKNOWN
    categories_of_data_subjects: tuple[LineText, ...] | None = Field(default=None, description=_CATEGORIES)
    data_subjects_approx: Count | None = None
    categories_of_records: tuple[LineText, ...] | None = Field(default=None, description=_CATEGORIES)
    records_approx: Count | None = None
    likely_consequences: ProseText | None = None
    health_data: Answer = Field(default=Answer.UNKNOWN, description="Whether health data is concerned.")


class ResourceIn(Schema):
    """One affected resource of the customer."""

    kind: ResourceKind
    id: Line
    name: Line | None = None
    region: Code | None = None
    availability_zone: Code | None = None


class AffectedCustomerIn(Schema):
    """The effect of the incident on one customer."""

    customer_id: UUID
    affected: Answer = Field(Answer.YES, description="Whether the customer's use of the service is touched.")
    data_harm: HarmIn = Field(HarmIn(), description="Harm to the data this customer entrusted to the service.")
    personal_data: PersonalDataIn = PersonalDataIn()
    resources: tuple[ResourceIn, ...] = ()
    effect: ProseText | None = Field(None, description="The effect on this customer; only this customer reads it.")


FACTS_EXAMPLE: dict[str, Any] = {
    "title": {"fr": "Fuite mémoire de l'équilibreur de charge", "en": "Memory disclosure by the load balancer"},
    "summary": {
        "fr": "Un défaut du répartiteur a renvoyé des fragments de mémoire à des tiers.",
        "en": "A defect of the load balancer returned fragments of memory to third parties.",
    },
    "aware_at": "2026-11-23T02:40:00+01:00",
    "detected_at": "2026-11-23T02:31:00+01:00",
    "inside_perimeter": "yes",
    "intent": "accidental",
    "cause": "bug",
    "service_harm": {"availability": "no", "integrity": "no", "confidentiality": "yes", "traceability": "no"},
    "security_measures_harmed": "no",
    "normal_operation_disrupted": "no",
    "impact": "I2",
    "criticality": "C2",
    "rsit_class": "information-content-security",
    "tlp": "TLP:AMBER+STRICT",
    "services": ["load-balancer"],
    "regions": ["eu-west"],
    "unlisted_customers": "unknown",
}


class FactsIn(Schema):
    """The facts of an incident. A fact that is left out is unknown, and unknown is not no."""

    model_config = Schema.model_config | {"json_schema_extra": {"examples": [FACTS_EXAMPLE]}}

    title: LineText = Field(description="One line, as text or by language (`fr`, `en`, `de`).")
    summary: ProseText = Field(description="What happened, in words every notified customer may read.")
    aware_at: CountedMoment = Field(description="When the provider became aware: every legal clock starts here.")
    detected_at: CountedMoment | None = None
    started_at: CountedMoment | None = None
    ended_at: CountedMoment | None = None
    inside_perimeter: Answer = Field(Answer.UNKNOWN, description="Inside the service's perimeter.")
    intent: Intent = Intent.UNKNOWN
    cause: Cause = Cause.UNKNOWN
    service_harm: HarmIn = HarmIn()
    security_measures_harmed: Answer = Answer.UNKNOWN
    normal_operation_disrupted: Answer = Answer.UNKNOWN
    service_level_breached: Answer = Field(Answer.UNKNOWN, description="A service level of an agreement is not met.")
    damage_to_customer: Answer = Field(Answer.UNKNOWN, description="A customer suffered damage.")
    may_cause: Answer = Field(
        Answer.UNKNOWN,
        description=(
            "The event may still cause a breach of service levels, a disturbance or interruption, or damage to a"
            " customer."
        ),
    )
    impact: Code = Field("unknown", description="A level of the agreement, such as `I1`, or `unknown`.")
    criticality: Code = Field("unknown", description="A level of the agreement, such as `C1`, or `unknown`.")
    rsit_class: Code | None = Field(None, description="Class of the Reference Security Incident Taxonomy.")
    rsit_type: Code | None = Field(None, description="Type within the class.")
    tlp: Tlp = Tlp.AMBER_STRICT
    services: tuple[Code, ...] = ()
    regions: tuple[Code, ...] = ()
    availability_zones: tuple[Code, ...] = ()
    affected_customers: tuple[AffectedCustomerIn, ...] = ()
    unlisted_customers: UnlistedCustomers = Field(
        UnlistedCustomers.UNKNOWN,
        description="What is known of customers not listed: `not_affected` (their data is not harmed) or `unknown`.",
    )
    measures_taken: ProseText | None = None
    recommendations: ProseText | None = None
    not_known_yet: ProseText | None = None
    next_update_by: CountedMoment | None = None

    def to_domain(self, default_language: str) -> IncidentFacts:
        """Return the domain record; raises InvalidInputError if a text has no language."""

        def required(name: str, text: Any) -> LocalizedText:
            value = localized(text, default_language)
            if value is None:
                raise InvalidInputError(Fault(name, "give the text in at least one language"))
            return value

        def text(value: Any) -> LocalizedText | None:
            return localized(value, default_language)

        return IncidentFacts(
            title=required("title", self.title),
            summary=required("summary", self.summary),
            aware_at=self.aware_at,
            detected_at=self.detected_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            inside_perimeter=self.inside_perimeter,
            intent=self.intent,
            cause=self.cause,
            service_harm=self.service_harm.to_domain(),
            security_measures_harmed=self.security_measures_harmed,
            normal_operation_disrupted=self.normal_operation_disrupted,
            service_level_breached=self.service_level_breached,
            damage_to_customer=self.damage_to_customer,
            may_cause=self.may_cause,
            impact=self.impact,
            criticality=self.criticality,
            rsit_class=self.rsit_class,
            rsit_type=self.rsit_type,
            tlp=self.tlp,
            services=self.services,
            regions=self.regions,
            availability_zones=self.availability_zones,
            affected_customers=tuple(_affected(stated, default_language) for stated in self.affected_customers),
            unlisted_customers=self.unlisted_customers,
            measures_taken=text(self.measures_taken),
            recommendations=text(self.recommendations),
            not_known_yet=text(self.not_known_yet),
            next_update_by=self.next_update_by,
        )


class DeclarationIn(FactsIn):
    """The facts of an incident as it is declared, and whether it is an exercise."""

    exercise: bool = Field(
        default=False,
        description="An exercise runs the whole way, marked in every word, and reaches only contacts that agreed to"
        " exercises. It is in no statistic. This cannot be changed later.",
    )


def _affected(stated: AffectedCustomerIn, default_language: str) -> AffectedCustomer:
    data = stated.personal_data
    return AffectedCustomer(
        customer_id=stated.customer_id,
        affected=stated.affected,
        data_harm=stated.data_harm.to_domain(),
        personal_data=PersonalData(
            breach=data.breach,
            controller=data.controller,
            categories_of_data_subjects=_categories(data.categories_of_data_subjects),
            data_subjects_approx=data.data_subjects_approx,
            categories_of_records=_categories(data.categories_of_records),
            records_approx=data.records_approx,
            likely_consequences=localized(data.likely_consequences, default_language),
            health_data=data.health_data,
        ),
        resources=tuple(
            Resource(item.kind, item.id, item.name, item.region, item.availability_zone) for item in stated.resources
        ),
        effect=localized(stated.effect, default_language),
    )


def _categories(stated: tuple[str | dict[Language, str], ...] | None) -> tuple[Category, ...] | None:
    if stated is None:
        return None
    return tuple(item if isinstance(item, str) else LocalizedText.of(dict[str, str](item.items())) for item in stated)


affected_to_domain = _affected


def facts_json(facts: IncidentFacts) -> dict[str, Any]:
    """Return facts as JSON in the form of ``FactsIn``."""
    shape = as_json(facts)
    if not isinstance(shape, dict):
        raise TypeError("facts are an object")
    return {name: value for name, value in shape.items() if name != "announcement"}


class Tally(Out):
    """The number of customers with each verdict, and of drafted notices."""

    notify: int
    do_not_notify: int
    pending: int
    drafts_added: int
    drafts_withdrawn: int


class IncidentOut(Out):
    """An incident in its present state."""

    id: UUID
    ticket: str
    exercise: bool = Field(description="Declared as an exercise; this never changes.")
    state: str
    version: int = Field(description="Version of the facts in force; also the ETag.")
    opened_at: Moment
    updated_at: Moment
    closed_at: Moment | None
    opened_by: str
    affected_customers_total: int = Field(
        description="Customers that the facts name. `GET …/{incident_id}/affected-customers` lists them in pages."
    )
    facts: dict[str, Any] = Field(
        description=f"As `FactsIn`. A list of incidents names at most {LISTED_CUSTOMERS_MAX} customers of each."
    )
    classification: ClassificationOut
    tally: Tally | None = Field(None, description="After a change: what it came to for the customers.")


def incident_out(incident: Incident, classification: ClassificationOut, tally: Tally | None = None) -> IncidentOut:
    """Return the schema of an incident."""
    return IncidentOut.model_construct(
        id=incident.id,
        ticket=incident.ticket,
        exercise=incident.exercise,
        state=incident.state.value,
        version=incident.version,
        opened_at=incident.opened_at,
        updated_at=incident.updated_at,
        closed_at=incident.closed_at,
        opened_by=incident.opened_by,
        affected_customers_total=len(incident.facts.affected_customers),
        facts=facts_json(incident.facts),
        classification=classification,
        tally=tally,
    )


def tally_of(result: IncidentResult) -> Tally:
    """Return the tally of a change."""
    counts = result.consequences.tally
    return Tally(
        notify=counts[Verdict.NOTIFY],
        do_not_notify=counts[Verdict.DO_NOT_NOTIFY],
        pending=counts[Verdict.PENDING],
        drafts_added=result.consequences.drafted,
        drafts_withdrawn=result.consequences.withdrawn,
    )
