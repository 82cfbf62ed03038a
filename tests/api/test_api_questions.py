"""Questions about notices: asked by the customer's own people, answered by the provider, closed to everybody else."""

import contextlib
import json
import shutil
from email import message_from_bytes
from email.policy import default as mail_policy

import httpx2
import pytest
import pytest_asyncio

from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from support.scenario import affected, change, customer, declare, harm, ok, release
from support.world import account, at_customer, at_provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAYLOAD = "<script>alert(1)</script>\nQuel impact ? \u202eé 'x' \"y\" {{7*7}}"
EMPTY = "00000000-0000-4000-8000-000000000000"


class Case:
    """An incident with a notice to each of two customers; whoever calls does so with a token of its own."""

    def __init__(self, running, api, stack, customers, incident, notices):
        self.running, self.api, self.stack = running, api, stack
        self.customers, self.incident, self.notices = customers, incident, notices
        self._members = {}

    async def caller(self, name, *grants):
        made, token = await account(self.running, name, *grants, email=f"{name.lower()}@people.example")
        headers = {"Authorization": f"Bearer {token}"}
        client = httpx2.AsyncClient(base_url=f"{self.running.url}/api/v1", headers=headers, timeout=120)
        return made, await self.stack.enter_async_context(client)

    async def member(self, name, at=0, role=Role.CUSTOMER_MEMBER):
        return await self.caller(name, at_customer(role, self.customers[at]["id"]))

    async def entries(self, kind):
        store = self.running.parts.store
        leaves = await store.read(
            lambda tx: [item.leaf for item in (*tx.audit.entries(0, 10_000), *tx.audit.pending(10_000))]
        )
        found = {(leaf := json.loads(each))["id"]: leaf for each in leaves}
        return [leaf for leaf in found.values() if leaf["type"] == kind]

    async def waiting(self):
        items = (await ok(self.api.get("/attention", params={"limit": 200})))["items"]
        return [item for item in items if item["kind"] == "question_waiting"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def case(prepared_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("questions") / "data"
    shutil.copytree(prepared_folder, folder)
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(
            embedded_service(
                folder,
                log__batch_seconds=0.01,
                provider__console_url="https://console.example",
                access__requests_burst=20_000,
            )
        )
        headers = {"Authorization": f"Bearer {running.token}"}
        client = httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120)
        api = await stack.enter_async_context(client)
        customers = [
            await customer(api, name, contacts=((f"soc@{name.lower()}.example", "en"),)) for name in ("Alpha", "Beta")
        ]
        entries = [affected(each, data_harm=harm(confidentiality="yes")) for each in customers]
        incident = await declare(api, impact="I1", service_harm=harm(confidentiality="yes"), affected_customers=entries)
        released = {item["customer_id"]: item["id"] for item in await release(api, incident)}
        await running.sink.wait_for(2, timeout_seconds=60)
        yield Case(running, api, stack, customers, incident, [released[each["id"]] for each in customers])


async def test_a_question_is_asked_waits_on_the_board_and_is_answered_once(case):
    anna, member = await case.member("Anna")
    _, analyst = await case.caller("Ada", at_provider(Role.ANALYST))
    path = f"/notices/{case.notices[0]}/questions"
    asked = await ok(member.post(path, json={"text": PAYLOAD}))
    assert (asked["asked_by"], asked["asked_by_name"]) == (f"account:{anna.id}", "Anna")
    assert (asked["text"], asked["reply"], asked["answered_at"]) == (PAYLOAD, None, None)
    (waiting,) = await case.waiting()
    assert (waiting["notice_id"], waiting["incident_id"]) == (case.notices[0], case.incident["id"])
    assert "impact" not in waiting["what"]
    assert (await ok(analyst.get("/questions")))["items"] == [asked]
    sent = len(case.running.sink.messages)
    answered = await ok(analyst.post(f"/questions/{asked['id']}/reply", json={"text": "Aucun secret lu. <b>"}))
    assert (answered["reply"], answered["answering_notice_id"]) == ("Aucun secret lu. <b>", None)
    assert "Ada" not in json.dumps(answered)
    assert (await ok(member.get(path)))["items"] == [answered]
    assert await case.waiting() == []
    again = await analyst.post(f"/questions/{asked['id']}/reply", json={"text": "Again"})
    assert again.status_code == 409
    # The mail says that there is an answer, and nothing of it.
    await case.running.sink.wait_for(sent + 1, timeout_seconds=60)
    mail = case.running.sink.messages[-1]
    assert list(mail.recipients) == ["anna@people.example"]
    said = message_from_bytes(mail.content, policy=mail_policy).get_body(("plain",)).get_content()
    assert f"https://console.example/notices/{case.notices[0]}" in said
    assert not {"secret", "impact", "Alpha", case.incident["ticket"]} & set(said.split())
    # Entries name who and when; what was said is a commitment.
    for kind, actor in (("question.asked", f"account:{anna.id}"), ("question.answered", None)):
        entry = (await case.entries(kind))[0]
        assert actor is None or entry["actor"] == actor
        assert entry["subjects"]["question"] == asked["id"]
        assert set(entry["commitments"]) == {"payload"}
        assert "impact" not in json.dumps(entry)
        assert "secret" not in json.dumps(entry)


async def test_a_later_notice_answers_and_only_one_that_the_customer_has(case):
    _, member = await case.member("Bert")
    _, analyst = await case.caller("Alma", at_provider(Role.ANALYST))
    asked = await ok(member.post(f"/notices/{case.notices[0]}/questions", json={"text": "More?"}))
    reply = f"/questions/{asked['id']}/reply"
    for body in ({}, {"text": "  "}, {"notice_id": case.notices[0]}, {"notice_id": case.notices[1]},
                 {"notice_id": EMPTY}, {"text": "a\x00"}, {"text": "x" * 8001}, {"other": 1}):  # fmt: skip
        assert (await analyst.post(reply, json=body)).status_code == 422, body
    incident = await ok(case.api.get(f"/incidents/{case.incident['id']}"))
    entries = [
        affected(each, data_harm=harm(confidentiality="yes"), effect={"en": "More is known."})
        for each in case.customers
    ]
    changed = await change(case.api, incident, affected_customers=entries)
    listed = (await ok(case.api.get(f"/incidents/{incident['id']}/notices")))["items"]
    (draft,) = [item for item in listed if item["customer_id"] == case.customers[0]["id"] and item["state"] == "draft"]
    # A draft is nothing that the customer has.
    assert (await analyst.post(reply, json={"notice_id": draft["id"]})).status_code == 422
    sent = len(case.running.sink.messages)
    await release(case.api, changed)
    await case.running.sink.wait_for(sent + 2, timeout_seconds=60)
    answered = await ok(analyst.post(reply, json={"notice_id": draft["id"]}))
    assert (answered["reply"], answered["answering_notice_id"]) == (None, draft["id"])
    assert await case.waiting() == []


async def test_nobody_asks_for_another_customer_or_reads_its_questions(case):
    _, member = await case.member("Cara")
    _, foreign = await case.member("Dora", at=1)
    path = f"/notices/{case.notices[0]}/questions"
    asked = await ok(member.post(path, json={"text": "Ours alone?"}))
    for method, where in (("GET", path), ("POST", path), ("GET", f"/notices/{case.notices[0]}/feedback")):
        assert (await foreign.request(method, where, json={"text": "?"})).status_code == 404
    assert (await foreign.post(f"/questions/{asked['id']}/reply", json={"text": "!"})).status_code == 403
    assert (await foreign.get("/questions")).status_code == 403
    for role in (Role.ANALYST, Role.APPROVER, Role.ADMINISTRATOR, Role.AUDITOR, Role.SERVICE_ACCOUNT):
        _, client = await case.caller(f"At{role.value}", at_provider(role))
        assert (await client.post(path, json={"text": "?"})).status_code == 403
    _, auditor = await case.member("Eva", role=Role.AUDITOR)
    assert (await auditor.post(path, json={"text": "?"})).status_code == 403
    assert asked["id"] in [item["id"] for item in (await ok(auditor.get(path)))["items"]]
    for body in ({}, {"text": ""}, {"text": " \n"}, {"text": "a\x00"}, {"text": "x" * 4001}, {"text": 1}):
        assert (await member.post(path, json=body)).status_code == 422, body


async def test_one_person_keeps_at_most_ten_questions_open_and_a_repeated_request_asks_once(case):
    _, member = await case.member("Finn", at=1)
    path = f"/notices/{case.notices[1]}/questions"
    first = await ok(member.post(path, json={"text": "0"}, headers={"Idempotency-Key": "k"}))
    assert await ok(member.post(path, json={"text": "0"}, headers={"Idempotency-Key": "k"})) == first
    for number in range(1, 10):
        await ok(member.post(path, json={"text": f"{number}"}))
    assert (await member.post(path, json={"text": "10"})).status_code == 409


async def test_feedback_is_one_per_person_and_the_last_word_counts(case):
    anna, member = await case.member("Gina")
    _, other = await case.member("Hugo", role=Role.CUSTOMER_MANAGER)
    path = f"/notices/{case.notices[0]}/feedback"
    await ok(member.put(path, json={"helped": "no", "words": PAYLOAD}))
    await ok(other.put(path, json={"helped": "yes"}))
    last = await ok(member.put(path, json={"helped": "partly"}))
    assert (last["by"], last["by_name"], last["helped"], last["words"]) == (
        f"account:{anna.id}",
        "Gina",
        "partly",
        None,
    )
    found = (await ok(case.api.get(path)))["items"]
    assert [(item["by_name"], item["helped"]) for item in found] == [("Gina", "partly"), ("Hugo", "yes")]
    details = [entry["detail"] for entry in await case.entries("feedback.given")]
    assert details == [{"helped": "no", "noted": True}, {"helped": "yes", "noted": False},
                       {"helped": "partly", "noted": False}]  # fmt: skip
    for body in ({}, {"helped": "perhaps"}, {"helped": "yes", "words": "x" * 2001}):
        assert (await member.put(path, json=body)).status_code == 422, body


async def test_an_inbox_shows_what_waits_for_its_reader_alone(case):
    _, reader = await case.member("Ines", at=1)
    path = f"/customers/{case.customers[1]['id']}/notices"
    first = (await ok(reader.get(path, params={"unread": True})))["items"]
    assert case.notices[1] in [item["notice_id"] for item in first]
    assert {item["read"] for item in first} == {False}
    assert (await reader.get(f"/notices/{case.notices[1]}/document")).status_code == 200
    after = (await ok(reader.get(path, params={"unread": True})))["items"]
    assert case.notices[1] not in [item["notice_id"] for item in after]
    (found,) = [item for item in (await ok(reader.get(path)))["items"] if item["notice_id"] == case.notices[1]]
    assert (found["ticket"], found["open"], found["acknowledged"]) == (case.incident["ticket"], True, False)
    assert (await ok(reader.get(path, params={"contains": "nothing like this"})))["items"] == []
    whole = (await ok(reader.get(path, params={"contains": "LOAD balancer"})))["items"]
    assert len(whole) == len(first)
    page = await ok(reader.get(path, params={"limit": 1}))
    rest = await ok(reader.get(path, params={"limit": 200, "cursor": page["next_cursor"]}))
    assert len(page["items"] + rest["items"]) == len(whole)
    _, foreign = await case.member("Jana")
    assert (await foreign.get(path)).status_code == 404
