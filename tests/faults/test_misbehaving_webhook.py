"""A customer's system that misbehaves on cue, before the real worker: nothing is lost, hidden or taken for success."""

import asyncio
import contextlib
import json

import httpx2
import pytest

from service.channels import webhook_https
from service.cli.demo.environment import embedded_service
from support import scenario
from support.clocks import TurnedClock
from support.scenario import ok
from support.tls_authority import new_authority
from support.webhook_server import (
    answer,
    close_at_once,
    hang,
    slow_body,
    slow_headers,
    webhook_server,
)

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}
#: No post takes longer, whatever the receiver does.
LIMIT_SECONDS = 1


@contextlib.asynccontextmanager
async def service_before(data_folder, tmp_path, clock, **settings):
    """Run a service whose one customer has a webhook at a receiver; yields all of them."""
    authority = new_authority()
    (tmp_path / "tls").mkdir()
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    chosen = {"webhooks__allow_private": True, "webhooks__timeout_seconds": LIMIT_SECONDS, "log__batch_seconds": 0}
    async with (
        webhook_server(authority.server_context(tmp_path / "tls", "localhost")) as receiver,
        embedded_service(
            data_folder, clock=clock, webhooks__ca_file=tmp_path / "ca.pem", **(chosen | settings)
        ) as running,
    ):
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=30) as api:
            made = await scenario.customer(api)
            hook = await ok(api.post(f"/customers/{made['id']}/webhooks", json={"url": receiver.url()}))
            yield running, api, receiver, f"/customers/{made['id']}/webhooks/{hook['id']}"


async def released(api):
    (notice,) = await scenario.release(api, await scenario.declare(api, **GRAVE))
    return notice


async def post_once(running, api, notice, condition, channel="webhook"):
    """Return the delivery by a channel once the condition holds of it."""
    changed = asyncio.Event()
    running.parts.store.on_commit.append(lambda _kinds: changed.set())
    async with asyncio.timeout(30):
        while True:
            changed.clear()
            for item in (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]:
                if item["channel"] == channel and condition(item):
                    return item
            await changed.wait()


#: what the receiver does, and the code in evidence
FOR_NOW = [
    (answer(500, b"on fire"), 500),
    (answer(404), 404),
    (answer(401), 401),
    (answer(429, Retry_After="30"), 429),
    (answer(503, Retry_After="30"), 503),
    (answer(302, Location="https://elsewhere.example/"), 302),
    (close_at_once, None),
    (hang, None),
    (slow_headers, None),
    (slow_body(500), 500),
    (answer(503, Retry_After="Sat, 01 Jan 99999999999999999999 00:00:00 GMT"), 503),
    (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n", None),
    (b"\x00\xff nonsense\r\n\r\n", None),
]


async def test_what_fails_is_evidence_and_comes_again_under_its_id(data_folder, tmp_path, service_log):
    clock = TurnedClock()
    async with service_before(data_folder, tmp_path, clock) as (running, api, receiver, hook):
        for reply, code in FOR_NOW:
            receiver.received.clear()
            receiver.answers[:] = [reply, answer(204)]
            notice = await released(api)
            post = await post_once(running, api, notice, lambda item: item["attempts"])
            assert post["state"] == "queued", reply
            assert post["next_attempt_at"] is not None
            assert post["last_error"]
            (evidence,) = post["evidence"]
            assert (evidence["code"], evidence["event"]) == (code, "RelayToNonERDSFailure"), reply
            clock.turn(minutes=2)
            running.parts.worker.wake({"deliveries"})
            post = await post_once(running, api, notice, lambda item: item["state"] == "sent")
            assert (post["attempts"], post["last_error"]) == (2, None), reply
            first, second = receiver.received
            assert first.headers["webhook-id"] == second.headers["webhook-id"] == json.loads(second.body)["id"]
            assert first.body == second.body
            assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) >= 120
        assert (await ok(api.get(hook)))["failing_since"] is None


async def test_a_receiver_that_fails_for_days_is_put_out_of_use_and_what_is_owed_says_so(
    data_folder, tmp_path, service_log
):
    clock = TurnedClock()
    async with service_before(data_folder, tmp_path, clock, webhooks__failing_days=0.5) as (
        running,
        api,
        receiver,
        hook,
    ):
        receiver.answers[:] = [answer(500)]
        first = await released(api)
        await post_once(running, api, first, lambda item: item["attempts"])
        clock.turn(hours=13)
        running.parts.worker.wake({"deliveries"})
        await post_once(running, api, first, lambda item: item["attempts"] == 2)
        stands = await ok(api.get(hook))
        assert (stands["state"], stands["state_reason"]) == ("failing", "it failed for 0.5 days, at last: 500")
        posted = len(receiver.received)
        # The next attempt sends nothing, and the delivery stands failed with the reason.
        clock.turn(hours=2)
        running.parts.worker.wake({"deliveries"})
        last = await post_once(running, api, first, lambda item: item["state"] == "failed")
        assert "0.5 days" in last["last_error"]
        assert len(receiver.received) == posted
        # What is sealed from now on does not go there, and goes everywhere else.
        second = await released(api)
        await post_once(running, api, second, lambda item: item["state"] == "sent", channel="console")
        items = (await ok(api.get(f"/notices/{second['id']}/deliveries")))["items"]
        assert {item["channel"] for item in items} == {"console", "email"}
        # Set in use again, both can be had.
        receiver.answers[:] = [answer(204)]
        await ok(api.put(hook, json={"url": receiver.url()}, headers={"If-Match": "*"}))
        for notice in (first, second):
            await ok(api.post(f"{hook}/replays", json={"notice_id": notice["id"]}))
            await post_once(running, api, notice, lambda item: item["state"] == "sent")


@pytest.mark.parametrize("reply", [answer(200, b"y" * 3_000_000), answer(299), answer(204)])
async def test_success_is_a_2xx_and_a_giant_answer_is_not_read(data_folder, tmp_path, service_log, reply):
    # A busy machine may take longer than the limit of those that are to run into it.
    settings = {"webhooks__timeout_seconds": 30}
    async with service_before(data_folder, tmp_path, TurnedClock(), **settings) as (running, api, receiver, _):
        receiver.answers[:] = [reply]
        notice = await released(api)
        post = await post_once(running, api, notice, lambda item: item["state"] == "sent")
        (evidence,) = post["evidence"]
        assert evidence["event"] == "RelayToNonERDS"
        assert len(evidence["text"] or "") <= 200


async def test_an_error_that_no_channel_foresees_is_an_attempt_and_nobody_elses(
    data_folder, tmp_path, service_log, monkeypatch
):
    """Whatever one customer's receiver brings about: recorded, tried again, and the service stays ready."""
    clock = TurnedClock()
    meaning, broken = webhook_https._meaning, [OverflowError("nobody thought of this")]

    def surprised(*arguments):
        if broken:
            raise broken.pop()
        return meaning(*arguments)

    monkeypatch.setattr(webhook_https, "_meaning", surprised)
    async with service_before(data_folder, tmp_path, clock) as (running, api, receiver, _):
        notice = await released(api)
        post = await post_once(running, api, notice, lambda item: item["attempts"])
        assert (post["state"], post["attempts"]) == ("queued", 1)
        assert "OverflowError" in post["last_error"]
        assert "nobody thought" not in post["last_error"]
        async with httpx2.AsyncClient() as probe:
            assert (await probe.get(f"{running.url}/readyz")).json()["parts"]["worker"] == "ok"
        clock.turn(minutes=2)
        running.parts.worker.wake({"deliveries"})
        post = await post_once(running, api, notice, lambda item: item["state"] == "sent")
        assert (post["attempts"], len(receiver.received)) == (2, 2)
