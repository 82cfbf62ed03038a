"""Who has what: resources imported, stated and looked up, as proposals that a person confirms and the log keeps."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from support import scenario
from support.commits import until
from support.scenario import ok

BEGAN, MOVED = "2026-01-01T00:00:00.000000Z", "2026-02-10T12:00:00.000000Z"
HEADER = "customer,kind,identifier,name,service,region,availability_zone,host,held_from,held_until\r\n"
CSV = {"Content-Type": "text/csv"}
LINES = {"Content-Type": "application/x-ndjson"}


def line(customer, identifier, **places):
    stated = {"customer": customer["id"], "kind": "volume", "identifier": identifier} | places
    return ",".join(stated.get(name, "") for name in HEADER.strip().split(",")) + "\r\n"


async def imported(api, content, expected=200, headers=CSV, **query):
    answer = await api.post("/resources/import", content=content, headers=headers, params=query)
    assert answer.status_code == expected, answer.text
    return answer.json()


async def looked_up(api, **failed):
    return await ok(api.post("/resources/lookup", json=failed))


@pytest.fixture
async def customers(api):
    return [await scenario.customer(api, name, contacts=()) for name in ("Valmont", "Bergen", "Lyon")]


async def test_an_import_is_found_by_what_failed_at_that_time(api, customers):
    valmont, bergen, _ = customers
    st07 = {"service": "iaas", "region": "fr1", "availability_zone": "fr1-b", "host": "st-07"}
    content = HEADER + line(valmont, "vol-1", name="Dossiers", held_from="2026-01-01T00:00:00Z", **st07)
    content += line(valmont, "vol-2", held_from="2026-01-01T00:00:00Z", held_until="2026-02-01T00:00:00Z", **st07)
    content += line(bergen, "vol-3", held_from="2026-02-15T00:00:00Z", **st07)
    report = await imported(api, content)
    assert (report["added"], report["faults_total"], report["lines"]) == (
        3, 0, [{"first": 2, "last": 4, "effect": "added"}],
    )  # fmt: skip
    found = await looked_up(api, at="2026-01-15T01:40:00Z", hosts=["st-07"], availability_zones=["fr1-b"])
    assert [(item["name"], item["resources"]) for item in found["customers"]] == [("Valmont", 2)]
    assert [item["identifier"] for item in found["customers"][0]["first_resources"]] == ["vol-1", "vol-2"]
    since = await looked_up(api, starts_at="2026-02-10T01:40:00Z", hosts=["st-07"])
    assert {item["name"]: item["resources"] for item in since["customers"]} == {"Valmont": 1, "Bergen": 1}
    assert (await looked_up(api, at="2026-01-15T01:40:00Z", hosts=["st-08"]))["customers"] == []
    pasted = await looked_up(api, at="2026-03-01T00:00:00Z", identifiers=["vol-3", "vol-9"])
    assert [item["name"] for item in pasted["customers"]] == ["Bergen"]


async def test_the_same_file_again_changes_nothing_and_a_move_keeps_the_history(api, customers):
    valmont = customers[0]
    first = HEADER + line(valmont, "vol-1", host="st-07", held_from="2026-01-01T00:00:00Z")
    await imported(api, first)
    assert (await imported(api, first))["unchanged"] == 1
    assert (await imported(api, HEADER + line(valmont, "vol-1", host="st-08", held_from=MOVED)))["moved"] == 1
    history = (await ok(api.get(f"/customers/{valmont['id']}/resources/volume/vol-1")))["items"]
    assert [(item["host"], item["held_from"], item["held_until"]) for item in history] == [
        ("st-07", BEGAN, MOVED), ("st-08", MOVED, None),
    ]  # fmt: skip
    assert (await looked_up(api, at=MOVED, hosts=["st-07"]))["customers_total"] == 0
    assert (await looked_up(api, at="2026-02-10T11:59:59Z", hosts=["st-07"]))["customers_total"] == 1


async def test_a_snapshot_ends_what_it_no_longer_contains_and_never_goes_back(api, customers):
    valmont, bergen, _ = customers
    await imported(api, HEADER + line(valmont, "vol-1") + line(bergen, "vol-2"), snapshot_at="2026-01-01T00:00:00Z")
    report = await imported(api, HEADER + line(valmont, "vol-1"), snapshot_at="2026-01-02T00:00:00Z")
    assert (report["unchanged"], report["no_longer_there"], report["held_before"]) == (1, 1, 2)
    (gone,) = (await ok(api.get(f"/customers/{bergen['id']}/resources/volume/vol-2")))["items"]
    assert (gone["held_from"], gone["held_until"]) == (BEGAN, "2026-01-02T00:00:00.000000Z")
    older = await imported(api, HEADER + line(valmont, "vol-1"), 422, snapshot_at="2026-01-01T12:00:00Z")
    assert older["errors"][0]["field"] == "snapshot_at"
    for content, query in ((HEADER, {}), (HEADER + line(valmont, "vol-1"), {"partial": True})):
        await imported(api, content, 422, snapshot_at="2026-01-03T00:00:00Z", **query)
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await imported(api, HEADER + line(valmont, "vol-1"), 422, snapshot_at=ahead)
    # A snapshot with a fault ends nothing.
    await imported(api, HEADER + line({"id": "Nobody"}, "vol-7"), 422, snapshot_at="2026-01-04T00:00:00Z")
    (kept,) = (await ok(api.get(f"/customers/{valmont['id']}/resources/volume/vol-1")))["items"]
    assert kept["held_until"] is None


async def test_faults_are_named_by_line_and_nothing_is_imported_unless_partial_is_asked(api, customers):
    valmont = customers[0]
    content = HEADER + line(valmont, "vol-1") + line({"id": "Nobody"}, "vol-2") + line(valmont, "vol-3", kind="boat")
    content += line(valmont, "vol-1") + line(valmont, "vol-5", held_from="2026-01-01T00:00:00")
    refused = await imported(api, content, 422)
    named = {fault["field"] for fault in refused["errors"]}
    assert named == {"line 3.customer", "line 4.kind", "line 5.identifier", "line 6.held_from"}
    assert (await ok(api.get("/resources")))["items"] == []
    dry = await imported(api, content, dry_run=True)
    assert (dry["dry_run"], dry["added"], dry["faults_total"]) == (True, 1, 4)
    assert (await ok(api.get("/resources")))["items"] == []
    part = await imported(api, content, partial=True)
    assert (part["added"], part["faults_total"]) == (1, 4)
    assert [item["identifier"] for item in (await ok(api.get("/resources")))["items"]] == ["vol-1"]


async def test_json_lines_name_customers_by_id_or_name(api, customers):
    stated = [
        {"customer": "Valmont", "kind": "machine", "identifier": "vm/1", "host": "hv-3"},
        {"customer": customers[1]["id"], "kind": "network", "identifier": "net-1"},
    ]
    content = "".join(json.dumps(item) + "\n" for item in stated)
    assert (await imported(api, content, headers=LINES))["added"] == 2
    refused = await imported(api, "{\n[1]\n" + json.dumps({**stated[0], "color": "red"}), 422, headers=LINES)
    assert [fault["field"] for fault in refused["errors"]] == ["line 1", "line 2", "line 3.color"]
    await imported(api, content, 415, headers={"Content-Type": "application/json"})
    (found,) = (await ok(api.get(f"/customers/{customers[0]['id']}/resources/machine/vm%2F1")))["items"]
    assert found["host"] == "hv-3"


async def test_two_customers_of_one_name_must_be_named_by_id(api, customers):
    await scenario.customer(api, "Valmont", contacts=())
    refused = await imported(api, HEADER + line({"id": "Valmont"}, "vol-1"), 422)
    assert "several customers" in refused["errors"][0]["reason"]


async def test_a_repeated_import_gets_the_same_answer(api, customers):
    headers = CSV | {"Idempotency-Key": "nightly"}
    content = HEADER + line(customers[0], "vol-1")
    first = await imported(api, content, headers=headers)
    again = await imported(api, content, headers=headers)
    assert again == first | {"lines": []}
    await imported(api, HEADER + line(customers[0], "vol-2"), 422, headers=headers)


async def test_one_resource_is_stated_ended_and_known_afterwards(api, customers):
    path = f"/customers/{customers[0]['id']}/resources/machine/vm-1"
    stated = {"host": "hv-1", "held_from": "2026-01-01T00:00:00Z"}
    assert (await ok(api.put(path, json=stated)))["effect"] == "added"
    assert (await ok(api.put(path, json=stated)))["effect"] == "unchanged"
    assert (await ok(api.put(path, json=stated | {"host": "hv-2"})))["effect"] == "corrected"
    ended = await ok(api.delete(path, params={"ended_at": "2026-02-01T00:00:00Z"}))
    assert [(item["host"], item["held_until"]) for item in ended["items"]] == [("hv-2", "2026-02-01T00:00:00.000000Z")]
    assert (await api.delete(path)).status_code == 404
    overlapping = await api.put(path, json={"host": "hv-3", "held_from": "2026-01-15T00:00:00Z"})
    assert overlapping.status_code == 422
    nobody = await api.put(f"/customers/{uuid4()}/resources/machine/vm-1", json=stated)
    assert nobody.status_code == 404


async def test_proposal_and_confirmation_are_in_the_log_and_lead_to_the_declaration(running, api, customers):
    valmont, bergen, _ = customers
    await imported(api, HEADER + line(valmont, "vol-1", host="st-07") + line(bergen, "vol-2", host="st-07"))
    found = await looked_up(api, starts_at=datetime.now(UTC).isoformat(), hosts=["st-07"])
    assert found["declare"] is None
    path = f"/resources/lookups/{found['id']}"
    for wrong in ([customers[2]["id"]], []):
        assert (await api.post(f"{path}/confirmation", json={"customer_ids": wrong})).status_code == 422
    confirmed = await ok(api.post(f"{path}/confirmation", json={"customer_ids": [bergen["id"]]}))
    assert confirmed["declare"] == f"/incidents/new?customers={bergen['id']}&lookup={found['id']}"
    assert (await ok(api.get(path)))["confirmed"] == [bergen["id"]]
    assert (await api.post(f"{path}/confirmation", json={"customer_ids": [bergen["id"]]})).status_code == 409

    logged = lambda tx: any(b"resources.confirmed" in item.leaf for item in tx.audit.entries(0, 200))  # noqa: E731
    await until(running.parts.store, lambda: running.parts.store.read(logged))
    trail = await ok(api.get("/audit/entries", params={"limit": 200}))
    made = {item["leaf"]["type"]: item["leaf"] for item in trail["items"]}
    assert made["resources.looked_up"]["detail"]["customers"] == 2
    assert made["resources.confirmed"]["detail"] == {"proposed": 2, "confirmed": 1}
    assert made["resources.confirmed"]["subjects"] == {"lookup": found["id"]}
    assert made["resources.imported"]["detail"]["added"] == 2


@pytest.mark.parametrize(
    "failed",
    [
        {"hosts": ["st-07"]},
        {"at": "2026-01-01T00:00:00Z"},
        {"at": "2026-01-01T00:00:00Z", "starts_at": "2026-01-01T00:00:00Z", "hosts": ["x"]},
        {"starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z", "hosts": ["x"]},
        {"at": "2026-01-01T00:00:00", "hosts": ["x"]},
        {"at": "2026-01-01T00:00:00Z", "hosts": ["a\u0000b"]},
    ],
)
async def test_a_lookup_says_what_it_lacks(api, failed):
    answer = await api.post("/resources/lookup", json=failed)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


async def test_a_file_may_be_larger_than_other_bodies_and_is_bounded(data_folder, service_log):
    from service.cli.demo.environment import embedded_service

    limits = {"limits__max_body_bytes": 1_000, "limits__max_import_bytes": 4_000}
    async with embedded_service(data_folder, **limits) as service:
        import httpx2

        headers = {"Authorization": f"Bearer {service.token}"}
        async with httpx2.AsyncClient(base_url=f"{service.url}/api/v1", headers=headers, timeout=120) as api:
            valmont = await scenario.customer(api, "Valmont", contacts=())
            content = HEADER + "".join(line(valmont, f"vol-{number}") for number in range(30))
            assert len(content) > 1_000
            assert (await imported(api, content))["added"] == 30
            assert (await api.post("/resources/import", content=content * 3, headers=CSV)).status_code == 413
