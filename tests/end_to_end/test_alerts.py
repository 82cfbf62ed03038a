"""Alerts from outside: what is due and blocked reaches a mailbox, once per stage, signed, without a fact in it."""

import asyncio
import json
import subprocess
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default as mail_policy

import httpx2
import pytest

from notifications.agreement import DeadlineBinding
from service.cli.demo.environment import ADDRESS, embedded_service
from service.monitoring.alert_texts import _WORDS, KINDS, alert_mail
from service.monitoring.notice_findings import strictest
from service.ports.accounts import Role
from support.clocks import SteppedClock
from support.scenario import affected, change, customer, declare, facts, harm, ok, release
from support.world import account, at_provider

GRACE = timedelta(minutes=2)


@pytest.fixture
async def night(data_folder, service_log):
    """A service whose clock stands still, its API, and the clock."""
    clock = SteppedClock()
    # The clock is turned by hours while real milliseconds pass: nothing is stuck for that.
    stuck = {"alerts__queue_age_seconds": 10.0**9, "alerts__log_lag_seconds": 10.0**9}
    async with embedded_service(data_folder, clock=clock, log__batch_seconds=0, **stuck) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            yield running, api, clock


async def drafted(api, clock, hospital, **changes):
    """Declare an incident that owes the hospital a notice within 2 hours (P2: the GTI)."""
    body = facts(
        aware_at=clock.now().isoformat(), impact="I2", criticality="C1", intent="malicious", cause="attack",
        title="Secret title", summary="Secret summary", affected_customers=[affected(hospital)],
    ) | changes  # fmt: skip
    return await ok(api.post("/incidents", json=body))


async def all_gone_out(running):
    """Wait until no notice that was released waits any more."""
    changed, ever = asyncio.Event(), running.parts.context.clock.now() + timedelta(days=365)
    running.parts.store.on_commit.append(lambda _kinds: changed.set())
    async with asyncio.timeout(60):
        while await running.parts.store.read(
            lambda tx: [*tx.alerts.notices_held(ever, ever, 9), *tx.alerts.deliveries_late(ever, ever, 9)]
        ):
            await changed.wait()
            changed.clear()


async def alerts(running):
    return await running.parts.store.read(lambda tx: [alert.kind for alert in tx.alerts.unseen(100)])


async def raised(running):
    """Return the kinds of all that was alerted, as the log tells it."""
    entries = await running.parts.store.read(lambda tx: [*tx.audit.entries(0, 999), *tx.audit.pending(999)])
    parsed = [json.loads(entry.leaf) for entry in entries]
    return [leaf["detail"]["kind"] for leaf in parsed if leaf["type"] == "alert.raised"]


async def test_an_unreleased_draft_is_alerted_at_every_stage_once(night):
    running, api, clock = night
    await account(running, "Ada", at_provider(Role.ANALYST), email="ada@provider.example")
    await account(running, "Grace", at_provider(Role.APPROVER), email="grace@provider.example")
    await account(running, "Adam", at_provider(Role.ADMINISTRATOR), email="adam@provider.example")
    incident = await drafted(api, clock, await customer(api))
    await running.parts.alerting.look()
    assert await alerts(running) == []
    due_at = (await ok(api.get(f"/incidents/{incident['id']}/notices")))["items"][0]["due_at"]
    stages = (
        (timedelta(minutes=61), "draft_half_time"),
        (timedelta(minutes=45), "draft_due_soon"),
        (timedelta(minutes=15), "draft_overdue"),
    )
    for told, (step, stage) in enumerate(stages, 1):
        clock.step(step)
        for _ in range(2):
            await running.parts.alerting.look()
        # Only the stage that was reached last is open.
        assert await alerts(running) == [stage]
        await running.sink.wait_for(3 * told, timeout_seconds=60)
    mails = [message_from_bytes(mail.content, policy=mail_policy) for mail in running.sink.messages]
    recipients = {mail.recipients[0] for mail in running.sink.messages}
    assert recipients == {ADDRESS, "ada@provider.example", "grace@provider.example"}
    assert all(len(mail.recipients) == 1 for mail in running.sink.messages)
    for mail in mails:
        assert incident["ticket"] in mail["Subject"]
        assert "Secret" not in mail.as_string()
    assert any(due_at[:10] in mail.as_string() for mail in mails)
    # The draft of an incident without a breach has no deadline of the agreement.
    own_target = ("objectif interne", "internal target", "internes Ziel")
    for mail in mails:
        (text,) = [part.get_content() for part in mail.walk() if part.get_content_type() == "text/plain"]
        assert any(words in text for words in own_target)


async def test_a_wake_up_that_was_missed_is_made_up_for(night):
    running, api, clock = night
    await drafted(api, clock, await customer(api))
    clock.step(timedelta(days=3))
    await running.parts.alerting.look()
    assert await alerts(running) == ["draft_overdue"]


async def test_what_is_released_in_time_alerts_nobody(night):
    running, api, clock = night
    await release(api, await drafted(api, clock, await customer(api)))
    await all_gone_out(running)
    clock.step(timedelta(days=3))
    await running.parts.alerting.look()
    # Reminders of the provider's own duties come by another task, which may have looked too.
    assert set(await alerts(running)) <= {"duty_reminder"}


async def test_a_follow_up_is_left_to_its_author_for_a_moment(night):
    running, api, clock = night
    hospital = await customer(api)
    incident = await drafted(api, clock, hospital)
    await release(api, incident)
    await all_gone_out(running)
    await change(api, incident, measures_taken="Isolated.")
    await running.parts.alerting.look()
    assert await alerts(running) == []
    clock.step(timedelta(minutes=3))
    await running.parts.alerting.look()
    assert await alerts(running) == ["draft_overdue"]


async def test_many_customers_of_one_incident_are_one_alert(night):
    running, api, clock = night
    hospitals = [await customer(api, f"H{n}", contacts=((f"a@h{n}.example", "en"),)) for n in range(3)]
    await drafted(api, clock, hospitals[0], affected_customers=[affected(item) for item in hospitals])
    clock.step(timedelta(minutes=61))
    await running.parts.alerting.look()
    (alert,) = await running.parts.store.read(lambda tx: list(tx.alerts.unseen(10)))
    assert " 3 " in alert.what


async def test_a_customer_that_nobody_can_reach_by_mail_is_an_alert_before_any_incident(night):
    running, api, clock = night
    silent = await customer(api, "Silent", contacts=())
    await running.parts.alerting.look()
    assert await raised(running) == []  # whoever registered it is about to add its contacts
    clock.step(GRACE)
    for _ in range(2):
        await running.parts.alerting.look()
    assert await raised(running) == ["customer_unreachable"]
    listed = (await ok(api.get("/attention")))["items"]
    assert [item["customer_id"] for item in listed if item["kind"] == "customer_unreachable"] == [silent["id"]]
    contact = {"name": "A", "email": "a@silent.example", "language": "en", "order": 1}
    await ok(api.post(f"/customers/{silent['id']}/contacts", json=contact))
    listed = (await ok(api.get("/attention")))["items"]
    assert [item for item in listed if item["kind"] == "customer_unreachable"] == []


async def test_an_alert_is_in_the_log_and_is_seen_by_whoever_says_so(night):
    running, api, clock = night
    await drafted(api, clock, await customer(api))
    clock.step(timedelta(minutes=61))
    await running.parts.alerting.look()
    (alert,) = [item for item in (await ok(api.get("/attention")))["items"] if item["kind"] == "alert"]
    path = f"/attention/alerts/{alert['alert_id']}/seen"
    assert (await api.post(path)).status_code == 200
    assert [item for item in (await ok(api.get("/attention")))["items"] if item["kind"] == "alert"] == []
    assert (await api.post(path)).status_code == 200
    assert (await api.post("/attention/alerts/00000000-0000-4000-8000-000000000000/seen")).status_code == 404
    await running.sink.wait_for(1, timeout_seconds=60)


async def test_an_override_waits_for_its_review_and_cannot_be_waved_away(night):
    running, api, clock = night
    incident = await drafted(api, clock, await customer(api))
    match = {"If-Match": '"1"'}
    path = f"/incidents/{incident['id']}/release-override"
    (notice,) = (await ok(api.post(path, json={"reason": "Alone."}, headers=match)))["items"]
    (item,) = [item for item in (await ok(api.get("/attention")))["items"] if item["kind"] == "override_unreviewed"]
    assert item["notice_id"] == notice["id"]
    assert (await api.post(f"/attention/alerts/{item['alert_id']}/seen")).status_code == 409
    _, token = await account(running, "Grace", at_provider(Role.APPROVER))
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", timeout=120) as grace:
        grace.headers["Authorization"] = f"Bearer {token}"
        await ok(grace.post(f"/notices/{notice['id']}/override-review", headers={"If-Match": "*"}))
    kinds = {item["kind"] for item in (await ok(api.get("/attention")))["items"]}
    assert "override_unreviewed" not in kinds


async def test_an_administrator_sees_what_is_its_own_and_no_incident(night):
    running, api, clock = night
    await drafted(api, clock, await customer(api))
    await customer(api, "Silent", contacts=())
    clock.step(timedelta(hours=3))
    await running.parts.alerting.look()
    _, token = await account(running, "Adam", at_provider(Role.ADMINISTRATOR))
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", timeout=120) as adam:
        adam.headers["Authorization"] = f"Bearer {token}"
        answer = await adam.get("/attention")
        (alert,) = [item for item in (await ok(api.get("/attention")))["items"] if item["kind"] == "alert"]
        assert (await adam.post(f"/attention/alerts/{alert['alert_id']}/seen")).status_code == 404
    assert {item["kind"] for item in answer.json()["items"]} == {"customer_unreachable"}
    assert "INC-" not in answer.text
    assert (await api.post(f"/attention/alerts/{alert['alert_id']}/seen")).status_code == 200


async def test_a_commit_alone_wakes_whoever_looks_and_whoever_mails(data_folder, service_log):
    async with embedded_service(data_folder, alerts__grace_seconds=0) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            await customer(api, "Silent", contacts=())
        await running.sink.wait_for(1, timeout_seconds=60)
    (mail,) = running.sink.messages
    assert mail.recipients == (ADDRESS,)
    assert running.parts.probes["alerts"]() is None


async def test_a_mail_of_the_service_is_signed_and_openssl_says_so(night, tmp_path):
    running, api, clock = night
    await customer(api, "Silent", contacts=())
    clock.step(GRACE)
    await running.parts.alerting.look()
    await running.sink.wait_for(1, timeout_seconds=60)
    path = tmp_path / "alert.eml"
    path.write_bytes(running.sink.messages[0].content)
    ca = running.trust_dir / "ca.pem"
    command = ["openssl", "cms", "-verify", "-in", path, "-CAfile", ca, "-purpose", "smimesign", "-out", "/dev/null"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_every_kind_has_its_words_in_every_language():
    for kind in KINDS:
        assert _WORDS[kind].keys() == {"fr", "en", "de"}
        for language in ("fr", "en", "de", "xx"):
            words = alert_mail(kind, language, ticket="INC-1", count=2, due_at=None, url="https://c.example")
            assert "{" not in words.subject + words.text
            assert words.text.endswith("https://c.example\n")


def test_a_mail_says_how_strictly_the_deadline_binds():
    said = set()
    for language in ("fr", "en", "de"):
        for binding in DeadlineBinding:
            due_at = datetime(2026, 6, 1, tzinfo=UTC)
            words = alert_mail(
                "draft_overdue", language, ticket="INC-1", count=1, due_at=due_at, binding=binding, url=None
            )
            (line,) = [line for line in words.text.splitlines() if "2026-06-01" in line]
            said.add(line.partition("UTC (")[2])
    assert len(said) == 9


def test_of_several_deadlines_the_strictest_is_said():
    hard, soft, none = DeadlineBinding
    assert (strictest([none, hard, None, soft]), strictest([None, none]), strictest([None]), strictest([])) == (
        hard, none, None, None,
    )  # fmt: skip


async def test_declaring_is_not_alerted_of_itself(night):
    running, api, _ = night
    await customer(api)
    await declare(api, aware_at=running.parts.context.clock.now().isoformat(), service_harm=harm(integrity="yes"))
    await running.parts.alerting.look()
    assert await alerts(running) == []
