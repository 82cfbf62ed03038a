"""The disk is full: what cannot be stored is refused and leaves nothing half done; with space again it goes on."""

import asyncio
from email import message_from_bytes
from email.policy import default

import httpx2

from service.cli.demo.environment import embedded_service
from support import scenario
from support.clocks import TurnedClock
from support.scenario import ok
from support.smtp_server import SmtpServer

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


async def test_without_space_a_declaration_is_refused_and_with_space_it_is_taken(data_folder, service_log):
    async with embedded_service(data_folder, log__batch_seconds=0) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            await scenario.customer(api)
            writer = running.parts.store._writer

            async def pages(limit):
                await running.parts.store.write(lambda _tx: None)
                return writer.execute(f"PRAGMA max_page_count = {limit}").fetchone()[0]

            await pages(1)
            # SQLite keeps as many pages as there are: rows that need a new one are refused.
            body = scenario.facts(**GRAVE) | {"summary": {"en": "x" * 9_000}}
            key = {"Idempotency-Key": "full"}
            refused = await api.post("/incidents", json=body, headers=key)
            assert refused.status_code == 503
            assert refused.headers["content-type"] == "application/problem+json"
            assert (await ok(api.get("/incidents")))["items"] == []
            await pages(1_000_000)
            await ok(api.post("/incidents", json=body, headers=key))
            (incident,) = (await ok(api.get("/incidents")))["items"]
            await scenario.release(api, incident)
            await running.sink.wait_for(1)


async def test_a_mail_that_was_taken_and_could_not_be_recorded_goes_out_again_as_the_same_and_nothing_stands_still(
    data_folder, service_log
):
    clock = TurnedClock()
    taking, answering = asyncio.Event(), asyncio.Event()

    async def held(_message):
        taking.set()
        await answering.wait()

    async with SmtpServer(on_content=held) as relay:
        settings = {"mail__port": relay.port, "log__batch_seconds": 0, "alerts__least_free_bytes": 0}
        async with embedded_service(data_folder, clock=clock, **settings) as running:
            headers = {"Authorization": f"Bearer {running.token}"}
            async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
                await scenario.customer(api)
                (notice,) = await scenario.release(api, await scenario.declare(api, **GRAVE))
                await asyncio.wait_for(taking.wait(), 30)
                store = running.parts.store

                async def pages(limit):
                    await store.write(lambda _tx: None)
                    store._writer.execute(f"PRAGMA max_page_count = {limit}")

                async def mail():
                    listed = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
                    return next(item for item in listed if item["channel"] == "email")

                await pages(1)
                answering.set()
                async with asyncio.timeout(30):
                    while not running.parts.worker.health():
                        await mail()
                # Nothing half done: no attempt, and the delivery under its lease.
                assert ((await mail())["state"], (await mail())["attempts"]) == ("queued", 0)
                await pages(1_000_000)
                clock.turn(minutes=10)
                running.parts.worker.wake({"deliveries"})
                async with asyncio.timeout(30):
                    # The worker is well again once a round has passed in which everything could be recorded.
                    while (await mail())["state"] != "sent" or running.parts.worker.health():
                        running.parts.worker.wake({"deliveries"})
                identifiers = {message_from_bytes(message.content, policy=default)["Message-ID"]
                               for message in relay.messages}  # fmt: skip
                assert (len(relay.messages), len(identifiers)) == (2, 1)
                assert running.parts.worker.health() is None
