"""The pages of reports, and the button of the first intervention, as people use them."""

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest

from notifications.delivery.delivery import DeliveryState
from notifications.reporting.period import month_of
from service.ports.accounts import Role
from support import scenario
from support.announcements import ahead, announce, bound, released
from support.commits import until
from support.page_forms import form_on
from support.people import browser, person, visible_text

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


def month():
    return month_of(datetime.now(UTC), "Europe/Paris")


async def test_one_button_records_the_intervention_and_the_month_counts_it(running, api):
    incident = await scenario.declare(api, **GRAVE)
    analyst = await person(running, "Ana", (Role.ANALYST, None), language="en")
    path = f"/incidents/{incident['id']}"
    async with browser(running, analyst) as client:
        shown = (await client.get(path)).text
        fields = form_on(shown, f"{path}/intervention")
        done = await client.post(f"{path}/intervention", data=fields)
        assert (done.status_code, done.headers["location"]) == (303, f"{path}#times")
        # The same form leads to the same page, and records nothing twice.
        assert (await client.post(f"{path}/intervention", data=fields)).status_code == 303
        assert len(await running.parts.store.read(lambda tx: tx.incidents.interventions(UUID(incident["id"])))) == 1
        shown = (await client.get(path)).text
        assert "within the GTI" in visible_text(shown)
        # Without a reason a second record is refused in words, with what was typed.
        form = form_on((await client.get(f"{path}/intervention")).text, f"{path}/intervention")
        refused = await client.post(f"{path}/intervention", data=form | {"started_at": "02:4x", "reason": "<b>R</b>"})
        assert refused.status_code == 422
        assert "&lt;b&gt;R&lt;/b&gt;" in refused.text
        refused = await client.post(f"{path}/intervention", data=form | {"started_at": "", "reason": ""})
        assert refused.status_code == 409
        report = visible_text((await client.get(f"/reports/{month()}")).text)
        assert "Provisional" in report
        # Times name their zone; an outcome that never occurred has no column, while lateness always has one.
        assert "Opened (Europe/Paris)" in report
        assert "Late" in report
        assert "Without GTI" not in report
        assert (await client.get("/reports/2026-13")).status_code == 422
        assert (await client.get("/reports/2099-01")).status_code == 404


@pytest.mark.parametrize(("language", "title"), [("fr", "Rapports"), ("en", "Reports"), ("de", "Berichte")])
async def test_a_customer_finds_its_reports_and_no_number_before_one_is_issued(running, api, language, title):
    own = await scenario.customer(api, "Alpha")
    member = await person(running, "Member", (Role.CUSTOMER_MEMBER, own["id"]), language=language)
    async with browser(running, member) as client:
        page = await client.get("/reports")
        assert page.status_code == 200
        assert re.search(rf"<h1>{title}</h1>", page.text)
        assert (await client.get(f"/reports/{month()}")).status_code == 404
        assert (await client.get(f"/reports/{month()[:4]}")).status_code == 422


@pytest.mark.parametrize(
    ("language", "table", "kind"),
    [
        ("fr", "Annonces à temps", "Changement de sous-traitants"),
        ("en", "Announcements in time", "Change of subcontractors"),
        ("de", "Rechtzeitige Ankündigungen", "Wechsel von Unterauftragnehmern"),
    ],
)
async def test_the_month_counts_announcements_by_kind_in_the_readers_language(running, api, language, table, kind):
    await bound(api, "Alpha", "soc@alpha.example")
    # The limit of its lead is over, and nobody released it.
    await announce(api, "subcontractor_change", occurs_at=ahead(days=5))
    others = [await announce(api), await announce(api, "capacity")]
    told = [UUID(notice["id"]) for made in others for notice in await released(api, made)]

    def placed_and_in_the_log(tx):
        deliveries = [tx.deliveries.of_notice(notice) for notice in told]
        placed = all(any(each.state is DeliveryState.SENT for each in found) for found in deliveries)
        return placed and not tx.audit.pending(1)

    await until(running.parts.store, lambda: running.parts.store.read(placed_and_in_the_log))
    reader = await person(running, "Reader", (Role.APPROVER, None), language=language)
    async with browser(running, reader) as client:
        page = (await client.get(f"/reports/{month()}")).text
    # Once as a table, once as a chart.
    assert page.count(f">{table}<") >= 2
    (row,) = [line for line in page.splitlines() if line.startswith('<tr class="late"') and kind in line]
    assert re.findall(r">([0-9]+)<", row) == ["1", "0", "0", "0", "1"]
    # Under the bars are numbers, and beside the chart the titles that they stand for.
    assert re.findall(r'class="chart-label"[^>]*>([^<]+)<', page)[-3:] == ["1", "2", "3"]
    assert f">3. {kind}" in page
