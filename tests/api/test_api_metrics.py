"""Metrics from outside: what is counted, who may read it, and that nothing of customers stands in it."""

import asyncio
import re

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from notifications.errors import InvalidInputError
from service.cli.demo.environment import embedded_service
from service.monitoring.metrics_listener import metrics_listener
from support.scenario import affected, customer, declare, ok, release


async def scraped(running, headers=None):
    headers = headers or {"Authorization": f"Bearer {running.token}"}
    async with httpx2.AsyncClient(base_url=running.url, headers=headers, timeout=120) as client:
        return await client.get("/metrics")


def samples(text):
    """Return (name, labels) -> value of an exposition, read by Prometheus' own parser."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def value(running, name, **labels):
    return samples((await scraped(running)).text).get((name, tuple(sorted(labels.items()))))


async def settled(running, reached):
    """Wait until what the store says satisfies a condition; woken by commits."""
    changed = asyncio.Event()
    running.parts.store.on_commit.append(lambda _kinds: changed.set())
    async with asyncio.timeout(30):
        while not await reached():
            await changed.wait()
            changed.clear()


async def all_attempted(running, count):
    """Wait until so many attempts are counted."""

    async def reached():
        counted = samples((await scraped(running)).text)
        return (
            sum(number for (name, _), number in counted.items() if name == "greffier_delivery_attempts_total") >= count
        )

    await settled(running, reached)


async def served(running, api):
    """Serve one notice, by mail and in the console."""
    hospital = await customer(api)
    incident = await declare(
        api, impact="I1", criticality="C1", intent="malicious", cause="attack", affected_customers=[affected(hospital)],
        title="Intrusion in the portal",
    )  # fmt: skip
    await release(api, incident)
    await all_attempted(running, 2)
    return hospital, incident


async def test_what_is_served_is_counted_by_channel_and_outcome(running, api):
    await served(running, api)
    for channel in ("email", "console"):
        assert await value(running, "greffier_delivery_attempts_total", channel=channel, outcome="accepted") == 1
        assert await value(running, "greffier_delivery_send_seconds_count", channel=channel) == 1
    assert await value(running, "greffier_release_to_acceptance_seconds_count") == 1
    assert 0 < await value(running, "greffier_release_to_acceptance_seconds_sum") < 30
    assert await value(running, "greffier_log_entries") > 0
    assert await value(running, "greffier_part_ready", part="log") == 1
    assert await value(running, "greffier_certificate_expiry_seconds", use="signing") > 86_400


async def test_a_draft_and_its_deadline_are_told_while_it_waits(running, api):
    assert await value(running, "greffier_notices_unreleased") == 0
    hospital = await customer(api)
    incident = await declare(
        api, impact="I1", criticality="C1", intent="malicious", cause="attack", affected_customers=[affected(hospital)]
    )
    running.parts.context.metrics._read_at = None
    assert await value(running, "greffier_notices_unreleased") == 1
    # P1 is due 30 minutes after awareness, which was 10 minutes ago.
    assert 1100 < await value(running, "greffier_nearest_deadline_seconds", stage="draft") < 1201
    assert incident["ticket"] not in (await scraped(running)).text


async def test_no_name_address_or_identifier_stands_in_the_metrics(running, api):
    hospital, incident = await served(running, api)
    text = (await scraped(running)).text
    entries = await ok(api.get(f"/incidents/{incident['id']}/notices"))
    secrets = [
        hospital["id"], hospital["name"], incident["id"], incident["ticket"], "valmont", "portal", running.token,
        entries["items"][0]["id"],
    ]  # fmt: skip
    assert [secret for secret in secrets if secret.casefold() in text.casefold()] == []
    assert re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", text) is None
    assert "@" not in text


async def test_requests_are_counted_by_route_as_it_is_written_and_never_by_path(running, api):
    hospital = await customer(api)
    for _ in range(3):
        await ok(api.get(f"/customers/{hospital['id']}"))
    async with httpx2.AsyncClient(base_url=running.url, timeout=120) as stranger:
        for number in range(4):
            await stranger.get(f"/wp-admin/{number}")
            await stranger.request("PROPFIND", f"/coffee/{number}")
    route = "/api/v1/customers/{customer_id}"
    assert await value(running, "greffier_http_requests_total", method="GET", route=route, status="200") == 3
    counted = samples((await scraped(running)).text)
    routes = {dict(labels)["route"] for (name, labels), _ in counted.items() if name == "greffier_http_requests_total"}
    methods = {
        dict(labels)["method"] for (name, labels), _ in counted.items() if name == "greffier_http_requests_total"
    }
    assert not any("wp-admin" in route or "coffee" in route for route in routes)
    assert "none" in routes
    assert "PROPFIND" not in methods


async def test_metrics_are_for_whoever_may_read_them(running):
    assert (await scraped(running, {"X-Nobody": "1"})).status_code == 401
    answer = await scraped(running)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_the_listener_answers_without_a_token_and_only_for_metrics(data_folder, service_log):
    async with embedded_service(data_folder, metrics__port=0) as running:
        listening = next(line for line in service_log.getvalue().splitlines() if "metrics.listening" in line)
        port = int(re.search(r'"port": (\d+)', listening)[1])
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120) as scraper:
            answer = await scraper.get("/metrics")
            assert answer.status_code == 200
            assert ("greffier_notices_unreleased", ()) in samples(answer.text)
            assert (await scraper.get("/api/v1/incidents")).status_code == 404
            assert (await scraper.post("/metrics")).status_code == 405
        # Somebody who says nothing holds nobody up.
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120) as scraper:
            assert (await scraper.get("/metrics")).status_code == 200
        silent.close()
        assert running.parts.context.metrics.registry is not None


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "no.such.name.invalid"]
)
async def test_the_listener_is_refused_where_others_could_reach_it(host, running):
    with pytest.raises(InvalidInputError, match=r"metrics\.host"):
        async with metrics_listener(running.parts.context.metrics, host, 0):
            pass


async def test_a_store_that_gives_no_figures_hides_nothing_else(running, service_log):
    await running.parts.store.close()
    text = (await running.parts.context.metrics.exposition()).decode()
    counted = samples(text)
    assert counted["greffier_scrape_failures_total", ()] == 1
    assert ("greffier_notices_unreleased", ()) not in counted
    assert ("greffier_part_ready", (("part", "log"),)) in counted


async def test_a_notice_served_on_several_is_first_accepted_once(running, api):
    hospital = await customer(api, contacts=(("a@valmont.example", "fr"), ("b@valmont.example", "en")))
    incident = await declare(
        api, impact="I1", criticality="C1", intent="malicious", cause="attack", affected_customers=[affected(hospital)]
    )
    await release(api, incident)
    await all_attempted(running, 3)
    assert await value(running, "greffier_delivery_attempts_total", channel="email", outcome="accepted") == 2
    assert await value(running, "greffier_release_to_acceptance_seconds_count") == 1


async def test_what_holds_notices_is_told_by_kind_and_names_no_file(running, api):
    hospital = await customer(api)
    incident = await declare(
        api, impact="I1", criticality="C1", intent="malicious", cause="attack", affected_customers=[affected(hospital)]
    )
    (running.data / "keys" / "signing.pem").unlink()
    # The key was looked at a moment ago: the next signature looks again.
    running.parts.context.sealing.signer._looked_at = 0.0
    await release(api, incident)

    async def held():
        return await running.parts.store.read(
            lambda tx: bool(tx.figures.collect(running.parts.context.clock.now()).held)
        )

    await settled(running, held)
    running.parts.context.metrics._read_at = None
    text = (await scraped(running)).text
    assert samples(text)["greffier_notices_held", (("reason", "signing"),)] == 1
    assert ".pem" not in text


async def test_two_applications_count_apart(running, api, data_folder, tmp_path):
    async with embedded_service(tmp_path / "other") as other:
        await served(running, api)
        assert await value(running, "greffier_delivery_attempts_total", channel="email", outcome="accepted") == 1
        assert await value(other, "greffier_delivery_attempts_total", channel="email", outcome="accepted") is None
