"""A repeated POST is answered alike and done once; ETags, pages, conditional changes."""

import asyncio

import httpx2

from service.ports.accounts import Role
from support import scenario
from support.scenario import facts, ok
from support.world import account, at_customer


async def test_same_key_and_body_same_answer_done_once(api):
    body, key = facts(), {"Idempotency-Key": "k-1"}
    first = await api.post("/incidents", json=body, headers=key)
    again = await api.post("/incidents", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert first.headers["etag"] == again.headers["etag"]
    assert first.headers["location"] == again.headers["location"]
    assert len((await ok(api.get("/incidents")))["items"]) == 1


async def test_same_key_another_body_is_refused(api):
    key = {"Idempotency-Key": "k-1"}
    await ok(api.post("/incidents", json=facts(), headers=key))
    other = await api.post("/incidents", json=facts(impact="I1"), headers=key)
    assert other.status_code == 422
    assert other.json()["type"] == "urn:greffier:problem:idempotency-mismatch"
    assert len((await ok(api.get("/incidents")))["items"]) == 1


async def test_the_same_key_at_another_path_is_refused(api):
    key = {"Idempotency-Key": "k-1"}
    incident = await ok(api.post("/incidents", json=facts(), headers=key))
    other = await api.post(f"/incidents/{incident['id']}/close", headers=key | {"If-Match": "*"})
    assert other.status_code == 422


async def test_sixteen_requests_at_once_with_one_key_make_one_incident(api):
    body, key = facts(), {"Idempotency-Key": "storm"}
    answers = await asyncio.gather(*(api.post("/incidents", json=body, headers=key) for _ in range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len((await ok(api.get("/incidents")))["items"]) == 1


async def test_a_request_that_failed_may_be_tried_again_with_its_key(api):
    key = {"Idempotency-Key": "k-2"}
    assert (await api.post("/incidents", json=facts(impact="I9"), headers=key)).status_code == 422
    assert (await api.post("/incidents", json=facts(), headers=key)).status_code == 201


async def test_a_dry_run_repeated_with_its_key_answers_as_before(api):
    key = {"Idempotency-Key": "d-1"}
    body = facts(intent="malicious", cause="attack", impact="I1")
    first = await api.post("/incidents/dry-run", json=body, headers=key)
    await scenario.customer(api)
    again = await api.post("/incidents/dry-run", json=body, headers=key)
    assert first.json()["assessments"] == again.json()["assessments"] == []
    other = await api.post("/incidents/dry-run", json=body | {"impact": "I2"}, headers=key)
    assert other.status_code == 422


async def test_every_post_takes_a_key(api):
    document = (await api.get("/openapi.json")).json()
    for path, item in document["paths"].items():
        if "post" in item:
            names = {parameter["name"] for parameter in item["post"].get("parameters", [])}
            assert "Idempotency-Key" in names, path


async def test_a_release_repeated_with_its_key_is_one_release(api):
    await scenario.customer(api)
    incident = await scenario.declare(api, intent="malicious", cause="attack", impact="I1")
    headers = {"If-Match": '"1"', "Idempotency-Key": "r-1"}
    first = await api.post(f"/incidents/{incident['id']}/release", headers=headers)
    again = await api.post(f"/incidents/{incident['id']}/release", headers=headers)
    assert first.status_code == 200
    assert first.content == again.content


async def test_the_entity_tag_follows_the_version(api):
    incident = await scenario.declare(api)
    path = f"/incidents/{incident['id']}"
    assert (await api.get(path)).headers["etag"] == '"1"'
    changed = await api.patch(f"{path}/facts", json={"impact": "I1"}, headers={"If-Match": '"1"'})
    assert changed.headers["etag"] == '"2"'
    assert (await ok(api.get(f"{path}/facts?version=1")))["facts"]["impact"] == "I3"
    assert (await ok(api.get(f"{path}/facts")))["facts"]["impact"] == "I1"


async def test_null_makes_a_fact_unknown_again(api):
    incident = await scenario.declare(api, recommendations={"en": "Do this."})
    changed = await scenario.change(api, incident, recommendations=None, impact=None)
    assert changed["facts"]["recommendations"] is None
    assert changed["facts"]["impact"] == "unknown"


async def test_pages_hold_everything_once(api):
    made = [(await scenario.declare(api))["id"] for _ in range(7)]
    seen, cursor = [], None
    while True:
        page = await ok(api.get("/incidents", params={"limit": 3} | ({"cursor": cursor} if cursor else {})))
        assert len(page["items"]) <= 3
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


async def test_ticket_numbers_have_no_gap(api):
    tickets = [(await scenario.declare(api))["ticket"] for _ in range(3)]
    await api.post("/incidents", json=facts(impact="I9"))
    tickets.append((await scenario.declare(api))["ticket"])
    assert [int(ticket.rsplit("-", 1)[1]) for ticket in tickets] == [1, 2, 3, 4]


async def test_another_query_or_entity_tag_is_another_request(api):
    """A key that was used for one question does not answer another one."""
    incident = await scenario.declare(api)
    path = f"/incidents/{incident['id']}/facts"
    key = {"Idempotency-Key": "q-1", "If-Match": '"1"'}
    first = await api.patch(path, json={"impact": "I1"}, headers=key)
    assert first.status_code == 200
    assert (await api.patch(path, json={"impact": "I1"}, headers=key)).content == first.content
    for url, match in ((path, '"2"'), (path, "*"), (f"{path}?x=1", '"1"')):
        other = await api.patch(url, json={"impact": "I1"}, headers=key | {"If-Match": match})
        assert other.status_code == 422
        assert other.json()["type"] == "urn:greffier:problem:idempotency-mismatch"


async def test_an_answer_is_not_given_again_after_the_grant_was_revoked(running, api):
    """The account has the permission for another customer, so the route lets it in."""
    own, other = [await scenario.customer(api, name=name, contacts=()) for name in ("Own", "Other")]
    grants = [at_customer(Role.CUSTOMER_MANAGER, each["id"]) for each in (own, other)]
    made, token = await account(running, "Integrator", *grants)
    body, key = {"url": "https://hook.invalid/"}, {"Idempotency-Key": "h-1"}
    path = f"/customers/{own['id']}/webhooks"
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as integrator:
        first = await integrator.post(path, json=body, headers=key)
        assert first.status_code == 201
        assert (await integrator.post(path, json=body, headers=key)).json()["id"] == first.json()["id"]
        held = (await ok(api.get(f"/accounts/{made.id}")))["grants"]
        (at_own,) = [each for each in held if each["customer_id"] == own["id"]]
        await ok(api.delete(f"/accounts/{made.id}/grants/{at_own['id']}"))
        again = await integrator.post(path, json=body, headers=key)
        assert again.status_code == 404
        assert first.json()["id"] not in again.text
        # It still does at the other customer what it may do there.
        assert (
            await integrator.post(f"/customers/{other['id']}/webhooks", json=body, headers={"Idempotency-Key": "h-2"})
        ).status_code == 201
