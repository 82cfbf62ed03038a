"""Members: a customer's managers say who acts for it, and learn nothing of anybody's other customers."""

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
