"""Two agreements through the API: the matrix with P6, PaaS only, a customer that moves, the versions of the DPA."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from support import scenario
from support.scenario import affected, ok

OLD, NEW = "secnumcloud_iaas_3_0", "secnumcloud_2026"
SINCE = "2026-05-01T00:00:00Z"
#: The clauses of the matrix and of its times; not the fraction of a second, as in 08:34.35.
CLAUSES_OF_INFRASTRUCTURE = re.compile(r"(?<![\d.:])(3\.9|4\.3)(?!\d)")
ATTACK = {"intent": "malicious", "cause": "attack"}
SETTLED = dict.fromkeys(("service_level_breached", "damage_to_customer", "may_cause"), "no")


def bound(agreement_id, effective_at=SINCE, **stated):
    return {"agreement_id": agreement_id, "effective_at": effective_at, **stated}


async def notified(api, customer, **facts):
    """Declare an incident, and return its decision and the notice as the customer would get it."""
    incident = await scenario.declare(api, **facts)
    decision = await scenario.assessment(api, incident, customer)
    (draft,) = [each for each in await scenario.notices(api, incident) if each["customer_id"] == customer["id"]]
    return decision, draft


async def preview(api, notice, language="en"):
    return await ok(api.get(f"/notices/{notice['id']}/preview", params={"language": language}))


def seconds_after_awareness(decision, facts_aware_at):
    due = datetime.fromisoformat(decision["due_at"]) - datetime.fromisoformat(facts_aware_at)
    return round(due.total_seconds())


async def test_the_matrix_of_the_second_agreement_has_p6_without_a_time(api):
    await scenario.customer(api, agreement=bound(NEW))
    incident = await scenario.declare(api, impact="I3", criticality="C3", **SETTLED)
    old, new = [
        await ok(api.get(f"/incidents/{incident['id']}/classification", params={"agreement_id": each}))
        for each in (OLD, NEW)
    ]
    assert (old["priority"], old["gti_seconds"]) == ("P5", 172_800)
    assert (new["priority"], new["gti_seconds"], new["gti_target_percent"]) == ("P6", None, None)
    both = await ok(api.get(f"/incidents/{incident['id']}/classification"))
    (other,) = both["other_agreements"]
    assert (other["agreement_id"], other["priority"], other["gti_seconds"]) == (NEW, "P6", None)


async def test_agreements_that_give_the_same_are_not_shown_twice(api):
    await scenario.customer(api, agreement=bound(NEW))
    incident = await scenario.declare(api, impact="I1", criticality="C1", **ATTACK)
    assert (await ok(api.get(f"/incidents/{incident['id']}/classification")))["other_agreements"] == []


async def test_a_customer_of_paas_only_has_no_priority_and_its_notice_says_nothing_of_one(api):
    paas = await scenario.customer(api, name="Platform", agreement=bound(NEW, products=["paas"]))
    infra = await scenario.customer(api, name="Machines", agreement=bound(NEW, products=["iaas", "paas"]))
    aware_at = scenario.ago(minutes=10)
    rows = [affected(each) for each in (paas, infra)]
    incident = await scenario.declare(
        api, aware_at=aware_at, impact="I1", criticality="C1", affected_customers=rows, **ATTACK
    )
    of_paas, of_infra = [await scenario.assessment(api, incident, each) for each in (paas, infra)]
    assert (of_paas["verdict"], of_infra["verdict"]) == ("notify", "notify")
    assert (of_paas["priority"], of_infra["priority"]) == (None, "P1")
    # The provider works by the priority of its reference agreement; it is its own target, no guaranteed time.
    assert (of_paas["due_kind"], seconds_after_awareness(of_paas, aware_at)) == ("internal_target", 1_800)
    drafts = {each["customer_id"]: each for each in await scenario.notices(api, incident)}
    for language, words in {"en": ("Priority", "Criticality"), "fr": ("Priorité", "Criticité")}.items():
        said = json.dumps(await preview(api, drafts[paas["id"]], language), ensure_ascii=False)
        assert not any(word in said for word in words)
        assert not CLAUSES_OF_INFRASTRUCTURE.search(said)
        assert "6.1.3 (1)" in said
        said = json.dumps(await preview(api, drafts[infra["id"]], language), ensure_ascii=False)
        assert all(word in said for word in words)
        assert CLAUSES_OF_INFRASTRUCTURE.search(said)


async def test_nothing_waits_for_a_criticality_that_a_customer_does_not_have(api):
    paas = await scenario.customer(api, agreement=bound(NEW, products=["paas"]))
    incident = await scenario.declare(
        api, impact="I1", criticality="unknown", affected_customers=[affected(paas)], **ATTACK
    )
    decision = await scenario.assessment(api, incident, paas)
    assert (decision["verdict"], decision["missing"]) == ("notify", [])


async def test_a_chosen_level_by_priority_covers_everything_once_there_is_no_priority(api):
    customer = await scenario.customer(
        api,
        agreement=bound(NEW, "2026-04-18T00:00:00Z", products=["iaas"]),
        profile={"choices": [{"priorities": ["P1"]}]},
    )
    stated = {"impact": "I3", "criticality": "C3", "affected_customers": [affected(customer)], **ATTACK}
    incident = await scenario.declare(api, **stated)
    assert (await scenario.assessment(api, incident, customer))["verdict"] == "do_not_notify"
    await ok(api.post(f"/customers/{customer['id']}/agreements", json=bound(NEW, products=["paas"])))
    incident = await scenario.declare(api, **stated)
    assert (await scenario.assessment(api, incident, customer))["verdict"] == "notify"


async def test_a_customer_that_moves_is_decided_by_the_moment_of_awareness(api):
    customer = await scenario.customer(api, agreement=bound(OLD, "2025-02-01T00:00:00Z"))
    moment = datetime.now(UTC) - timedelta(hours=2)
    await ok(api.post(f"/customers/{customer['id']}/agreements", json=bound(NEW, moment.isoformat())))
    stated = {"impact": "I3", "criticality": "C3", "may_cause": "yes", "affected_customers": [affected(customer)]}
    before = await scenario.declare(api, aware_at=(moment - timedelta(minutes=1)).isoformat(), **stated)
    after = await scenario.declare(api, aware_at=moment.isoformat(), **stated)
    old, new = [await scenario.assessment(api, incident, customer) for incident in (before, after)]
    assert (old["agreement_id"], old["nature"], old["priority"], old["verdict"]) == (
        OLD,
        "event",
        "P5",
        "do_not_notify",
    )
    assert (new["agreement_id"], new["nature"], new["priority"], new["verdict"]) == (NEW, "incident", "P6", "notify")
    # A change of the facts after the move is decided by the old agreement: awareness has not moved.
    changed = await scenario.change(api, before, criticality="C1")
    again = await scenario.assessment(api, changed, customer)
    assert (again["agreement_id"], again["priority"]) == (OLD, "P3")


async def test_an_unknown_fact_of_the_second_agreement_is_not_no(api):
    customer = await scenario.customer(api, agreement=bound(NEW))
    incident = await scenario.declare(api, affected_customers=[affected(customer)])
    decision = await scenario.assessment(api, incident, customer)
    assert decision["verdict"] == "pending"
    assert set(decision["missing"]) == set(SETTLED)
    settled = await scenario.change(api, incident, **SETTLED)
    assert (await scenario.assessment(api, settled, customer))["verdict"] == "do_not_notify"


@pytest.mark.parametrize(("dpa", "binding"), [(None, "soft"), ("dpa_2025_10", "hard"), ("dpa_2026_01_09", "soft")])
@pytest.mark.parametrize("agreement", [OLD, NEW])
async def test_the_dpa_says_how_strictly_the_48_hours_bind(api, agreement, dpa, binding):
    customer = await scenario.customer(api, agreement=bound(agreement, dpa_id=dpa))
    aware_at = scenario.ago(minutes=10)
    row = affected(customer, personal_data={"breach": "confirmed", "controller": "customer"})
    incident = await scenario.declare(api, aware_at=aware_at, affected_customers=[row], **SETTLED)
    decision = await scenario.assessment(api, incident, customer)
    assert (decision["due_kind"], seconds_after_awareness(decision, aware_at)) == ("contractual", 172_800)
    assert decision["binding"] == binding


@pytest.mark.parametrize("agreement", [OLD, NEW])
async def test_a_data_protection_rule_that_is_broken_without_a_breach_owes_a_notice(api, agreement):
    customer = await scenario.customer(api, agreement=bound(agreement))
    row = affected(customer, personal_data={"breach": "rule_suspected"})
    decision, draft = await notified(api, customer, affected_customers=[row], **SETTLED)
    assert (decision["verdict"], decision["due_kind"]) == ("notify", "contractual")
    assert [each["id"] for each in decision["reasons"] if each["holds"] == "yes" and each["obliges"]] == [
        "data_protection_failure"
    ]
    assert "DPA 7" in json.dumps(await preview(api, draft))


async def test_health_data_is_in_the_notice_where_the_dpa_asks_for_it(api):
    breach = {"breach": "confirmed", "controller": "customer", "health_data": "yes"}
    said = []
    for agreement in (OLD, NEW):
        customer = await scenario.customer(api, agreement=bound(agreement))
        row = affected(customer, personal_data=breach)
        _, draft = await notified(api, customer, affected_customers=[row], **SETTLED)
        said.append("Health data" in json.dumps(await preview(api, draft)))
    assert said == [False, True]


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"products": ["saas"]}, "products"),
        ({"products": []}, "products"),
        ({"products": ["iaas", "iaas"]}, "products"),
        ({"dpa_id": "dpa_1999"}, "dpa_id"),
        ({"agreement_id": "nothing"}, "agreement_id"),
    ],
)
async def test_a_product_or_dpa_that_the_agreement_does_not_have_is_named(api, stated, field):
    customer = await scenario.customer(api)
    answer = await api.post(f"/customers/{customer['id']}/agreements", json=bound(NEW) | stated)
    assert answer.status_code == 422
    assert field in json.dumps(answer.json())
    # PaaS is no product of version 3.0.
    answer = await api.post(f"/customers/{customer['id']}/agreements", json=bound(OLD, products=["paas"]))
    assert (answer.status_code, "iaas" in answer.text) == (422, True)


async def test_what_is_left_out_stays_while_the_agreement_does(api):
    customer = await scenario.customer(api, agreement=bound(NEW, products=["vpc", "paas"]))
    path = f"/customers/{customer['id']}/agreements"
    later = await ok(api.post(path, json=bound(NEW, "2026-06-01T00:00:00Z", dpa_id="dpa_2025_10")))
    assert (later["products"], later["dpa_id"]) == (["paas", "vpc"], "dpa_2025_10")
    last = await ok(api.post(path, json=bound(NEW, "2026-07-01T00:00:00Z", products=["iaas"])))
    assert (last["products"], last["dpa_id"]) == (["iaas"], "dpa_2025_10")
    assert (await ok(api.post(path, json=bound(OLD, "2026-08-01T00:00:00Z"))))["products"] is None
    assert [each["products"] for each in (await ok(api.get(path)))["items"]] == [
        ["paas", "vpc"],
        ["paas", "vpc"],
        ["iaas"],
        None,
    ]


async def test_agreements_and_dpas_are_served_as_data(api):
    found = await ok(api.get("/agreements"))
    new = next(each for each in found["items"] if each["id"] == NEW)
    assert new["matrix"]["C3"] == {"I1": "P3", "I2": "P4", "I3": "P6"}
    assert new["matrix_products"] == ["bare_metal", "iaas", "open_iaas"]
    assert (new["authoritative_language"], new["dpa_id"]) == ("fr", "dpa_2026_01_09")
    assert new["support_hours"]["until_at"] == "19:00:00"
    assert [each["id"] for each in new["documents"]] == ["general_terms", "service_agreement", "pas", "dpa"]
    assert {each["id"] for each in found["dpas"]} == {"dpa_2025_01_15", "dpa_2025_10", "dpa_2026_01_09"}


@pytest.mark.parametrize(
    ("agreement", "effective_at", "reason"),
    [
        # The last second of the day before, in Paris.
        (NEW, "2026-04-16T23:59:59+02:00", "2026-04-16 at the customer, and secnumcloud_2026 holds from 2026-04-17 to"),
        (NEW, "2028-04-17T00:00:00+02:00", "is 2028-04-17 at the customer"),
        (OLD, "2025-01-16T12:00:00+01:00", "secnumcloud_iaas_3_0 holds from 2025-01-17"),
    ],
)
async def test_a_binding_outside_the_validity_is_refused_by_field_and_reason(api, agreement, effective_at, reason):
    own = await scenario.customer(api)
    stated = bound(agreement, effective_at)
    for refused in (
        await api.post(f"/customers/{own['id']}/agreements", json=stated),
        await api.post("/customers", json={"name": "New", "agreement": stated}),
    ):
        assert refused.status_code == 422
        (fault,) = refused.json()["errors"]
        assert fault["field"] == "effective_at"
        assert reason in fault["reason"]
    rows = f"name,agreement_id,agreement_effective_at\nImported,{agreement},{effective_at}\n"
    report = await api.post("/customers/import", content=rows, headers={"Content-Type": "text/csv"})
    assert report.status_code == 422
    assert "agreement_effective_at" in report.text
    assert reason in report.text
    assert [each["name"] for each in (await ok(api.get("/customers")))["items"]] == [own["name"]]


@pytest.mark.parametrize("effective_at", ["2026-04-17T00:00:00+02:00", "2028-04-16T23:59:59+02:00"])
async def test_the_first_and_the_last_day_are_days_of_the_agreement(api, effective_at):
    own = await scenario.customer(api)
    await ok(api.post(f"/customers/{own['id']}/agreements", json=bound(NEW, effective_at)))
