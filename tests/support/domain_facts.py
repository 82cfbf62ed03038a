"""Facts for tests: builders, Hypothesis strategies, and all completions of open facts."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import strategies as st

from notifications.agreement import bundled_agreements
from notifications.customer.records import Customer, LevelChoice, ProfileVersion
from notifications.incident import (
    NO_HARM,
    AffectedCustomer,
    Answer,
    Cause,
    Controller,
    Harm,
    IncidentFacts,
    Intent,
    LocalizedText,
    PersonalData,
    PersonalDataBreach,
    Property,
    UnlistedCustomers,
)

AGREEMENT = bundled_agreements()["secnumcloud_iaas_3_0"]
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
AWARE_AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ALICE, BOB, CAROL = (UUID(int=number) for number in (1, 2, 3))
YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
NOBODY_ELSE = UnlistedCustomers.NOT_AFFECTED


def text(words="x"):
    return LocalizedText.of({"fr": words})


def open_facts(**stated):
    """Return facts that are all open except the given ones."""
    return IncidentFacts(**{"title": text(), "summary": text(), "aware_at": AWARE_AT} | stated)


def known_facts(**stated):
    """Return facts that are all established: an accident inside the perimeter without harm and without disruption."""
    settled = {
        "inside_perimeter": YES,
        "intent": Intent.ACCIDENTAL,
        "cause": Cause.BUG,
        "service_harm": NO_HARM,
        "security_measures_harmed": NO,
        "normal_operation_disrupted": NO,
        "service_level_breached": NO,
        "damage_to_customer": NO,
        "may_cause": NO,
        "impact": "I3",
        "criticality": "C3",
        "unlisted_customers": NOBODY_ELSE,
    }
    return open_facts(**settled | stated)


def harmed(*names, rest=NO):
    return Harm(**{each.value: YES if each.value in names else rest for each in Property})


def listed(customer_id=ALICE, affected=YES, data_harm=NO_HARM, breach=PersonalDataBreach.NO, controller=None):
    who = controller or Controller.UNKNOWN
    return AffectedCustomer(customer_id, affected, data_harm, PersonalData(breach=breach, controller=who))


def customer(customer_id=ALICE, services=(), regions=(), availability_zones=()):
    return Customer(
        customer_id, "Client", "fr", "Europe/Paris", services, regions, availability_zones, created_at=AWARE_AT
    )


def profile(*choices, defaults=False):
    return ProfileVersion(
        id=UUID(int=99),
        customer_id=ALICE,
        version=7,
        choices=None if defaults else choices,
        effective_at=AWARE_AT,
        recorded_at=AWARE_AT,
        recorded_by="test",
    )


answers = st.sampled_from(Answer)
harms = st.builds(Harm, answers, answers, answers, answers)
affected_customers = st.builds(
    AffectedCustomer,
    customer_id=st.just(ALICE),
    affected=answers,
    data_harm=harms,
    personal_data=st.builds(
        PersonalData, breach=st.sampled_from(PersonalDataBreach), controller=st.sampled_from(Controller)
    ),
)
scopes = st.sampled_from([(), ("north",), ("south",), ("north", "south")])
incident_facts = st.builds(
    IncidentFacts,
    title=st.just(text()),
    summary=st.just(text()),
    aware_at=st.just(AWARE_AT),
    inside_perimeter=answers,
    intent=st.sampled_from(Intent),
    cause=st.sampled_from(Cause),
    service_harm=harms,
    security_measures_harmed=answers,
    normal_operation_disrupted=answers,
    impact=st.sampled_from(["I1", "I2", "I3", "unknown"]),
    criticality=st.sampled_from(["C1", "C2", "C3", "unknown"]),
    regions=scopes,
    services=scopes,
    affected_customers=st.lists(affected_customers, max_size=3).map(
        lambda rows: tuple(replace(row, customer_id=UUID(int=number)) for number, row in enumerate(rows, start=1))
    ),
    unlisted_customers=st.sampled_from(UnlistedCustomers),
)
level_choices = st.builds(
    LevelChoice,
    impacts=st.sampled_from([(), ("I1",), ("I1", "I2")]),
    criticalities=st.sampled_from([(), ("C1",), ("C3",)]),
    priorities=st.sampled_from([(), ("P1", "P2"), ("P5",)]),
    data_harm=st.sampled_from([(), (Property.CONFIDENTIALITY,), (Property.AVAILABILITY, Property.TRACEABILITY)]),
)
profiles = st.one_of(st.none(), st.lists(level_choices, max_size=2).map(lambda choices: profile(*choices)))
customers = st.builds(
    customer, st.sampled_from([UUID(int=number) for number in range(1, 6)]), services=scopes, regions=scopes
)


def open_places(facts):
    """Return (path, possible values) of every open fact except the cause, which decides nothing."""
    places = []

    def look(path, value, possible):
        if value == "unknown":
            places.append((path, possible))

    yes_no = (YES, NO)
    look(("inside_perimeter",), facts.inside_perimeter, yes_no)
    look(("intent",), facts.intent, (Intent.MALICIOUS, Intent.ACCIDENTAL))
    look(("security_measures_harmed",), facts.security_measures_harmed, yes_no)
    look(("normal_operation_disrupted",), facts.normal_operation_disrupted, yes_no)
    look(("impact",), facts.impact, ("I1", "I2", "I3"))
    look(("criticality",), facts.criticality, ("C1", "C2", "C3"))
    for each in Property:
        look(("service_harm", each.value), facts.service_harm.of(each), yes_no)
    for index, stated in enumerate(facts.affected_customers):
        look((index, "affected"), stated.affected, yes_no)
        for each in Property:
            look((index, "data_harm", each.value), stated.data_harm.of(each), yes_no)
        look(
            (index, "personal_data", "breach"),
            stated.personal_data.breach,
            tuple(breach for breach in PersonalDataBreach if breach is not PersonalDataBreach.UNKNOWN),
        )
        look(
            (index, "personal_data", "controller"),
            stated.personal_data.controller,
            (Controller.CUSTOMER, Controller.PROVIDER, Controller.JOINT),
        )
    return places


def answered(facts, path, value):
    """Return the facts with one open fact established."""
    if isinstance(path[0], int):
        rows = list(facts.affected_customers)
        rows[path[0]] = answered(rows[path[0]], path[1:], value)
        return replace(facts, affected_customers=tuple(rows))
    if len(path) == 1:
        return replace(facts, **{path[0]: value})
    return replace(facts, **{path[0]: answered(getattr(facts, path[0]), path[1:], value)})


def completions(facts) -> list[IncidentFacts]:
    """Return the facts with all combinations of answers to the open ones, in the order of their product."""
    complete = [facts]
    for path, possible in open_places(facts):
        complete = [answered(each, path, value) for each in complete for value in possible]
    return complete
