from collections import defaultdict
from dataclasses import replace
from itertools import product
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from notifications.classification import MESSAGE_IDS, Nature, classify
from notifications.incident import (
    NO_HARM,
    AffectedCustomer,
    Answer,
    Cause,
    Harm,
    IncidentFacts,
    Intent,
    PersonalDataBreach,
    Property,
    UnlistedCustomers,
)
from support.domain_facts import (
    AGREEMENT,
    ALICE,
    BOB,
    NO,
    UNKNOWN,
    YES,
    answered,
    completions,
    harmed,
    incident_facts,
    known_facts,
    listed,
    open_facts,
    open_places,
)

S, I, E, O = Nature.SECURITY_INCIDENT, Nature.INCIDENT, Nature.EVENT, Nature.OUTSIDE_PERIMETER  # noqa: E741 # tables
AVAILABILITY, INTEGRITY, CONFIDENTIALITY, TRACEABILITY = Property
MALICIOUS, ACCIDENTAL = Intent.MALICIOUS, Intent.ACCIDENTAL


def natures(facts):
    return classify(facts, AGREEMENT).possible_natures


def ground(facts, limb_id):
    return next(ground for ground in classify(facts, AGREEMENT).grounds if ground.id == limb_id)


def question(facts, fact):
    asked = {each.fact: each for each in classify(facts, AGREEMENT).open_questions}
    return {effect.answer: (effect.natures, effect.priorities) for effect in asked[fact].effects}


def questions(facts):
    return [each.fact for each in classify(facts, AGREEMENT).open_questions]


class TestReadingsOf32:
    @pytest.mark.parametrize("harm", [INTEGRITY, CONFIDENTIALITY, TRACEABILITY])
    def test_an_accident_that_harms_more_than_availability_is_a_security_incident(self, harm):
        for extra in ((), (AVAILABILITY,)):
            of_service = known_facts(service_harm=harmed(harm, *extra))
            of_data = known_facts(affected_customers=(listed(data_harm=harmed(harm, *extra)),))
            assert natures(of_service) == natures(of_data) == (S,)
            assert ground(of_service, "accidental_harm").holds is YES

    def test_the_exclusion_removes_the_harm_to_availability_alone(self):
        facts = known_facts(service_harm=harmed(AVAILABILITY), normal_operation_disrupted=YES)
        assert natures(facts) == (I,)
        assert ground(facts, "availability_excluded").holds is YES
        assert natures(replace(facts, service_harm=harmed(AVAILABILITY, CONFIDENTIALITY))) == (S,)

    @pytest.mark.parametrize("cause", Cause)
    def test_the_cause_never_decides(self, cause):
        accident = known_facts(cause=cause, service_harm=harmed(AVAILABILITY))
        assert natures(accident) == (I,)
        assert natures(replace(accident, intent=MALICIOUS)) == (S,)

    @pytest.mark.parametrize("intent", Intent)
    @pytest.mark.parametrize("cause", Cause)
    def test_an_impaired_security_measure_is_one_whatever_the_cause(self, intent, cause):
        facts = known_facts(intent=intent, cause=cause, security_measures_harmed=YES)
        assert natures(facts) == (S,)
        assert ground(facts, "security_measures").holds is YES

    def test_a_blocked_attack_is_one_although_nothing_was_harmed(self):
        facts = known_facts(intent=MALICIOUS, cause=Cause.ATTACK)
        assert natures(facts) == (S,)
        assert [each.id for each in classify(facts, AGREEMENT).grounds if each.holds is YES] == [
            "malicious",
            "detectable_occurrence",
        ]

    @pytest.mark.parametrize("intent", Intent)
    def test_outside_the_perimeter_nothing_is_a_security_incident_of_the_service(self, intent):
        facts = open_facts(inside_perimeter=NO, intent=intent, security_measures_harmed=YES)
        assert natures(facts) == (O,)
        assert ground(facts, "outside_perimeter").clause == "7.1, 9.2"

    @pytest.mark.parametrize(
        "stated",
        [
            {"normal_operation_disrupted": YES},
            {"service_harm": harmed(AVAILABILITY)},
            {"affected_customers": (listed(data_harm=harmed(AVAILABILITY)),)},
        ],
    )
    def test_an_accident_that_disrupts_or_costs_data_its_availability_is_an_incident(self, stated):
        assert natures(known_facts(**stated)) == (I,)

    def test_an_accident_that_harms_nothing_is_an_event(self):
        assert natures(known_facts()) == (E,)
        assert classify(known_facts(), AGREEMENT).provisional is False


class TestUnknownIsNotNo:
    def test_nothing_established_leaves_everything_possible(self):
        result = classify(open_facts(), AGREEMENT)
        assert result.possible_natures == (S, I, E, O)
        assert (result.nature, result.priority, result.gti_seconds, result.provisional) == (S, None, None, True)
        assert result.possible_priorities == ("P1", "P2", "P3", "P4", "P5")

    def test_intent_does_not_matter_where_integrity_is_harmed(self):
        facts = known_facts(intent=Intent.UNKNOWN, service_harm=harmed(INTEGRITY))
        assert natures(facts) == (S,)
        assert questions(facts) == []
        assert ground(facts, "malicious").holds is UNKNOWN
        assert ground(facts, "malicious").missing == ("intent",)

    def test_intent_matters_where_availability_alone_is_harmed(self):
        facts = known_facts(intent=Intent.UNKNOWN, service_harm=harmed(AVAILABILITY))
        assert natures(facts) == (S, I)
        assert question(facts, "intent") == {"malicious": ((S,), ("P5",)), "accidental": ((I,), ("P5",))}

    def test_an_attack_with_unknown_intent_stays_open_and_is_remarked(self):
        result = classify(known_facts(cause=Cause.ATTACK, intent=Intent.UNKNOWN), AGREEMENT)
        assert result.possible_natures == (S, E)
        assert result.provisional
        assert result.remarks == ("remark.attack_intent_unknown",)

    def test_facts_that_cannot_matter_any_more_are_not_asked(self):
        facts = replace(open_facts(inside_perimeter=YES, intent=MALICIOUS), impact="I1", criticality="C1")
        assert natures(facts) == (S,)
        assert questions(facts) == []

    def test_the_perimeter_is_asked_with_what_it_would_change(self):
        facts = known_facts(inside_perimeter=UNKNOWN, intent=MALICIOUS)
        assert question(facts, "inside_perimeter") == {"yes": ((S,), ("P5",)), "no": ((O,), ("P5",))}


class TestPriority:
    @pytest.mark.parametrize(
        ("impact", "criticality", "priority", "gti_minutes"),
        [
            ("I1", "C1", "P1", 30),
            ("I2", "C1", "P2", 120),
            ("I3", "C1", "P3", 240),
            ("I1", "C2", "P2", 120),
            ("I2", "C2", "P3", 240),
            ("I3", "C2", "P4", 1440),
            ("I1", "C3", "P3", 240),
            ("I2", "C3", "P4", 1440),
            ("I3", "C3", "P5", 2880),
        ],
    )
    def test_matrix(self, impact, criticality, priority, gti_minutes):
        result = classify(known_facts(impact=impact, criticality=criticality), AGREEMENT)
        assert (result.priority, result.possible_priorities) == (priority, (priority,))
        assert result.gti_seconds == gti_minutes * 60
        assert not result.provisional

    def test_one_unknown_level_leaves_a_row_or_column(self):
        result = classify(known_facts(impact="unknown", criticality="C2"), AGREEMENT)
        assert (result.priority, result.possible_priorities) == (None, ("P2", "P3", "P4"))
        assert result.provisional
        facts = known_facts(impact="unknown", criticality="C2")
        assert question(facts, "impact") == {"I1": ((E,), ("P2",)), "I2": ((E,), ("P3",)), "I3": ((E,), ("P4",))}
        assert questions(known_facts(criticality="unknown")) == ["criticality"]


class TestCustomersData:
    def test_one_customer_harmed_is_enough(self):
        unharmed, hurt = listed(ALICE), listed(BOB, data_harm=harmed(CONFIDENTIALITY))
        assert natures(known_facts(affected_customers=(unharmed, hurt))) == (S,)

    def test_an_open_customer_is_asked_by_its_id(self):
        facts = known_facts(affected_customers=(listed(data_harm=replace(NO_HARM, integrity=UNKNOWN)),))
        fact = f"affected_customers.{ALICE}.data_harm.integrity"
        assert natures(facts) == (S, E)
        assert questions(facts) == [fact]
        assert question(facts, fact) == {"yes": ((S,), ("P5",)), "no": ((E,), ("P5",))}
        assert ground(facts, "accidental_harm").missing == (fact,)

    def test_no_for_one_open_customer_settles_nothing_while_another_is_open(self):
        rows = tuple(listed(each, data_harm=replace(NO_HARM, integrity=UNKNOWN)) for each in (ALICE, BOB))
        facts = known_facts(affected_customers=rows)
        assert question(facts, f"affected_customers.{BOB}.data_harm.integrity")["no"] == ((S, E), ("P5",))

    def test_unlisted_customers_are_asked_about(self):
        facts = known_facts(unlisted_customers=UnlistedCustomers.UNKNOWN)
        assert questions(facts) == ["unlisted_customers"]
        assert question(facts, "unlisted_customers") == {"not_affected": ((E,), ("P5",)), "affected": ((S, I), ("P5",))}

    def test_many_open_customers_are_asked_about_together(self):
        def asked(count):
            rows = (
                AffectedCustomer(UUID(int=number), data_harm=replace(NO_HARM, integrity=UNKNOWN))
                for number in range(1, count + 1)
            )
            return known_facts(affected_customers=tuple(rows))

        assert len(questions(asked(20))) == 20
        assert questions(asked(21)) == ["affected_customers.data_harm.integrity"]
        assert question(asked(21), "affected_customers.data_harm.integrity") == {
            "yes": ((S,), ("P5",)),
            "no": ((E,), ("P5",)),
        }


class TestRemarks:
    @pytest.mark.parametrize(
        ("stated", "remarks"),
        [
            ({"cause": Cause.ATTACK}, ("remark.attack_accidental",)),
            ({"cause": Cause.NATURAL_DISASTER, "intent": MALICIOUS}, ("remark.natural_disaster_malicious",)),
            ({"cause": Cause.HARDWARE_FAILURE, "intent": MALICIOUS}, ("remark.hardware_failure_malicious",)),
            ({"cause": Cause.BUG, "intent": MALICIOUS}, ()),
            ({"cause": Cause.ATTACK, "intent": MALICIOUS}, ()),
            ({"cause": Cause.NATURAL_DISASTER}, ()),
            ({"inside_perimeter": NO, "service_harm": harmed(AVAILABILITY)}, ("remark.outside_perimeter_harm",)),
            (
                {"affected_customers": (listed(breach=PersonalDataBreach.SUSPECTED),)},
                ("remark.breach_without_data_harm",),
            ),
            (
                {"affected_customers": (listed(affected=NO, data_harm=harmed(AVAILABILITY)),)},
                ("remark.data_harm_untouched",),
            ),
            ({"impact": "S1"}, ("remark.impact_not_in_agreement",)),
            ({"criticality": "S1"}, ("remark.criticality_not_in_agreement",)),
        ],
    )
    def test_contradictions_are_accepted_and_remarked(self, stated, remarks):
        assert classify(known_facts(**stated), AGREEMENT).remarks == remarks
        assert set(remarks) <= set(MESSAGE_IDS)


def nature_by_the_text(facts: IncidentFacts) -> Nature:
    """Agreement 3.2 on facts of which none is open, in the order of its sentences."""
    data = [stated.data_harm for stated in facts.affected_customers]
    if facts.inside_perimeter is NO:
        return O
    touched = {each for each in Property if YES in {harm.of(each) for harm in [facts.service_harm, *data]}}
    if facts.intent is MALICIOUS or facts.security_measures_harmed is YES or touched - {AVAILABILITY}:
        return S
    return I if touched or facts.normal_operation_disrupted is YES else E


@st.composite
def nearly_known_facts(draw):
    """Facts with at most seven open places, every customer listed."""
    facts = replace(draw(incident_facts), unlisted_customers=UnlistedCustomers.NOT_AFFECTED)
    for path, possible in draw(st.permutations(open_places(facts)))[7:]:
        facts = answered(facts, path, draw(st.sampled_from(possible)))
    return facts


@settings(max_examples=60, deadline=None)
@given(nearly_known_facts())
def test_supervaluation_is_what_trying_every_answer_gives(facts):
    result = classify(facts, AGREEMENT)
    complete = completions(facts)
    expected = {nature_by_the_text(each) for each in complete}
    assert result.possible_natures == tuple(nature for nature in Nature if nature in expected)
    priorities = {AGREEMENT.matrix[each.impact, each.criticality] for each in complete}
    assert result.possible_priorities == tuple(sorted(priorities))
    # A question is asked exactly where two completions that differ in this fact alone differ in the result.
    asked = {each.fact for each in result.open_questions}
    places = open_places(facts)
    answers = product(*(possible for _, possible in places))
    results = {
        each: (nature_by_the_text(case), AGREEMENT.matrix[case.impact, case.criticality])
        for each, case in zip(answers, complete, strict=True)
    }
    for place, (path, possible) in enumerate(places):
        fact = ".".join(map(str, path))
        if isinstance(path[0], int):
            fact = f"affected_customers.{facts.affected_customers[path[0]].customer_id}.{'.'.join(path[1:])}"
        alike = defaultdict(set)
        for each, found in results.items():
            alike[each[:place], each[place + 1 :]].add(found)
        assert (fact in asked) == any(len(found) > 1 for found in alike.values())
        for effect in (effect for each in result.open_questions if each.fact == fact for effect in each.effects):
            found = classify(answered(facts, path, type(possible[0])(effect.answer)), AGREEMENT)
            assert (effect.natures, effect.priorities) == (found.possible_natures, found.possible_priorities)


@settings(max_examples=200, deadline=None)
@given(incident_facts, st.data())
def test_more_knowledge_never_adds_a_possibility(facts, data):
    places = open_places(facts)
    assume(places)
    path, possible = data.draw(st.sampled_from(places))
    before = classify(facts, AGREEMENT)
    after = classify(answered(facts, path, data.draw(st.sampled_from(possible))), AGREEMENT)
    assert set(after.possible_natures) <= set(before.possible_natures)
    assert set(after.possible_priorities) <= set(before.possible_priorities)
    for ground_before, ground_after in zip(before.grounds, after.grounds, strict=True):
        assert ground_before.holds in {UNKNOWN, ground_after.holds}


@settings(max_examples=200, deadline=None)
@given(incident_facts)
def test_a_result_is_consistent_with_itself(facts):
    result = classify(facts, AGREEMENT)
    assert result.nature is result.possible_natures[0]
    assert result.provisional == (len(result.possible_natures) > 1 or len(result.possible_priorities) > 1)
    assert bool(result.open_questions) == result.provisional
    assert (result.gti_seconds is None) == (result.priority is None)
    assert set(result.remarks) <= set(MESSAGE_IDS)
    for each in result.grounds:
        assert bool(each.missing) == (each.holds is UNKNOWN)
    for each in result.open_questions:
        assert len({effect.answer for effect in each.effects}) == len(each.effects) > 1


def test_facts_are_judged_by_value_not_by_the_type_of_the_answer():
    assert natures(known_facts(service_harm=Harm(*(Answer("no"),) * 3, traceability=Answer("yes")))) == (S,)
