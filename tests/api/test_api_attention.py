"""What waits for a person is listed with its clock, nearest deadline first, and goes once it is dealt with."""

from support import scenario
from support.scenario import affected, ok

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


async def kinds(api):
    listed = await ok(api.get("/attention"))
    assert listed["complete"]
    dues = [item["due_at"] for item in listed["items"]]
    assert dues == sorted(dues)
    return {item["kind"]: item for item in listed["items"]}


async def test_an_open_question_stands_there_until_it_is_answered(api):
    await scenario.customer(api)
    incident = await scenario.declare(api, intent="malicious", cause="attack", unlisted_customers="unknown")
    item = (await kinds(api))["decision_pending"]
    assert (item["ticket"], item["overdue"]) == (incident["ticket"], False)
    assert "unlisted_customers" in item["what"]
    await scenario.change(api, incident, unlisted_customers="not_affected")
    assert await kinds(api) == {}


async def test_a_draft_stands_there_until_it_is_released(running, api):
    hospital = await scenario.customer(api)
    incident = await scenario.declare(api, **GRAVE, affected_customers=[affected(hospital)])
    item = (await kinds(api))["draft_unreleased"]
    assert item["customer_id"] == hospital["id"]
    await scenario.release(api, incident)
    await running.sink.wait_for(1)
    assert "draft_unreleased" not in await kinds(api)


async def test_an_old_awareness_is_overdue_at_once(api):
    await scenario.customer(api)
    await scenario.declare(api, **GRAVE | {"aware_at": scenario.ago(hours=5)})
    assert (await kinds(api))["draft_unreleased"]["overdue"]
