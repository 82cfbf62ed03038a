"""The board over the API: what burns first, what is missing, what to do next, and the filters of lists."""

import pytest

from support.scenario import affected, ago, change, customer, declare, harm, ok, release

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


async def board(api, **query):
    return await ok(api.get("/incidents/board", params=query))


async def tickets(api, **query):
    """Return the tickets of a list, read page by page."""
    found, cursor = [], {}
    while True:
        answer = await ok(api.get("/incidents", params=query | {"limit": 1} | cursor))
        found += [item["ticket"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            return found
        cursor = {"cursor": answer["next_cursor"]}


async def test_an_incident_goes_from_deciding_to_releasing_to_following(running, api):
    hospital = await customer(api)
    assert (await board(api))["most_urgent"] is None
    incident = await declare(api, intent="malicious", cause="attack", unlisted_customers="unknown")
    (item,) = (await board(api))["items"]
    assert (item["next_action"], item["pending"], item["drafts"], item["overdue"]) == ("decide", 1, 0, False)
    assert item["missing"] == ["unlisted_customers"]
    assert item["due_at"] is not None

    incident = await change(api, incident, **GRAVE, affected_customers=[affected(hospital)])
    (item,) = (await board(api))["items"]
    assert (item["next_action"], item["to_notify"], item["pending"], item["drafts"]) == ("release", 1, 0, 1)
    assert (await board(api))["most_urgent"] == item

    await release(api, incident)
    await running.sink.wait_for(1)
    (item,) = (await board(api))["items"]
    assert (item["next_action"], item["notified"], item["drafts"], item["due_at"]) == ("follow", 1, 0, None)
    assert (await board(api))["most_urgent"] is None


async def test_a_closed_incident_stays_while_its_final_notice_waits(running, api):
    hospital = await customer(api)
    incident = await declare(api, **GRAVE, affected_customers=[affected(hospital)])
    await release(api, incident)
    await running.sink.wait_for(1)
    incident = await change(api, incident, ended_at=ago(minutes=1))
    await release(api, incident)
    await running.sink.wait_for(2)
    closed = await ok(api.post(f"/incidents/{incident['id']}/close", headers={"If-Match": "*"}))
    (item,) = (await board(api))["items"]
    assert (item["state"], item["next_action"], item["drafts"]) == ("closed", "release", 1)
    await release(api, closed)
    await running.sink.wait_for(3)
    assert (await board(api))["items"] == []
    assert [item["ticket"] for item in (await board(api, state="closed"))["items"]] == [incident["ticket"]]


async def test_incidents_are_listed_by_filters_and_by_deadline(api):
    hospital = await customer(api)
    late = await declare(
        api,
        **GRAVE,
        affected_customers=[affected(hospital)],
        services=["web"],
        regions=["par-1"],
        aware_at=ago(hours=1),
    )
    plain = await declare(api, services=["web"], regions=["lyo-1"])
    burning = await declare(api, **GRAVE, affected_customers=[affected(hospital)], aware_at=ago(hours=9))
    unknown = await declare(api, impact="unknown", service_harm=harm(availability="yes"))
    late, plain, burning, unknown = (item["ticket"] for item in (late, plain, burning, unknown))

    # As before: everything, newest first.
    assert await tickets(api) == [unknown, burning, plain, late]
    assert await tickets(api, order="due") == [burning, late, plain, unknown]
    assert await tickets(api, order="due", nature="security_incident") == [burning, late]
    assert await tickets(api, nature="event") == [plain]
    assert await tickets(api, priority="P1") == [burning, late]
    assert await tickets(api, priority="none") == [unknown]
    assert await tickets(api, service="web") == [plain, late]
    assert await tickets(api, service="web", region="lyo-1", state="open") == [plain]
    assert await tickets(api, state="closed") == []
    assert await tickets(api, mine="true") == [unknown, burning, plain, late]


@pytest.mark.parametrize(
    "query", [{"order": "odd"}, {"state": "active"}, {"nature": "x"}, {"service": "%"}, {"mine": "perhaps"}]
)
async def test_a_filter_that_there_is_not_is_refused(api, query):
    answer = await api.get("/incidents", params=query)
    assert answer.status_code == 422
    (field,) = query
    assert field in answer.text


async def test_a_cursor_is_of_its_own_order(api):
    for _ in range(3):
        await declare(api)
    first = await ok(api.get("/incidents", params={"limit": 1, "order": "due"}))
    answer = await api.get("/incidents", params={"limit": 1, "cursor": first["next_cursor"]})
    assert answer.status_code == 422


async def test_the_board_says_where_affected_customers_have_another_priority(api):
    bound = {"agreement_id": "secnumcloud_2026", "effective_at": "2026-05-01T00:00:00Z"}
    first = await customer(api, "First")
    second = await customer(api, "Second", agreement=bound)
    platform = await customer(api, "Platform", agreement=bound | {"products": ["paas"]})
    moving = await customer(api, "Moving")
    await ok(api.post(f"/customers/{moving['id']}/agreements", json=bound | {"effective_at": ago(hours=1)}))
    v2, none = ("secnumcloud_2026", "P6", ("P6",)), ("secnumcloud_2026", None, ())
    for aware_at, of, unlisted, expected in (
        (ago(minutes=5), [first], "not_affected", set()),
        (ago(minutes=5), [first, second], "not_affected", {v2}),
        (ago(minutes=5), [platform], "not_affected", {none}),
        (ago(minutes=5), [moving], "not_affected", {v2}),
        # What bound a customer at the moment of awareness counts.
        (ago(hours=2), [moving], "not_affected", set()),
        (ago(minutes=5), [first], "unknown", {v2, none}),
    ):
        rows = [affected(each) for each in of]
        stated = {"aware_at": aware_at, "unlisted_customers": unlisted, "affected_customers": rows}
        incident = await declare(api, impact="I3", criticality="C3", **stated)
        (item,) = [each for each in (await board(api))["items"] if each["id"] == incident["id"]]
        assert item["priority"] == "P5"
        found = item["other_priorities"]
        assert {
            (each["agreement_id"], each["priority"], tuple(each["possible_priorities"])) for each in found
        } == expected
    # A customer that is known not to be affected does not count.
    rows = [affected(second) | {"affected": "no"}, affected(platform) | {"affected": "no"}]
    incident = await declare(api, impact="I3", criticality="C3", unlisted_customers="unknown", affected_customers=rows)
    (item,) = [each for each in (await board(api))["items"] if each["id"] == incident["id"]]
    assert {each["priority"] for each in item["other_priorities"]} == {"P6"}  # of the one that moved
