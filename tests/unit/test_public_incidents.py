"""Real incidents: what the program makes of them is what the agreement gives, worked out by hand in the data files."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from notifications.agreement import bundled_agreements
from notifications.classification import classify
from notifications.customer.records import Customer
from notifications.decision import decide
from notifications.incident import (
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
    Resource,
    ResourceKind,
    Tlp,
    UnlistedCustomers,
    validate_facts,
)
from service.cli.demo.public_incidents import load_public_incidents

AGREEMENT, SECOND = (bundled_agreements()[name] for name in ("secnumcloud_iaas_3_0", "secnumcloud_2026"))
NOW = datetime(2026, 11, 23, tzinfo=UTC)
INCIDENTS = load_public_incidents()
every_incident = pytest.mark.parametrize("incident", INCIDENTS, ids=lambda incident: incident.slug)
both_agreements = pytest.mark.parametrize("agreement", [AGREEMENT, SECOND], ids=lambda agreement: agreement.id)


def expected_of(incident, agreement):
    return incident.expected if agreement is AGREEMENT else incident.expected_2026


TEXTS = ("title", "summary", "measures_taken", "recommendations", "not_known_yet", "effect", "likely_consequences")
TIMES = ("aware_at", "detected_at", "started_at", "ended_at", "next_update_by")
LISTS = (
    "services",
    "regions",
    "availability_zones",
)
CATEGORIES = ("categories_of_data_subjects", "categories_of_records")
CODES = {
    "inside_perimeter": Answer,
    "intent": Intent,
    "cause": Cause,
    "security_measures_harmed": Answer,
    "normal_operation_disrupted": Answer,
    "tlp": Tlp,
    "unlisted_customers": UnlistedCustomers,
    "customer_id": UUID,
    "affected": Answer,
    "breach": PersonalDataBreach,
    "controller": Controller,
    "kind": ResourceKind,
}
PARTS = {
    "service_harm": Harm,
    "data_harm": Harm,
    "personal_data": PersonalData,
    "affected_customers": AffectedCustomer,
    "resources": Resource,
}


def parsed(key, value):
    """One fact in the shape of the API, as the domain's type."""
    if key in TEXTS:
        return LocalizedText.of(value)
    if key in TIMES:
        return datetime.fromisoformat(value)
    if key in LISTS:
        return tuple(value)
    if key in CATEGORIES:
        return tuple(LocalizedText.of(category) for category in value)
    if key in CODES:
        return CODES[key](value)
    if key in {"service_harm", "data_harm"}:
        return Harm(**{harmed: Answer(answer) for harmed, answer in value.items()})
    if key in PARTS and isinstance(value, list):
        return tuple(fields_of(PARTS[key], entry) for entry in value)
    if key in PARTS:
        return fields_of(PARTS[key], value)
    return value


def fields_of(kind, table):
    return kind(**{key: parsed(key, value) for key, value in table.items()})


def facts_of(incident) -> IncidentFacts:
    return fields_of(IncidentFacts, incident.facts)


def customer_of(customer) -> Customer:
    return Customer(
        id=customer.id,
        name=f"Customer {customer.key}",
        language="fr",
        time_zone="Europe/Paris",
        services=customer.services,
        regions=customer.regions,
        availability_zones=customer.availability_zones,
        created_at=datetime(2015, 1, 1, tzinfo=UTC),
    )


def decided(incident, agreement):
    facts = facts_of(incident)
    classification = classify(facts, agreement)
    return facts, {
        key: decide(facts, classification, agreement, customer_of(customer), None)
        for key, customer in incident.customers.items()
    }


@every_incident
def test_facts_are_such_that_an_analyst_could_declare_them(incident):
    facts = facts_of(incident)
    validate_facts(facts, AGREEMENT, NOW)
    assert {"en", "fr"} <= set(facts.title.as_mapping())
    assert {stated.customer_id for stated in facts.affected_customers} <= {
        customer.id for customer in incident.customers.values()
    }
    assert incident.sources
    assert incident.note
    assert set(incident.expected["customers"]) == set(incident.customers) == set(incident.expected_2026["customers"])


@both_agreements
@every_incident
def test_nature_grounds_and_priority_are_those_worked_out_by_hand(incident, agreement):
    expected = expected_of(incident, agreement)
    result = classify(facts_of(incident), agreement)
    assert result.nature.value == expected["nature"]
    assert [nature.value for nature in result.possible_natures] == expected["possible_natures"]
    assert result.provisional is expected["provisional"]
    assert result.priority == expected.get("priority")
    assert result.gti_seconds == expected.get("gti_seconds")
    assert list(result.possible_priorities) == expected.get("possible_priorities", [expected.get("priority")])
    holding = {ground.id: ground.clause for ground in result.grounds if ground.holds is Answer.YES}
    holding.pop("detectable_occurrence")  # every event is one
    assert holding == expected["grounds"]
    by_key = {f"affected_customers.{customer.id}": key for key, customer in incident.customers.items()}
    asked = set()
    for question in result.open_questions:
        prefix = next((prefix for prefix in by_key if question.fact.startswith(prefix)), None)
        asked.add(question.fact if prefix is None else question.fact.replace(prefix, by_key[prefix]))
    assert asked == set(expected["open_questions"])


@both_agreements
@every_incident
def test_each_customer_is_told_or_not_as_worked_out_by_hand(incident, agreement):
    facts, decisions = decided(incident, agreement)
    for key, expected in expected_of(incident, agreement)["customers"].items():
        decision = decisions[key]
        assert decision.verdict.value == expected["verdict"], (key, decision)
        holding = {
            reason.id: reason.clause for reason in decision.reasons if reason.obliges and reason.holds is Answer.YES
        }
        assert holding == expected["levels"], (key, decision)
        assert (decision.due_kind and decision.due_kind.value) == expected.get("due_kind"), (key, decision)
        due_seconds = expected.get("due_seconds")
        due_at = None if due_seconds is None else facts.aware_at + timedelta(seconds=due_seconds)
        assert decision.due_at == due_at, (key, decision)
        assert decision.reasons, "a decision without a reason explains nothing, least of all a refusal"


def test_the_set_covers_what_an_agreement_has_to_tell_apart():
    expected = [incident.expected for incident in INCIDENTS]
    assert len(INCIDENTS) >= 14
    assert {result["nature"] for result in expected} >= {"security_incident", "incident", "outside_perimeter"}
    assert {result["provisional"] for result in expected} == {True, False}
    customers = [customer for result in expected for customer in result["customers"].values()]
    assert {customer["verdict"] for customer in customers} == {"notify", "do_not_notify", "pending"}
    assert {level for customer in customers for level in customer["levels"]} == {
        "impact_high",
        "customer_data",
        "personal_data_customer_controller",
        "personal_data_provider_controller",
        "plain_incident",
    }
    assert {result.get("priority") for result in expected} == {"P1", "P2", "P3", "P4", "P5", None}
    causes = {incident.facts["cause"] for incident in INCIDENTS}
    assert causes >= {"hardware_failure", "bug", "natural_disaster", "human_error", "attack", "unknown"}


def test_a_caller_can_put_its_own_customers_in_the_place_of_the_keys():
    own = {"a": UUID(int=1), "b": UUID(int=2)}
    incident = next(found for found in load_public_incidents(own) if found.slug == "cloudbleed-2017")
    stated = [UUID(entry["customer_id"]) for entry in incident.facts["affected_customers"]]
    assert stated == [own["a"], own["b"]]
    assert incident.customers["c"].id not in own.values()
    assert all("customer" not in entry for entry in incident.facts["affected_customers"])


def test_incidents_read_twice_are_the_same_and_share_nothing():
    first, second = load_public_incidents(), load_public_incidents()
    assert first == second
    first[0].facts["title"]["en"] = "changed"
    assert first != second
