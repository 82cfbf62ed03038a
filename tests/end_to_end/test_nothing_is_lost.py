"""Keys, authorities, relays and processes fail; no notice is lost, forged or sent unsigned, and the analyst is told."""

import asyncio
import contextlib
import shutil
import signal
from email import message_from_bytes
from email.policy import default

import httpx2
import pytest

from notifications.errors import TimestampUnavailableError
from notifications.evidence.verification import verify_notice_mail
from service.cli.demo.environment import embedded_service
from service.cli.demo.mail_sink import MailSink
from service.cli.verify import load_trust
from service.crypto.timestamping import EmbeddedTimestampAuthority
from support import scenario
from support.clocks import TurnedClock
from support.commits import until
from support.processes import greffier
from support.reserved_port import reserved_port
from support.scenario import ok

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


@contextlib.asynccontextmanager
async def client_of(running):
    headers = {"Authorization": f"Bearer {running.token}"}
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
        yield api


async def held(running, api, notice):
    async def look():
        return (await ok(api.get(f"/notices/{notice['id']}")))["hold_reason"]

    return await until(running.parts.store, look)


async def ready(running):
    async with httpx2.AsyncClient() as somebody:
        told_strangers = (await somebody.get(f"{running.url}/readyz")).json()
        assert set(told_strangers["parts"].values()) <= {"ok", "failing"}
        return await somebody.get(f"{running.url}/readyz", headers={"Authorization": f"Bearer {running.token}"})


async def released(running, api):
    await scenario.customer(api)
    incident = await scenario.declare(api, **GRAVE)
    notice, *_ = await scenario.release(api, incident)
    return notice


async def test_without_a_usable_key_a_notice_waits_says_why_and_goes_once_it_is_mended(data_folder, service_log):
    key = data_folder / "keys" / "signing.pem"
    hidden = key.with_suffix(".away")
    key.rename(hidden)
    async with embedded_service(data_folder) as running, client_of(running) as api:
        notice = await released(running, api)
        reason = await held(running, api, notice)
        assert "signing.pem" in reason
        await running.parts.worker.sealing.seal_released()
        assert service_log.getvalue().count("notice.held") == 1
        readiness = await ready(running)
        assert readiness.status_code == 503
        assert "signing.pem" in readiness.json()["parts"]["signing"]
        assert running.sink.messages == []
        hidden.rename(key)
        running.parts.worker.wake({"notices"})
        (message,) = await running.sink.wait_for(1)
        assert len(list(verify_notice_mail(message.content, load_trust(running.trust_dir)))) == 9

        async def look():
            entries = await ok(api.get("/audit/entries", params={"notice_id": notice["id"], "limit": 200}))
            types = [item["leaf"]["type"] for item in entries["items"]]
            return types if "notice.sealed" in types else []

        assert "notice.held" in await until(running.parts.store, look)


async def test_with_an_expired_certificate_nothing_goes_out(data_folder, service_log):
    clock = TurnedClock()
    clock.turn(days=3000)
    async with embedded_service(data_folder, clock=clock) as running, client_of(running) as api:
        await scenario.customer(api)
        incident = await ok(
            api.post("/incidents", json=scenario.facts(**GRAVE) | {"aware_at": clock.now().isoformat()})
        )
        (notice,) = await scenario.release(api, incident)
        assert "expired" in await held(running, api, notice)
        assert "expired" in (await ready(running)).json()["parts"]["signing"]
        assert running.sink.messages == []


async def test_a_from_address_that_the_certificate_does_not_name_is_refused(data_folder, service_log):
    async with (
        embedded_service(data_folder, mail__sender="ceo@elsewhere.example") as running,
        client_of(running) as api,
    ):
        notice = await released(running, api)
        assert "ceo@elsewhere.example" in await held(running, api, notice)
        assert (await ready(running)).status_code == 503
        assert running.sink.messages == []


async def test_without_a_relay_mails_wait_and_the_console_has_the_notice(data_folder, service_log):
    async with embedded_service(data_folder, mail__host=None) as running, client_of(running) as api:
        notice = await released(running, api)

        async def look():
            items = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
            tried = items and all(item["attempts"] for item in items)
            return {item["channel"]: item for item in items} if tried else {}

        deliveries = await until(running.parts.store, look)
        assert deliveries["console"]["state"] == "sent"
        assert deliveries["email"]["state"] == "queued"
        assert deliveries["email"]["next_attempt_at"] is not None
        assert "no email channel" in deliveries["email"]["last_error"]


async def test_a_timestamp_authority_that_is_down_delays_nothing(data_folder, service_log, monkeypatch):
    down = True
    real = EmbeddedTimestampAuthority.timestamp

    async def timestamp(self, content):
        if down:
            raise TimestampUnavailableError("the authority is down")
        return await real(self, content)

    monkeypatch.setattr(EmbeddedTimestampAuthority, "timestamp", timestamp)
    async with embedded_service(data_folder) as running, client_of(running) as api:
        notice = await released(running, api)
        (message,) = await running.sink.wait_for(1)
        steps = list(verify_notice_mail(message.content, load_trust(running.trust_dir)))
        assert [step.step for step in steps if step.pending] == ["timestamp"]
        assert (await api.get(f"/notices/{notice['id']}/timestamp")).status_code == 404
        down = False
        await running.parts.worker.sealing.timestamp_sealed()
        assert (await api.get(f"/notices/{notice['id']}/timestamp")).status_code == 200

        async def look():
            entries = await ok(api.get("/audit/entries", params={"notice_id": notice["id"], "limit": 200}))
            return [item for item in entries["items"] if item["leaf"]["type"] == "notice.timestamped"]

        assert await until(running.parts.store, look)


async def test_a_relay_that_is_down_is_tried_again_under_the_same_message_id(data_folder, service_log):
    clock = TurnedClock()
    with reserved_port() as port:
        async with embedded_service(data_folder, clock=clock, mail__port=port) as running, client_of(running) as api:
            notice = await released(running, api)

            async def look():
                items = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
                return [item for item in items if item["channel"] == "email" and item["attempts"]]

            (delivery,) = await until(running.parts.store, look)
            assert delivery["state"] == "queued"
            assert delivery["evidence"][0]["event"] == "RelayToNonERDSFailure"
            async with MailSink(port=port) as late:
                clock.turn(hours=2)
                running.parts.worker.wake({"deliveries"})
                (message,) = await late.wait_for(1)
            assert message_from_bytes(message.content, policy=default)["Message-ID"] == delivery["message_id"]


async def test_a_database_put_back_from_an_old_backup_is_not_signed_again(data_folder, service_log, tmp_path):
    async with embedded_service(data_folder, log__batch_seconds=0) as running, client_of(running) as api:
        await scenario.customer(api)

        async def some():
            return (await ok(api.get("/audit/entries")))["size"] >= 3

        await until(running.parts.store, some)
    backup = tmp_path / "backup"
    backup.mkdir()
    for file in data_folder.glob("greffier.sqlite3*"):
        (backup / file.name).write_bytes(file.read_bytes())
    async with embedded_service(data_folder, log__batch_seconds=0) as running, client_of(running) as api:
        size = (await ok(api.get("/audit/entries")))["size"]
        await scenario.customer(api, name="Later")

        async def more():
            return (await ok(api.get("/audit/entries")))["size"] > size

        await until(running.parts.store, more)
    for file in data_folder.glob("greffier.sqlite3*"):
        file.unlink()
    for file in backup.iterdir():
        (data_folder / file.name).write_bytes(file.read_bytes())
    async with embedded_service(data_folder, log__batch_seconds=0) as running, client_of(running) as api:
        await scenario.customer(api, name="Fork")
        notice = await released(running, api)
        assert "log" in await held(running, api, notice)
        readiness = (await ready(running)).json()
        assert "backup" in readiness["parts"]["log"]
        assert running.sink.messages == []


def serving(data, port, sink_port):
    """Run ``greffier serve`` as a process of its own, from when it answers; never leaves it behind."""
    relay = {"mail__host": "127.0.0.1", "mail__port": sink_port, "mail__tls": "none"}
    return greffier("serve", "--data", data, "--port", port, **relay)


@pytest.mark.parametrize("after", [0, 1, 3, 7])
async def test_killed_in_the_middle_of_a_dispatch_it_goes_on_where_the_store_says(prepared_folder, tmp_path, after):
    """``kill -9`` once so many mails have arrived; then start again: every contact has its mail, each under one id."""
    data = tmp_path / "data"
    shutil.copytree(prepared_folder, data)
    token = (data / "api-token").read_text(encoding="ascii").strip()
    contacts = [(f"contact-{number}@valmont.example", "fr") for number in range(12)]
    with reserved_port() as port:
        async with MailSink() as sink:
            async with serving(data, port, sink.port) as process:
                headers = {"Authorization": f"Bearer {token}"}
                async with httpx2.AsyncClient(
                    base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, timeout=120
                ) as api:
                    await scenario.customer(api, contacts=contacts)
                    incident = await scenario.declare(api, **GRAVE)
                    await scenario.release(api, incident)
                await sink.wait_for(after)
                process.signal(signal.SIGKILL)
                await process.end()
            before = len(sink.messages)
            async with serving(data, port, sink.port) as process:
                async with asyncio.timeout(60):
                    while len({message.recipients for message in sink.messages}) < len(contacts):
                        await sink.wait_for(len(sink.messages) + 1, timeout_seconds=60)
                process.signal(signal.SIGTERM)
                assert await process.end() == 0
        ids = {}
        for message in sink.messages:
            ids.setdefault(message.recipients, set()).add(
                message_from_bytes(message.content, policy=default)["Message-ID"]
            )
        assert len(ids) == len(contacts)
        assert all(len(of_one) == 1 for of_one in ids.values())
        assert before >= after
