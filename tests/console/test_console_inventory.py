"""The pages of the inventory: a file is reported and confirmed, a failure is looked up, a person takes it over."""

import re
from uuid import UUID

import pytest

from service.ports.accounts import Role
from support.people import browser, person
from support.scenario import customer, declare

HEADER = "customer;kind;identifier;name;service;region;availability_zone;host;held_from\n"
ROWS = (
    "Valmont;volume;vol-1;<b>Dossiers</b>;iaas;fr1;fr1-b;st-07;2026-01-01T00:00:00Z\n"
    "Valmont;machine;vm-1;;iaas;fr1;fr1-b;hv-3;2026-01-01T00:00:00Z\n"
    "Bergen;volume;vol-2;;iaas;fr1;fr1-b;st-07;2026-01-01T00:00:00Z\n"
)


def value_of(html, name):
    return re.search(rf'name="{name}" value="([^"]*)"', html)[1]


async def uploaded(pages, who, content, **fields):
    files = {"file": ("resources.csv", content.encode(), "text/csv")}
    return await pages.post("/inventory/import", data=who.form(**fields), files=files)


async def confirmed(pages, who, report):
    fields = {name: value_of(report, name) for name in ("packed", "snapshot_at", "digest", "form_id")}
    return await pages.post("/inventory/import/confirmed", data=who.form(**fields))


@pytest.fixture
async def customers(api):
    return [await customer(api, name, contacts=()) for name in ("Valmont", "Bergen")]


@pytest.fixture
async def ada(running):
    return await person(running, "Ada", (Role.ANALYST, None))


async def imported(pages, ada):
    report = await uploaded(pages, ada, HEADER + ROWS)
    assert report.status_code == 200, report.text
    done = await confirmed(pages, ada, report.text)
    assert (done.status_code, done.headers["location"]) == (303, "/inventory/import?changed=3")


async def test_a_file_is_reported_then_confirmed_once(running, api, customers, ada):
    async with browser(running, ada) as pages:
        report = await uploaded(pages, ada, HEADER + ROWS)
        assert "Lines 2 to 4: new" in report.text
        assert (await api.get("/resources")).json()["items"] == []
        first = await confirmed(pages, ada, report.text)
        again = await confirmed(pages, ada, report.text)
        assert first.headers["location"] == again.headers["location"] == "/inventory/import?changed=3"
        shown = (await pages.get("/inventory")).text
        assert "Resources: 3, customers: 2" in shown
        assert "&lt;b&gt;Dossiers" in shown


async def test_a_file_with_faults_is_told_by_line_and_cannot_be_confirmed(running, api, customers, ada):
    async with browser(running, ada) as pages:
        report = await uploaded(pages, ada, HEADER + ROWS + "Nobody;volume;vol-3;;;;;;\n")
        assert report.status_code == 422
        assert '<th scope="row">5</th><td><code>customer</code>' in report.text
        assert "/inventory/import/confirmed" not in report.text
        assert (await pages.post("/inventory/import", data=ada.form())).status_code == 422


async def test_a_report_that_is_no_longer_true_imports_nothing(running, api, customers, ada):
    async with browser(running, ada) as pages:
        report = await uploaded(pages, ada, HEADER + ROWS)
        body = {"host": "st-07", "held_from": "2026-01-01T00:00:00Z"}
        await api.put(f"/customers/{customers[1]['id']}/resources/volume/vol-2", json=body)
        answer = await confirmed(pages, ada, report.text)
        assert answer.status_code == 409
        assert len((await api.get("/resources")).json()["items"]) == 1


async def test_a_snapshot_says_how_many_end(running, api, customers, ada):
    async with browser(running, ada) as pages:
        await imported(pages, ada)
        report = await uploaded(pages, ada, HEADER + ROWS.partition("\n")[0] + "\n", snapshot_at="2026-02-01T00:00")
        assert "<strong>2 of 3</strong>" in report.text
        assert "More than a tenth" in report.text
        await confirmed(pages, ada, report.text)
        assert "Resources: 1, customers: 1" in (await pages.get("/inventory")).text
        older = await uploaded(pages, ada, HEADER + ROWS, snapshot_at="2026-01-15T00:00")
        assert older.status_code == 422
        assert 'value="2026-01-15T00:00"' in older.text


async def test_a_failure_is_looked_up_and_a_person_takes_over_whom_it_concerns(running, api, customers, ada):
    async with browser(running, ada) as pages:
        await imported(pages, ada)
        asked = (await pages.get("/inventory/lookup")).text
        form = {"starts_at": "2026-02-01T01:40", "hosts": "st-07, st-08", "span": "since", "kinds": "volume"}
        found = await pages.post("/inventory/lookup", data=ada.form(form_id=value_of(asked, "form_id"), **form))
        assert found.status_code == 303
        shown = (await pages.get(found.headers["location"])).text
        assert "Customers: 2, resources: 2." in shown
        assert shown.count("checked") == 2
        nobody = await pages.post(f"{found.headers['location']}/confirmation", data=ada.form())
        assert nobody.status_code == 422
        taken = {"customer": customers[1]["id"], "form_id": value_of(shown, "form_id")}
        done = await pages.post(f"{found.headers['location']}/confirmation", data=ada.form(**taken))
        lookup_id = found.headers["location"].rpartition("/")[2]
        assert done.headers["location"] == f"/incidents/new?customers={customers[1]['id']}&lookup={lookup_id}"
        declaring = (await pages.get(done.headers["location"])).text
        assert re.findall(r'name="customers" value="([^"]+)"[^>]* checked', declaring) == [customers[1]["id"]]
        kept = await running.parts.store.read(lambda tx: tx.resources.lookup(UUID(lookup_id)))
        assert [str(each) for each in kept.confirmed] == [customers[1]["id"]]
        assert kept.confirmed_by.startswith("account:")
        again = await pages.post(
            f"{found.headers['location']}/confirmation", data=ada.form(customer=customers[0]["id"])
        )
        assert again.status_code == 409


async def test_a_proposal_goes_to_an_open_incident(running, api, customers, ada):
    incident = await declare(api)
    async with browser(running, ada) as pages:
        await imported(pages, ada)
        form = {"starts_at": "2026-02-01T01:40", "span": "moment", "identifiers": "vol-1\r\nvol-2\r\n"}
        found = await pages.post("/inventory/lookup", data=ada.form(**form))
        shown = (await pages.get(found.headers["location"])).text
        assert incident["ticket"] in shown
        taken = {"customer": [each["id"] for each in customers], "incident": incident["id"]}
        done = await pages.post(f"{found.headers['location']}/confirmation", data=ada.form(**taken))
        assert done.headers["location"].startswith(f"/incidents/{incident['id']}/customers?customers=")
        table = (await pages.get(done.headers["location"])).text
        assert sorted(re.findall(r'name="customer" value="([^"]+)"[^>]* checked', table)) == sorted(taken["customer"])


@pytest.mark.parametrize(
    ("entered", "word"),
    [
        ({"starts_at": "", "hosts": "st-07"}, "From:"),
        ({"starts_at": "yesterday", "hosts": "st-07"}, "From:"),
        ({"starts_at": "0001-01-01T00:00:00+14:00", "hosts": "st-07"}, "From:"),
        ({"starts_at": "2026-02-01T01:40"}, "Name what failed"),
        ({"starts_at": "2026-02-01T01:40", "ends_at": "2026-01-01T01:40", "hosts": "st-07"}, "Until:"),
        ({"starts_at": "2026-02-01T01:40", "identifiers": "x" * 30_000}, "Identifiers:"),
        ({"starts_at": "2026-02-01T01:40", "identifiers": "\n".join(map(str, range(1001)))}, "Identifiers:"),
    ],
)
async def test_what_is_missing_is_told_and_what_was_typed_is_kept(running, ada, entered, word):
    async with browser(running, ada) as pages:
        answer = await pages.post(
            "/inventory/lookup", data=ada.form(regions="fr9" * (word != "Name what failed"), **entered)
        )
        assert answer.status_code == 422
        assert word in answer.text
        assert f'value="{entered["starts_at"]}"' in answer.text or not entered["starts_at"]
        assert entered.get("identifiers", "")[:50] in answer.text


async def test_each_role_finds_what_it_may_do(running, customers):
    grace = await person(running, "Grace", (Role.APPROVER, None))
    admin = await person(running, "Alan", (Role.ADMINISTRATOR, None))
    member = await person(running, "Max", (Role.CUSTOMER_MEMBER, customers[0]["id"]))
    async with browser(running, grace) as pages:
        assert 'href="/inventory"' in (await pages.get("/")).text
        assert (await pages.get("/inventory/import")).status_code == 403
    async with browser(running, admin) as pages:
        assert 'href="/inventory/import"' in (await pages.get("/")).text
        assert (await pages.get("/inventory/import")).status_code == 200
        assert (await pages.get("/inventory")).status_code == 403
    async with browser(running, member) as pages:
        assert 'href="/inventory' not in (await pages.get("/")).text
        assert (await pages.get("/inventory")).status_code == 403
