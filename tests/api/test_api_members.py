"""Members: a customer's managers say who acts for it, and learn nothing of anybody's other customers."""

import json

import pytest
from test_api_accounts import account, caller

from service.ports.accounts import Role
from support import scenario, world
from support.scenario import ok

__all__ = ["caller"]


@pytest.fixture
async def valmont(running, api, caller):
    """A customer and the client of its manager."""
    registered = await scenario.customer(api)
    grant = world.at_customer(Role.CUSTOMER_MANAGER, registered["id"])
    _, token = await world.account(running, "Manager", grant, email="manager@valmont.example")
    async with caller(token) as client:
        yield registered, client


async def log_length(running):
    return await running.parts.store.read(lambda tx: tx.log.size() + len(tx.audit.pending(10_000)))


async def test_the_answer_is_the_same_whether_or_not_there_was_an_account(running, api, valmont):
    customer, manager = valmont
    known = await account(api, "Integrator", email="known@integrator.example")
    other = await scenario.customer(api, name="Other", contacts=())
    await ok(api.post(f"/accounts/{known['id']}/grants", json={"role": "customer_member", "customer_id": other["id"]}))
    answers, lengths = [], [await log_length(running)]
    for email in ("Known@integrator.example", "new@integrator.example"):
        answer = await manager.post(f"/customers/{customer['id']}/members", json={"email": email})
        answers.append((answer.status_code, answer.json()))
        lengths.append(await log_length(running))
    assert lengths[1] - lengths[0] == lengths[2] - lengths[1], "not even the length of the log tells"
    assert {status for status, _ in answers} == {201}
    assert [body["email"] for _, body in answers] == ["known@integrator.example", "new@integrator.example"]
    assert len({tuple(body) for _, body in answers}) == 1
    text = (await manager.get(f"/customers/{customer['id']}/members")).text
    assert "Integrator" not in text
    assert other["id"] not in text
    assert len(text.split('"role"')) - 1 == 3
    trail = (await ok(manager.get(f"/customers/{customer['id']}/trail", params={"limit": 200})))["items"]
    assert all(item["leaf"]["subjects"].get("customer") for item in trail)
    assert not {item["leaf"]["type"] for item in trail} & {"account.created", "account.joined", "invitation.sent"}


async def test_only_roles_of_this_customer_are_given(api, valmont):
    customer, manager = valmont
    path = f"/customers/{customer['id']}/members"
    assert (await manager.post(path, json={"email": "x@y.example", "role": "analyst"})).status_code == 422
    assert (await manager.post(path, json={"email": "x@y.example", "customer_id": customer["id"]})).status_code == 422
    other = await scenario.customer(api, name="Other", contacts=())
    assert (await manager.post(f"/customers/{other['id']}/members", json={"email": "x@y.example"})).status_code == 404
    assert (await manager.get(f"/customers/{other['id']}/members")).status_code == 404


async def test_members_are_removed_and_the_last_manager_is_not_by_itself(api, valmont):
    customer, manager = valmont
    path = f"/customers/{customer['id']}/members"
    (oneself,) = (await ok(manager.get(path)))["items"]
    assert (await manager.delete(f"{path}/{oneself['id']}")).status_code == 409
    second = await ok(manager.post(path, json={"email": "second@valmont.example", "role": "customer_manager"}))
    assert (await manager.post(path, json={"email": "second@valmont.example"})).status_code == 409
    await ok(manager.delete(f"{path}/{oneself['id']}"))
    assert (await manager.get(path)).status_code == 403
    assert [item["id"] for item in (await ok(api.get(path)))["items"]] == [second["id"]]


async def test_a_grant_of_another_customer_is_not_removed_by_its_identifier(api, valmont):
    customer, manager = valmont
    other = await scenario.customer(api, name="Other", contacts=())
    foreign = await ok(api.post(f"/customers/{other['id']}/members", json={"email": "x@y.example"}))
    assert (await manager.delete(f"/customers/{customer['id']}/members/{foreign['id']}")).status_code == 404
    assert len((await ok(api.get(f"/customers/{other['id']}/members")))["items"]) == 1


async def entries_about(running, kind):
    """Return (actor, subjects) of the log's entries of a kind that name a customer, pending or not."""

    def work(tx):
        return [*tx.audit.entries(0, 100_000), *tx.audit.pending(10_000)]

    found = [json.loads(entry.leaf) for entry in await running.parts.store.read(work)]
    about_customers = [leaf for leaf in found if "customer" in leaf["subjects"]]
    return [(leaf["actor"], leaf["subjects"]) for leaf in about_customers if leaf["type"] == kind]


@pytest.fixture
async def integrator(running, api, caller):
    """A person with an account who acts for another customer already, and its client."""
    other = await scenario.customer(api, name="Other", contacts=())
    grant = world.at_customer(Role.CUSTOMER_MEMBER, other["id"])
    made, token = await world.account(running, "Integrator", grant, email="known@integrator.example")
    async with caller(token) as client:
        yield made, client


async def test_nobody_becomes_a_member_without_accepting(running, valmont, integrator):
    customer, manager = valmont
    made, theirs = integrator
    path = f"/customers/{customer['id']}"
    invited = await ok(manager.post(f"{path}/members", json={"email": "known@integrator.example"}))
    assert invited["accepted"] is False
    # It acts for one customer as before: a call that names none is about that one.
    assert (await ok(theirs.get("/notices")))["items"] == []
    assert (await theirs.get(path)).status_code == 404
    held, offered = (await ok(theirs.get("/account/memberships")))["items"]
    assert (held["accepted"], offered["accepted"]) == (True, False)
    assert (offered["id"], offered["customer_name"]) == (invited["id"], customer["name"])
    assert [each["customer_id"] for each in (await ok(theirs.get("/account")))["customers"]] == [held["customer_id"]]
    # Nobody else accepts for it.
    assert (await manager.post(f"/account/memberships/{invited['id']}/accept")).status_code == 404

    for _ in range(2):
        accepted = await ok(theirs.post(f"/account/memberships/{invited['id']}/accept"))
        assert (accepted["id"], accepted["accepted"]) == (invited["id"], True)
    assert (await theirs.get(path)).status_code == 200
    assert (await theirs.get("/notices")).status_code == 422
    listed = {item["id"]: item["accepted"] for item in (await ok(manager.get(f"{path}/members")))["items"]}
    assert listed[invited["id"]] is True
    ((actor, subjects),) = await entries_about(running, "role.granted")
    assert (actor, subjects["grant"]) == (f"account:{made.id}", invited["id"])
    ((actor, subjects),) = await entries_about(running, "membership.offered")
    assert actor != f"account:{made.id}"
    assert subjects["customer"]


async def test_an_invitation_is_declined_or_withdrawn(running, valmont, integrator):
    customer, manager = valmont
    made, theirs = integrator
    members = f"/customers/{customer['id']}/members"
    body = {"email": "known@integrator.example", "role": "customer_manager"}
    first = await ok(manager.post(members, json=body))
    left = await ok(theirs.delete(f"/account/memberships/{first['id']}"))
    assert first["id"] not in {item["id"] for item in left["items"]}
    assert [actor for actor, _ in await entries_about(running, "membership.declined")] == [f"account:{made.id}"]
    second = await ok(manager.post(members, json=body))
    await ok(manager.delete(f"{members}/{second['id']}"))
    assert (await theirs.post(f"/account/memberships/{second['id']}/accept")).status_code == 404
    assert len(await entries_about(running, "membership.withdrawn")) == 1
    assert (await theirs.get(members)).status_code in {403, 404}


async def test_everybody_can_leave_also_the_last_manager(running, api, valmont):
    customer, manager = valmont
    (own,) = (await ok(manager.get("/account/memberships")))["items"]
    assert await ok(manager.delete(f"/account/memberships/{own['id']}")) == {"items": []}
    assert (await manager.get(f"/customers/{customer['id']}")).status_code == 403
    assert (await ok(api.get(f"/customers/{customer['id']}/members")))["items"] == []
    assert (await manager.delete(f"/account/memberships/{own['id']}")).status_code == 404
    ((actor, subjects),) = await entries_about(running, "role.revoked")
    assert actor == f"account:{subjects['account']}"


async def test_a_person_leaves_only_customers(running, api, caller):
    made, token = await world.account(running, "Ada", world.at_provider(Role.ANALYST))
    (grant,) = (await ok(api.get(f"/accounts/{made.id}")))["grants"]
    async with caller(token) as analyst:
        assert (await ok(analyst.get("/account/memberships")))["items"] == []
        assert (await analyst.delete(f"/account/memberships/{grant['id']}")).status_code == 404


async def test_a_role_that_an_administrator_grants_at_a_customer_is_accepted_too(api, valmont, integrator):
    customer, _ = valmont
    made, theirs = integrator
    body = {"role": "customer_member", "customer_id": customer["id"]}
    granted = await ok(api.post(f"/accounts/{made.id}/grants", json=body))
    assert granted["accepted"] is False
    assert (await theirs.get(f"/customers/{customer['id']}")).status_code == 404
    assert (await api.post(f"/accounts/{made.id}/grants", json=body)).status_code == 409
    shown = (await ok(api.get(f"/accounts/{made.id}")))["grants"]
    assert [each["accepted"] for each in shown] == [True, False]
    await ok(api.delete(f"/accounts/{made.id}/grants/{granted['id']}"))
    assert (await theirs.post(f"/account/memberships/{granted['id']}/accept")).status_code == 404


async def test_an_accepted_answer_is_not_given_again_after_leaving(valmont, integrator):
    customer, manager = valmont
    _, theirs = integrator
    invited = await ok(manager.post(f"/customers/{customer['id']}/members", json={"email": "known@integrator.example"}))
    path, key = f"/account/memberships/{invited['id']}", {"Idempotency-Key": "m-1"}
    accepted = await ok(theirs.post(f"{path}/accept", headers=key))
    assert await ok(theirs.post(f"{path}/accept", headers=key)) == accepted
    await ok(theirs.delete(path))
    again = await theirs.post(f"{path}/accept", headers=key)
    assert again.status_code == 404
    assert customer["name"] not in again.text
