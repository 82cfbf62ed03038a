"""The disk is full: what cannot be stored is refused and leaves nothing half done; with space again it goes on."""

import httpx
import scenario
from scenario import ok

from service.demo.environment import embedded_service

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


async def test_without_space_a_declaration_is_refused_and_with_space_it_is_taken(data_folder, service_log):
    async with embedded_service(data_folder, sequencer_period_seconds=0) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=30) as api:
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
