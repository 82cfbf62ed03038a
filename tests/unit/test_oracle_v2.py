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
from support.rule_ways import ways

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


#: The answers that are a yes to the oracle.
_YES = frozenset({"yes", "malicious"})


def paths():
    """Yield (value by index, outcome) for each way that the rule of the nature takes through its facts."""
    reading = reading_of(AGREEMENT)
    return ways(reading.nature.evaluate, reading.answers, given={})


def point_of(values, unread):
    """Return the oracle's point; each fact without a value is in the state ``unread``."""

    def digit(name):
        if INDEX[name] not in values:
            return unread
        value = values[INDEX[name]]
        return oracle.OPEN if value is None else oracle.YES if value in _YES else oracle.NO

    def either(name):
        # The data of the customer in question, and of all others: the text knows only data.
        states = {digit(name), digit(name.replace("other_", "customer_"))}
        return oracle.YES if oracle.YES in states else oracle.OPEN if oracle.OPEN in states else oracle.NO

    return tuple(either(name) if name.startswith("other_data_harm") else digit(name) for name in NAMES)


def test_the_nature_over_the_whole_fact_space():
    """All 19 facts in all three states, 3^19 points, shared by the ways that the rule takes through them.

    By induction over the open facts this is what ``possible_outcomes`` finds in each point: a settled outcome is that
    of every case that the point allows, and an open one waits for an open fact, whose answers are then tried in turn.
    """
    named = {INDEX[name] for name in NAMES}
    named |= {INDEX[name.replace("other_", "customer_")] for name in NAMES if name.startswith("other_data_harm")}
    assert reading_of(AGREEMENT).nature.facts == named
    points = 0
    for values, outcome in paths():
        points += 3 ** (len(named) - len(values))
        if outcome < 0:
            assert values[~outcome] is None, "it waits for a fact that is answered"
        else:
            # Whatever the facts are that it did not read: every case has this nature.
            assert oracle.possible_natures(point_of(values, oracle.OPEN)) == {NATURES[outcome]}, values
    assert points == 3 ** len(named)


def test_the_natures_that_are_found_at_the_end_of_each_way():
    """The induction of the test above, executed: what is not read is in each of its states."""
    reading = reading_of(AGREEMENT)
    for values, _ in paths():
        for unread in (oracle.NO, oracle.YES, oracle.OPEN):
            state = [None] * len(FACTS)
            for index in reading.nature.facts if unread != oracle.OPEN else ():
                state[index] = next(each for each in reading.answers[index] if (each in _YES) == (unread == oracle.YES))
            for index, value in values.items():
                state[index] = value
            outcomes = possible_outcomes(reading.nature, state, reading.answers, at_most=len(NATURES))
            expected = oracle.possible_natures(point_of(values, unread))
            assert frozenset(NATURES[outcome] for outcome in outcomes) == expected, (values, unread)


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
