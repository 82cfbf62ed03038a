"""What an agreement says of an erasure is done: its days, its channels, its end; nothing of it is in code."""

import json
from datetime import UTC, datetime, timedelta
from importlib import resources

import httpx2
import pytest

from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from support import scenario
from support.announcements import ahead, announce, open_letter, released
from support.people import browser, person, visible_text
from support.scenario import ok

SINCE = "2025-02-01T00:00:00Z"
_STATED = (
    'channels = ["email", "registered_letter"]\n'
    'lead = { days = 21, calendar = "calendar", binding = "hard" }\n'
    "erased_within_days = 30\n"
)


def variant(name, channels, days, within):
    """Return the text of an agreement whose notice of an erasure is another one."""
    text = (resources.files("notifications.agreement") / "secnumcloud_iaas_3_0.toml").read_text(encoding="utf-8")
    assert _STATED in text
    stated = f"channels = {json.dumps(channels)}\n"
    stated += f'lead = {{ days = {days}, calendar = "calendar", binding = "hard" }}\nerased_within_days = {within}\n'
    return text.replace('id = "secnumcloud_iaas_3_0"', f'id = "{name}"', 1).replace(_STATED, stated, 1)


@pytest.fixture
async def running(data_folder, service_log, tmp_path):
    folder = tmp_path / "agreements"
    folder.mkdir()
    for name, channels, days, within in (("slow", ["registered_letter"], 40, 90), ("quick", ["email"], 5, 8)):
        (folder / f"{name}.toml").write_text(variant(name, channels, days, within), encoding="utf-8")
    async with embedded_service(data_folder, agreements__folder=folder, log__batch_seconds=0.01) as service:
        yield service


@pytest.fixture
async def api(running):
    headers = {"Authorization": f"Bearer {running.token}"}
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as client:
        yield client


async def bound(api, name, agreement, since=SINCE):
    return await scenario.customer(api, name, agreement={"agreement_id": agreement, "effective_at": since})


async def ordered_details(running):
    leaves = await running.parts.store.read(
        lambda tx: [json.loads(each.leaf) for each in (*tx.audit.entries(0, 999), *tx.audit.pending(999))]
    )
    return {leaf["type"]: leaf["detail"] for leaf in leaves if leaf["type"].startswith("customer.erasure")}


async def test_the_days_of_the_customers_own_agreement_count(running, api):
    slow = await bound(api, "Slow", "slow")
    served_at = datetime.now(UTC) - timedelta(days=35)
    letter = {"served_by": "letter", "reference": "RR 1", "served_at": served_at.isoformat()}
    order = await ok(api.put(f"/customers/{slow['id']}/erasure", json=letter))
    assert (order["notice_days"], order["within_days"]) == (40, 90)
    not_before = datetime.fromisoformat(order["not_before"])
    assert timedelta(days=40) <= not_before - served_at <= timedelta(days=41, hours=1)
    assert datetime.fromisoformat(order["due_at"]) - served_at == timedelta(days=90)
    said = await ordered_details(running)
    assert (said["customer.erasure_ordered"]["agreement"], said["customer.erasure_ordered"]["notice_days"]) == (
        "slow",
        40,
    )
    assert said["customer.erasure_noticed"]["notice_days"] == 40
    # The bundled agreement would let it be erased by now.
    await running.parts.erasing.look()
    assert (await ok(api.get(f"/customers/{slow['id']}")))["name"] == "Slow"


async def test_a_channel_that_the_agreement_does_not_name_is_refused_by_field_and_clause(api):
    slow, quick = await bound(api, "Slow", "slow"), await bound(api, "Quick", "quick")
    refused = await api.put(f"/customers/{slow['id']}/erasure", json={})
    assert (refused.status_code, refused.json()["errors"]) == (
        422,
        [{"field": "served_by", "reason": "must be notice or letter: clause 9.7, 12 of slow names no other channel"}],
    )
    letter = {"served_by": "letter", "reference": "RR 1", "served_at": scenario.ago(days=1)}
    refused = await api.put(f"/customers/{quick['id']}/erasure", json=letter)
    assert [fault["field"] for fault in refused.json()["errors"]] == ["served_by"]
    overdue = letter | {"served_by": "mail", "served_at": None, "reference": None}
    order = await ok(api.put(f"/customers/{quick['id']}/erasure", json=overdue))
    assert (order["notice_days"], order["within_days"]) == (5, 8)


async def test_where_only_a_letter_serves_the_announcement_opens_one_and_the_order_waits_for_it(running, api):
    slow = await bound(api, "Slow", "slow")
    made = await announce(api, "end_of_contract", customers=[slow["id"]], occurs_at=ahead(days=90))
    (notice,) = await released(api, made)
    assert (await open_letter(running, api))["notice_id"] == notice["id"]
    assert running.sink.messages == []
    stated = {"served_by": "notice", "notice_id": notice["id"]}
    ordered = await ok(api.put(f"/customers/{slow['id']}/erasure", json=stated))
    assert (ordered["served_by"], ordered["noticed_at"], ordered["notice_days"]) == ("notice", None, 40)
    await running.parts.erasing.look()
    shown = await ok(api.get(f"/customers/{slow['id']}/erasure"))
    assert (shown["noticed_at"], shown["in_the_way"]["open_letter_tasks"]) == (None, 1)


async def test_the_mail_says_the_days(running, api):
    quick = await bound(api, "Quick", "quick")
    await ok(api.put(f"/customers/{quick['id']}/erasure", json={}))
    await running.sink.wait_for(1)
    (mail,) = running.sink.messages
    words = " ".join(mail.content.decode(errors="replace").replace("=\r\n", "").split())
    assert "5 jours calendaires" in words
    assert "8 jours" in words
    assert "21" not in words.partition("Content-Type: application/pkcs7-signature")[0].partition("calendaires")[0][-20:]


async def test_whom_nothing_binds_gets_the_longest_notice_of_all(api):
    late = await bound(api, "Late", "quick", since="2099-01-01T00:00:00Z")
    letter = {"served_by": "letter", "reference": "RR 1", "served_at": scenario.ago(days=1)}
    order = await ok(api.put(f"/customers/{late['id']}/erasure", json=letter))
    assert order["notice_days"] == 40


async def test_the_page_says_days_clause_and_only_the_ways_that_are_agreed(running, api):
    slow = await bound(api, "Slow", "slow")
    adam = await person(running, "Adam", (Role.ADMINISTRATOR, None), language="en")
    async with browser(running, adam) as pages:
        page = (await pages.get(f"/customers/{slow['id']}")).text
    assert "40 days after the formal notice, and within 90 (clause 9.7, 12)" in visible_text(page)
    assert 'value="letter"' in page
    assert 'value="mail"' not in page


async def test_the_agreements_say_it(api):
    for agreement in (await ok(api.get("/agreements")))["items"]:
        stated = [kind for kind in agreement["notices"] if kind["erased_within_days"] is not None]
        assert [kind["id"] for kind in stated] == ["end_of_contract"]
        assert stated[0]["lead"]["days"] < stated[0]["erased_within_days"]
