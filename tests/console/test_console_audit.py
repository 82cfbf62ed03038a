"""The page of who was told: late, missing and overridden first, each line with its proof, for those who may."""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from notifications.delivery.delivery import DeliveryState
from notifications.wording import words
from service.ports.accounts import Role
from support import scenario
from support.commits import until_read
from support.people import browser, person, visible_text
from support.scenario import affected, ok

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}
NAMES = ("Hôpital de Valmont", "Klinik <b>am Fluss</b>", "Untold Ltd")


def told(tx, notice):
    deliveries = tx.deliveries.of_notice(UUID(notice["id"]))
    return bool(deliveries) and all(item.state is DeliveryState.SENT for item in deliveries)


@pytest.fixture
async def incidents(running, api):
    """Two are told of the first incident; of the second, whose time is over, one late by an emergency, one not."""
    owners = [await scenario.customer(api, name) for name in NAMES[:2]]
    await scenario.customer(api, NAMES[2], profile={"choices": []})
    first = await scenario.declare(api, **GRAVE, affected_customers=[affected(owners[0])])
    await scenario.release(api, first)
    late = await scenario.declare(
        api, **GRAVE, aware_at=scenario.ago(days=9), affected_customers=[affected(owner) for owner in owners]
    )
    drafts = {item["customer_id"]: item for item in await scenario.notices(api, late)}
    path = f"/notices/{drafts[owners[0]['id']]['id']}/release-override"
    await ok(api.post(path, json={"reason": "Nobody else."}, headers={"If-Match": '"1"'}))
    served = [*await scenario.notices(api, first), drafts[owners[0]["id"]]]
    await until_read(running.parts.store, lambda tx: all(told(tx, notice) for notice in served))
    await until_read(running.parts.store, lambda tx: not tx.audit.pending(1))
    return first, late, owners


def section(page, name):
    """Return what stands under a heading, up to the next section of the page."""
    return page.partition(f'id="{name}"')[2].partition("</section>")[0]


@pytest.mark.parametrize(
    ("language", "missing", "late", "emergency", "untold"),
    [
        ("fr", "Non informé", "validée après le délai visé", "Validée en urgence, non revue", "Pas à informer"),
        (
            "en",
            "Not notified",
            "released after the time aimed at",
            "Released in an emergency, not reviewed",
            "Need not be notified",
        ),
        (
            "de",
            "Nicht benachrichtigt",
            "nach der angestrebten Zeit freigegeben",
            "Im Notfall freigegeben, nicht geprüft",
            "Nicht zu ben",
        ),
    ],
)
async def test_late_missing_and_overridden_come_first(language, missing, late, emergency, untold, running, incidents):
    _, second, _ = incidents
    ada = await person(running, "Ada", (Role.ANALYST, None), language=language)
    async with browser(running, ada) as client:
        answer = await client.get("/audit")
        assert answer.status_code == 200
        shown = answer.text
        assert "<b>am Fluss" not in shown
        assert html.escape(NAMES[1]) in section(shown, "list-missing")
        assert missing in section(shown, "list-missing")
        assert NAMES[0] in section(shown, "list-after_aim")
        assert late in section(shown, "list-after_aim")
        assert NAMES[0] not in section(shown, "list-late")
        assert html.escape(words("due.no_number", language)) in section(shown, "list-after_aim")
        assert emergency in section(shown, "list-overridden")
        assert shown.index('id="list-missing"') < shown.index('id="list-incidents"')
        assert untold in section(shown, f"i-{second['id']}")
        # Every statement leads to a proof, a notice or a bundle that is there.
        links = set(re.findall(r'href="(/(?:notices|audit)/[^"]+)"', shown))
        proofs = {link for link in links if link.startswith("/audit/entries/")}
        assert len(proofs) > 8
        for link in links:
            found = await client.get(html.unescape(link))
            assert found.status_code == 200, link
            if link in proofs:
                proof = await client.get(f"/api/v1{link}/proof")
                assert proof.text.startswith("c2sp.org/tlog-proof@v1")
        assert any("/audit/bundles?" in link for link in links)
        assert any(link.startswith("/notices/") for link in links)
        assert 'href="/audit"' in (await client.get("/")).text


async def test_a_period_and_part_of_a_name_narrow_it(running, incidents):
    first, second, _ = incidents
    ada = await person(running, "Ada", (Role.APPROVER, None))
    today = datetime.now(UTC).date()
    async with browser(running, ada) as client:
        of_one = (await client.get("/audit", params={"customer": "FLUSS"})).text
        assert html.escape(NAMES[1]) in of_one
        assert NAMES[0] not in of_one
        assert "Notified late (0)" in of_one
        before = {"from": "2020-01-01", "to": (today - timedelta(days=2)).isoformat()}
        assert "no incident in this period" in visible_text((await client.get("/audit", params=before)).text)
        around = {"from": (today - timedelta(days=1)).isoformat(), "to": (today + timedelta(days=1)).isoformat()}
        whole = (await client.get("/audit", params=around)).text
        assert {first["ticket"], second["ticket"]} <= set(re.findall(r"INC-\d+-\d+", whole))
        for last in ("9999-12-31", "0001-01-05"):
            assert (await client.get("/audit", params={"to": last})).status_code == 200
        nobody = (await client.get("/audit", params={"customer": "<script>"})).text
        assert "&lt;script&gt;" in nobody
        assert "<script>" not in nobody


@pytest.mark.parametrize(
    "wrong", [{"from": "yesterday"}, {"to": "2026-13-01"}, {"from": "2026-02-01", "to": "2026-01-01"}]
)
async def test_a_period_that_is_none_is_told(wrong, running):
    ada = await person(running, "Ada", (Role.ANALYST, None))
    async with browser(running, ada) as client:
        answer = await client.get("/audit", params=wrong)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text


async def test_what_an_auditor_reads_is_in_the_log(running, api, incidents):
    async def reads():
        await until_read(running.parts.store, lambda tx: not tx.audit.pending(1))
        entries = await running.parts.store.read(lambda tx: tx.audit.entries(0, 10_000))
        leaves = [json.loads(entry.leaf) for entry in entries]
        return [leaf["detail"]["operation"] for leaf in leaves if leaf["type"] == "record.read"]

    auditor = await person(running, "Iris", (Role.AUDITOR, None))
    async with browser(running, auditor) as client:
        assert (await client.get("/audit")).status_code == 200
    assert await reads() == ["GET /audit"]
    member = await person(running, "Max", (Role.CUSTOMER_MEMBER, incidents[2][0]["id"]))
    async with browser(running, member) as client:
        assert (await client.get("/audit")).status_code == 403
        assert 'href="/audit"' not in (await client.get("/")).text
