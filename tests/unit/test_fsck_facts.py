"""Facts that earlier releases did not have: entries of their logs still agree with the rows, and edited rows do not."""

import json

import pytest

from notifications.canonical_json import canonicalize
from notifications.incident import IncidentFacts, PersonalData
from notifications.use_cases.audit_context import as_json
from service.audit_log.fsck.decisions import as_committed
from service.store.sql.encoding import JsonCodec
from support.domain_facts import known_facts, listed, open_facts

ADDED = ("service_level_breached", "damage_to_customer", "may_cause")


def of_earlier_release(facts):
    """Return the facts as the release before the second agreement wrote them."""
    shape = as_json(facts)
    for name in ADDED:
        del shape[name]
    for stated in shape["affected_customers"]:
        del stated["personal_data"]["health_data"]
    return shape


@pytest.mark.parametrize("facts", [open_facts(affected_customers=(listed(),)), open_facts()])
def test_what_an_earlier_release_committed_to_is_what_is_stored(facts):
    then = of_earlier_release(facts)
    assert canonicalize(as_committed(as_json(facts), then)) == canonicalize(then)


@pytest.mark.parametrize("name", ADDED)
def test_a_fact_that_the_entry_does_not_have_is_found_where_the_row_answers_it(name):
    facts = open_facts(affected_customers=(listed(),))
    edited = as_json(facts) | {name: "no"}
    assert canonicalize(as_committed(edited, then := of_earlier_release(facts))) != canonicalize(then)


def test_an_edited_answer_of_one_customer_is_found():
    facts = known_facts(affected_customers=(listed(),))
    edited = as_json(facts)
    edited["affected_customers"][0]["personal_data"]["health_data"] = "yes"
    then = as_json(facts)
    del then["affected_customers"][0]["personal_data"]["health_data"]
    assert canonicalize(as_committed(edited, then)) != canonicalize(then)


def test_facts_that_an_earlier_release_stored_are_read_with_the_new_ones_unknown():
    facts = open_facts(affected_customers=(listed(),))
    codec = JsonCodec(IncidentFacts)
    stored = json.loads(codec.encode(facts))
    for name in ADDED:
        del stored[name]
    del stored["affected_customers"][0]["personal_data"]["health_data"]
    assert codec.decode(json.dumps(stored)) == facts
    assert PersonalData().health_data == "unknown"
