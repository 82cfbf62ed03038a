from dataclasses import replace
from datetime import timedelta
from itertools import product
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from notifications.classification import classify
from notifications.customer.records import LevelChoice
from notifications.decision import MESSAGE_IDS, Decider, DueKind, Verdict, decide
from notifications.incident import (
    NO_HARM,
    AffectedCustomer,
    Controller,
    Intent,
    PersonalDataBreach,
    Property,
    UnlistedCustomers,
)
from support.domain_facts import (
    AGREEMENT,
    ALICE,
    AWARE_AT,
    BOB,
    CAROL,
    NO,
    UNKNOWN,
    YES,
    answered,
    completions,
    customer,
    customers,
    harmed,
    incident_facts,
    known_facts,
    level_choices,
    listed,
    open_facts,
    open_places,
    profile,
    profiles,
    scopes,
)

AVAILABILITY, INTEGRITY, CONFIDENTIALITY, TRACEABILITY = Property
NOTIFY, DO_NOT, PENDING = Verdict.NOTIFY, Verdict.DO_NOT_NOTIFY, Verdict.PENDING
SUSPECTED, CONFIRMED, NO_BREACH = PersonalDataBreach.SUSPECTED, PersonalDataBreach.CONFIRMED, PersonalDataBreach.NO
NOBODY_ELSE, ELSE_UNKNOWN = UnlistedCustomers


def decided(facts, who=None, chosen=None, targets=None):
    return decide(facts, classify(facts, AGREEMENT), AGREEMENT, who or customer(), chosen, targets)


def verdict(facts, who=None, chosen=None):
    return decided(facts, who, chosen).verdict


def reason(decision, reason_id):
    return next(reason for reason in decision.reasons if reason.id == reason_id)


def attack(**stated):
    """A security incident that is settled, of low impact, and harmed nothing."""
    return known_facts(**{"intent": Intent.MALICIOUS} | stated)


class TestLevel1HighImpact:
    @pytest.mark.parametrize(
        ("impact", "expected"), [("I1", NOTIFY), ("I2", NOTIFY), ("I3", DO_NOT), ("unknown", PENDING)]
    )
    def test_impact_decides(self, impact, expected):
        decision = decided(attack(impact=impact))
        assert decision.verdict is expected
        assert reason(decision, "impact_high").clause == "11.1.1.3 (1)"
        assert decision.missing == (("impact",) if expected is PENDING else ())

    def test_the_service_is_affected_for_whoever_uses_it(self):
        assert verdict(attack(impact="I1", unlisted_customers=NOBODY_ELSE)) is NOTIFY
        assert verdict(attack(impact="I1", unlisted_customers=ELSE_UNKNOWN)) is NOTIFY

    def test_a_customer_elsewhere_is_not_concerned(self):
        facts = attack(impact="I1", regions=("north",))
        decision = decided(facts, customer(regions=("south",)))
        assert decision.verdict is DO_NOT
        assert reason(decision, "impact_high").message == "reason.impact_high.not_concerned"
        assert verdict(facts, customer(regions=("south", "north"))) is NOTIFY
        assert verdict(facts, customer()) is NOTIFY

    def test_elsewhere_says_nothing_of_data_while_unlisted_customers_are_open(self):
        facts = attack(impact="I1", regions=("north",), unlisted_customers=ELSE_UNKNOWN)
        decision = decided(facts, customer(regions=("south",)))
        assert (decision.verdict, decision.missing) == (PENDING, ("unlisted_customers",))

    def test_a_customer_stated_as_untouched_is_not_concerned_unless_its_data_is(self):
        facts = attack(impact="I1", affected_customers=(listed(affected=NO),))
        assert verdict(facts) is DO_NOT
        lost = attack(impact="I1", affected_customers=(listed(affected=NO, data_harm=harmed(AVAILABILITY)),))
        assert verdict(lost) is NOTIFY
        not_sure = attack(impact="I1", affected_customers=(listed(affected=UNKNOWN),))
        assert decided(not_sure).missing == (f"affected_customers.{ALICE}.affected",)

    def test_what_is_stated_of_a_customer_outweighs_its_scope(self):
        facts = attack(impact="I1", regions=("north",), affected_customers=(listed(affected=YES),))
        assert verdict(facts, customer(regions=("south",))) is NOTIFY


class TestLevel2CustomersData:
    @pytest.mark.parametrize(
        ("harm", "expected"),
        [(INTEGRITY, NOTIFY), (CONFIDENTIALITY, NOTIFY), (AVAILABILITY, DO_NOT), (TRACEABILITY, DO_NOT)],
    )
    def test_its_own_data_decides(self, harm, expected):
        facts = attack(affected_customers=(listed(ALICE, data_harm=harmed(harm)), listed(BOB)))
        assert verdict(facts, customer(ALICE)) is expected
        assert verdict(facts, customer(BOB)) is DO_NOT
        assert verdict(facts, customer(CAROL)) is DO_NOT

    def test_open_harm_is_pending_and_named_for_its_customer_alone(self):
        open_row = listed(ALICE, data_harm=replace(NO_HARM, confidentiality=UNKNOWN))
        facts = known_facts(affected_customers=(open_row, listed(BOB)), impact="I1")
        own = f"affected_customers.{ALICE}.data_harm.confidentiality"
        assert decided(facts, customer(ALICE)).missing == (own,)
        # Another customer's decision waits for it too, since it may make the event a security incident, and does not
        # say whose data it is.
        assert decided(facts, customer(BOB)).missing == ("affected_customers.data_harm.confidentiality",)

    def test_harm_is_settled_whatever_the_intent(self):
        hurt = listed(data_harm=harmed(CONFIDENTIALITY))
        assert verdict(known_facts(intent=Intent.UNKNOWN, affected_customers=(hurt,))) is NOTIFY


class TestLevels3And4PersonalData:
    @pytest.mark.parametrize("breach", [SUSPECTED, CONFIRMED])
    @pytest.mark.parametrize(
        ("controller", "levels"),
        [
            (Controller.CUSTOMER, {"personal_data_customer_controller": YES, "personal_data_provider_controller": NO}),
            (Controller.PROVIDER, {"personal_data_customer_controller": NO, "personal_data_provider_controller": YES}),
            (
                Controller.JOINT,
                dict.fromkeys(["personal_data_customer_controller", "personal_data_provider_controller"], YES),
            ),
            (
                Controller.UNKNOWN,
                dict.fromkeys(["personal_data_customer_controller", "personal_data_provider_controller"], UNKNOWN),
            ),
        ],
    )
    @pytest.mark.parametrize("stated", [{}, {"inside_perimeter": NO}, {"service_harm": harmed(AVAILABILITY)}])
    @pytest.mark.parametrize("chosen", [None, profile()])
    def test_owed_whatever_the_nature_and_the_profile(self, breach, controller, levels, stated, chosen):
        row = listed(affected=NO, breach=breach, controller=controller)
        decision = decided(known_facts(affected_customers=(row,), **stated), chosen=chosen)
        assert decision.verdict is NOTIFY
        assert {name: reason(decision, name).holds for name in levels} == levels
        assert (decision.due_at, decision.due_kind) == (AWARE_AT + timedelta(hours=48), DueKind.CONTRACTUAL)
        assert decision.target_at == AWARE_AT + timedelta(hours=48)
        assert decision.personal_data_breach

    def test_an_open_breach_is_pending(self):
        decision = decided(known_facts(affected_customers=(listed(breach=PersonalDataBreach.UNKNOWN),)))
        assert (decision.verdict, decision.missing) == (PENDING, (f"affected_customers.{ALICE}.personal_data.breach",))
        assert (decision.due_at, decision.due_kind) == (AWARE_AT + timedelta(hours=48), DueKind.CONTRACTUAL)
        assert not decision.personal_data_breach

    def test_a_breach_of_one_is_not_told_to_another(self):
        facts = known_facts(affected_customers=(listed(ALICE, breach=CONFIRMED), listed(BOB)))
        assert verdict(facts, customer(BOB)) is verdict(facts, customer(CAROL)) is DO_NOT


class TestProfile:
    def test_a_profile_may_widen(self):
        everything = profile(LevelChoice())
        facts = attack()
        assert verdict(facts) is DO_NOT
        decision = decided(facts, chosen=everything)
        assert (decision.verdict, decision.profile_version) == (NOTIFY, 7)
        assert decision.reasons[0].id == "profile"

    def test_a_profile_may_narrow(self):
        hurt = listed(data_harm=harmed(CONFIDENTIALITY))
        facts = attack(impact="I1", affected_customers=(hurt,))
        decision = decided(facts, chosen=profile())
        assert decision.verdict is DO_NOT
        assert reason(decision, "profile").message == "reason.profile.none_chosen"
        for level_id in ("impact_high", "customer_data"):
            replaced = reason(decision, level_id)
            assert (replaced.holds, replaced.obliges, replaced.message) == (YES, False, f"reason.{level_id}.replaced")

    def test_every_dimension_of_a_choice_must_match_and_one_choice_is_enough(self):
        facts = attack(impact="I1", criticality="C2", affected_customers=(listed(data_harm=harmed(AVAILABILITY)),))
        for choice, expected in [
            (LevelChoice(impacts=("I1",), criticalities=("C2",)), NOTIFY),
            (LevelChoice(impacts=("I1",), criticalities=("C1",)), DO_NOT),
            (LevelChoice(priorities=("P2",)), NOTIFY),
            (LevelChoice(priorities=("P1", "P3")), DO_NOT),
            (LevelChoice(data_harm=(INTEGRITY, AVAILABILITY)), NOTIFY),
            (LevelChoice(data_harm=(INTEGRITY,)), DO_NOT),
            (LevelChoice(impacts=("I1",), data_harm=(INTEGRITY,)), DO_NOT),
            (LevelChoice(impacts=("S1",)), DO_NOT),
        ]:
            assert verdict(facts, chosen=profile(choice)) is expected, choice
            assert verdict(facts, chosen=profile(LevelChoice(impacts=("I3",)), choice)) is expected, choice

    def test_a_choice_is_for_security_incidents_and_for_customers_that_are_concerned(self):
        everything = profile(LevelChoice())
        assert reason(decided(known_facts(), chosen=everything), "profile").message == "reason.profile.other_nature"
        elsewhere = decided(attack(regions=("north",)), customer(regions=("south",)), everything)
        assert elsewhere.verdict is DO_NOT
        assert reason(elsewhere, "profile").message == "reason.profile.not_concerned"

    def test_a_profile_that_keeps_the_defaults_is_the_defaults(self):
        facts = attack(impact="I1")
        assert decided(facts, chosen=profile(defaults=True)) == decided(facts)

    def test_a_customer_whose_own_data_is_open_does_not_wait_for_itself_as_for_another(self):
        # Harmed: a security incident that the profile wants. Not harmed: an incident that touches it. Told either way.
        open_row = listed(data_harm=replace(NO_HARM, traceability=UNKNOWN))
        facts = known_facts(normal_operation_disrupted=YES, affected_customers=(open_row,))
        wants = profile(LevelChoice(data_harm=(TRACEABILITY,)))
        assert verdict(facts, chosen=wants) is NOTIFY
        with_other = replace(facts, affected_customers=(open_row, replace(open_row, customer_id=BOB)))
        assert decided(with_other, chosen=wants).missing == (
            "affected_customers.data_harm.traceability",
            f"affected_customers.{ALICE}.data_harm.traceability",
        )

    def test_a_profile_settles_a_priority_as_soon_as_the_matrix_does(self):
        facts = attack(impact="I1", criticality="unknown")
        assert verdict(facts, chosen=profile(LevelChoice(priorities=("P1", "P2", "P3")))) is NOTIFY
        assert verdict(facts, chosen=profile(LevelChoice(priorities=("P4", "P5")))) is DO_NOT
        assert decided(facts, chosen=profile(LevelChoice(priorities=("P1",)))).missing == ("criticality",)


class TestPlainIncidents:
    def outage(self, **stated):
        return known_facts(service_harm=harmed(AVAILABILITY), impact="I1", **stated)

    @pytest.mark.parametrize(("affected", "expected"), [(YES, NOTIFY), (NO, DO_NOT), (UNKNOWN, PENDING)])
    @pytest.mark.parametrize("chosen", [None, profile()])
    def test_owed_to_whom_it_touches_whatever_the_profile(self, affected, expected, chosen):
        decision = decided(self.outage(affected_customers=(listed(affected=affected),)), chosen=chosen)
        assert decision.verdict is expected
        assert reason(decision, "plain_incident").clause == "11.1.1.2"

    @pytest.mark.parametrize("unlisted", UnlistedCustomers)
    @pytest.mark.parametrize(
        ("incident", "uses", "settled", "still_open"),
        [
            # incident scope, customer scope, verdict when nobody unlisted is affected, verdict when that is open
            ({}, {}, DO_NOT, PENDING),
            ({"regions": ("north",)}, {"regions": ("north", "south")}, NOTIFY, NOTIFY),
            ({"regions": ("north",)}, {"regions": ("south",)}, DO_NOT, PENDING),
            ({"regions": ("north",)}, {}, NOTIFY, PENDING),
            ({"regions": ("north",), "services": ("s3",)}, {"regions": ("north",)}, NOTIFY, PENDING),
            (
                {"regions": ("north",), "services": ("s3",)},
                {"regions": ("north",), "services": ("vm",)},
                DO_NOT,
                PENDING,
            ),
            ({"availability_zones": ("a",)}, {"availability_zones": ("a",), "regions": ("x",)}, NOTIFY, NOTIFY),
            ({"availability_zones": ("a",)}, {"regions": ("x",)}, NOTIFY, PENDING),
        ],
    )
    def test_whom_it_touches_by_scope(self, incident, uses, settled, still_open, unlisted):
        # While unlisted customers are open, so is whether the event is a security incident, by their data.
        expected = settled if unlisted is NOBODY_ELSE else still_open
        facts = self.outage(unlisted_customers=unlisted, **incident)
        assert verdict(facts, customer(**uses)) is expected

    def test_an_event_is_told_to_nobody_and_says_why(self):
        decision = decided(known_facts())
        assert decision.verdict is DO_NOT
        assert (reason(decision, "event").message, reason(decision, "event").clause) == ("reason.event.yes", "3.2")

    def test_outside_the_perimeter_is_told_to_nobody_and_says_why(self):
        decision = decided(attack(inside_perimeter=NO, impact="I1"))
        assert decision.verdict is DO_NOT
        assert reason(decision, "outside_perimeter").clause == "7.1, 9.2"
        assert reason(decision, "impact_high").message == "reason.impact_high.other_nature"


class TestWhen:
    def test_the_internal_target_is_the_gti_of_the_priority(self):
        decision = decided(attack(impact="I1", criticality="C2"))
        assert (decision.due_at, decision.due_kind) == (AWARE_AT + timedelta(hours=2), DueKind.INTERNAL_TARGET)
        assert decision.target_at == decision.due_at

    def test_the_most_urgent_possible_priority_counts(self):
        decision = decided(attack(impact="I2", criticality="unknown"))
        assert (decision.priority, decision.due_at) == (None, AWARE_AT + timedelta(hours=2))

    def test_own_targets_replace_the_gti_where_they_are_set(self):
        facts = attack(impact="I1", criticality="C1")
        assert decided(facts, targets={"P1": 600}).due_at == AWARE_AT + timedelta(minutes=10)
        assert decided(facts, targets={"P2": 600}).due_at == AWARE_AT + timedelta(minutes=30)

    def test_a_contractual_deadline_stands_beside_the_earlier_target(self):
        row = listed(breach=SUSPECTED, data_harm=harmed(CONFIDENTIALITY))
        decision = decided(attack(impact="I1", criticality="C1", affected_customers=(row,)))
        assert (decision.due_at, decision.due_kind) == (AWARE_AT + timedelta(hours=48), DueKind.CONTRACTUAL)
        assert decision.target_at == AWARE_AT + timedelta(minutes=30)

    def test_pending_is_due_when_it_first_could_be(self):
        row = listed(breach=PersonalDataBreach.UNKNOWN)
        facts = attack(impact="unknown", criticality="C3", affected_customers=(row,))
        decision = decided(facts)
        assert (decision.verdict, decision.due_at) == (PENDING, AWARE_AT + timedelta(hours=4))
        late = decided(facts, targets=dict.fromkeys(AGREEMENT.priority_ids, 10**6))
        assert (late.due_at, late.due_kind) == (AWARE_AT + timedelta(hours=48), DueKind.CONTRACTUAL)

    def test_nothing_is_due_where_nothing_is_owed(self):
        decision = decided(known_facts())
        assert (decision.due_at, decision.due_kind, decision.target_at) == (None, None, None)


def test_reasons_that_oblige_come_first():
    row = listed(breach=CONFIRMED, controller=Controller.CUSTOMER)
    decision = decided(known_facts(service_harm=harmed(AVAILABILITY), affected_customers=(row,)), chosen=profile())
    assert [(each.id, each.holds, each.obliges) for each in decision.reasons] == [
        ("personal_data_customer_controller", YES, True),
        ("plain_incident", YES, True),
        ("personal_data_provider_controller", NO, True),
        ("data_protection_failure", NO, True),
        ("profile", NO, True),
        ("impact_high", NO, False),
        ("customer_data", NO, False),
    ]


def test_every_message_is_declared_and_occurs():
    said = set()
    intents, perimeters, rows = (
        list(Intent),
        [YES, NO, UNKNOWN],
        [
            (),
            (listed(),),
            (listed(affected=NO),),
            (AffectedCustomer(ALICE),),
            (listed(data_harm=harmed(INTEGRITY)),),
            *((listed(breach=CONFIRMED, controller=controller),) for controller in Controller),
            (listed(breach=PersonalDataBreach.RULE_BROKEN),),
        ],
    )
    chosen = [None, profile(), profile(LevelChoice(impacts=("I1",)))]
    harms, impacts = [NO_HARM, harmed(AVAILABILITY)], ["I1", "I3", "unknown"]
    for intent, inside, row, choices, harm, impact in product(intents, perimeters, rows, chosen, harms, impacts):
        facts = known_facts(
            intent=intent, inside_perimeter=inside, affected_customers=row, service_harm=harm, impact=impact
        )
        said.update(each.message for each in decided(facts, chosen=choices).reasons)
    assert said == {message for message in MESSAGE_IDS if not message.startswith("reason.level.")}


# -- against a second reading of the agreement, that knows complete facts only and tries every answer


def owed_by_the_text(facts, *, data_harm, touched, concerned, breach, choices):
    """Return "duty", "level" or None for one customer by 11.1.1.2, 11.1.1.3 and DPA 7, on facts that are complete."""
    if breach in {SUSPECTED, CONFIRMED, PersonalDataBreach.RULE_SUSPECTED, PersonalDataBreach.RULE_BROKEN}:
        return "duty"
    if facts.inside_perimeter is NO:
        return None
    own = {each for each in Property if data_harm.of(each) is YES}
    all_harm = [facts.service_harm, data_harm, *(row.data_harm for row in facts.affected_customers)]
    any_harm = {each for each in Property if YES in {harm.of(each) for harm in all_harm}}
    if facts.intent is Intent.MALICIOUS or facts.security_measures_harmed is YES or any_harm - {AVAILABILITY}:
        if choices is None:
            told = bool(own & {INTEGRITY, CONFIDENTIALITY}) or (facts.impact in {"I1", "I2"} and concerned)
        else:
            told = concerned and any(
                (not choice.impacts or facts.impact in choice.impacts)
                and (not choice.criticalities or facts.criticality in choice.criticalities)
                and (not choice.priorities or AGREEMENT.matrix[facts.impact, facts.criticality] in choice.priorities)
                and (not choice.data_harm or own & set(choice.data_harm))
                for choice in choices
            )
        return "level" if told else None
    incident = any_harm or facts.normal_operation_disrupted is YES
    return "level" if incident and touched else None


def expected_verdict(outcomes):
    if outcomes == {None}:
        return DO_NOT
    return PENDING if None in outcomes else NOTIFY


def assert_as_expected(decision, outcomes):
    assert decision.verdict is expected_verdict(outcomes)
    if outcomes == {None}:
        assert decision.due_at is None
    else:
        contractual = outcomes <= {"duty", None}
        assert (decision.due_kind is DueKind.CONTRACTUAL) == contractual
    assert bool(decision.missing) == (decision.verdict is PENDING)


all_choices = st.one_of(st.none(), st.lists(level_choices, max_size=2).map(tuple))


@st.composite
def facts_with_few_open_places(draw, at_most=6):
    facts = replace(draw(incident_facts), unlisted_customers=NOBODY_ELSE)
    rows = facts.affected_customers or (AffectedCustomer(ALICE),)
    facts = replace(facts, affected_customers=rows)
    for path, possible in draw(st.permutations(open_places(facts)))[at_most:]:
        facts = answered(facts, path, draw(st.sampled_from(possible)))
    return facts


@settings(max_examples=100, deadline=None)
@given(facts_with_few_open_places(), all_choices)
def test_a_listed_customer_is_decided_as_by_trying_every_answer(facts, choices):
    outcomes = set()
    for complete in completions(facts):
        own = complete.for_customer(ALICE)
        outcomes.add(
            owed_by_the_text(
                complete,
                data_harm=own.data_harm,
                touched=own.affected is YES,
                concerned=own.affected is YES or YES in {own.data_harm.of(each) for each in Property},
                breach=own.personal_data.breach,
                choices=choices,
            )
        )
    chosen = None if choices is None else profile(*choices)
    assert_as_expected(decided(facts, chosen=chosen), outcomes)


@settings(max_examples=40, deadline=None)
@given(facts_with_few_open_places(at_most=1), all_choices, st.sampled_from(UnlistedCustomers), scopes, scopes)
def test_an_unlisted_customer_is_decided_as_by_trying_every_answer(facts, choices, unlisted, services, regions):
    facts = replace(facts, unlisted_customers=unlisted)
    who = customer(UUID(int=42), services=services, regions=regions)
    dimensions = [(set(facts.services), set(services)), (set(facts.regions), set(regions))]
    disjoint = any(here and there and not here & there for here, there in dimensions)
    inside = any(here for here, _ in dimensions) and all(not here or here & there for here, there in dimensions)
    scoped = any(here for here, _ in dimensions)
    if disjoint:
        touches = [False]
    elif unlisted is NOBODY_ELSE:
        touches = [scoped]
    else:
        touches = [True] if inside else [True, False]
    if unlisted is NOBODY_ELSE:
        harms, breaches, elsewhere = [NO_HARM], [NO_BREACH], [NO_HARM]
    else:
        harms = [NO_HARM, *(harmed(each) for each in Property), harmed(AVAILABILITY, CONFIDENTIALITY)]
        breaches = [NO_BREACH, CONFIRMED]
        # Data of a customer that nobody speaks of may be harmed too; every property by itself shows what it changes.
        elsewhere = [NO_HARM, harmed(AVAILABILITY), harmed(INTEGRITY)]
    outcomes = set()
    for complete in completions(facts):
        for touched, harm, breach, other in product(touches, harms, breaches, elsewhere):
            with_other = replace(
                complete, affected_customers=(*complete.affected_customers, listed(BOB, data_harm=other))
            )
            concerned = not disjoint or YES in {harm.of(each) for each in Property}
            outcomes.add(
                owed_by_the_text(
                    with_other, data_harm=harm, touched=touched, concerned=concerned, breach=breach, choices=choices
                )
            )
    chosen = None if choices is None else profile(*choices)
    assert_as_expected(decided(facts, who, chosen), outcomes)


@settings(max_examples=200, deadline=None)
@given(incident_facts, st.data(), customers, profiles)
def test_more_knowledge_never_flips_a_settled_verdict(facts, data, who, chosen):
    places = open_places(facts)
    assume(places)
    path, possible = data.draw(st.sampled_from(places))
    before = verdict(facts, who, chosen)
    after = verdict(answered(facts, path, data.draw(st.sampled_from(possible))), who, chosen)
    assert before in {PENDING, after}


@settings(max_examples=200, deadline=None)
@given(incident_facts, customers, profiles)
def test_settling_unlisted_customers_never_flips_a_settled_verdict(facts, who, chosen):
    before = verdict(replace(facts, unlisted_customers=ELSE_UNKNOWN), who, chosen)
    assert before in {PENDING, verdict(replace(facts, unlisted_customers=NOBODY_ELSE), who, chosen)}


@settings(max_examples=100, deadline=None)
@given(incident_facts, st.lists(st.tuples(customers, profiles), min_size=2, max_size=12))
def test_deciding_many_is_deciding_each(facts, cases):
    classification = classify(facts, AGREEMENT)
    decider = Decider(facts, classification, AGREEMENT)
    for who, chosen in cases:
        assert decider.decide(who, chosen) == decide(facts, classification, AGREEMENT, who, chosen)


@settings(max_examples=100, deadline=None)
@given(incident_facts, customers, profiles)
def test_a_decision_names_no_other_customer(facts, who, chosen):
    decision = decided(facts, who, chosen)
    others = {str(row.customer_id) for row in facts.affected_customers} - {str(who.id)}
    assert not any(other in repr(decision) for other in others)
    if decision.verdict is not PENDING:
        assert decision.missing == ()
    for each in decision.reasons:
        assert bool(each.missing) == (each.holds is UNKNOWN)


def test_customers_that_are_alike_share_the_work():
    facts = attack(impact="I1", regions=("north",))
    decider = Decider(facts, classify(facts, AGREEMENT), AGREEMENT)
    first = decider.decide(customer(UUID(int=10), regions=("north",)), None)
    second = decider.decide(customer(UUID(int=11), regions=("north",)), None)
    assert (first.customer_id, second.customer_id) == (UUID(int=10), UUID(int=11))
    assert first.reasons is second.reasons


def test_everything_open_is_pending_with_its_clock_running():
    decision = decided(open_facts())
    assert decision.verdict is PENDING
    assert decision.due_at == AWARE_AT + timedelta(minutes=30)
    assert {"inside_perimeter", "intent", "impact", "unlisted_customers"} <= set(decision.missing)
