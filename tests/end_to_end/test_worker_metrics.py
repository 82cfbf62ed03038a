"""A process that works and serves nobody tells its metrics on its own listener."""

import json

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from support.postgresql_server import postgresql_server
from support.processes import greffier


async def test_a_worker_has_the_listener(data_folder):
    shared = {"database__url": postgresql_server().database(), "metrics__port": 0}
    async with greffier("worker", "--data", data_folder, **shared) as worker:
        port = json.loads(await worker.line("metrics.listening"))["port"]
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120) as scraper:
            answer = await scraper.get("/metrics")
            assert answer.status_code == 200
            assert (await scraper.get("/healthz")).status_code == 404
    told = {
        (sample.name, sample.labels.get("part")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert told["greffier_part_ready", "worker"] == 1
    assert told["greffier_notices_unreleased", None] == 0
    assert told["greffier_scrape_failures_total", None] == 0
