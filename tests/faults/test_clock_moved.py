"""The clock is set: what is under way is not begun again, what is due is sent, and no process sees time go back."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default

import httpx2
import pytest

from service.cli.demo.environment import embedded_service
from service.system.logging import SystemClock
from support import scenario
from support.clocks import TurnedClock
from support.commits import until
from support.scenario import ok
from support.smtp_server import SmtpServer

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


@contextlib.asynccontextmanager
async def service_at(data_folder, relay, clock):
    async with embedded_service(data_folder, clock=clock, mail__port=relay.port, log__batch_seconds=0) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            yield running, api


async def mail_of(api, notice):
    items = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
    return next((item for item in items if item["channel"] == "email"), {"state": "unsealed", "attempts": 0})


async def released(api):
    await scenario.customer(api)
    (notice,) = await scenario.release(api, await scenario.declare(api, **GRAVE))
    return notice


@pytest.mark.parametrize("hours", [1, 30])
async def test_set_ahead_beyond_every_lease_what_is_under_way_is_sent_once(data_folder, service_log, hours):
    clock = TurnedClock()
    async with SmtpServer() as relay, service_at(data_folder, relay, clock) as (running, api):
        relay.hold = asyncio.Event()
        notice = await released(api)
        await relay.until(lambda: relay.in_content == 1)
        clock.turn(hours=hours)
        # The lease is over by the clock, and the worker looks for what is due.
        assert await running.parts.worker.delivery.deliver_due() == 0
        assert relay.in_content == 1
        relay.hold.set()

        async def sent():
            return (mail := await mail_of(api, notice))["state"] == "sent" and mail

        mail = await until(running.parts.store, sent)
        assert mail["attempts"] == 1
        assert len(relay.messages) == 1


async def test_a_retry_that_is_due_as_soon_as_it_is_recorded_goes_out(data_folder, service_log, monkeypatch):
    clock = TurnedClock()
    async with SmtpServer() as relay, service_at(data_folder, relay, clock) as (running, api):
        relay.cue("RCPT", "451 4.7.1 greylisted")
        worker, begun = running.parts.worker, []
        record = worker.delivery._recorder.record

        async def recorded_slowly(due, made):
            result = await record(due, made)
            if result[0].next_attempt_at is not None:
                clock.turn(hours=30)
                begun.append(await worker.delivery.deliver_due())
            return result

        monkeypatch.setattr(worker.delivery._recorder, "record", recorded_slowly)
        notice = await released(api)

        async def sent():
            return (mail := await mail_of(api, notice))["state"] == "sent" and mail

        assert (await until(running.parts.store, sent))["attempts"] == 2
        assert begun == [1]


async def test_set_back_a_retry_comes_when_it_was_due_and_nothing_goes_out_twice(data_folder, service_log):
    """``SystemClock`` goes at half speed until the system's clock has caught up: a process never sees time go back."""
    behind = timedelta()
    clock = SystemClock(lambda: datetime.now(UTC) - behind)

    async with SmtpServer() as relay:
        relay.cue("RCPT", "451 4.7.1 greylisted")
        async with service_at(data_folder, relay, clock) as (running, api):
            notice = await released(api)

            async def tried():
                return (mail := await mail_of(api, notice))["attempts"] == 1 and mail

            mail = await until(running.parts.store, tried)
            behind = timedelta(hours=6)
            # Not due: no minute has passed.
            assert await running.parts.worker.delivery.deliver_due() == 0
            behind = timedelta(hours=-6)
            running.parts.worker.wake({"deliveries"})

            async def sent():
                return (found := await mail_of(api, notice))["state"] == "sent" and found

            found = await until(running.parts.store, sent)
            assert found["attempts"] == 2
            assert found["message_id"] == mail["message_id"]
    (message,) = relay.messages
    assert message_from_bytes(message.content, policy=default)["Message-ID"] == mail["message_id"]
