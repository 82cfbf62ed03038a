"""Webhooks from end to end: set up by the API, received over TLS, verified, rotated, replayed, disabled, told."""

import asyncio
import base64
import json
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest

from notifications.delivery.delivery import Outcome, OutcomeKind
from notifications.delivery.webhook import EndpointState
from notifications.errors import VerificationError
from notifications.use_cases.customers.manage_webhooks import FAILING_FOR, after_attempt
from service.cli.demo.environment import embedded_service
from support.records import NOW, make_customer
from support.scenario import affected, customer, declare, harm, ok, release
from support.serving_records import make_endpoint
from support.tls_authority import new_authority
from support.webhook_receiver import verify_webhook
from support.webhook_server import answer, webhook_server


@pytest.fixture
async def receiver(tmp_path):
    authority = new_authority()
    (tmp_path / "tls").mkdir()
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    async with webhook_server(authority.server_context(tmp_path / "tls", "localhost")) as server:
        yield server


@pytest.fixture
async def house(data_folder, receiver, tmp_path):
    async with embedded_service(
        data_folder, webhooks__ca_file=tmp_path / "ca.pem", webhooks__allow_private=True, log__batch_seconds=0
    ) as running:
        yield running


@pytest.fixture
async def api(house):
    headers = {"Authorization": f"Bearer {house.token}"}
    async with httpx2.AsyncClient(base_url=f"{house.url}/api/v1", headers=headers, timeout=120) as opened:
        yield opened


async def set_up(api, receiver, name="Hôpital"):
    made = await customer(api, name)
    hook = await ok(api.post(f"/customers/{made['id']}/webhooks", json={"url": receiver.url()}))
    return made, hook


async def serve(api, made):
    incident = await declare(
        api,
        impact="I1",
        service_harm=harm(confidentiality="yes"),
        affected_customers=[affected(made, data_harm=harm(confidentiality="yes"))],
    )
    return (await release(api, incident))[0]


async def delivery_of(api, notice, state):
    """Wait until the webhook delivery of a notice stands so."""
    async with asyncio.timeout(60):
        while True:
            items = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
            found = [item for item in items if item["channel"] == "webhook"]
            if found and found[0]["state"] == state:
                return found[0]
            await asyncio.sleep(0.05)


async def test_a_notice_is_posted_sealed_signed_and_recorded(house, api, receiver):
    made, hook = await set_up(api, receiver)
    shared = hook["new_secret"]["secret"]
    public = await ok(api.post(f"/customers/{made['id']}/webhooks/{hook['id']}/secrets", json={"kind": "v1a"}))
    assert public["secret"] is None
    notice = await serve(api, made)
    await delivery_of(api, notice, "sent")
    (got,) = receiver.received
    now = house.parts.context.clock.now()
    for key in (shared, public["public_key"]):
        verify_webhook(got.headers, got.body, [key], now)
    with pytest.raises(VerificationError, match="five minutes"):
        verify_webhook(got.headers, got.body, [shared], now + timedelta(minutes=6))
    event = json.loads(got.body)
    assert (event["specversion"], event["type"]) == ("1.0", "greffier.notice.v1")
    sealed = await house.parts.store.read(lambda tx: tx.notices.seal(UUID(notice["id"])))
    assert base64.b64decode(event["data"]["document"]) == sealed.document
    assert base64.b64decode(event["data"]["signature"]) == sealed.signature
    assert base64.b64decode(event["data"]["log_proof"]) == sealed.log_proof
    listed = (await ok(api.get(f"/customers/{made['id']}/webhooks")))["items"]
    assert listed[0]["last_success_at"] is not None
    assert shared not in json.dumps(listed)


async def test_the_secret_is_shown_once_even_to_a_repeated_request(house, api, receiver):
    made = await customer(api)
    body, key = {"url": receiver.url()}, {"Idempotency-Key": "k1"}
    first = await ok(api.post(f"/customers/{made['id']}/webhooks", json=body, headers=key))
    again = await ok(api.post(f"/customers/{made['id']}/webhooks", json=body, headers=key))
    assert first["new_secret"]["secret"].startswith("whsec_")
    assert again["new_secret"] == first["new_secret"] | {"secret": None}


async def test_rotation_overlaps_and_a_leaked_secret_goes_at_once(house, api, receiver):
    made, hook = await set_up(api, receiver)
    base = f"/customers/{made['id']}/webhooks/{hook['id']}"
    assert (await api.delete(f"{base}/secrets/{hook['secrets'][0]['id']}")).status_code == 409, "the last one stays"
    second = await ok(api.post(f"{base}/secrets", json={"kind": "v1", "overlap_days": 1}))
    assert (await ok(api.post(f"{base}/test")))["outcome"] == "accepted"
    now = house.parts.context.clock.now()
    got = receiver.received[-1]
    assert json.loads(got.body)["type"] == "greffier.test.v1"
    for key in (hook["new_secret"]["secret"], second["secret"]):
        verify_webhook(got.headers, got.body, [key], now)
    assert (await api.delete(f"{base}/secrets/{second['id']}")).status_code == 409, "the other one expires in a week"
    await ok(api.delete(f"{base}/secrets/{hook['secrets'][0]['id']}"))
    await ok(api.post(f"{base}/test"))
    got = receiver.received[-1]
    verify_webhook(got.headers, got.body, [second["secret"]], now)
    with pytest.raises(VerificationError):
        verify_webhook(got.headers, got.body, [hook["new_secret"]["secret"]], now)


async def test_another_address_has_its_own_time_of_failing(house, api, receiver):
    made, hook = await set_up(api, receiver)
    path, any_version = f"/customers/{made['id']}/webhooks/{hook['id']}", {"If-Match": "*"}

    def fail(tx):
        endpoint = tx.webhooks.get(UUID(hook["id"]))
        tx.webhooks.save(replace(endpoint, failing_since=NOW, version=endpoint.version + 1), endpoint.version)

    await house.parts.store.write(fail)
    body = {"url": receiver.url(), "description": "SOC"}
    assert (await ok(api.put(path, json=body, headers=any_version)))["failing_since"] is not None
    mended = body | {"url": receiver.url("/mended")}
    assert (await ok(api.put(path, json=mended, headers=any_version)))["failing_since"] is None


async def test_a_gone_endpoint_is_disabled_told_and_the_notice_replayed_under_its_id(house, api, receiver):
    made, hook = await set_up(api, receiver)
    base = f"/customers/{made['id']}/webhooks/{hook['id']}"
    receiver.answers[:] = [answer(410), answer(204)]
    notice = await serve(api, made)
    failed = await delivery_of(api, notice, "failed")
    assert "410" in failed["last_error"]
    gone = await ok(api.get(base))
    assert (gone["state"], gone["state_reason"]) == ("gone", "the endpoint answered 410 Gone")
    mails = await house.sink.wait_for(3, timeout_seconds=60)
    assert sum(b"localhost" in mail.content for mail in mails) >= 1
    assert ("webhook_disabled", made["id"]) in await raised(house), "whoever keeps the service is told too"
    replay = {"notice_id": notice["id"]}
    assert (await api.post(f"{base}/replays", json=replay)).status_code == 409, "it is out of use"
    await ok(api.put(base, json={"url": receiver.url(), "active": True}, headers={"If-Match": "*"}))
    await ok(api.post(f"{base}/replays", json=replay))
    await delivery_of(api, notice, "sent")
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


async def raised(house):
    alerts = await house.parts.store.read(lambda tx: list(tx.alerts.unseen(100)))
    return [(alert.kind, str(alert.customer_id)) for alert in alerts]


async def test_bad_addresses_are_refused_with_the_field(house, api, receiver):
    made, _ = await set_up(api, receiver)
    for url in ("http://x.example/", "https://u:p@x.example/", receiver.url(), "https://x.example/\nHost: y"):
        refused = await api.post(f"/customers/{made['id']}/webhooks", json={"url": url})
        assert refused.status_code == 422, url
        assert "url" in refused.text


class TestLife:
    ENDPOINT_FAILS = Outcome(OutcomeKind.TRANSIENT_FAILURE, 500, None, "oops", None, None, None, None)

    def endpoint(self, **changes):
        plain = {"state": EndpointState.ACTIVE, "state_reason": None, "failing_since": None, "last_success_at": None}
        return make_endpoint(make_customer(), **(plain | changes))

    def test_it_is_disabled_after_days_of_nothing_but_failures(self):
        first = after_attempt(self.endpoint(), self.ENDPOINT_FAILS, NOW)
        assert (first.state, first.failing_since) == (EndpointState.ACTIVE, NOW)
        assert after_attempt(first, self.ENDPOINT_FAILS, NOW + FAILING_FOR - timedelta(seconds=1)) is first
        last = after_attempt(first, self.ENDPOINT_FAILS, NOW + FAILING_FOR)
        assert last.state is EndpointState.FAILING
        assert "500 oops" in last.state_reason

    def test_one_success_begins_the_count_anew_and_our_own_faults_do_not_count(self):
        failing = self.endpoint(failing_since=NOW)
        ok_ = Outcome(OutcomeKind.ACCEPTED, 204, None, "", None, None, None, None)
        mended = after_attempt(failing, ok_, NOW + FAILING_FOR)
        assert (mended.failing_since, mended.last_success_at) == (None, NOW + FAILING_FOR)
        ours = Outcome(OutcomeKind.REFUSED_HERE, None, None, "no key", None, None, None, None)
        assert after_attempt(failing, ours, NOW + FAILING_FOR) is failing

    def test_for_how_long_is_the_operators_to_say(self):
        first = after_attempt(self.endpoint(), self.ENDPOINT_FAILS, NOW, timedelta(hours=12))
        later = NOW + timedelta(hours=12)
        assert after_attempt(first, self.ENDPOINT_FAILS, later, timedelta(hours=12)).state is EndpointState.FAILING
        assert "0.5 days" in after_attempt(first, self.ENDPOINT_FAILS, later, timedelta(hours=12)).state_reason
