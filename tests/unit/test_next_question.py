"""The open fact whose answer would change most: counted over customers, with equal customers decided once."""

from dataclasses import replace

import pytest

from notifications.agreement import bundled_agreements
from notifications.classification import Nature, classify
from notifications.decision import Verdict
from notifications.incident import (
    AffectedCustomer,
    Answer,
    Harm,
    Intent,
    PersonalData,
    PersonalDataBreach,
    UnlistedCustomers,
)
from notifications.use_cases.incidents.customer_decider import Agreements, CustomerCase, CustomerDecider
from notifications.use_cases.incidents.next_question import next_question
from support.records import make_binding, make_customer, make_facts

AGREEMENTS = Agreements(bundled_agreements(), "secnumcloud_iaas_3_0")
NO_HARM = Harm(*[Answer.NO] * 4)
KNOWN = make_facts(
    inside_perimeter=Answer.YES,
    intent=Intent.ACCIDENTAL,
    service_harm=NO_HARM,
    security_measures_harmed=Answer.NO,
    normal_operation_disrupted=Answer.NO,
    impact="I2",
    criticality="C2",
    services=(),
    regions=(),
    availability_zones=(),
    affected_customers=(),
    unlisted_customers=UnlistedCustomers.NOT_AFFECTED,
)


def case(**changes):
    customer = make_customer(services=(), regions=(), availability_zones=(), **changes)
    return CustomerCase(customer, [make_binding(customer)], ())


def asked(facts, cases):
    return next_question(facts, cases, AGREEMENTS, classify(facts, AGREEMENTS.reference))


def test_nothing_is_asked_where_everything_is_known():
    assert asked(KNOWN, [case()]) is None


def test_the_answer_that_changes_most_verdicts_is_asked_for():
    cases = [case() for _ in range(3)]
    # Intent decides whether it is a security incident of impact I2; the criticality only the priority.
    facts = replace(KNOWN, intent=Intent.UNKNOWN, criticality="unknown")
    found = asked(facts, cases)
    assert found.fact == "intent"
    outcomes = {outcome.answer: outcome for outcome in found.outcomes}
    assert outcomes["malicious"].natures == (Nature.SECURITY_INCIDENT,)
    assert outcomes["malicious"].tally[Verdict.NOTIFY] == 3
    assert outcomes["accidental"].natures == (Nature.EVENT,)
    assert outcomes["accidental"].tally[Verdict.DO_NOT_NOTIFY] == 3
    assert found.changed == sum(outcome.changed for outcome in found.outcomes) > 0


@pytest.mark.parametrize("changes", [{"intent": Intent.UNKNOWN}, {"impact": "unknown", "intent": Intent.MALICIOUS}])
def test_the_counts_are_those_of_deciding_each_customer_by_itself(changes):
    facts = replace(KNOWN, regions=("sbg",), **changes)
    cases = [
        CustomerCase(each, [make_binding(each)], ())
        for each in (
            make_customer(services=(), regions=regions, availability_zones=())
            for regions in (("sbg",), ("gra",), ("sbg",), ())
        )
    ]
    found = asked(facts, cases)
    before = CustomerDecider(facts, AGREEMENTS)
    for outcome in found.outcomes:
        answered = replace(facts, **{found.fact: Intent(outcome.answer) if found.fact == "intent" else outcome.answer})
        after = CustomerDecider(answered, AGREEMENTS)
        verdicts = [(before.decide(each).verdict, after.decide(each).verdict) for each in cases]
        assert outcome.changed == sum(one is not other for one, other in verdicts)
        assert {verdict: sum(other is verdict for _, other in verdicts) for verdict in Verdict} == outcome.tally


def test_a_fact_about_one_customer_is_asked_for_where_only_its_verdict_waits():
    one, other = case(), case()
    stated = AffectedCustomer(
        one.customer.id,
        affected=Answer.NO,
        data_harm=NO_HARM,
        personal_data=PersonalData(breach=PersonalDataBreach.UNKNOWN),
    )
    facts = replace(KNOWN, impact="I3", affected_customers=(stated,))
    found = asked(facts, [one, other])
    assert found is not None
    assert found.fact.startswith(f"affected_customers.{one.customer.id}.personal_data.")
    assert max(outcome.changed for outcome in found.outcomes) == 1


def test_customers_that_are_equal_are_decided_once(monkeypatch):
    decided = []
    decide = CustomerDecider.decide
    monkeypatch.setattr(CustomerDecider, "decide", lambda self, case: decided.append(case) or decide(self, case))
    cases = [case() for _ in range(500)]
    unharmed = PersonalData(breach=PersonalDataBreach.NO)
    listed = tuple(
        AffectedCustomer(each.customer.id, data_harm=NO_HARM, personal_data=unharmed) for each in cases[:300]
    )
    asked(replace(KNOWN, intent=Intent.UNKNOWN, affected_customers=listed), cases)
    # Each once for its present verdict, then a few for each answer.
    assert len(decided) < 500 + 20
