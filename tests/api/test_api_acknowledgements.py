"""Acknowledging by the API, what is recorded of it, and what the provider sees of who has and has not."""

import contextlib
import json
from uuid import UUID

import httpx2
import pytest

from service.ports.accounts import Role
from support.commits import until
from support.scenario import affected, all_sent, change, customer, declare, harm, notices, ok, release
from support.world import account, at_customer, at_provider


class Case:
    """One incident, two customers of which one wants to acknowledge, and whoever calls."""

    def __init__(self, running, api, customers, incident, released, stack):
        self.running, self.api, self.customers, self.incident = running, api, customers, incident
        self.stack = stack
        self.notices = {item["customer_id"]: item["id"] for item in released}
        self.alpha, self.beta = (self.notices[each["id"]] for each in customers)

    async def caller(self, name, *grants):
        made, token = await account(self.running, name, *grants)
        headers = {"Authorization": f"Bearer {token}"}
        client = httpx2.AsyncClient(base_url=f"{self.running.url}/api/v1", headers=headers, timeout=120)
        return made, await self.stack.enter_async_context(client)

    async def member(self, name="Anna", role=Role.CUSTOMER_MEMBER, at=0):
        return await self.caller(name, at_customer(role, self.customers[at]["id"]))

    async def entries(self, kind):
        """Return the entries of a kind that the log holds by now."""
        store = self.running.parts.store
        leaves = await store.read(
            lambda tx: [item.leaf for item in (*tx.audit.entries(0, 10_000), *tx.audit.pending(10_000))]
        )
        found = {(leaf := json.loads(each))["id"]: leaf for each in leaves}
        return [leaf for leaf in found.values() if leaf["type"] == kind]


@pytest.fixture
async def case(running, api):
    customers = [
        await customer(api, "Alpha", contacts=(("soc@alpha.example", "en"),), acknowledge_within_seconds=3600),
        await customer(api, "Beta", contacts=(("soc@beta.example", "fr"),)),
    ]
    entries = [affected(each, data_harm=harm(confidentiality="yes")) for each in customers]
    incident = await declare(api, impact="I1", service_harm=harm(confidentiality="yes"), affected_customers=entries)
    released = await release(api, incident)
    await running.sink.wait_for(2, timeout_seconds=60)
    # A mail arrives before its attempt is recorded.
    await until(running.parts.store, lambda: all_sent(api, released))
    async with contextlib.AsyncExitStack() as stack:
        yield Case(running, api, customers, incident, released, stack)


async def test_a_member_acknowledges_once_in_its_own_name(case):
    anna, client = await case.member()
    path = f"/notices/{case.alpha}/acknowledgement"
    first = await ok(client.post(path, json={"note": "Reçu."}))
    assert (first["by"], first["name"], first["via"]) == (f"account:{anna.id}", "Anna", "api")
    assert (first["note"], first["contact_id"]) == ("Reçu.", None)
    assert first["event_uri"] == "http://uri.etsi.org/19522/Event/ContentHandover"
    # Once more, and without a body: the same answer.
    assert await ok(client.post(path)) == first
    assert await ok(client.post(path, json={"note": "Again."}, headers={"Idempotency-Key": "k"})) == first
    (entry,) = await case.entries("notice.acknowledged")
    assert entry["actor"] == f"account:{anna.id}"
    assert entry["detail"] == {"event": "ContentHandover", "via": "api", "noted": True}
    assert entry["at"] == first["acknowledged_at"]
    found = await ok(client.get(f"/notices/{case.alpha}/acknowledgements"))
    assert (found["acknowledged"], found["items"]) == (True, [first])


async def test_a_repeated_request_with_its_key_is_answered_as_before_and_another_is_not(case):
    _, client = await case.member(role=Role.CUSTOMER_MANAGER)
    path, key = f"/notices/{case.alpha}/acknowledgement", {"Idempotency-Key": "one"}
    first = await ok(client.post(path, json={"note": "N"}, headers=key))
    assert await ok(client.post(path, json={"note": "N"}, headers=key)) == first
    assert (await client.post(path, json={"note": "M"}, headers=key)).status_code == 422


async def test_nobody_acknowledges_for_another_customer_or_at_the_provider(case):
    _, member = await case.member()
    assert (await member.post(f"/notices/{case.beta}/acknowledgement")).status_code == 404
    for role in (Role.ANALYST, Role.APPROVER, Role.ADMINISTRATOR, Role.AUDITOR):
        _, client = await case.caller(role.value, at_provider(role))
        assert (await client.post(f"/notices/{case.alpha}/acknowledgement")).status_code == 403
    _, auditor = await case.member(role=Role.AUDITOR)
    assert (await auditor.post(f"/notices/{case.alpha}/acknowledgement")).status_code == 403
    assert await case.entries("notice.acknowledged") == []


async def test_an_integrator_acknowledges_for_one_of_its_customers_alone(case):
    grants = [at_customer(Role.CUSTOMER_MEMBER, each["id"]) for each in case.customers]
    _, client = await case.caller("Integrator", *grants)
    await ok(client.post(f"/notices/{case.beta}/acknowledgement"))
    of_alpha = await ok(client.get(f"/notices/{case.alpha}/acknowledgements"))
    of_beta = await ok(client.get(f"/notices/{case.beta}/acknowledgements"))
    assert (of_alpha["acknowledged"], of_beta["acknowledged"]) == (False, True)


async def test_a_draft_is_not_acknowledged(case):
    draft = (await notices(case.api, await declare(case.api, impact="I1", service_harm=harm(integrity="yes"))))[0]
    at = [each["id"] for each in case.customers].index(draft["customer_id"])
    _, client = await case.member(at=at)
    assert (await client.post(f"/notices/{draft['id']}/acknowledgement")).status_code == 404


@pytest.mark.parametrize("body", [{"note": ""}, {"note": "x" * 2001}, {"note": "a\x00"}, {"other": 1}, []])
async def test_what_is_no_acknowledgement_is_refused(case, body):
    _, client = await case.member()
    assert (await client.post(f"/notices/{case.alpha}/acknowledgement", json=body)).status_code == 422
    assert await case.entries("notice.acknowledged") == []


async def test_an_opening_is_recorded_once_for_whoever_is_of_the_customer(case):
    anna, client = await case.member()
    path = f"/notices/{case.alpha}/document"
    # Looking at whether there is one, and fetching ahead, is not reading.
    assert (await client.head(path)).status_code == 405
    for ahead in ({"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}):
        assert (await client.get(path, headers=ahead)).status_code == 200
    await ok(client.get(f"/notices/{case.alpha}"))
    assert await case.entries("notice.opened") == []
    for _ in range(2):
        assert (await client.get(path)).status_code == 200
    (entry,) = await case.entries("notice.opened")
    assert (entry["actor"], entry["detail"]) == (f"account:{anna.id}", {"event": "ContentAccessTracking"})
    found = await ok(client.get(f"/notices/{case.alpha}/acknowledgements"))
    assert [(each["by"], each["name"]) for each in found["openings"]] == [(f"account:{anna.id}", "Anna")]
    assert found["openings"][0]["event_uri"].endswith("/ContentAccessTracking")
    assert found["acknowledged"] is False


async def test_the_provider_and_auditors_open_nothing(case):
    for grant in (
        at_provider(Role.ANALYST),
        at_provider(Role.AUDITOR),
        (Role.AUDITOR, UUID(case.customers[0]["id"]), None, None),
    ):
        _, client = await case.caller(f"{grant[0].value} {grant[1]}", grant)
        assert (await client.get(f"/notices/{case.alpha}/document")).status_code == 200
    assert await case.entries("notice.opened") == []


async def test_the_provider_sees_who_has_not_acknowledged_yet_with_names_and_due_first(case):
    analyst, client = await case.caller("Ada", at_provider(Role.ANALYST))
    path = f"/incidents/{case.incident['id']}/acknowledgements"
    found = await ok(client.get(path))
    assert (found["acknowledged"], found["not_acknowledged"]) == (0, 2)
    # Alpha wants to have acknowledged within the hour, Beta need not.
    assert [item["customer_name"] for item in found["items"]] == ["Alpha", "Beta"]
    assert [item["wanted_by"] is None for item in found["items"]] == [False, True]
    assert [[each["name"] for each in item["not_acknowledged_by"]] for item in found["items"]] == [["soc"], ["soc"]]
    _, member = await case.member()
    await ok(member.post(f"/notices/{case.alpha}/acknowledgement"))
    found = await ok(client.get(path, params={"limit": 1}))
    assert (found["acknowledged"], found["not_acknowledged"]) == (1, 1)
    assert [item["customer_name"] for item in found["items"]] == ["Beta"]
    of_alpha = await ok(client.get(f"/notices/{case.alpha}/acknowledgements"))
    assert [(each["name"], each["via"]) for each in of_alpha["items"]] == [("Anna", "api")]
    # The contact that the mail went to did not answer itself, whoever else did.
    assert [each["name"] for each in of_alpha["not_acknowledged_by"]] == ["soc"]
    assert (await client.get(f"/incidents/{analyst.id}/acknowledgements")).status_code == 404


async def test_a_later_notice_stands_for_the_earlier_one(case):
    _, member = await case.member()
    await ok(member.post(f"/notices/{case.alpha}/acknowledgement"))
    changed = await change(case.api, case.incident, measures_taken={"en": "Cut off."})
    await release(case.api, changed)
    await case.running.sink.wait_for(4, timeout_seconds=60)
    found = await ok(case.api.get(f"/incidents/{case.incident['id']}/acknowledgements"))
    assert [(item["sequence"], item["acknowledged"]) for item in found["items"]] == [(2, False), (2, False)]


async def test_whoever_at_the_provider_reads_a_sent_mail_is_named_in_the_log_first(case):
    deliveries = (await ok(case.api.get(f"/notices/{case.alpha}/deliveries")))["items"]
    (mail,) = (each for each in deliveries if each["channel"] == "email")
    ada, client = await case.caller("Ada", at_provider(Role.ANALYST))
    path = f"/notices/{case.alpha}/deliveries/{mail['id']}/message"
    assert (await client.get(path)).status_code == 200
    (entry,) = await case.entries("delivery.mail_read")
    assert (entry["actor"], entry["subjects"]["delivery"]) == (f"account:{ada.id}", mail["id"])
    anna, member = await case.member()
    assert (await member.get(path)).status_code == 200
    assert len(await case.entries("delivery.mail_read")) == 1
    assert [each["actor"] for each in await case.entries("notice.opened")] == [f"account:{anna.id}"]
