"""The agreement, through the API alone, against a table written by hand from clauses 3.2, 7.6.4, 8.3 and 11.1.1.3."""

from itertools import product

import pytest
import pytest_asyncio

from support import scenario
from support.scenario import affected, facts, harm, ok

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def api(shared_api):
    """The one service of this module: tests ask what would be decided, and nothing is stored."""
    return shared_api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hospital(shared_api):
    """The only customer."""
    return await scenario.customer(shared_api)


MATRIX = {
    ("I1", "C1"): "P1", ("I2", "C1"): "P2", ("I3", "C1"): "P3",
    ("I1", "C2"): "P2", ("I2", "C2"): "P3", ("I3", "C2"): "P4",
    ("I1", "C3"): "P3", ("I2", "C3"): "P4", ("I3", "C3"): "P5",
}  # fmt: skip
GTI = {"P1": (1800, 95), "P2": (7200, 90), "P3": (14400, 90), "P4": (86400, 85), "P5": (172800, 85)}


async def test_every_cell_of_the_matrix_with_its_commitment(api):
    for impact, criticality in product(("I1", "I2", "I3"), ("C1", "C2", "C3")):
        result = await ok(api.post("/incidents/validate", json=facts(impact=impact, criticality=criticality)))
        priority = MATRIX[impact, criticality]
        assert result["priority"] == priority
        assert (result["gti_seconds"], result["gti_target_percent"]) == GTI[priority]


async def test_an_unknown_level_leaves_every_priority_it_still_allows(api):
    result = await ok(api.post("/incidents/validate", json=facts(impact="I2", criticality="unknown")))
    assert result["priority"] is None
    assert result["provisional"]
    assert result["possible_priorities"] == ["P2", "P3", "P4"]


NATURES = [
    # 3.2 (a)
    ({"intent": "malicious", "cause": "attack"}, "security_incident", "3.2 (a)"),
    (
        {"intent": "malicious", "cause": "attack", "service_harm": harm(availability="yes")},
        "security_incident",
        "3.2 (a)",
    ),
    # 3.2 (b)
    ({"service_harm": harm(integrity="yes")}, "security_incident", "3.2 (b)"),
    ({"service_harm": harm(confidentiality="yes")}, "security_incident", "3.2 (b)"),
    ({"service_harm": harm(traceability="yes")}, "security_incident", "3.2 (b)"),
    ({"service_harm": harm(availability="yes", confidentiality="yes")}, "security_incident", "3.2 (b)"),
    # 3.2 (c), whatever the cause
    ({"security_measures_harmed": "yes"}, "security_incident", "3.2 (c)"),
    ({"security_measures_harmed": "yes", "cause": "natural_disaster"}, "security_incident", "3.2 (c)"),
    # the exclusion: availability of non-malicious origin
    ({"service_harm": harm(availability="yes"), "cause": "hardware_failure"}, "incident", None),
    ({"service_harm": harm(availability="yes"), "cause": "natural_disaster"}, "incident", None),
    ({"normal_operation_disrupted": "yes", "cause": "human_error"}, "incident", None),
    ({}, "event", None),
    # 7.1, 9.2
    ({"inside_perimeter": "no", "intent": "malicious"}, "outside_perimeter", None),
]


@pytest.mark.parametrize(("change", "nature", "clause"), NATURES)
async def test_definitions(api, change, nature, clause):
    result = await ok(api.post("/incidents/validate", json=facts(**change)))
    assert result["nature"] == nature
    assert result["possible_natures"] == [nature]
    holding = {ground["clause"] for ground in result["grounds"] if ground["holds"] == "yes"}
    if clause:
        assert clause in holding
    else:
        assert not holding & {"3.2 (a)", "3.2 (b)", "3.2 (c)"} or nature == "outside_perimeter"


async def test_unknown_is_not_no(api):
    result = await ok(
        api.post("/incidents/validate", json=facts(intent="unknown", service_harm=harm(availability="yes")))
    )
    assert result["provisional"]
    assert result["possible_natures"] == ["security_incident", "incident"]
    assert result["nature"] == "security_incident"
    (question,) = result["open_questions"]
    assert question["fact"] == "intent"
    assert {effect["answer"]: effect["natures"] for effect in question["effects"]} == {
        "malicious": ["security_incident"],
        "accidental": ["incident"],
    }


async def test_an_answer_that_changes_nothing_is_not_asked_for(api):
    result = await ok(api.post("/incidents/validate", json=facts(intent="unknown", service_harm=harm(integrity="yes"))))
    assert result["possible_natures"] == ["security_incident"]
    assert not result["provisional"]


def breach(controller, state="confirmed"):
    return {"personal_data": {"breach": state, "controller": controller}}


SECURITY = {"intent": "malicious", "cause": "attack"}
LEVELS = [
    # (facts, entry of the customer, verdict, clauses that oblige and hold, due kind)
    (SECURITY | {"impact": "I1"}, {}, "notify", {"11.1.1.3 (1)"}, "internal_target"),
    (SECURITY | {"impact": "I2"}, {}, "notify", {"11.1.1.3 (1)"}, "internal_target"),
    (SECURITY | {"impact": "I3"}, {}, "do_not_notify", set(), None),
    (SECURITY, {"data_harm": harm(confidentiality="yes")}, "notify", {"11.1.1.3 (2)"}, "internal_target"),
    (SECURITY, {"data_harm": harm(integrity="yes")}, "notify", {"11.1.1.3 (2)"}, "internal_target"),
    (SECURITY, {"data_harm": harm(availability="yes")}, "do_not_notify", set(), None),
    (SECURITY, {"data_harm": harm(traceability="yes")}, "do_not_notify", set(), None),
    (SECURITY, breach("customer"), "notify", {"11.1.1.3 (3)"}, "contractual"),
    (SECURITY, breach("provider"), "notify", {"11.1.1.3 (4)"}, "contractual"),
    (SECURITY, breach("customer", "suspected"), "notify", {"11.1.1.3 (3)"}, "contractual"),
    (SECURITY, breach("joint"), "notify", {"11.1.1.3 (3)", "11.1.1.3 (4)"}, "contractual"),
    (SECURITY, breach("unknown"), "notify", set(), "contractual"),
    (SECURITY, breach("customer", "unknown"), "pending", set(), None),
    # duties of DPA art. 7 and 8 stand by themselves
    ({"service_harm": harm(availability="yes")}, breach("customer"), "notify", {"11.1.1.3 (3)"}, "contractual"),
    # plain incidents
    ({"service_harm": harm(availability="yes")}, {}, "notify", {"11.1.1.2"}, "internal_target"),
    ({"service_harm": harm(availability="yes")}, {"affected": "no"}, "do_not_notify", set(), None),
    ({"service_harm": harm(availability="yes"), "impact": "I1"}, {"affected": "unknown"}, "pending", set(), None),
    ({}, {}, "do_not_notify", set(), None),
]


@pytest.mark.parametrize(("change", "entry", "verdict", "clauses", "due_kind"), LEVELS)
async def test_default_levels(api, hospital, change, entry, verdict, clauses, due_kind):
    result = await ok(
        api.post("/incidents/dry-run", json=facts(**change, affected_customers=[affected(hospital, **entry)]))
    )
    (decision,) = result["assessments"]
    assert decision["verdict"] == verdict
    holding = {reason["clause"] for reason in decision["reasons"] if reason["obliges"] and reason["holds"] == "yes"}
    assert clauses <= holding
    if due_kind:
        assert decision["due_kind"] == due_kind
    if verdict == "do_not_notify":
        assert decision["due_at"] is None
        assert decision["reasons"], "a decision not to notify has its reasons"


async def test_the_agreement_is_served_as_data(api):
    agreement = await ok(api.get("/agreements/secnumcloud_iaas_3_0"))
    assert {(i, c): agreement["matrix"][c][i] for i, c in MATRIX} == MATRIX
    assert {item["id"]: (item["gti_seconds"], item["target_percent"]) for item in agreement["priorities"]} == GTI
    assert [(item["clause"], item["waivable"]) for item in agreement["default_levels"]] == [
        ("11.1.1.3 (1)", True), ("11.1.1.3 (2)", True), ("11.1.1.3 (3)", False), ("11.1.1.3 (4)", False),
        # Of the DPA that the agreement names: a data-protection rule that is broken without a breach.
        ("DPA 7", False),
    ]  # fmt: skip
    assert {item["clause"]: item["seconds"] for item in agreement["deadlines"]} == {"DPA 7": 48 * 3600, "DPA 8": None}
