"""Tokens: shown once, never more than what is held, and nobody gets by one what another may do."""

import pytest
from test_api_accounts import account, caller, faults, service

from support import scenario
from support.scenario import ok

__all__ = ["caller"]

SOON = {"expires_at": scenario.ago(days=-30)}


async def issue(api, *permissions, path="/account/tokens", **changes):
    return await api.post(path, json={"name": "t", "permissions": permissions} | SOON | changes)


async def test_a_token_is_shown_once_listed_by_its_hint_and_revoked(api, caller, running):
    key = {"Idempotency-Key": "t-1"}
    body = {"name": "SIEM", "permissions": ["incident.read"]} | SOON
    issued = await ok(api.post("/account/tokens", json=body, headers=key))
    again = await ok(api.post("/account/tokens", json=body, headers=key))
    assert again == issued | {"token": None}
    assert issued["token"].startswith("grf_")
    assert issued["token"].encode() not in (running.data / "greffier.sqlite3").read_bytes()
    async with caller(issued["token"]) as client:
        await ok(client.get("/incidents"))
        assert (await client.get("/customers")).status_code == 403
        assert (await client.get("/account")).status_code == 403
        (listed,) = [item for item in (await ok(api.get("/account/tokens")))["items"] if item["id"] == issued["id"]]
        assert listed["hint"] == issued["token"][:10]
        assert "token" not in listed
        revoked = await ok(api.delete(f"/account/tokens/{issued['id']}"))
        assert revoked["revoked_at"]
        assert (await client.get("/incidents")).status_code == 401


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"permissions": []}, "permissions"),
        ({"permissions": ["root"]}, "permissions.0"),
        ({"expires_at": scenario.ago(days=1)}, "expires_at"),
        ({"expires_at": scenario.ago(days=-366)}, "expires_at"),
        ({"expires_at": "2027-01-01T00:00:00"}, "expires_at"),
        ({"token": "grf_mine"}, "token"),
        ({"account_id": "00000000-0000-4000-8000-000000000000"}, "account_id"),
    ],
)
async def test_what_may_not_be_asked_for_is_refused_by_name(api, changes, field):
    answer = await issue(api, "self", **changes)
    assert answer.status_code == 422
    assert field in faults(answer)


async def test_a_token_issues_none_that_carries_more_than_itself(api, caller):
    made = await ok(issue(api, "self", "incident.read"))
    async with caller(made["token"]) as client:
        assert (await issue(client, "incident.read")).status_code == 201
        answer = await issue(client, "incident.read", "account.change")
        assert (answer.status_code, faults(answer)) == (422, {"permissions.1"})
        shown = await ok(client.get("/account"))
        assert (shown["credential"], shown["permissions"]) == ("token", ["incident.read", "self"])


async def test_nobody_issues_a_token_of_another_person(api):
    analyst = await account(api)
    await ok(api.post(f"/accounts/{analyst['id']}/grants", json={"role": "analyst"}))
    answer = await issue(api, "self", path=f"/accounts/{analyst['id']}/tokens")
    assert answer.status_code == 409


async def test_an_administrator_alone_hands_no_incident_content_to_a_token(api, caller):
    robot, _ = await service(api)
    issued = await ok(issue(api, "self", "account.read", "account.change"))
    async with caller(issued["token"]) as administrator:
        path = f"/accounts/{robot['id']}/tokens"
        for content in ("incident.read", "incident.change", "notice.read"):
            answer = await issue(administrator, "incident.declare", content, path=path)
            assert (answer.status_code, faults(answer)) == (422, {"permissions.1"})
        declaring = await ok(issue(administrator, "incident.declare", path=path))
        await ok(administrator.delete(f"{path}/{declaring['id']}"))
    # The service account does not hold it.
    assert faults(await issue(api, "account.change", path=path)) == {"permissions.0"}


async def test_the_tokens_of_one_are_not_another_s(api, caller):
    _, token = await service(api)
    mine = (await ok(api.get("/account/tokens")))["items"][0]
    async with caller(token) as robot:
        assert mine["id"] not in {item["id"] for item in (await ok(robot.get("/account/tokens")))["items"]}
        assert (await robot.delete(f"/account/tokens/{mine['id']}")).status_code == 404
        assert await ok(robot.post("/account/sign-out-everywhere")) == {"sessions_ended": 0}
        assert await ok(robot.get("/account/sessions")) == {"items": []}
