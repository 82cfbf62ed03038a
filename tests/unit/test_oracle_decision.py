"""Decisions per customer against the oracle: sampled systematically over the joint space, and at random."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from math import prod
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.agreement import bundled_agreements
from notifications.classification import classify
from notifications.customer.records import Customer, LevelChoice, ProfileVersion
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
    Property,
    UnlistedCustomers,
)
from support.oracle_agreement import (
    CRITICALITIES,
    EVERYWHERE,
    IMPACTS,
    PRIORITIES,
    PROPERTIES,
    Choice,
    Listed,
    Situation,
    Stated,
    level_cases,
    three_valued,
)
from support.oracle_agreement import decide as oracle_decide

pytestmark = pytest.mark.slow

AGREEMENT = bundled_agreements()["secnumcloud_iaas_3_0"]
CUSTOMER_ID = UUID(int=0xA)
TEXT = LocalizedText.of({"en": "x"})
AWARE_AT = datetime(2026, 11, 23, 4, 45, tzinfo=UTC)


@cache
def harm_of(harm):
    return Harm(*map(Answer, harm))


def facts_of(situation: Situation) -> IncidentFacts:
    incident, listed = situation.incident, situation.listed
    others = tuple(
        AffectedCustomer(UUID(int=0xB + place), data_harm=harm_of(harm)) for place, harm in enumerate(incident.data)
    )
    own = ()
    if listed is not None:
        personal_data = PersonalData(PersonalDataBreach(listed.breach), Controller(listed.controller))
        own = (AffectedCustomer(CUSTOMER_ID, Answer(listed.affected), harm_of(listed.harm), personal_data),)
    services, regions, zones = situation.incident_scope
    return IncidentFacts(
        title=TEXT,
        summary=TEXT,
        aware_at=AWARE_AT,
        inside_perimeter=Answer(incident.inside),
        intent=Intent(incident.intent),
        service_harm=harm_of(incident.service),
        security_measures_harmed=Answer(incident.measures),
        normal_operation_disrupted=Answer(incident.disrupted),
        impact=situation.impact,
        criticality=situation.criticality,
        services=services,
        regions=regions,
        availability_zones=zones,
        affected_customers=(*own, *others),
        unlisted_customers=UnlistedCustomers(incident.unlisted),
    )


@cache
def customer_of(scope):
    return Customer(CUSTOMER_ID, "A", "fr", "Europe/Paris", *scope, created_at=AWARE_AT - timedelta(days=9))


@cache
def profile_of(choices):
    if choices is None:
        return None
    levels = tuple(
        LevelChoice(choice.impacts, choice.criticalities, choice.priorities, tuple(map(Property, choice.data_harm)))
        for choice in choices
    )
    at = AWARE_AT - timedelta(days=8)
    return ProfileVersion(UUID(int=7), CUSTOMER_ID, 3, levels, at, at, "customer")


@cache
def classification_of(situation):
    """Classification looks at nothing that is particular to the decision, so it is shared between decisions."""
    return classify(facts_of(situation), AGREEMENT)


def decided(situation: Situation):
    shared = situation._replace(
        choices=None,
        internal_targets=(),
        incident_scope=EVERYWHERE,
        customer_scope=EVERYWHERE,
        listed=situation.listed and Listed(harm=situation.listed.harm),
    )
    return decide(
        facts_of(situation),
        classification_of(shared),
        AGREEMENT,
        customer_of(situation.customer_scope),
        profile_of(situation.choices),
        dict(situation.internal_targets) or None,
    )


def seconds(at):
    return None if at is None else int((at - AWARE_AT).total_seconds())


def assert_agrees(situation: Situation):
    expected, decision = oracle_decide(situation), decided(situation)
    found = (
        decision.verdict.value,
        seconds(decision.due_at),
        decision.due_kind and decision.due_kind.value,
        seconds(decision.target_at),
    )
    assert found == tuple(expected), (situation, decision)
    return decision


NONE = ("no",) * 4


def only(harmed, answer):
    return tuple(answer if name == harmed else "no" for name in PROPERTIES)


INCIDENTS = [
    Stated(inside, intent, service, others, measures, disrupted, unlisted)
    for inside, intent, service, others, measures, disrupted, unlisted in product(
        ("yes", "unknown", "no"),
        ("accidental", "malicious", "unknown"),
        (NONE, only("availability", "yes"), only("confidentiality", "unknown"), only("traceability", "yes")),
        ((), (only("integrity", "unknown"),)),
        ("no", "unknown"),
        ("no", "yes"),
        ("not_affected", "unknown"),
    )
]
LISTED = [
    None,
    None,  # as often as a customer that is listed in one way
    Listed("yes"),
    Listed("no"),
    Listed("unknown"),
    Listed("yes", only("availability", "yes")),
    Listed("yes", only("integrity", "yes")),
    Listed("yes", only("confidentiality", "yes"), "confirmed", "customer"),
    Listed("yes", only("traceability", "yes"), "suspected", "provider"),
    Listed("yes", only("confidentiality", "unknown")),
    Listed("no", only("confidentiality", "unknown")),
    Listed("no", NONE, "confirmed", "unknown"),
    Listed("no", NONE, "unknown", "joint"),
    Listed("unknown", ("unknown",) * 4, "unknown", "unknown"),
    Listed("yes", NONE, "suspected", "joint"),
    Listed("yes", NONE, "no", "customer"),
]
LEVELS = list(product(("I1", "I2", "I3", "unknown"), ("C1", "C3", "unknown")))
SCOPES = [
    (EVERYWHERE, EVERYWHERE),
    ((("compute",), (), ()), (("compute", "mail"), ("par",), ())),  # overlap
    ((("compute",), ("par",), ()), (("compute",), ("gra",), ())),  # disjoint in one dimension
    ((("compute",), (), ()), EVERYWHERE),
    (EVERYWHERE, ((), (), ("par-1",))),
]
CHOICES = [
    None,
    None,
    (),
    (Choice(impacts=("I3",)),),
    (Choice(data_harm=("traceability", "confidentiality")),),
    (Choice(priorities=("P1", "P2")), Choice(impacts=("I1",), criticalities=("C3",), data_harm=("integrity",))),
    (Choice(),),
]
TARGETS = ((), (("P1", 600), ("P5", 72 * 3600)))


DIMENSIONS = (INCIDENTS, LISTED, LEVELS, CHOICES)
JOINT = prod(len(dimension) for dimension in DIMENSIONS)
#: Shares no factor with any number of values, so that every value meets every value of each other dimension.
STRIDE = 151


def systematic(start=0, step=STRIDE):
    """Every ``step``-th point of the joint space, with all scopes and all targets."""
    for index in range(start, JOINT, step):
        values, rest = [], index
        for dimension in DIMENSIONS:
            rest, place = divmod(rest, len(dimension))
            values.append(dimension[place])
        incident, listed, (impact, criticality), choices = values
        for (ours, theirs), targets in product(SCOPES, TARGETS):
            yield Situation(incident, impact, criticality, ours, theirs, listed, choices, targets)


def test_decisions_agree_with_the_oracle_over_a_systematic_sample():
    checked, verdicts = 0, set()
    for situation in systematic():
        verdicts.add(assert_agrees(situation).verdict.value)
        checked += 1
    assert checked >= 50_000
    assert verdicts == {"notify", "do_not_notify", "pending"}


def test_each_level_holds_as_in_the_cases_of_the_oracle():
    checked = 0
    for situation in systematic(start=5, step=STRIDE * 17):
        found = {reason.id: reason.holds.value for reason in decided(situation).reasons if reason.obliges}
        expected = {level: three_valued(cases) for level, cases in level_cases(situation).items()}
        assert {level: found.get(level) for level in expected} == expected, (situation, found)
        checked += 1
    assert checked >= 3_000


answers = st.sampled_from(["yes", "no", "unknown"])
harms = st.one_of(
    st.just(NONE),
    st.builds(only, st.sampled_from(PROPERTIES), answers),
    st.tuples(answers, answers, answers, answers),
)
level_sets = {
    "impacts": st.lists(st.sampled_from(IMPACTS), max_size=2, unique=True).map(tuple),
    "criticalities": st.lists(st.sampled_from(CRITICALITIES), max_size=2, unique=True).map(tuple),
    "priorities": st.lists(st.sampled_from(PRIORITIES), max_size=3, unique=True).map(tuple),
    "data_harm": st.lists(st.sampled_from(PROPERTIES), max_size=2, unique=True).map(tuple),
}
names = st.lists(st.sampled_from(["x", "y", "z"]), max_size=2, unique=True).map(tuple)
scopes = st.tuples(names, names, names)
situations = st.builds(
    Situation,
    incident=st.builds(
        Stated,
        inside=st.sampled_from(["yes", "yes", "yes", "unknown", "no"]),
        intent=st.sampled_from(["accidental", "malicious", "unknown"]),
        service=harms,
        data=st.one_of(st.just(()), st.tuples(st.builds(only, st.sampled_from(PROPERTIES), answers))),
        measures=st.sampled_from(["no", "no", "yes", "unknown"]),
        disrupted=answers,
        unlisted=st.sampled_from(["not_affected", "unknown"]),
    ),
    impact=st.sampled_from([*IMPACTS, "unknown"]),
    criticality=st.sampled_from([*CRITICALITIES, "unknown"]),
    incident_scope=scopes,
    customer_scope=scopes,
    listed=st.one_of(
        st.none(),
        st.builds(
            Listed,
            affected=answers,
            harm=harms,
            breach=st.sampled_from(["no", "suspected", "confirmed", "unknown"]),
            controller=st.sampled_from(["customer", "provider", "joint", "unknown"]),
        ),
    ),
    choices=st.one_of(st.none(), st.lists(st.builds(Choice, **level_sets), max_size=2).map(tuple)),
    internal_targets=st.dictionaries(
        st.sampled_from(PRIORITIES), st.sampled_from([0, 900, 7 * 24 * 3600]), max_size=2
    ).map(lambda targets: tuple(targets.items())),
)


@given(situations)
@settings(max_examples=800, deadline=None)
def test_decisions_agree_with_the_oracle_at_random(situation):
    assert_agrees(situation)


def answered(situation: Situation):
    """Every open fact of a situation with the situations in which it is answered."""
    incident, listed = situation.incident, situation.listed
    for fact, field, values in (
        ("inside_perimeter", "inside", ("yes", "no")),
        ("intent", "intent", ("accidental", "malicious")),
        ("security_measures_harmed", "measures", ("yes", "no")),
        ("normal_operation_disrupted", "disrupted", ("yes", "no")),
    ):
        if getattr(incident, field) == "unknown":
            yield fact, [situation._replace(incident=incident._replace(**{field: value})) for value in values]
    if situation.impact == "unknown":
        yield "impact", [situation._replace(impact=value) for value in IMPACTS]
    if situation.criticality == "unknown":
        yield "criticality", [situation._replace(criticality=value) for value in CRITICALITIES]
    if listed is None:
        return
    prefix = f"affected_customers.{CUSTOMER_ID}"
    for fact, field, values in (
        ("affected", "affected", ("yes", "no")),
        ("personal_data.breach", "breach", ("no", "suspected", "confirmed")),
        ("personal_data.controller", "controller", ("customer", "provider", "joint")),
    ):
        if getattr(listed, field) == "unknown":
            yield (
                f"{prefix}.{fact}",
                [situation._replace(listed=listed._replace(**{field: value})) for value in values],
            )
    for place, harmed in enumerate(PROPERTIES):
        if listed.harm[place] == "unknown":
            yield (
                f"{prefix}.data_harm.{harmed}",
                [
                    situation._replace(
                        listed=listed._replace(harm=(*listed.harm[:place], value, *listed.harm[place + 1 :]))
                    )
                    for value in ("yes", "no")
                ],
            )


@given(situations)
@settings(max_examples=400, deadline=None)
def test_a_pending_decision_names_every_fact_that_can_settle_it(situation):
    decision = decided(situation)
    if decision.verdict.value != "pending":
        assert decision.missing == ()
        return
    assert decision.missing
    for fact, situations_then in answered(situation):
        if any(oracle_decide(then).verdict != "pending" for then in situations_then):
            assert fact in decision.missing, (situation, fact, decision.missing)


@pytest.mark.parametrize("choices", [None, (), (Choice(impacts=("I1",)),)])
@pytest.mark.parametrize("controller", ["customer", "provider", "joint", "unknown"])
@pytest.mark.parametrize("breach", ["suspected", "confirmed"])
@pytest.mark.parametrize("inside", ["yes", "no", "unknown"])
def test_a_breach_of_personal_data_obliges_whatever_the_nature_and_whatever_was_chosen(
    inside, breach, controller, choices
):
    incident = Stated(inside, "accidental", NONE, (), "no", "no")
    decision = assert_agrees(
        Situation(incident, "I3", "C3", EVERYWHERE, EVERYWHERE, Listed("no", NONE, breach, controller), choices=choices)
    )
    assert decision.verdict.value == "notify"
    assert decision.personal_data_breach
    assert decision.due_kind.value == "contractual"
    assert decision.due_at == AWARE_AT + timedelta(hours=48)


def test_a_decision_says_by_which_profile_and_agreement_it_was_taken():
    incident = Stated("yes", "malicious", NONE, (), "no", "no")
    situation = Situation(incident, "I1", "C1", EVERYWHERE, EVERYWHERE, Listed("yes"))
    default, chosen = decided(situation), decided(situation._replace(choices=(Choice(impacts=("I3",)),)))
    assert (default.profile_version, chosen.profile_version) == (None, 3)
    assert default.agreement_id == chosen.agreement_id == "secnumcloud_iaas_3_0"
    assert (default.verdict.value, chosen.verdict.value) == ("notify", "do_not_notify")
    assert default.customer_id == CUSTOMER_ID
