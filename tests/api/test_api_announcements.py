"""Announcements by the API: which customers are concerned, by which clause, by when, and what is refused."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from notifications.audit.entry import parse_leaf
from notifications.evidence.notification_report_builder import ReportBuilder
from service.audit_log.backup import log_keys
from service.audit_log.fsck.check import check_log
from service.ports.accounts import Role
from service.settings import load_settings
from support.announcements import act_on, ahead, announce, announced, bound, released
from support.commits import until
from support.people import browser, person
from support.scenario import customer, declare, ok


async def leaves(running):
    return await running.parts.store.read(
        lambda tx: [json.loads(item.leaf) for item in (*tx.audit.entries(0, 10_000), *tx.audit.pending(10_000))]
    )


def by_name(customers):
    return {each["customer_name"]: each for each in customers}


async def test_each_customer_is_told_by_the_clause_of_its_own_agreement(running, api):
    await bound(api, "Third", "a@three.example", "secnumcloud_iaas_3_0")
    await bound(api, "Second", "b@two.example")
    made = await announce(api)
    found = by_name(made["concerned"])
    assert {name: (each["agreement_id"], each["clause"]) for name, each in found.items()} == {
        "Third": ("secnumcloud_iaas_3_0", "9.1"),
        "Second": ("secnumcloud_2026", "5.1"),
    }
    assert made["ticket"].startswith("ANN-")
    assert {notice["state"] for each in found.values() for notice in each["notices"]} == {"draft"}
    for each in found.values():
        preview = await ok(api.get(f"/notices/{each['notices'][0]['id']}/preview"))
        said = json.dumps(preview)
        assert f"clause {each['clause']}" in said
        for word in ("GTI", "Priority", "criticality", "classif"):
            assert word not in said
    decided = [leaf["detail"] for leaf in await leaves(running) if leaf["type"] == "announcement.decided"]
    assert sorted(each["clause"] for each in decided) == ["5.1", "9.1"]


async def test_the_whole_log_is_clean_when_announcements_are_in_it(running, api):
    await bound(api, "Second", "b@two.example")
    await released(api, await announce(api))
    await running.sink.wait_for(1)
    store = running.parts.store

    async def is_logged():
        return any(leaf["type"] == "delivery.attempted" for leaf in await leaves(running))

    await until(store, is_logged, seconds=20)
    while await store.read(lambda tx: tx.audit.pending(1)):
        await running.parts.sequencer.sequence_pending()
    settings = load_settings(running.data)
    report = check_log(settings.store_location(), log_keys(settings), settings.head_file)
    assert report.differences == []
    assert any("announcement" in leaf["subjects"] for leaf in await leaves(running))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_a_moment_that_not_every_zone_has_is_a_fault_of_its_field(api, moment):
    one = await bound(api, "Second", "b@two.example")
    for field in ("occurs_at", "ends_at"):
        refused = await api.post("/announcements", json=announced("non_european_law_protection", **{field: moment}))
        assert (refused.status_code, [fault["field"] for fault in refused.json()["errors"]]) == (422, [field])
    agreed = {"agreement_id": "secnumcloud_2026", "effective_at": moment}
    refused = await api.post(f"/customers/{one['id']}/agreements", json=agreed)
    assert (refused.status_code, [fault["field"] for fault in refused.json()["errors"]]) == (422, ["effective_at"])


async def test_a_missing_item_is_a_fault_by_field_and_text(api):
    await bound(api, "Second", "b@two.example")
    items = announced()["items"]
    del items["mitigation"], items["planned_times"]
    refused = await api.post("/announcements", json=announced(items=items | {"weather": "rain"}))
    assert refused.status_code == 422
    assert {fault["field"]: fault["reason"] for fault in refused.json()["errors"]} == {
        "items.planned_times": "is missing: Planned start and end (clause 5.1 of secnumcloud_2026)",
        "items.mitigation": "is missing: Measures that reduce the impact (clause 5.1 of secnumcloud_2026)",
        "items.weather": "is no item of this kind; it has: impact_and_residual_risk, mitigation, nature, planned_times,"
        " responsible_contact",
    }
    assert (await ok(api.get("/announcements")))["items"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "party"}, "kind"),
        (announced("end_of_contract"), "customers"),
        (announced("end_of_contract", items={}), "customers"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
        ({"customers": ["00000000-0000-4000-8000-000000000000"]}, "customers.0"),
        ({"products": ["teapot"]}, "products.0"),
        ({"occurs_at": "2027-01-01T00:00:00"}, "occurs_at"),
        ({"items": announced()["items"] | {"nature": {"en": "  "}}}, "items.nature.en"),
    ],
)
async def test_bad_input_is_named(api, change, field):
    await bound(api, "Second", "b@two.example")
    refused = await api.post("/announcements", json=announced() | change)
    assert refused.status_code == 422
    assert field in {fault["field"] for fault in refused.json()["errors"]}


async def test_who_is_not_concerned_is_listed_with_the_reason(running, api):
    await bound(api, "Infra", "a@infra.example", products=["iaas"])
    await bound(api, "Platform", "a@platform.example", products=["paas"])
    await bound(api, "Old", "a@old.example", "secnumcloud_iaas_3_0")
    await bound(api, "Late", "a@late.example", "secnumcloud_iaas_3_0", effective_at="2099-01-01T00:00:00Z")
    made = await announce(api, "unplanned_maintenance", occurs_at=ahead(hours=1))
    assert list(by_name(made["concerned"])) == ["Platform"]
    assert {each["customer_name"]: each["concern"] for each in made["not_concerned"]} == {
        "Infra": "no_such_kind",
        "Old": "no_such_kind",
        "Late": "not_bound",
    }
    assert all(each["notices"] == [] for each in made["not_concerned"])
    decided = [leaf["detail"]["concern"] for leaf in await leaves(running) if leaf["type"] == "announcement.decided"]
    assert sorted(decided) == ["concerned", "no_such_kind", "no_such_kind", "not_bound"]


async def test_products_places_and_lists_choose(api):
    await bound(api, "Infra", "a@infra.example", products=["iaas"])
    await bound(api, "Platform", "a@platform.example", products=["paas"])
    chosen = await customer(
        api,
        "North",
        services=["compute"],
        regions=["north"],
        agreement={"agreement_id": "secnumcloud_2026", "effective_at": "2026-05-01T00:00:00+02:00"},
    )
    by_product = await announce(api, products=["paas"])
    assert set(by_name(by_product["concerned"])) == {"Platform", "North"}
    by_place = await announce(api, regions=["south"])
    assert [each["concern"] for each in by_place["not_concerned"]] == ["other_place"]
    by_list = await announce(api, customers=[chosen["id"]])
    assert list(by_name(by_list["concerned"])) == ["North"]
    assert {each["concern"] for each in by_list["not_concerned"]} == {"not_chosen"}


async def test_the_due_moment_is_the_lead_before_what_is_announced(api):
    await bound(api, "Second", "b@two.example")
    await bound(api, "Third", "a@three.example", "secnumcloud_iaas_3_0")
    # Summer time begins in between: the notice is due at the same local hour.
    made = await announce(api, "subcontractor_change", occurs_at="2027-04-10T10:00:00+02:00")
    found = by_name(made["concerned"])
    assert (found["Second"]["due_at"], found["Second"]["binding"]) == ("2027-03-11T09:00:00.000000Z", "hard")
    assert (found["Third"]["due_at"], found["Third"]["binding"]) == ("2027-04-10T08:00:00.000000Z", "no_number")
    after = await announce(api, "non_european_law_protection", occurs_at="2026-10-31T12:00:00+01:00")
    assert {each["due_at"] for each in after["concerned"]} == {"2026-11-30T11:00:00.000000Z"}


async def test_the_dpa_that_binds_a_customer_can_set_the_stricter_time(running, api):
    old = {"agreement": "secnumcloud_iaas_3_0"}
    first = await bound(api, "First text", "a@old.example", **old)
    # The text that binds at the declaration counts, and not one that will.
    later = {"agreement_id": "secnumcloud_iaas_3_0", "effective_at": ahead(days=9), "dpa_id": "dpa_2026_01_09"}
    await ok(api.post(f"/customers/{first['id']}/agreements", json=later))
    await bound(api, "Third text", "b@new.example", **old, dpa_id="dpa_2026_01_09")
    await bound(api, "Second", "c@two.example")
    made = await announce(api, "subcontractor_change", occurs_at="2027-04-10T10:00:00+02:00")
    fields = ("clause", "due_at", "binding", "due_clause")
    found = {name: tuple(each[field] for field in fields) for name, each in by_name(made["concerned"]).items()}
    assert found == {
        "First text": ("9.1", "2027-04-10T08:00:00.000000Z", "no_number", "9.1"),
        "Third text": ("9.1, DPA 13", "2027-03-11T09:00:00.000000Z", "hard", "DPA 13"),
        "Second": ("5.1, 7, DPA 13", "2027-03-11T09:00:00.000000Z", "hard", "5.1, 7, DPA 13"),
    }
    decided = [leaf["detail"] for leaf in await leaves(running) if leaf["type"] == "announcement.decided"]
    assert {each["due_clause"] for each in decided} == {"9.1", "DPA 13", "5.1, 7, DPA 13"}
    for name, each in by_name(made["concerned"]).items():
        preview = json.dumps(await ok(api.get(f"/notices/{each['notices'][0]['id']}/preview")))
        assert ("DPA 13" in preview) == (name != "First text")


async def test_an_agreement_that_is_recorded_late_stops_no_announcement(running, api):
    one = await bound(api, "Second", "b@two.example")

    async def mailed(count):
        async def sent():
            return [each.recipients for each in running.sink.messages].count(("b@two.example",)) == count

        await until(running.parts.store, sent)

    to_cancel = await announce(api, "unplanned_maintenance")
    to_release = await announce(api, "unplanned_maintenance")
    told = await announce(api, "unplanned_maintenance")
    await released(api, told)
    await mailed(1)
    # It bound the customer before they were declared, and does not have their kind.
    late = {"agreement_id": "secnumcloud_iaas_3_0", "effective_at": "2026-06-01T00:00:00+02:00"}
    await ok(api.post(f"/customers/{one['id']}/agreements", json=late))
    refused = await api.post("/announcements", json=announced("unplanned_maintenance"))
    assert [fault["field"] for fault in refused.json()["errors"]] == ["kind"]
    # What was reviewed by the earlier agreement can be read, and is sent as it was.
    (draft,) = by_name(to_release["concerned"])["Second"]["notices"]
    preview = await ok(api.get(f"/notices/{draft['id']}/preview"))
    assert preview["document"]["agreement"]["id"] == "secnumcloud_2026"
    await released(api, to_release)
    await mailed(2)
    # Who was notified is told that it does not take place; who was not needs no notice.
    cancelled = await ok(act_on(api, to_cancel, "cancel"))
    withdrawn = await ok(api.get("/notices", params={"incident_id": cancelled["id"]}))
    assert [notice["state"] for notice in withdrawn["items"]] == ["withdrawn"]
    told = await ok(act_on(api, told, "cancel"))
    assert [notice["state"] for notice in by_name(told["concerned"])["Second"]["notices"]] == ["sealed", "draft"]
    await released(api, told)
    await mailed(3)


async def test_a_missing_item_names_the_clauses_that_ask_for_it(api):
    await bound(api, "Third text", "b@new.example", "secnumcloud_iaas_3_0", dpa_id="dpa_2026_01_09")
    refused = await api.post("/announcements", json=announced("subcontractor_change", items={}))
    assert {fault["reason"].rpartition(": ")[2] for fault in refused.json()["errors"]} == {
        "Subcontractor that is added or replaced (clause 9.1, DPA 13 of secnumcloud_iaas_3_0)",
        "What it does (clause 9.1, DPA 13 of secnumcloud_iaas_3_0)",
    }


async def test_an_announcement_is_no_incident_anywhere(api):
    await bound(api, "Second", "b@two.example")
    made = await announce(api)
    await released(api, made)
    identifier = made["id"]
    for path in ("", "/facts", "/notices", "/classification", "/assessments"):
        assert (await api.get(f"/incidents/{identifier}{path}")).status_code == 404, path
    assert (await ok(api.get("/incidents")))["items"] == []
    assert (await ok(api.get("/incidents?order=due")))["items"] == []
    assert (await ok(api.get("/incidents/board")))["items"] == []
    for act in ("close", "release", "reopen"):
        refused = await api.post(f"/incidents/{identifier}/{act}", headers={"If-Match": "*"})
        assert refused.status_code == 404
    incident = await declare(api)
    assert (await api.get(f"/announcements/{incident['id']}")).status_code == 404
    assert [each["id"] for each in (await ok(api.get("/announcements")))["items"]] == [identifier]


async def test_what_the_log_says_of_incidents_has_nothing_of_it(running, api):
    await bound(api, "Second", "b@two.example")
    await released(api, await announce(api))
    await running.sink.wait_for(1)
    entries = await running.parts.store.read(
        lambda tx: [item.leaf for item in (*tx.audit.entries(0, 10_000), *tx.audit.pending(10_000))]
    )
    builder = ReportBuilder()
    for index, leaf in enumerate(entries):
        builder.take(index, parse_leaf(leaf))
    found = builder.findings(datetime.now(UTC), whole=True)
    assert (found.lines, found.incidents) == ((), ())
    # The account has it in a part of its own.
    assert [line.reasons for line in found.announcements.lines] == [("concerned",)]


async def test_a_change_makes_an_update_and_a_cancellation_a_final_notice(api):
    await bound(api, "Second", "b@two.example")
    made = await announce(api)
    redrafted = await ok(
        api.put(f"/announcements/{made['id']}", json=announced(occurs_at=ahead(days=50)), headers={"If-Match": '"1"'})
    )
    (draft,) = redrafted["concerned"][0]["notices"]
    assert (draft["sequence"], draft["kind"], draft["facts_version"]) == (1, "initial", 2)
    stale = await api.put(f"/announcements/{made['id']}", json=announced(), headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    await released(api, redrafted)
    changed = await ok(
        api.put(f"/announcements/{made['id']}", json=announced(occurs_at=ahead(days=60)), headers={"If-Match": '"2"'})
    )
    _, update = changed["concerned"][0]["notices"]
    assert (update["sequence"], update["kind"], update["state"]) == (2, "update", "draft")
    preview = await ok(api.get(f"/notices/{update['id']}/preview?language=en"))
    assert "The time has changed" in json.dumps(preview)
    await released(api, changed)
    cancelled = await ok(act_on(api, changed, "cancel"))
    assert (cancelled["cancelled"], cancelled["state"]) == (True, "closed")
    last = cancelled["concerned"][0]["notices"][-1]
    assert (last["sequence"], last["kind"]) == (3, "final")
    preview = await ok(api.get(f"/notices/{last['id']}/preview?language=en"))
    assert "does not take place" in json.dumps(preview)
    await released(api, cancelled)
    assert (await act_on(api, cancelled, "carry-out")).status_code == 409


async def test_a_cancellation_before_anybody_was_told_withdraws_the_drafts(api):
    await bound(api, "Second", "b@two.example")
    cancelled = await ok(act_on(api, await announce(api), "cancel"))
    assert cancelled["concerned"][0]["notices"] == []


async def test_a_draft_that_waits_keeps_it_from_being_carried_out(api):
    await bound(api, "Second", "b@two.example")
    made = await announce(api)
    assert (await act_on(api, made, "carry-out")).status_code == 409
    await released(api, made)
    assert (await ok(act_on(api, made, "carry-out")))["state"] == "closed"


async def test_the_same_key_gets_the_same_answer(api):
    await bound(api, "Second", "b@two.example")
    key = {"Idempotency-Key": "one"}
    body = announced()
    first = await ok(api.post("/announcements", json=body, headers=key))
    assert (await ok(api.post("/announcements", json=body, headers=key)))["id"] == first["id"]
    assert len((await ok(api.get("/announcements")))["items"]) == 1


async def test_a_draft_that_a_page_keeps_of_an_announcement_is_none_of_the_api(running):
    ada = await person(running, "Ada", (Role.ANALYST, None))
    headers = {"X-CSRF-Token": ada.form()["csrf_token"], "Accept": "application/json"}
    async with browser(running, ada) as pages:

        async def kept():
            draft = await running.parts.store.read(lambda tx: tx.drafts.get(draft_id))
            return None if draft is None else (draft.version, draft.sealed)

        draft_id = uuid4()
        fields = {"draft_id": str(draft_id), "draft_version": "0", "title.en": "No incident", "kind": "planned_work"}
        saved = await pages.post("/announcements/new/draft", data=ada.form(**fields))
        assert saved.status_code == 303
        before = await kept()
        made = await ok(pages.post("/api/v1/drafts", json={"facts": {}}, headers=headers))
        listed = (await ok(pages.get("/api/v1/drafts")))["items"]
        assert [each["id"] for each in listed] == [made["id"]]
        path, match = f"/api/v1/drafts/{draft_id}", headers | {"If-Match": "*"}
        assert (await pages.get(path)).status_code == 404
        assert (await pages.put(path, json={"facts": {}}, headers=match)).status_code == 404
        assert (await pages.delete(path, headers=match)).status_code == 404
        assert await kept() == before


async def test_a_cancellation_follows_the_notice_that_it_cancels_also_where_that_one_was_held(running, api):
    for number in range(3):
        await bound(api, f"Customer {number}", f"n{number}@two.example")
    key = running.data / "keys" / "signing.pem"
    key.rename(key.with_suffix(".away"))
    made = await announce(api)
    await released(api, made)
    listed = {"incident_id": made["id"]}

    async def held():
        notices = (await ok(api.get("/notices", params=listed)))["items"]
        return all(each["hold_reason"] for each in notices)

    await until(running.parts.store, held)
    # The cancellation is due at once, and what it cancels is due in weeks.
    await released(api, await ok(act_on(api, made, "cancel")))
    await until(running.parts.store, held)
    key.with_suffix(".away").rename(key)
    # All are tried again together, at the latest when something else is released.
    await released(api, await announce(api))
    await running.sink.wait_for(9)
    for notice in (await ok(api.get("/notices", params=listed)))["items"]:
        document = json.loads((await api.get(f"/notices/{notice['id']}/document")).content)
        assert (document["supersedes"] or {}).get("sequence") == (1 if notice["sequence"] == 2 else None)
