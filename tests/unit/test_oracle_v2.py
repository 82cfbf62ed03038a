"""The second agreement against its oracle: natures over the fact space, the matrix, and decisions for customers."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import combinations, product
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.agreement import NATURES, bound_terms, bundled_agreements, bundled_dpas
from notifications.agreement.reading import FACTS, INDEX, reading_of
from notifications.agreement.three_valued import possible_outcomes
from notifications.classification import classify
from notifications.customer.records import Customer
from notifications.decision import decide
from notifications.incident import (
    AffectedCustomer,
    Answer,
    Controller,
    Harm,
    IncidentFacts,
    Intent,
    LocalizedText,
    PersonalData,
    PersonalDataBreach,
    UnlistedCustomers,
)
from support import oracle_agreement_v2 as oracle
from support.oracle_agreement import CRITICALITIES, IMPACTS

AGREEMENT = bundled_agreements()["secnumcloud_2026"]
CUSTOMER_ID = UUID(int=0xA)
AWARE_AT = datetime(2026, 11, 23, 4, 45, tzinfo=UTC)
TEXT = LocalizedText.of({"en": "x"})
CUSTOMER = Customer(CUSTOMER_ID, "A", "fr", "Europe/Paris", (), (), (), created_at=AWARE_AT - timedelta(days=9))
ANSWERS = (Answer.NO, Answer.YES, Answer.UNKNOWN)
INTENTS = (Intent.ACCIDENTAL, Intent.MALICIOUS, Intent.UNKNOWN)
#: The facts of a point as the rules name them, in the order of a point.
NAMES = (
    "inside_perimeter", "intent",
    *(f"service_harm.{each}" for each in ("availability", "integrity", "confidentiality", "traceability")),
    *(f"other_data_harm.{each}" for each in ("availability", "integrity", "confidentiality", "traceability")),
    "security_measures_harmed", "normal_operation_disrupted", "service_level_breached", "damage_to_customer",
    "may_cause",
)  # fmt: skip


@cache
def terms(products, dpa="dpa_2026_01_09"):
    return bound_terms(AGREEMENT.own, bundled_dpas()[dpa], frozenset(products))


def facts_of(point, impact="I3", criticality="C3", affected="yes", breach="no", controller="unknown"):
    answers = [ANSWERS[digit] for digit in point]
    row = AffectedCustomer(
        CUSTOMER_ID,
        Answer(affected),
        Harm(*answers[6:10]),
        PersonalData(PersonalDataBreach(breach), Controller(controller)),
    )
    return IncidentFacts(
        title=TEXT,
        summary=TEXT,
        aware_at=AWARE_AT,
        inside_perimeter=answers[0],
        intent=INTENTS[point[1]],
        service_harm=Harm(*answers[2:6]),
        security_measures_harmed=answers[10],
        normal_operation_disrupted=answers[11],
        service_level_breached=answers[12],
        damage_to_customer=answers[13],
        may_cause=answers[14],
        impact=impact,
        criticality=criticality,
        affected_customers=(row,),
        unlisted_customers=UnlistedCustomers.NOT_AFFECTED,
    )


READING = reading_of(AGREEMENT)
#: Where each fact of a point stands in a state, with the answer of each digit.
PLACES = tuple(
    (INDEX[name], ("accidental", "malicious", None) if name == "intent" else ("no", "yes", None)) for name in NAMES
)
#: A state in which the customer's own data is not harmed and nothing else is known.
OWN_DATA_UNHARMED = tuple("no" if fact.startswith("customer_data_harm.") else None for fact in FACTS)
SETS_OF_NATURES = {
    outcomes: frozenset(NATURES[outcome] for outcome in outcomes)
    for count in range(len(NATURES) + 1)
    for outcomes in map(frozenset, combinations(range(len(NATURES)), count))
}


def natures_by_the_rules(point):
    """Return the natures that the compiled rules allow in a point: what ``classify`` looks up, without its words."""
    state = list(OWN_DATA_UNHARMED)
    for (index, answers), digit in zip(PLACES, point, strict=True):
        state[index] = answers[digit]
    return SETS_OF_NATURES[possible_outcomes(READING.nature, state, READING.answers, at_most=len(NATURES))]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "harms",
    [
        ((2, 3), (6, 8)),
        ((2, 4), (6, 7)),
        ((3, 5), (7, 9)),
        ((4, 5), (8, 9)),
    ],
    ids=["service AI data AC", "service AC data AI", "service IT data IT", "service CT data CT"],
)
def test_the_nature_over_the_whole_space_of_two_properties_each(harms):
    """Every fact in every state; of service and data, two properties at a time, and all pairs of kinds occur."""
    free = (0, 1, *harms[0], *harms[1], 10, 11, 12, 13, 14)
    for digits in product(range(3), repeat=len(free)):
        point = [oracle.NO] * len(oracle.FACTS)
        for place, digit in zip(free, digits, strict=True):
            point[place] = digit
        expected = oracle.possible_natures(tuple(point))
        assert natures_by_the_rules(point) == expected, point


points = st.tuples(*[st.sampled_from([0, 0, 1, 2])] * len(oracle.FACTS))


@settings(max_examples=300, deadline=None)
@given(points)
def test_classification_at_points_of_all_fifteen_facts(point):
    result = classify(facts_of(point), AGREEMENT)
    expected = oracle.possible_natures(point)
    assert {nature.value for nature in result.possible_natures} == expected
    assert result.nature.value == oracle.most_protective(expected)


@pytest.mark.parametrize("count", range(1, 7))
def test_the_matrix_for_every_set_of_products(count):
    for products in combinations(oracle.PRODUCTS, count):
        bound = terms(products)
        for impact, criticality in product((*IMPACTS, "unknown"), (*CRITICALITIES, "unknown")):
            facts = facts_of((0,) * 15, impact, criticality)
            result = classify(facts, bound)
            expected = oracle.possible_priorities(impact, criticality, frozenset(products))
            assert result.possible_priorities == expected
            assert result.priority == (expected[0] if len(expected) == 1 else None)
            assert result.gti_seconds == (oracle.GTI_SECONDS[expected[0]] if len(expected) == 1 else None)


def test_the_support_commitments():
    assert {each.id: each.gti_seconds for each in AGREEMENT.priorities} == oracle.GTI_SECONDS
    assert {each.id: each.target_percent for each in AGREEMENT.priorities} == oracle.TARGET_PERCENT


def assert_decided(case, products):
    bound = terms(products, case.dpa)
    facts = facts_of(case.point, case.impact, "C2", case.affected, case.breach, case.controller)
    decision = decide(facts, classify(facts, bound), bound, CUSTOMER, None)
    expected = oracle.decide(case)
    assert decision.verdict.value == expected.verdict
    held = {reason.id for reason in decision.reasons if reason.obliges and reason.holds is Answer.YES}
    assert held == expected.levels
    if expected.binding is not None and case.controller != "unknown":
        assert decision.due_at == AWARE_AT + timedelta(seconds=oracle.FORTY_EIGHT_HOURS)
        assert decision.binding == expected.binding


few_open = st.tuples(*[st.sampled_from([0, 0, 0, 0, 1, 2])] * len(oracle.FACTS)).filter(
    lambda point: point.count(oracle.OPEN) <= 5
)
cases = st.builds(
    oracle.Case,
    point=few_open,
    impact=st.sampled_from([*IMPACTS, "unknown"]),
    affected=st.sampled_from(["yes", "no", "unknown"]),
    breach=st.sampled_from([*PersonalDataBreach]),
    controller=st.sampled_from([*Controller]),
    dpa=st.sampled_from(sorted(oracle.BREACH_BINDING)),
)


@settings(max_examples=400, deadline=None)
@given(cases, st.sampled_from([("iaas",), ("paas",), ("vpc",), oracle.PRODUCTS]))
def test_decisions_at_points_of_all_facts(case, products):
    assert_decided(case, products)


def test_decisions_over_the_facts_of_one_customer():
    """Nature by three kinds of event; every state of impact, use, breach and controller, under every DPA."""
    plain, attack, unclear = [0] * 15, [0] * 15, [0] * 15
    plain[0] = attack[0] = unclear[0] = 1
    plain[14], attack[1], unclear[12] = 1, 1, 2
    for point, impact, affected, breach, controller, dpa in product(
        (plain, attack, unclear),
        (*IMPACTS, "unknown"),
        ("yes", "no", "unknown"),
        PersonalDataBreach,
        Controller,
        oracle.BREACH_BINDING,
    ):
        assert_decided(oracle.Case(tuple(point), impact, affected, breach.value, controller.value, dpa), ("paas",))
