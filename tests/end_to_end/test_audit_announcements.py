"""``greffier audit`` on announcements, as an auditor runs it: from the data, from an export, from bundles."""

import json
import os
from datetime import date, timedelta
from functools import partial

import httpx2
import pytest

from notifications.audit.tiles import parse_entry_bundle
from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from support.announcements import act_on, ahead, announce, announced, bound, released
from support.clocks import TurnedClock
from support.commands import run_beside
from support.commits import until
from support.postgresql_server import postgresql_server
from support.scenario import all_sent, ok
from support.world import account, at_customer

SLIP = {"content": b"%PDF-1.7 slip", "headers": {"Content-Type": "application/pdf"}}


@pytest.fixture(params=["sqlite", "postgresql"])
async def audited(request, data_folder, service_log, tmp_path):
    """What each announcement below came to, by ticket and customer; and the audit of data, export and bundles."""
    settings = {} if request.param == "sqlite" else {"database__url": postgresql_server().database()}
    environment = dict(os.environ) | {f"GREFFIER_{name.upper()}": value for name, value in settings.items()}
    clock = TurnedClock()
    async with embedded_service(data_folder, clock=clock, log__batch_seconds=0.01, **settings) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            made = await told(running, api, clock)
            await until(running.parts.store, partial(all_in_the_tree, running))
    # Nothing is added any more: each command reads the same log.
    greffier = partial(run_beside, environment=environment)
    exported = await greffier("log", "export", tmp_path / "log", "--data", data_folder)
    assert exported.returncode == 0, exported.stderr
    return made, greffier, data_folder, tmp_path, clock.now().isoformat()


async def all_in_the_tree(running):
    return not await running.parts.store.read(lambda tx: tx.audit.pending(1))


async def told(running, api, clock):
    """Announce each kind that the account must tell apart; return the announcements by what they are about."""
    third = await bound(api, "Third", "a@three.example", "secnumcloud_iaas_3_0")
    second = await bound(api, "Second", "b@two.example", products=["iaas"])
    await bound(api, "Platform", "c@paas.example", products=["paas"])
    await bound(api, "Later", "d@later.example", "secnumcloud_iaas_3_0", effective_at="2099-01-01T00:00:00Z")
    _, token = await account(running, "Erika", at_customer(Role.CUSTOMER_MANAGER, third["id"]))
    made = {"moved": await announce(api, "planned_work"), "cancelled": await announce(api, "planned_work")}
    await act_on(api, made["cancelled"], "cancel")
    notices = await released(api, made["moved"])
    change = announced("planned_work", occurs_at=ahead(days=50))
    await ok(api.put(f"/announcements/{made['moved']['id']}", json=change, headers={"If-Match": '"1"'}))
    made["letters"] = await announce(
        api, "loss_of_qualification", occurs_at=ahead(), customers=[third["id"], second["id"]]
    )
    await released(api, made["letters"])
    letters = await until(running.parts.store, partial(open_letters, api, 2))
    made["subcontractor"] = await announce(api, "subcontractor_change", occurs_at=ahead(days=40))
    concerned = {each["customer_name"]: each["notices"][0] for each in made["subcontractor"]["concerned"]}
    for name in ("Third", "Platform"):
        await ok(api.post(f"/notices/{concerned[name]['id']}/release", headers={"If-Match": '"1"'}))
        notices.append(concerned[name])
    made["maintenance"] = await announce(api, "unplanned_maintenance", occurs_at=ahead(days=5))
    made["capacity"] = await announce(api, "capacity", customers=[third["id"]])
    await until(running.parts.store, partial(all_sent, api, notices))
    member = {"Authorization": f"Bearer {token}"}
    (own,) = (await ok(api.get(f"/notices?customer_id={third['id']}&incident_id={made['subcontractor']['id']}")))[
        "items"
    ]
    await ok(api.post(f"/notices/{own['id']}/acknowledgement", json={}, headers=member))
    clock.turn(days=15)
    for number, asked in enumerate(sorted(letters, key=lambda each: each["customer_name"])):
        posting = {"posting_number": f"1A 234 567 890{number}", "posted_on": clock.now().date().isoformat()}
        letter = await ok(api.post(f"/letters/{asked['id']}/posting", json=posting, headers={"If-Match": '"1"'}))
        if number:
            headers = SLIP["headers"] | {"If-Match": '"2"'}
            await ok(api.put(f"/letters/{letter['id']}/slip", content=SLIP["content"], headers=headers))
    clock.turn(days=1)
    outcome = {"outcome": "handed_over", "outcome_on": clock.now().date().isoformat()}
    await ok(api.post(f"/letters/{letter['id']}/outcome", json=outcome, headers={"If-Match": '"3"'}))
    late = [concerned["Second"], *(await released(api, made["capacity"]))]
    await ok(api.post(f"/notices/{late[0]['id']}/release", headers={"If-Match": '"1"'}))
    await until(running.parts.store, partial(all_sent, api, late))
    return made


async def open_letters(api, count):
    found = (await ok(api.get("/letters")))["items"]
    return found if len(found) == count else None


def lines_of(said):
    return {(line["ticket"], line["name"]): line for line in json.loads(said.stdout)["announcement_lines"]}


async def test_each_customer_of_each_announcement_is_accounted_for(audited):
    made, greffier, data, _, now = audited
    said = await greffier("audit", "--data", data, "--as-of", now, "--json")
    assert said.returncode == 1, said.stderr
    found = lines_of(said)
    ticket = {made[about]["ticket"]: about for about in made}
    standing = {(ticket[number], name): line["standing"] for (number, name), line in found.items()}
    nobody = {(about, "Later"): "not_owed" for about in made}
    assert standing == nobody | {
        ("moved", "Third"): "told", ("moved", "Second"): "told", ("moved", "Platform"): "told",
        **{("cancelled", name): "not_owed" for name in ("Third", "Second", "Platform")},
        ("letters", "Third"): "after_aim", ("letters", "Second"): "missing", ("letters", "Platform"): "not_owed",
        ("subcontractor", "Third"): "told", ("subcontractor", "Platform"): "told", ("subcontractor", "Second"): "late",
        ("maintenance", "Platform"): "missing",
        ("maintenance", "Third"): "not_owed", ("maintenance", "Second"): "not_owed",
        ("capacity", "Third"): "after_aim", ("capacity", "Second"): "not_owed", ("capacity", "Platform"): "not_owed",
    }  # fmt: skip
    line = {(ticket[number], name): line for (number, name), line in found.items()}
    late = line["subcontractor", "Second"]
    assert (late["cause"], late["binding"], late["due_clause"]) == ("released_late", "hard", "5.1, 7, DPA 13")
    assert late["delay_seconds"] == pytest.approx(timedelta(days=6).total_seconds(), abs=7200)
    assert line["subcontractor", "Third"]["binding"] == "no_number"
    assert (line["capacity", "Third"]["cause"], line["capacity", "Third"]["binding"]) == ("released_after", "no_number")
    assert line["maintenance", "Third"]["reasons"] == ["no_such_kind"]
    assert line["subcontractor", "Later"]["reasons"] == ["not_bound"]
    assert line["letters", "Platform"]["reasons"] == ["not_chosen"]
    assert line["cancelled", "Third"]["reasons"] == ["concerned", "cancelled"]
    assert line["maintenance", "Platform"]["cause"] == "not_released"
    assert line["letters", "Second"]["cause"] == "not_delivered"
    assert {each["lacks_last_version"] for key, each in line.items() if key[0] == "moved" and key[1] != "Later"} == {
        True
    }
    (notice,) = line["letters", "Third"]["notices"]
    letter = notice["letter"]
    assert letter["outcome"] == "handed_over"
    assert letter["served_on"] == letter["outcome_on"] > letter["posted_on"]
    assert line["letters", "Third"]["ways"] == ["registered_letter"]
    assert notice["told_at"] == f"{letter['served_on']}T00:00:00.000000Z"
    (notice,) = line["letters", "Second"]["notices"]
    assert (notice["letter"]["posted_on"] is not None, notice["letter"]["outcome"]) == (True, None)
    (notice,) = line["subcontractor", "Third"]["notices"]
    assert {each["channel"] for each in notice["deliveries"]} == {"console", "email"}
    assert all(each["accepted_at"] for each in notice["deliveries"])
    assert [each["contact"] is None for each in notice["deliveries"] if each["channel"] == "email"] == [False]
    assert notice["timestamped_at"]
    assert notice["acknowledged_at"]
    outcomes = {ticket[each["ticket"]]: (each["kind"], each["outcome"], each["versions"])
                for each in json.loads(said.stdout)["announcements"]}  # fmt: skip
    assert outcomes["moved"] == ("planned_work", "open", 2)
    assert outcomes["cancelled"] == ("planned_work", "cancelled", 2)
    assert {
        (each["customers_stated"], each["customers_decided"]) for each in json.loads(said.stdout)["announcements"]
    } == {(4, 4)}
    # Nothing of it is in what the report says of incidents.
    whole = json.loads(said.stdout)
    assert (whole["lines"], whole["incidents"], whole["overridden"], whole["exercises"]) == ([], [], [], 0)

    text = await greffier("audit", "--data", data, "--as-of", now)
    assert text.returncode == 1
    lists = text.stdout.split("\nlate:\n")[1]
    assert "Second: released late" in lists.splitlines()[0]
    assert "by clause 5.1, 7, DPA 13, limit" in lists.splitlines()[0]
    assert "after the time aimed at:\n" in lists
    assert "without a number" in lists
    assert "announcements: 5 told, 2 after_aim, 1 late, 2 missing, 14 not_owed" in text.stdout
    assert "not told of the last change or cancellation:\n" in text.stdout


async def test_the_export_and_the_bundle_say_the_same_as_an_independent_reading(audited):
    made, greffier, data, folder, now = audited
    trust = ("--trust", data / "trust", "--as-of", now, "--json")
    of_data = await greffier("audit", "--data", data, "--as-of", now, "--json")
    of_files = await greffier("audit", "--log", folder / "log", *trust)
    assert (of_data.returncode, of_files.returncode) == (1, 1), of_files.stderr
    unnamed = json.loads(of_data.stdout)
    for line in (*unnamed["announcement_lines"], *unnamed["announcements_overridden"]):
        line["name"] = None
    assert json.loads(of_files.stdout) == unnamed
    leaves = exported_leaves(folder / "log")
    read = {(line["announcement"], line["customer"]): facts_in(line) for line in unnamed["announcement_lines"]}
    assert read == read_again(leaves)
    for about in ("subcontractor", "letters", "moved", "cancelled"):
        made_id, file = made[about]["id"], folder / f"{about}.zip"
        ran = await greffier("bundle", "--data", data, "--announcement", made_id, "-o", file)
        assert ran.returncode == 0, ran.stderr
        of_bundle = await greffier("audit", "--bundle", file, *trust)
        assert of_bundle.returncode == (about in {"subcontractor", "letters"}), of_bundle.stderr
        said = json.loads(of_bundle.stdout)
        assert said["scope"] == {"announcement": made_id}
        assert said["announcement_lines"] == [
            line for line in unnamed["announcement_lines"] if line["announcement"] == made_id
        ]
        assert said["announcements"] == [each for each in unnamed["announcements"] if each["announcement"] == made_id]
        assert any("announcement's own entries" in each for each in said["proves"])


def exported_leaves(folder):
    files = sorted(path for path in (folder / "tile" / "entries").rglob("*") if path.is_file())
    assert len(files) == 1
    return [json.loads(leaf) for leaf in parse_entry_bundle(files[0].read_bytes())]


def facts_in(line):
    return {
        "entries": line["indices"],
        "concern": line["reasons"][0],
        "due": line["due_at"] if line["standing"] != "not_owed" else None,
        "clause": line["clause"],
        "released": line["released_at"],
        "told": line["told_at"],
        "acknowledged": [each["acknowledged_index"] for each in line["notices"] if each["acknowledged_index"]],
        "sealed": [each["sealed_index"] for each in line["notices"] if each["sealed_index"]],
    }


def read_again(leaves):
    """Return the same facts as a second reader takes them from the entries, in the plainest way.

    It knows the scenario: nothing bounces, every notice rests on the first version, and letters go alone.
    """
    found, cancelled = {}, set()
    for index, leaf in enumerate(leaves):
        subjects, detail, kind = leaf["subjects"], leaf["detail"], leaf["type"]
        if kind == "announcement.cancelled":
            cancelled.add(subjects["announcement"])
        if "announcement" not in subjects or "customer" not in subjects:
            continue
        key = subjects["announcement"], subjects["customer"]
        facts = found.setdefault(key, {"entries": [], "due": None, "released": None, "told": None,
                                       "acknowledged": [], "sealed": []})  # fmt: skip
        facts["entries"].append(index)
        if kind == "announcement.decided":
            facts["concern"], facts["clause"], facts["by"] = detail["concern"], detail["clause"], detail["channels"]
            if facts["told"] is None:
                facts["due"] = detail["due_at"]
        elif kind == "notice.released":
            facts["released"] = facts["released"] or leaf["at"]
        elif kind == "notice.sealed":
            facts["sealed"].append(index)
            # The notice of the scenario that is changed afterwards states the first version.
            facts["first_due"] = next(
                item["detail"]["due_at"] for item in leaves
                if item["type"] == "announcement.decided" and item["detail"]["version"] == detail["facts_version"]
                and (item["subjects"]["announcement"], item["subjects"]["customer"]) == key
            )  # fmt: skip
        elif kind == "notice.acknowledged":
            facts["acknowledged"].append(index)
        elif kind == "delivery.attempted" and detail["channel"] in facts["by"]:
            assert detail["outcome"] == "accepted"
            facts["told"] = facts["told"] or leaf["at"]
        elif kind == "letter.outcome_recorded":
            day = date.fromisoformat(detail["served_on"])
            facts["told"] = f"{day}T00:00:00.000000Z"
    for (announcement, _), facts in found.items():
        first = facts.pop("first_due", None)
        facts["due"] = None if announcement in cancelled else first or facts["due"]
        del facts["by"]
    return found
