"""Classification against the oracle: over the whole fact space.

The natures of a point, and the open facts that matter, are calculated on states of which only some facts have a value.
So each way through a calculation stands for every point that takes it, and is compared with the oracle at each of them.
"""

from datetime import UTC, datetime
from functools import cache
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.agreement import bundled_agreements
from notifications.agreement.reading import INDEX, reading_of
from notifications.agreement.three_valued import depends_on, possible_outcomes
from notifications.classification import Classification, classify
from notifications.incident import (
    AffectedCustomer,
    Answer,
    Cause,
    Harm,
    IncidentFacts,
    Intent,
    LocalizedText,
    UnlistedCustomers,
)
from support.oracle_agreement import (
    CRITICALITIES,
    FACTS,
    GTI_SECONDS,
    IMPACTS,
    INTENT_TEXT,
    NATURES,
    NATURES_OF_BITS,
    NO,
    OPEN,
    PROPERTIES,
    SPACE,
    WEIGHTS,
    YES,
    A,
    Stated,
    limb_a,
    limb_b,
    limb_c,
    nature_of,
    possible_natures,
    possible_priorities,
    protective_first,
    stated_of,
    three_valued,
    whole_space,
)
from support.rule_ways import ways

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

AGREEMENT = bundled_agreements()["secnumcloud_iaas_3_0"]
CUSTOMER = UUID(int=0xA)
OTHER = UUID(int=0xB)
TEXT = LocalizedText.of({"en": "x"})
AWARE_AT = datetime(2026, 11, 23, 4, 45, tzinfo=UTC)
ANSWERS = (Answer.NO, Answer.YES, Answer.UNKNOWN)
INTENTS = tuple(Intent(text) for text in INTENT_TEXT)
HARMS = {digits: Harm(*(ANSWERS[digit] for digit in digits)) for digits in product(range(3), repeat=4)}
CUSTOMERS = {digits: (AffectedCustomer(CUSTOMER, data_harm=harm),) for digits, harm in HARMS.items()}


def facts_of(
    point, *, cause=Cause.UNKNOWN, customers=None, unlisted=UnlistedCustomers.NOT_AFFECTED, levels=("I1", "C1")
):
    """The declared facts of a point of the space: one listed customer unless other ``customers`` are given."""
    return IncidentFacts(
        title=TEXT,
        summary=TEXT,
        aware_at=AWARE_AT,
        inside_perimeter=ANSWERS[point[0]],
        intent=INTENTS[point[1]],
        cause=cause,
        service_harm=HARMS[point[2:6]],
        security_measures_harmed=ANSWERS[point[10]],
        normal_operation_disrupted=ANSWERS[point[11]],
        impact=levels[0],
        criticality=levels[1],
        affected_customers=CUSTOMERS[point[6:10]] if customers is None else customers,
        unlisted_customers=unlisted,
    )


@cache
def position_of(fact):
    """Where a fact that the program asks for stands in the point."""
    prefix = f"affected_customers.{CUSTOMER}."
    return FACTS.index(fact.removeprefix(prefix))


@cache
def digit_of(position, answer):
    """The digit of an answer that the program offers."""
    answers = INTENT_TEXT if FACTS[position] == "intent" else ("no", "yes", "unknown")
    return answers.index(answer)


EXPECTED_NATURES = tuple(tuple(NATURES_OF_BITS[bits]) for bits in range(1 << len(NATURES)))


def fault_of(index, point, result: Classification, space):
    """What is wrong with one result, or None."""
    natures = tuple(nature.value for nature in result.possible_natures)
    if natures != EXPECTED_NATURES[space.natures[index]]:
        return f"natures {natures}, oracle {EXPECTED_NATURES[space.natures[index]]}"
    if result.nature.value != natures[0]:
        return f"nature {result.nature} is not the most protective of {natures}"
    if result.provisional != (len(natures) > 1):
        return f"provisional is {result.provisional} with {natures}"
    asked = 0
    for question in result.open_questions:
        position = position_of(question.fact)
        asked |= 1 << position
        if {digit_of(position, effect.answer) for effect in question.effects} != {0, 1}:
            return f"question {question.fact} does not offer every answer"
        for effect in question.effects:
            answered = index + (digit_of(position, effect.answer) - point[position]) * WEIGHTS[position]
            if tuple(nature.value for nature in effect.natures) != EXPECTED_NATURES[space.natures[answered]]:
                return f"{question.fact} = {effect.answer} gives {effect.natures}"
    if asked != space.matters[index]:
        named = {fact for position, fact in enumerate(FACTS) if asked >> position & 1}
        wanted = {fact for position, fact in enumerate(FACTS) if space.matters[index] >> position & 1}
        return f"asks {named}, oracle {wanted}"
    return None


def test_the_oracle_counts_the_space_as_literal_enumeration_does():
    # A stride that shares no factor with 3 reaches every combination of digits in the end.
    space = whole_space()
    checked = 0
    for index, point in enumerate(product(range(3), repeat=len(FACTS))):
        if index % 97:
            continue
        stated = stated_of(point)
        cases = tuple(stated.cases())
        assert frozenset(NATURES_OF_BITS[space.natures[index]]) == {nature_of(known) for known in cases}, stated
        checked += 1
    assert checked == SPACE // 97 + 1


def test_the_oracle_finds_the_facts_that_matter_as_literal_enumeration_does():
    space = whole_space()
    for index, point in enumerate(product(range(3), repeat=len(FACTS))):
        if index % 997:
            continue
        natures = {}
        unknown = [position for position, digit in enumerate(point) if digit == OPEN]
        for answers in product(range(2), repeat=len(unknown)):
            known = list(point)
            for position, answer in zip(unknown, answers, strict=True):
                known[position] = answer
            natures[answers] = nature_of(next(stated_of(tuple(known)).cases()))
        for place, position in enumerate(unknown):
            matters = any(
                natures[answers] != natures[(*answers[:place], 1 - answers[place], *answers[place + 1 :])]
                for answers in natures
            )
            assert bool(space.matters[index] >> position & 1) == matters, (point, FACTS[position])


READING = reading_of(AGREEMENT)
#: The facts of a point as the rules name them, in the order of a point.
NAMED = tuple(
    INDEX[fact.replace("data_harm", "other_data_harm") if fact.startswith("data_") else fact] for fact in FACTS
)
#: Classification looks at no single customer.
OF_ONE_CUSTOMER = {INDEX[f"customer_data_harm.{harmed}"]: "no" for harmed in PROPERTIES}
DIGITS = {"no": NO, "yes": YES, "accidental": NO, "malicious": YES, None: OPEN}


def indices_of(values):
    """The index of every point of the space that has these values."""
    indices = [0]
    for fact, weight in zip(NAMED, WEIGHTS, strict=True):
        digits = (DIGITS[values[fact]],) if fact in values else (NO, YES, OPEN)
        indices = [index + digit * weight for index in indices for digit in digits]
    return indices


def point_at(index):
    return tuple(index // weight % 3 for weight in WEIGHTS)


def test_every_point_of_the_fact_space_has_the_natures_of_the_oracle():
    # inside(3) x intent(3) x service harm(3^4) x a listed customer's data harm(3^4) x measures(3) x disrupted(3)
    space, checked = whole_space(), 0
    assert READING.nature.facts == {*NAMED, *OF_ONE_CUSTOMER}

    def natures(state):
        return possible_outcomes(READING.nature, state, READING.answers, at_most=len(NATURES))

    for values, outcomes in ways(natures, READING.answers, OF_ONE_CUSTOMER):
        indices = indices_of(values)
        expected = sum(1 << outcome for outcome in outcomes)
        assert {space.natures[index] for index in indices} == {expected}, (values, outcomes)
        checked += len(indices)
    assert checked == SPACE == 531_441


@pytest.mark.parametrize("position", range(len(FACTS)), ids=FACTS)
def test_every_point_of_the_fact_space_has_the_open_facts_that_matter_of_the_oracle(position):
    space, checked, fact = whole_space(), 0, NAMED[position]

    def matters(state):
        return depends_on(READING.nature, state, READING.answers, fact)

    for value in (*READING.answers[fact], None):
        for values, found in ways(matters, READING.answers, OF_ONE_CUSTOMER | {fact: value}):
            indices = indices_of(values)
            assert {space.matters[index] >> position & 1 for index in indices} == {found}, values
            checked += len(indices)
    assert checked == SPACE


def test_points_all_over_the_fact_space_have_the_natures_and_questions_of_the_oracle():
    # A stride that shares no factor with 3: in the end, every answer of each fact beside every one of each other.
    for index in range(0, SPACE, 29):
        point = point_at(index)
        fault = fault_of(index, point, classify(facts_of(point), AGREEMENT), whole_space())
        assert fault is None, stated_of(point)


@pytest.mark.parametrize("cause", list(Cause))
def test_the_cause_explains_and_never_decides(cause):
    # Every answer of every fact that is not a harm, with harms of each kind, under each cause: nothing moves.
    none, service_harms, data_harms = (0, 0, 0, 0), [(2, 0, 0, 0), (0, 0, 1, 0)], [(1, 0, 0, 0), (0, 2, 0, 0)]
    for rest, service, data in product(product(range(3), repeat=4), [none, *service_harms], [none, *data_harms]):
        point = (rest[0], rest[1], *service, *data, rest[2], rest[3])
        with_cause = classify(facts_of(point, cause=cause), AGREEMENT)
        index = sum(digit * weight for digit, weight in zip(point, WEIGHTS, strict=True))
        assert fault_of(index, point, with_cause, whole_space()) is None, (cause, stated_of(point))
        plain = classify(facts_of(point), AGREEMENT)
        assert with_cause.grounds == plain.grounds


def test_customers_that_are_not_listed_keep_harm_to_data_open_until_they_are_excluded():
    # Full walk without a listed customer: the data of some customer that is not listed may be harmed in any property.
    space = whole_space()
    unlisted = "unlisted_customers"
    for rest in product(range(3), repeat=8):
        inside, intent, *service, measures, disrupted = rest
        for state, data in ((UnlistedCustomers.UNKNOWN, OPEN), (UnlistedCustomers.NOT_AFFECTED, 0)):
            point = (inside, intent, *service, data, data, data, data, measures, disrupted)
            index = sum(digit * weight for digit, weight in zip(point, WEIGHTS, strict=True))
            result = classify(facts_of(point, customers=(), unlisted=state), AGREEMENT)
            natures = tuple(nature.value for nature in result.possible_natures)
            assert natures == EXPECTED_NATURES[space.natures[index]], (state, stated_of(point))
            data_matters = any(space.matters[index] >> FACTS.index(f"data_harm.{harmed}") & 1 for harmed in PROPERTIES)
            asked = {question.fact for question in result.open_questions}
            assert (unlisted in asked) == data_matters, (state, stated_of(point))


def unlisted_points():
    """Points without a listed customer at which the unlisted ones matter, with what is asked of them and all cases."""
    for rest in product(range(3), repeat=8):
        inside, intent, *service, measures, disrupted = rest
        point = (inside, intent, *service, OPEN, OPEN, OPEN, OPEN, measures, disrupted)
        if sum(digit * weight for digit, weight in zip(point, WEIGHTS, strict=True)) % 5:
            continue
        result = classify(facts_of(point, customers=(), unlisted=UnlistedCustomers.UNKNOWN), AGREEMENT)
        for question in result.open_questions:
            if question.fact == "unlisted_customers":
                effects = {effect.answer: effect.natures for effect in question.effects}
                assert set(effects) == {"not_affected", "affected"}
                yield stated_of(point), effects


@pytest.mark.parametrize(
    ("answer", "harmed"),
    [
        ("not_affected", False),
        ("affected", True),
    ],
)
def test_the_question_on_unlisted_customers_says_what_each_answer_would_change(answer, harmed):
    # "affected": data of at least one of them is harmed, in any property.
    for stated, effects in unlisted_points():
        then = frozenset(nature_of(known) for known in stated.cases() if any(known.data[0]) is harmed)
        assert tuple(nature.value for nature in effects[answer]) == protective_first(then), stated


LIMBS = {
    "outside_perimeter": lambda known: not known.inside,
    "malicious": limb_a,
    "accidental_harm": limb_b,
    "security_measures": limb_c,
    "availability_excluded": lambda known: (
        not known.malicious and any(harm[A] for harm in (known.service, *known.data))
    ),
    "operation_disrupted": lambda known: known.disrupted or known.service[A],
    "data_compromised": lambda known: any(map(any, known.data)),
    "detectable_occurrence": lambda _: True,
}


def assert_grounds(result: Classification, cases):
    found = {ground.id: ground.holds.value for ground in result.grounds}
    assert found == {limb_id: three_valued(frozenset(map(limb, cases))) for limb_id, limb in LIMBS.items()}
    assert all((ground.holds is Answer.UNKNOWN) == bool(ground.missing) for ground in result.grounds)


answer_texts = st.sampled_from(["yes", "no", "unknown"])
harm_texts = st.tuples(answer_texts, answer_texts, answer_texts, answer_texts)
stated_facts = st.builds(
    Stated,
    inside=st.sampled_from(["yes", "yes", "unknown", "no"]),
    intent=st.sampled_from(["accidental", "malicious", "unknown"]),
    service=harm_texts,
    data=st.tuples(harm_texts, harm_texts),
    measures=answer_texts,
    disrupted=answer_texts,
    unlisted=st.sampled_from(["not_affected", "unknown"]),
)


def declared(stated, levels=("I1", "C1")):
    """The declared facts of stated facts with several listed customers."""
    return IncidentFacts(
        title=TEXT,
        summary=TEXT,
        aware_at=AWARE_AT,
        inside_perimeter=Answer(stated.inside),
        intent=Intent(stated.intent),
        service_harm=Harm(*map(Answer, stated.service)),
        security_measures_harmed=Answer(stated.measures),
        normal_operation_disrupted=Answer(stated.disrupted),
        impact=levels[0],
        criticality=levels[1],
        affected_customers=tuple(
            AffectedCustomer(customer_id, data_harm=Harm(*map(Answer, harm)))
            for customer_id, harm in zip((CUSTOMER, OTHER), stated.data, strict=False)
        ),
        unlisted_customers=UnlistedCustomers(stated.unlisted),
    )


@given(stated_facts)
@settings(max_examples=150, deadline=None)
def test_two_listed_customers_and_unlisted_ones_as_by_literal_enumeration(stated):
    # At most 2^20 cases; the harm of several customers is enumerated one by one, never added up first.
    if sum(text == "unknown" for text in (*stated.service, *stated.data[0], *stated.data[1])) > 7:
        stated = stated._replace(service=("no",) * 4, data=(stated.data[0], ("no", "unknown", "no", "no")))
    cases = tuple(stated.cases())
    result = classify(declared(stated), AGREEMENT)
    assert tuple(nature.value for nature in result.possible_natures) == protective_first(possible_natures(stated))
    assert_grounds(result, cases)


def test_every_limb_holds_as_in_all_cases():
    for index, point in enumerate(product(range(3), repeat=len(FACTS))):
        if index % 211 == 0:
            assert_grounds(classify(facts_of(point), AGREEMENT), tuple(stated_of(point).cases()))


@pytest.mark.parametrize("criticality", [*CRITICALITIES, "unknown"])
@pytest.mark.parametrize("impact", [*IMPACTS, "unknown"])
def test_priority_and_gti_follow_the_matrix_and_an_unknown_level_keeps_them_open(impact, criticality):
    point = (1, 0, *(0,) * 8, 0, 1)
    result = classify(facts_of(point, levels=(impact, criticality)), AGREEMENT)
    priorities = possible_priorities(impact, criticality)
    assert result.possible_priorities == priorities
    settled = "unknown" not in {impact, criticality}
    assert result.priority == (priorities[0] if settled else None)
    assert result.gti_seconds == (GTI_SECONDS[priorities[0]] if settled else None)
    assert result.provisional is not settled
    questions = {question.fact: question for question in result.open_questions}
    assert set(questions) == {
        fact for fact, level in (("impact", impact), ("criticality", criticality)) if level == "unknown"
    }
    for fact, question in questions.items():
        answers = {effect.answer: effect for effect in question.effects}
        assert set(answers) == set(IMPACTS if fact == "impact" else CRITICALITIES)
        for answer, effect in answers.items():
            fixed = (answer, criticality) if fact == "impact" else (impact, answer)
            assert effect.priorities == possible_priorities(*fixed)
            assert [nature.value for nature in effect.natures] == ["incident"]


def test_grounds_name_their_clauses_and_wait_for_the_facts_that_they_lack():
    by_id = {
        ground.id: ground for ground in classify(facts_of((1, OPEN, *(0,) * 4, 0, OPEN, 0, 0, 0, 0)), AGREEMENT).grounds
    }
    assert by_id["malicious"].clause == "3.2 (a)"
    assert by_id["accidental_harm"].clause == "3.2 (b)"
    assert by_id["security_measures"].clause == "3.2 (c)"
    assert by_id["malicious"].missing == ("intent",)
    assert set(map(position_of, by_id["accidental_harm"].missing)) == {
        FACTS.index("intent"),
        FACTS.index("data_harm.integrity"),
    }
    assert by_id["security_measures"].holds is Answer.NO
    assert by_id["security_measures"].missing == ()
