"""A customer records what it submitted to its own authority: with an entry of the log, for its own people alone."""

import json
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from service.ports.accounts import Role
from service.web.console.catalogues import text
from support.people import browser, person, visible_text
from support.scenario import affected, ago, customer, declare, harm, ok, release
from support.world import account, at_customer

DUTY = "nis2_early_warning"


def client(running, token):
    return httpx2.AsyncClient(
        base_url=f"{running.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30
    )


@pytest.fixture
async def served(running, api):
    """A customer that was notified of an incident; another one that was not."""
    own = await customer(api, "Valmont")
    other = await customer(api, "Other", contacts=(("o@other.example", "en"),))
    profile = {"member_state": "FR", "sectors": ["nis2_essential"]}
    await ok(api.put(f"/customers/{own['id']}/legal-profile", json=profile, headers={"If-Match": '"0"'}))
    entry = affected(own, data_harm=harm(confidentiality="yes"))
    incident = await declare(api, impact="I1", criticality="C1", affected_customers=[entry])
    (notice,) = [each for each in await release(api, incident) if each["customer_id"] == own["id"]]
    await running.sink.wait_for(1, timeout_seconds=60)
    return own, other, notice


def record(**changes):
    return {"submitted_at": ago(minutes=5), "recipient": "ANSSI", "reference": "FR-2026-17"} | changes


def duty(found, duty_id=DUTY):
    return next(each for each in found["items"] if each["clock"]["duty"] == duty_id)


async def own_duties(api, notice):
    return await ok(api.get(f"/notices/{notice['id']}/own-duties"))


async def test_a_submission_is_recorded_counted_and_logged(running, api, served):
    own, _, notice = served
    _, token = await account(running, "Mia", at_customer(Role.CUSTOMER_MEMBER, own["id"]))
    path = f"/notices/{notice['id']}/own-duties/{DUTY}/submissions"
    async with client(running, token) as member:
        assert duty(await own_duties(member, notice))["submissions"] == []
        made = await ok(member.post(path, json=record()))
        assert (made["recipient"], made["reference"], made["withdrawn"]) == ("ANSSI", "FR-2026-17", False)
        found = duty(await own_duties(member, notice))
        assert [each["id"] for each in found["submissions"]] == [made["id"]]
        assert found["clock"]["state"] == "submitted"
        corrected = await ok(member.post(path, json=record(recipient="CERT-FR", corrects=made["id"])))
        assert corrected["corrects"] == made["id"]
        # A record is corrected once; every record stays.
        assert (await member.post(path, json=record(corrects=made["id"]))).status_code == 409
        await ok(member.post(path, json={"withdraws": corrected["id"]}))
        found = duty(await own_duties(member, notice))
        assert len(found["submissions"]) == 3
        assert found["clock"]["state"] != "submitted"
    leaves = await running.parts.store.read(
        lambda tx: [json.loads(each.leaf) for each in (*tx.audit.entries(0, 9999), *tx.audit.pending(9999))]
    )
    logged = [leaf for leaf in leaves if leaf["type"].startswith("own_report.")]
    assert [(leaf["type"], leaf["detail"]["duty"], leaf["detail"]["withdrawn"]) for leaf in logged] == [
        ("own_report.submitted", DUTY, False),
        ("own_report.corrected", DUTY, False),
        ("own_report.corrected", DUTY, True),
    ]
    for leaf in logged:
        assert {"notice", "customer", "submission"} <= leaf["subjects"].keys()
        assert "payload" in leaf["commitments"]
        assert "ANSSI" not in json.dumps(leaf)


async def test_nobody_else_records_or_reads_it(running, api, served):
    own, other, notice = served
    _, mine = await account(running, "Mia", at_customer(Role.CUSTOMER_MANAGER, own["id"]))
    _, theirs = await account(running, "Sam", at_customer(Role.CUSTOMER_MANAGER, other["id"]))
    path = f"/notices/{notice['id']}/own-duties/{DUTY}/submissions"
    async with client(running, mine) as member, client(running, theirs) as stranger:
        await ok(member.post(path, json=record()))
        assert (await stranger.post(path, json=record())).status_code == 404
        assert (await stranger.get(f"/notices/{notice['id']}/own-duties")).status_code == 404
    # The provider serves the notice and does not read what the customer did with it.
    assert (await api.post(path, json=record())).status_code == 403
    assert duty(await own_duties(api, notice))["submissions"] == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"submitted_at": (datetime.now(UTC) + timedelta(hours=2)).isoformat()}, "submitted_at"),
        ({"recipient": "x" * 201}, "recipient"),
        ({"recipient": " "}, "recipient"),
        ({"submitted_at": "2026-01-01T00:00:00"}, "submitted_at"),
        ({"submitted_at": "0001-01-01T00:00:00Z"}, "submitted_at"),
    ],
)
async def test_a_wrong_record_names_its_field(running, served, changes, field):
    own, _, notice = served
    _, token = await account(running, "Mia", at_customer(Role.CUSTOMER_MEMBER, own["id"]))
    async with client(running, token) as member:
        path = f"/notices/{notice['id']}/own-duties/{DUTY}/submissions"
        refused = await member.post(path, json=record(**changes))
        assert refused.status_code == 422
        assert any(fault["field"].endswith(field) for fault in refused.json()["errors"])
        assert (await member.post(path.replace(DUTY, "no_duty"), json=record())).status_code == 404
        missing = record(corrects="00000000-0000-4000-8000-000000000000")
        assert (await member.post(path, json=missing)).status_code == 404


@pytest.mark.parametrize("language", ["fr", "en", "de"])
async def test_it_is_recorded_and_taken_back_on_the_page(running, served, language):
    own, _, notice = served
    mia = await person(running, "Mia", (Role.CUSTOMER_MEMBER, own["id"]), language=language)
    where = f"/notices/{notice['id']}/duties"
    async with browser(running, mia) as pages:
        assert text("own_duties.record", language) in visible_text((await pages.get(where)).text)
        wrong = await pages.post(where, data=mia.form(duty=DUTY, submitted_at="2099-01-01T10:00", recipient="ANSSI"))
        assert wrong.status_code == 422
        assert text("own_duties.wrong_submission", language) in visible_text(wrong.text)
        assert 'value="ANSSI"' in wrong.text
        done = await pages.post(
            where, data=mia.form(duty=DUTY, submitted_at="2026-06-01T10:00", recipient="ANSSI", reference="FR-17")
        )
        assert done.headers["location"] == f"{where}?done=recorded#duty-{DUTY}"
        page = (await pages.get(where)).text
        assert text("own_duties.submitted", language) in visible_text(page)
        assert "FR-17" in page
        record_id = page.partition('name="withdraws" value="')[2].partition('"')[0]
        await pages.post(where, data=mia.form(duty=DUTY, withdraws=record_id))
        assert "FR-17" not in (await pages.get(where)).text
