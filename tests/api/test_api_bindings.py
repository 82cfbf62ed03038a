"""How strictly a deadline binds: by the text that binds the customer, in every answer of the API and in the log."""

import json

import pytest

from support import scenario
from support.scenario import affected, facts, ok

#: The texts of the DPA, and how strictly the 48 hours bind in each.
TEXTS = [("dpa_2025_01_15", "soft"), ("dpa_2025_10", "hard"), ("dpa_2026_01_09", "soft")]
BREACH = {"personal_data": {"breach": "confirmed", "controller": "customer"}}
GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


@pytest.mark.parametrize(("dpa", "binding"), TEXTS)
async def test_the_text_that_binds_says_it_in_every_answer(api, running, dpa, binding):
    bound = {"agreement_id": "secnumcloud_2026", "effective_at": "2026-05-01T00:00:00+02:00", "dpa_id": dpa}
    owner = await scenario.customer(api, "Valmont", agreement=bound)
    stated = {"affected_customers": [affected(owner, **BREACH)]}
    (decision,) = (await ok(api.post("/incidents/dry-run", json=facts(**GRAVE, **stated))))["assessments"]
    assert (decision["due_kind"], decision["binding"]) == ("contractual", binding)
    incident = await scenario.declare(api, **GRAVE, **stated)
    recorded = await scenario.assessment(api, incident, owner)
    assert recorded["binding"] == binding
    (notice,) = await scenario.notices(api, incident)
    assert notice["binding"] == binding
    board = (await ok(api.get("/incidents/board")))["items"]
    assert [item["binding"] for item in board if item["id"] == incident["id"]] == [binding]
    waiting = (await ok(api.get("/attention")))["items"]
    assert {item["binding"] for item in waiting if item["notice_id"] == notice["id"]} == {binding}
    leaves = await running.parts.store.read(
        lambda tx: [json.loads(item.leaf) for item in (*tx.audit.entries(0, 10_000), *tx.audit.pending(10_000))]
    )
    said = {
        leaf["type"]: leaf["detail"]["binding"]
        for leaf in leaves
        if leaf["subjects"].get("incident") == incident["id"] and "binding" in leaf["detail"]
    }
    assert said == {"decision.recorded": binding}


@pytest.mark.parametrize("dpa", [text for text, _ in TEXTS])
async def test_a_suspicion_has_no_hard_time_under_any_text(api, dpa):
    """Article 8 is about a breach of which the provider is aware; a suspicion is a case of article 7 only."""
    bound = {"agreement_id": "secnumcloud_2026", "effective_at": "2026-05-01T00:00:00+02:00", "dpa_id": dpa}
    owner = await scenario.customer(api, "Valmont", agreement=bound)
    suspected = {"personal_data": {"breach": "suspected", "controller": "customer"}}
    stated = {"affected_customers": [affected(owner, **suspected)]}
    (decision,) = (await ok(api.post("/incidents/dry-run", json=facts(**GRAVE, **stated))))["assessments"]
    assert (decision["due_kind"], decision["binding"]) == ("contractual", "soft")


async def test_where_the_agreement_names_no_number_the_time_is_ours(api):
    owner = await scenario.customer(api, "Valmont")
    incident = await scenario.declare(api, **GRAVE, affected_customers=[affected(owner)])
    (notice,) = await scenario.notices(api, incident)
    assert (notice["due_kind"], notice["binding"]) == ("internal_target", "no_number")


async def test_the_agreement_says_which_clauses_are_cited_for_what(api):
    for agreement in (await ok(api.get("/agreements")))["items"]:
        assert set(agreement["references"]) >= {"news_channel", "complaint", "status_and_history", "profile", "erasure"}
        for clause in agreement["references"].values():
            assert set(clause.split(", ")) <= set(agreement["clauses"])
        assert {item["binding"] for item in agreement["deadlines"]} <= {"hard", "soft", "no_number"}
        assert all((item["seconds"] is None) == (item["binding"] == "no_number") for item in agreement["deadlines"])
