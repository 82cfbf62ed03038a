"""Times in the reader's own zone: chosen on the account's page or by the API, shown everywhere, and typed in it."""

import json
import re
from datetime import UTC, date, datetime
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio

from notifications.ports import Page
from service.ports.accounts import Role
from service.web.console.pages.audit.entry_query import day_after, midnight
from support.commits import until
from support.people import browser, person, visible_text
from support.scenario import ago, customer, declare, ok

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def running(shared_service):
    return shared_service


@pytest.fixture(scope="module")
def api(shared_api):
    return shared_api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def incident(api):
    return await declare(api, aware_at="2026-03-01T10:00:00Z", started_at="2026-03-01T09:00:00Z")


async def choose(page, whom, zone):
    return await page.post("/account/time-zone", data=whom.form(time_zone=zone))


async def test_an_account_chooses_its_zone_and_every_time_is_shown_in_it(running, incident):
    ada = await person(running, "Zoe", (Role.ANALYST, None))
    path = f"/incidents/{incident['id']}"
    async with browser(running, ada) as page:
        shown = (await page.get("/account")).text
        assert "None chosen" in shown
        assert "1 March 2026, 10:00 UTC" in visible_text((await page.get(f"{path}/facts")).text)
        answer = await choose(page, ada, "Asia/Tokyo")
        assert (answer.status_code, answer.headers["location"]) == (303, "/account?done=time_zone")
        shown = (await page.get("/account?done=time_zone")).text
        assert '<option value="Asia/Tokyo" selected>' in shown
        assert "shown in this time zone" in shown
        for part in ("", "/facts", "/closing", "/print", "/timeline", "/history"):
            answer = await page.get(f"{path}{part}")
            if answer.status_code != 404:
                moments = re.findall(r"(?<!-\d\d )\d{2}:\d{2} UTC", visible_text(answer.text))
                assert moments == [], (part, moments)
        assert "1 March 2026, 19:00 Asia/Tokyo" in visible_text((await page.get(f"{path}/facts")).text)
        # Nobody has to have one.
        await choose(page, ada, "")
        assert "10:00 UTC" in visible_text((await page.get(f"{path}/facts")).text)


async def test_what_is_no_zone_is_refused_and_nothing_changes(running):
    ada = await person(running, "Yan", (Role.ANALYST, None))
    async with browser(running, ada) as page:
        for zone in ("Mars/Base", "../../etc/passwd", "<script>"):
            answer = await choose(page, ada, zone)
            assert answer.status_code == 422
            assert "State a time zone of the list." in answer.text
            assert "<script>alert" not in answer.text
        assert "None chosen" in (await page.get("/account")).text


async def test_a_person_of_a_customer_reads_in_the_zone_of_the_customer(running, api):
    theirs = await customer(api, "Tokyo branch")
    version = (await api.get(f"/customers/{theirs['id']}")).headers["etag"]
    changed = {name: theirs[name] for name in ("name", "language", "services", "regions", "availability_zones")}
    answer = await api.put(
        f"/customers/{theirs['id']}", json=changed | {"time_zone": "Asia/Tokyo"}, headers={"If-Match": version}
    )
    assert answer.status_code == 200, answer.text
    max_ = await person(running, "Mika", (Role.CUSTOMER_MEMBER, theirs["id"]))
    async with browser(running, max_) as page:
        shown = (await page.get("/account")).text
        assert "None chosen: Asia/Tokyo" in shown
        assert re.search(r"last used <time [^>]*>[^<]* Asia/Tokyo", shown)
        await choose(page, max_, "Europe/Berlin")
        assert re.search(r"last used <time [^>]*>[^<]* Europe/Berlin", (await page.get("/account")).text)


async def test_the_api_has_the_field_and_logs_the_choice(running):
    ada = await person(running, "Xia", (Role.ANALYST, None))
    async with browser(running, ada) as page:
        made = await page.post(
            "/api/v1/account/tokens",
            json={"name": "T", "permissions": ["self"], "expires_at": ago(days=-30)},
            headers={"X-CSRF-Token": ada.form()["csrf_token"]},
        )
    assert made.status_code == 201, made.text
    headers = {"Authorization": f"Bearer {made.json()['token']}"}
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
        assert (await ok(api.get("/account")))["time_zone"] is None
        assert (await ok(api.put("/account/time-zone", json={"time_zone": "Europe/Rome"})))[
            "time_zone"
        ] == "Europe/Rome"
        assert (await ok(api.get("/account")))["time_zone"] == "Europe/Rome"
        answer = await api.put("/account/time-zone", json={"time_zone": "Europe/Nowhere"})
        assert (answer.status_code, "IANA" in answer.text) == (422, True)
        assert (await api.put("/account/time-zone", json={})).status_code == 422

    async def sequenced():
        return not await running.parts.store.read(lambda tx: tx.audit.pending(1))

    await until(running.parts.store, sequenced)
    found, _ = await running.parts.store.read(lambda tx: tx.audit.about("account", str(ada.account.id), Page(10)))
    assert [json.loads(entry.leaf)["type"] for entry in found].count("account.changed") == 1


async def test_a_time_is_typed_in_the_zone_that_the_form_names(running, incident):
    ada = await person(running, "Wim", (Role.ANALYST, None))
    path = f"/incidents/{incident['id']}/closing"
    async with browser(running, ada) as page:
        await choose(page, ada, "Europe/Paris")

        async def stated(**fields):
            shown = (await page.get(path)).text
            kept = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', shown))
            kept |= {"cause": re.search(r'<select id="cause".*?value="(\w+)" selected', shown, re.DOTALL)[1]}
            for name in ("ended_at", "next_update_by"):
                (tag,) = re.findall(rf'<input [^>]*id="{name}"[^>]*>', shown)
                kept[name] = next(iter(re.findall(r' value="([^"]*)"', tag)), "")
            return await page.post(f"{path}/follow-up", data=ada.form(**kept | {"time_zone": "Europe/Paris"} | fields))

        async def kept():
            return (await running_incident(running, incident)).facts.ended_at

        assert "Time in Europe/Paris" in (await page.get(path)).text
        answer = await stated(ended_at="2026-03-01T12:30")
        assert answer.status_code == 303, visible_text(answer.text)
        assert await kept() == datetime(2026, 3, 1, 11, 30, tzinfo=UTC)
        assert 'value="2026-03-01T12:30"' in (await page.get(path)).text
        # Another zone of the form does not move a time that nobody typed.
        assert (await stated(time_zone="UTC")).status_code == 303
        assert await kept() == datetime(2026, 3, 1, 11, 30, tzinfo=UTC)
        for skipped, why in (
            ("2026-03-29T02:30", "does not exist in Europe/Paris"),
            ("2025-10-26T02:30", "exists twice"),
        ):
            answer = await stated(ended_at=skipped)
            assert (answer.status_code, why in visible_text(answer.text)) == (422, True)
            assert f'value="{skipped}"' in answer.text
        assert await kept() == datetime(2026, 3, 1, 11, 30, tzinfo=UTC)


async def running_incident(running, incident):
    return await running.parts.store.read(lambda tx: tx.incidents.require(UUID(incident["id"])))


async def test_days_of_a_filter_begin_at_midnight_in_the_zone_of_the_reader(running):
    aude = await person(running, "Vera", (Role.AUDITOR, None))
    async with browser(running, aude) as page:
        await choose(page, aude, "Asia/Tokyo")
        assert "From (Asia/Tokyo)" in (await page.get("/audit/entries?from=2026-03-01")).text


@pytest.mark.parametrize(
    ("zone", "begins"),
    [("UTC", "2026-09-06T00:00"), ("Asia/Tokyo", "2026-09-05T15:00"), ("America/Santiago", "2026-09-06T04:00")],
)
async def test_a_day_without_midnight_begins_when_the_clocks_are_changed(zone, begins):
    day = date(2026, 9, 6)
    assert midnight(day, zone) == datetime.fromisoformat(begins).replace(tzinfo=UTC)
    assert day_after(date(2026, 9, 5), zone) == midnight(day, zone)
    assert day_after(date.max, zone) == datetime.max.replace(tzinfo=UTC)
    assert midnight(date.min, zone).tzinfo is UTC
