"""Accounts and roles over the API: what administrators may do, and what not even they may."""

import httpx2
import pytest

from support import scenario
from support.scenario import ok


async def account(api, name="Ada", **changes):
    """Make a person."""
    body = {"name": name, "email": f"{name.lower()}@provider.example"} | changes
    return await ok(api.post("/accounts", json=body))


async def service(api, role="service_account", permissions=("incident.declare", "self"), **grant):
    """Make a service account with a role and a token; returns it and the token."""
    made = await ok(api.post("/accounts", json={"kind": "service", "name": "SIEM"}))
    await ok(api.post(f"/accounts/{made['id']}/grants", json={"role": role} | grant))
    body = {"name": "t", "permissions": list(permissions), "expires_at": scenario.ago(days=-30)}
    issued = await ok(api.post(f"/accounts/{made['id']}/tokens", json=body))
    return made, issued["token"]


@pytest.fixture
def caller(running):
    """Make a client that calls with another token."""

    def make(token):
        headers = {"Authorization": f"Bearer {token}"}
        return httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120)

    return make


def faults(answer):
    return {item["field"] for item in answer.json().get("errors", ())}


async def entries(running, kind):
    def work(tx):
        return [*tx.audit.pending(1000), *tx.audit.entries(0, 1000)]

    leaves = [entry.leaf for entry in await running.parts.store.read(work)]
    return [leaf for leaf in leaves if f'"type":"{kind}"'.encode() in leaf]


async def test_a_person_is_made_read_listed_and_changed(api, running):
    made = await account(api, email="Ada@Provider.Example")
    assert made["email"] == "ada@provider.example"
    assert (made["grants"], made["has_second_factor"], made["last_sign_in_at"]) == ([], False, None)
    assert await ok(api.get(f"/accounts/{made['id']}")) == made
    assert made in (await ok(api.get("/accounts")))["items"]
    body = {"name": "Ada L.", "language": "en", "active": True}
    assert (await api.put(f"/accounts/{made['id']}", json=body)).status_code == 428
    changed = await ok(api.put(f"/accounts/{made['id']}", json=body, headers={"If-Match": '"1"'}))
    assert (changed["name"], changed["version"]) == ("Ada L.", 2)
    assert (await api.put(f"/accounts/{made['id']}", json=body, headers={"If-Match": '"1"'})).status_code == 412
    for kind in ("account.created", "account.changed"):
        found = await entries(running, kind)
        assert found
        assert all(b"Ada" not in leaf and b"@" not in leaf for leaf in found)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "X"}, "email"),
        ({"name": "X", "kind": "service", "email": "x@y.example"}, "email"),
        ({"name": "X", "email": "no address"}, "email"),
        ({"name": "X", "email": "x@y.example", "active": True}, "active"),
        ({"name": "X", "email": "x@y.example", "grants": [{"role": "analyst"}]}, "grants"),
        ({"name": "X", "email": "x@y.example", "id": "00000000-0000-4000-8000-000000000000"}, "id"),
        ({"name": "X", "email": "x@y.example", "version": 9}, "version"),
        ({"name": "a\r\nBcc: x", "email": "x@y.example"}, "name"),
    ],
)
async def test_what_may_not_be_stated_is_refused_by_name(api, body, field):
    answer = await api.post("/accounts", json=body)
    assert answer.status_code == 422
    assert field in faults(answer)


async def test_an_address_stays_the_mailbox_that_it_is(api):
    made = await account(api, email="Anna.Groß@Faß.example")
    assert made["email"] == "anna.groß@faß.example"
    assert (await account(api, "Bea", email="anna.gross@fass.example"))["email"] == "anna.gross@fass.example"


async def test_an_address_is_taken_once_whatever_its_case(api):
    await account(api)
    answer = await api.post("/accounts", json={"name": "X", "email": "ADA@provider.example"})
    assert (answer.status_code, faults(answer)) == (422, {"email"})


@pytest.mark.parametrize(
    ("kind", "grant", "field"),
    [
        ("person", {"role": "customer_member"}, "customer_id"),
        ("person", {"role": "customer_member", "customer_id": "00000000-0000-4000-8000-000000000000"}, "customer_id"),
        ("person", {"role": "analyst", "customer_id": "known"}, "customer_id"),
        ("person", {"role": "analyst", "starts_at": "2026-01-01T00:00:00Z"}, "starts_at"),
        ("person", {"role": "auditor", "starts_at": "2026-02-01T00:00Z", "ends_at": "2026-01-01T00:00Z"}, "ends_at"),
        ("person", {"role": "service_account"}, "role"),
        ("service", {"role": "administrator"}, "role"),
        ("service", {"role": "customer_manager", "customer_id": "known"}, "role"),
        ("person", {"role": "analyst", "from_claims": True}, "from_claims"),
    ],
)  # fmt: skip
async def test_a_role_that_makes_no_sense_is_refused(api, kind, grant, field):
    hospital = await scenario.customer(api)
    made = await account(api, kind=kind, email="x@y.example" if kind == "person" else None)
    if grant.get("customer_id") == "known":
        grant = grant | {"customer_id": hospital["id"]}
    answer = await api.post(f"/accounts/{made['id']}/grants", json=grant)
    assert answer.status_code == 422
    assert field in faults(answer)
    assert (await ok(api.get(f"/accounts/{made['id']}")))["grants"] == []


async def test_roles_are_granted_and_revoked_and_the_log_names_by_whom(api, running):
    me, made = await ok(api.get("/account")), await account(api)
    granted = await ok(api.post(f"/accounts/{made['id']}/grants", json={"role": "auditor"}))
    assert granted["granted_by"] == f"account:{me['id']}"
    again = await api.post(f"/accounts/{made['id']}/grants", json={"role": "auditor"})
    assert again.status_code == 409
    await ok(api.delete(f"/accounts/{made['id']}/grants/{granted['id']}"))
    assert (await api.delete(f"/accounts/{made['id']}/grants/{granted['id']}")).status_code == 404
    (revoked,) = await entries(running, "role.revoked")
    assert f'"actor":"account:{me["id"]}"'.encode() in revoked


async def test_nobody_changes_their_own_roles(api):
    me = await ok(api.get("/account"))
    answer = await api.post(f"/accounts/{me['id']}/grants", json={"role": "auditor"})
    assert answer.status_code == 409
    for held in me["grants"]:
        assert (await api.delete(f"/accounts/{me['id']}/grants/{held['id']}")).status_code == 409


async def test_the_last_administrator_stays(api):
    me = await ok(api.get("/account"))
    body = {"name": "X", "language": "fr", "active": False}
    answer = await api.put(f"/accounts/{me['id']}", json=body, headers={"If-Match": "*"})
    assert (answer.status_code, faults(answer)) == (422, {"active"})
    other = await account(api)
    await ok(api.post(f"/accounts/{other['id']}/grants", json={"role": "administrator"}))
    await ok(api.put(f"/accounts/{me['id']}", json=body, headers={"If-Match": "*"}))
    assert (await api.get("/account")).status_code == 401


async def test_an_inactive_account_is_nobody(api, caller):
    made, token = await service(api)
    async with caller(token) as siem:
        await ok(siem.post("/incidents", json=scenario.facts()))
        body = {"name": "SIEM", "language": "fr", "active": False}
        await ok(api.put(f"/accounts/{made['id']}", json=body, headers={"If-Match": "*"}))
        assert (await siem.post("/incidents", json=scenario.facts())).status_code == 401
        (listed,) = (await ok(api.get(f"/accounts/{made['id']}/tokens")))["items"]
        assert listed["revoked_at"] is None
        body |= {"active": True}
        await ok(api.put(f"/accounts/{made['id']}", json=body, headers={"If-Match": "*"}))
        await ok(siem.post("/incidents", json=scenario.facts()))


async def test_an_invitation_is_shown_once_and_kept_nowhere(api, running):
    made, key = await account(api), {"Idempotency-Key": "i-1"}
    first = await ok(api.post(f"/accounts/{made['id']}/invitation", headers=key))
    again = await ok(api.post(f"/accounts/{made['id']}/invitation", headers=key))
    secret = first["link"].rpartition("/")[2]
    assert len(secret) > 40
    assert again == first | {"link": None}
    assert secret.encode() not in (running.data / "greffier.sqlite3").read_bytes()
    robot, _ = await service(api)
    assert (await api.post(f"/accounts/{robot['id']}/invitation")).status_code == 409


async def test_signing_out_and_forgetting_factors_say_what_they_ended(api):
    made = await account(api)
    assert await ok(api.post(f"/accounts/{made['id']}/sign-out")) == {"sessions_ended": 0}
    assert await ok(api.post(f"/accounts/{made['id']}/reset-second-factor")) == {"sessions_ended": 0}
    me = await ok(api.get("/account"))
    assert (await api.post(f"/accounts/{me['id']}/reset-second-factor")).status_code == 409


async def test_an_auditor_of_a_period_reads_accounts_and_changes_none(api, caller):
    grant = {"role": "auditor", "starts_at": "2026-01-01T00:00:00Z"}
    _, token = await service(api, permissions=("account.read",), **grant)
    async with caller(token) as auditor:
        listed = (await ok(auditor.get("/accounts")))["items"]
        assert len(listed) == 2
        await ok(auditor.get(f"/accounts/{listed[0]['id']}"))
        await ok(auditor.get(f"/accounts/{listed[0]['id']}/tokens"))
        assert (await auditor.post("/accounts", json={"name": "X", "email": "x@y.example"})).status_code == 403
