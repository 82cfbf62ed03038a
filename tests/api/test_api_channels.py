"""Pausing and resuming a channel from outside: nothing is lost, the log knows who and until when."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest

from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.pause_channel import end_pauses, paused_channels
from service.cli.demo.environment import embedded_service
from support.clocks import SteppedClock
from support.commits import until
from support.scenario import affected, customer, declare, ok, release


async def entries(running, kind):
    """Return the details of the log's entries of a kind, sequenced or not."""
    found = await running.parts.store.read(lambda tx: [*tx.audit.entries(0, 9999), *tx.audit.pending(9999)])
    return [leaf for leaf in (json.loads(item.leaf) for item in found) if leaf["type"] == kind]


def channel(listed, kind="email"):
    return next(item for item in listed["items"] if item["kind"] == kind)


async def test_every_channel_is_listed_with_what_waits(api):
    listed = await ok(api.get("/channels"))
    assert [item["kind"] for item in listed["items"]] == ["email", "console", "webhook"]
    assert channel(listed)["configured"] is True
    assert channel(listed)["pause"] is None
    assert channel(listed)["due"] == 0


async def test_a_pause_and_its_end_are_in_the_log_without_the_reason(running, api):
    answer = await ok(api.post("/channels/email/pause", json={"reason": "the relay of ACME moves"}))
    assert answer["pause"]["reason"] == "the relay of ACME moves"
    assert answer["pause"]["until"] is None
    paused = (await entries(running, "channel.paused"))[-1]
    assert paused["subjects"] == {"channel": "email"}
    assert paused["detail"] == {"until": None}
    assert "ACME" not in json.dumps(paused)
    attention = await ok(api.get("/attention"))
    item = next(item for item in attention["items"] if item["kind"] == "channel_paused")
    assert item["what"].startswith("email: the relay of ACME moves")
    assert (await ok(api.post("/channels/email/resume")))["pause"] is None
    assert (await entries(running, "channel.resumed"))[-1]["detail"] == {"by": "person"}
    assert (await api.post("/channels/email/resume")).status_code == 409
    assert [item for item in (await ok(api.get("/attention")))["items"] if item["kind"] == "channel_paused"] == []


async def test_a_later_pause_takes_the_place_of_an_earlier_one(running, api):
    await ok(api.post("/channels/email/pause", json={"reason": "one"}))
    await ok(api.post("/channels/email/pause", json={"reason": "two"}))
    assert channel(await ok(api.get("/channels")))["pause"]["reason"] == "two"
    assert len(await entries(running, "channel.paused")) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/channels/console/pause", {"reason": "R"}),
        ("/channels/pigeon/pause", {"reason": "R"}),
        ("/channels/email/pause", {}),
        ("/channels/email/pause", {"reason": " "}),
        ("/channels/email/pause", {"reason": "a\nb"}),
        ("/channels/email/pause", {"reason": "R", "until": "2020-01-01T00:00:00Z"}),
        ("/channels/email/pause", {"reason": "R", "until": "2099-01-01T00:00:00"}),
        ("/channels/email/pause", {"reason": "R", "forever": True}),
    ],
)
async def test_what_is_no_pause_is_refused_and_changes_nothing(path, body, running, api):
    answer = await api.post(path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await entries(running, "channel.paused") == []


async def test_a_pause_asked_for_twice_under_one_key_is_made_once(running, api):
    for _ in range(2):
        answer = await api.post("/channels/email/pause", json={"reason": "R"}, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 200
    assert len(await entries(running, "channel.paused")) == 1


async def test_nothing_is_handed_over_while_paused_and_all_of_it_afterwards(running, api):
    await ok(api.post("/channels/email/pause", json={"reason": "R"}))
    hospital = await customer(api)
    incident = await declare(
        api, impact="I1", criticality="C1", intent="malicious", cause="attack", affected_customers=[affected(hospital)]
    )
    notice = (await release(api, incident))[0]
    # Once the console has the notice, the worker has looked at everything that is due.
    await placed(running, notice)
    assert running.sink.messages == []
    assert channel(await ok(api.get("/channels")))["due"] == 1
    await ok(api.post("/channels/email/resume"))
    await running.sink.wait_for(1)


async def placed(running, notice):
    """Wait until a notice stands in the console."""
    changed = asyncio.Event()
    running.parts.store.on_commit.append(lambda _kinds: changed.set())
    async with asyncio.timeout(30):
        while True:
            found = await running.parts.store.read(lambda tx: tx.deliveries.of_notice(UUID(notice["id"])))
            if any(item.channel.value == "console" and item.state.value == "sent" for item in found):
                return
            await changed.wait()
            changed.clear()


async def test_who_is_no_contact_any_more_gets_no_mail_that_waited_and_the_next_contact_gets_it(running, api):
    own = await customer(api, contacts=(("left@valmont.example", "fr"),))
    second = {"name": "B", "email": "next@valmont.example", "language": "fr", "order": 2, "fallback": True}
    await ok(api.post(f"/customers/{own['id']}/contacts", json=second | {"address_confirmed": True}))
    await ok(api.post("/channels/email/pause", json={"reason": "the relay is down"}))
    grave = {"impact": "I1", "criticality": "C1", "intent": "malicious", "cause": "attack"}
    (notice,) = await release(api, await declare(api, **grave, affected_customers=[affected(own)]))

    async def mailed():
        items = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
        return [item for item in items if item["channel"] == "email"]

    await until(running.parts.store, mailed)
    first = (await ok(api.get(f"/customers/{own['id']}/contacts")))["items"][0]
    changed = {name: first[name] for name in ("name", "email", "language", "order")} | {"active": False}
    match = {"If-Match": f'"{first["version"]}"'}
    await ok(api.put(f"/customers/{own['id']}/contacts/{first['id']}", json=changed, headers=match))
    await ok(api.post("/channels/email/resume"))

    async def settled():
        states = [item["state"] for item in await mailed()]
        return len(states) == 2 and "queued" not in states and states

    assert await until(running.parts.store, settled) == ["failed", "sent"]
    got = [message.recipients for message in running.sink.messages if "valmont" in message.recipients[0]]
    assert got == [("next@valmont.example",)]
    failed = (await mailed())[0]
    assert failed["last_error"].startswith("the contact is not active any more")


async def test_a_pause_ends_by_itself_and_says_so(data_folder, service_log):
    clock = SteppedClock()
    async with embedded_service(data_folder, clock=clock) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            until = (clock.now() + timedelta(hours=1)).isoformat()
            await ok(api.post("/channels/webhook/pause", json={"reason": "R", "until": until}))
            store = running.parts.store
            pauses = await store.read(lambda tx: tx.deliveries.channel_pauses())
            assert paused_channels(pauses, clock.now()) == {"webhook"}
            assert paused_channels(pauses, clock.now() + timedelta(hours=1)) == frozenset()
            clock.step(timedelta(minutes=61))
            # It counts no more, whether or not anybody took it away.
            assert channel(await ok(api.get("/channels")), "webhook")["pause"] is None
            act = AuditContext("system:test", clock.now(), running.parts.context.identifiers)
            await store.write(lambda tx: end_pauses(tx, act))
            assert await store.read(lambda tx: list(tx.deliveries.channel_pauses())) == []
            assert [leaf["detail"] for leaf in await entries(running, "channel.resumed")] == [{"by": "end"}]
