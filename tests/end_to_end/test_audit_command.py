"""``greffier audit`` as an auditor runs it: from the service's data, and from files alone."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest

from notifications.delivery.delivery import DeliveryState
from service.cli.demo.environment import embedded_service
from support import scenario
from support.clocks import SteppedClock
from support.commands import run as greffier
from support.commits import until_read
from support.scenario import affected, ok, release

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I2", "criticality": "C1"}


def sent(tx, notice):
    deliveries = tx.deliveries.of_notice(notice)
    return deliveries and all(item.state is DeliveryState.SENT for item in deliveries)


@pytest.fixture
async def told(data_folder, service_log, tmp_path):
    """Of an incident that concerns both customers both are told, of the next nobody yet; the log as files beside it."""
    clock = SteppedClock()
    async with embedded_service(data_folder, clock=clock, log__batch_seconds=0) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            owners = [await scenario.customer(api, name) for name in ("Valmont", "Fluss")]
            body = scenario.facts(**GRAVE, aware_at=clock.now().isoformat(), affected_customers=[affected(owners[0])])
            released = await release(api, await ok(api.post("/incidents", json=body)))
            keys = [UUID(notice["id"]) for notice in released]
            await until_read(running.parts.store, lambda tx: all(sent(tx, key) for key in keys))
            await ok(api.post("/incidents", json=body | {"affected_customers": [affected(owners[1])]}))
            await until_read(running.parts.store, lambda tx: not tx.audit.pending(1))
            folder = tmp_path / "log"
            exported = await asyncio.to_thread(greffier, "log", "export", folder, "--data", data_folder)
            assert exported.returncode == 0, exported.stderr
            yield data_folder, folder, clock.now()


def standings(said):
    return sorted(line["standing"] for line in json.loads(said.stdout)["lines"])


async def test_who_was_told_and_who_is_awaited(told):
    data, folder, now = told
    soon = now.isoformat()
    of_data = await asyncio.to_thread(greffier, "audit", "--data", data, "--as-of", soon, "--json")
    of_files = await asyncio.to_thread(
        greffier, "audit", "--log", folder, "--trust", data / "trust", "--as-of", soon, "--json"
    )
    assert (of_data.returncode, of_files.returncode) == (0, 0), of_data.stderr + of_files.stderr
    assert standings(of_data) == standings(of_files)
    assert standings(of_data) == ["awaited", "awaited", "told", "told"]
    whole = json.loads(of_data.stdout)
    assert {line["name"] for line in whole["lines"]} == {"Valmont", "Fluss"}
    assert not any(line["name"] for line in json.loads(of_files.stdout)["lines"]), "files name nobody"
    told = [line for line in whole["lines"] if line["standing"] == "told"]
    assert all(line["told_at"] <= line["due_at"] and line["indices"] for line in told)
    assert all(line["target_at"] <= line["due_at"] and line["duties"] for line in whole["lines"])
    assert all(
        {line["decided_index"], line["released_index"], line["told_index"]} <= {*line["indices"]} for line in told
    )
    assert [(item["customers_stated"], item["customers_decided"]) for item in whole["incidents"]] == [(2, 2), (2, 2)]
    assert {item["kind"] for item in whole["overridden"]} == {"one_person"}


async def test_an_emergency_release_is_listed_until_somebody_else_reviewed_it(data_folder, service_log):
    async with embedded_service(data_folder, clock=SteppedClock(), log__batch_seconds=0) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            owner = await scenario.customer(api, "Valmont")
            body = scenario.facts(**GRAVE, aware_at="2026-01-05T08:00:00Z", affected_customers=[affected(owner)])
            incident = await ok(api.post("/incidents", json=body))
            path, match = f"/incidents/{incident['id']}/release-override", {"If-Match": '"1"'}
            await ok(api.post(path, json={"reason": "night, nobody else awake"}, headers=match))
            await until_read(running.parts.store, lambda tx: not tx.audit.pending(1))
        said = await asyncio.to_thread(greffier, "audit", "--data", data_folder)
    assert said.returncode == 1
    assert "overridden:" in said.stdout
    (line,) = (line for line in said.stdout.splitlines() if "released in an emergency" in line)
    assert "Valmont" in line
    assert "entry" in line
    assert "not reviewed" in line
    assert "night" not in said.stdout, "the reason is committed to and not in the clear"


async def test_once_the_time_is_over_the_one_not_told_is_missing_and_the_command_says_so(told):
    data, folder, _ = told
    said = await asyncio.to_thread(
        greffier, "audit", "--log", folder, "--trust", data / "trust", "--as-of", "2036-01-01T00:00:00Z"
    )
    assert said.returncode == 1
    assert "2 missing" in said.stdout
    assert "2 told" in said.stdout


async def test_a_breach_found_after_the_first_notice_has_a_deadline_of_its_own(data_folder, service_log):
    """The customer has a notice in time, but none that tells of the breach: nobody may read that all is well."""
    clock = SteppedClock()
    async with embedded_service(data_folder, clock=clock, log__batch_seconds=0) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:

            async def logged(notices):
                keys = [UUID(notice["id"]) for notice in notices]
                await until_read(running.parts.store, lambda tx: all(sent(tx, key) for key in keys))
                await until_read(running.parts.store, lambda tx: not tx.audit.pending(1))

            owner = await scenario.customer(api, "Valmont")
            aware_at = clock.now()
            body = scenario.facts(**GRAVE, aware_at=aware_at.isoformat(), affected_customers=[affected(owner)])
            incident = await ok(api.post("/incidents", json=body))
            await logged(await release(api, incident))
            breach = {"breach": "confirmed", "controller": "customer"}
            stated = [affected(owner, personal_data=breach)]
            incident = await scenario.change(api, incident, affected_customers=stated)
            await until_read(running.parts.store, lambda tx: not tx.audit.pending(1))
            later = (aware_at + timedelta(hours=60)).isoformat()

            async def audited(as_of):
                said = await asyncio.to_thread(greffier, "audit", "--data", data_folder, "--as-of", as_of, "--json")
                (line,) = json.loads(said.stdout)["lines"]
                return said.returncode, line["standing"], line["told_at"] is None

            assert await audited(aware_at.isoformat()) == (0, "awaited", True)
            assert await audited(later) == (1, "missing", True)
            clock.step(timedelta(hours=50))
            await logged(await release(api, incident))
            assert await audited(later) == (0, "after_aim", False)


async def test_an_entry_that_is_left_out_or_changed_is_found(told):
    data, folder, _ = told
    (bundle,) = (path for path in (folder / "tile" / "entries").rglob("*") if path.is_file())
    content = bundle.read_bytes()
    length = int.from_bytes(content[:2], "big")
    for changed, reason in (
        (content[2 + length :], "entries"),
        (content.replace(b'"verdict":"notify"', b'"verdict":"nothim"'), "root"),
    ):
        assert changed != content
        bundle.write_bytes(changed)
        said = await asyncio.to_thread(greffier, "audit", "--log", folder, "--trust", data / "trust")
        assert (said.returncode, said.stdout) == (2, "")
        assert reason in said.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--log", "nowhere"],
        ["--data", "a", "--log", "b"],
        ["--data", "nowhere"],
        ["--as-of", "noon"],
        ["--data", "nowhere", "--as-of", "0001-01-01T00:00:00+14:00"],
        ["--bundle", "nowhere.zip"],
        ["--bundle", "nowhere.zip", "--trust", "nowhere"],
        ["--bundle", "a", "--log", "b"],
    ],
)
def test_what_is_asked_wrongly_is_one_line(arguments):
    said = greffier("audit", *arguments)
    assert said.returncode == 2
    assert said.stderr.count("\n") == 1
