"""The pages of one incident in a browser: the table is filtered as somebody types, deliveries show what happens."""

import pytest
import pytest_asyncio
from playwright.async_api import expect

from service.ports.accounts import Role
from service.web.console.catalogues import text
from support.browsed_site import browsed_site
from support.people import person
from support.scenario import affected, customer, declare, harm, notices, ok, release

expect.set_options(timeout=30_000)

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(prepared_folder, tmp_path_factory, chromium):
    async with browsed_site(chromium, prepared_folder, tmp_path_factory.mktemp("browsed")) as begun:
        owners = [
            await customer(begun.api, f"Client {n:02d}", contacts=((f"c{n}@x.example", "en"),)) for n in range(12)
        ]
        stated = [affected(each, data_harm=harm(confidentiality="yes")) for each in owners]
        incident = await declare(begun.api, impact="I1", affected_customers=stated)
        whom = await person(begun.service, "Cid", (Role.ANALYST, None), (Role.APPROVER, None))
        yield begun, whom, incident


async def test_the_table_is_filtered_while_somebody_types_and_only_what_is_seen_is_chosen(site):
    begun, whom, incident = site
    async with begun.opened(whom) as page:
        await page.goto(f"/incidents/{incident['id']}/customers")
        rows = page.locator("table.customers tbody tr:visible")
        await expect(rows).to_have_count(12)
        every = page.get_by_label(text("incident.choose", "en"), exact=True)
        await every.check()
        await expect(page.get_by_text(text("incident.chosen_count", "en", count=12))).to_be_visible()
        await page.get_by_label(text("incident.find", "en")).fill("client 1")
        await expect(rows).to_have_count(2)
        await expect(page.get_by_text(text("incident.chosen_count", "en", count=2))).to_be_visible()
        await page.get_by_label(text("incident.column.breach", "en")).select_option("suspected")
        await page.get_by_role("button", name=text("incident.answer", "en")).click()
        await page.wait_for_url("**/customers?*changed=2")
        assert page.complaints == []
    facts = (await ok(begun.api.get(f"/incidents/{incident['id']}")))["facts"]
    breaches = [each["personal_data"]["breach"] for each in facts["affected_customers"]]
    assert (breaches.count("suspected"), breaches.count("no")) == (2, 10)


@pytest.mark.parametrize("language", ["fr", "en", "de"])
async def test_its_sections_stand_in_one_row_where_there_is_room(site, language):
    begun, _, incident = site
    reader = await person(begun.service, f"Wide{language}", (Role.ANALYST, None), language=language)
    async with begun.opened(reader, viewport={"width": 1280, "height": 900}, locale=language) as page:
        await page.goto(f"/incidents/{incident['id']}")
        items = await page.locator("nav.sections li").all()
        assert len(items) == 9
        assert len({(await each.bounding_box())["y"] for each in items}) == 1


@pytest.mark.parametrize("language", ["fr", "en", "de"])
async def test_its_sections_are_one_row_that_scrolls_on_a_phone(site, language):
    begun, _, incident = site
    reader = await person(begun.service, f"Phone{language}", (Role.ANALYST, None), language=language)
    phone = {"width": 390, "height": 844}
    async with begun.opened(reader, viewport=phone, locale=language, java_script_enabled=False) as page:
        await page.goto(f"/incidents/{incident['id']}/deliveries")
        links = page.locator("nav.sections a")
        boxes = [await each.bounding_box() for each in await links.all()]
        assert len({box["y"] for box in boxes}) == 1
        assert max(box["x"] + box["width"] for box in boxes) > phone["width"], "there is not room for all of them"
        (own,) = [await each.bounding_box() for each in await page.locator("nav.sections a[aria-current]").all()]
        assert own["x"] >= 0
        assert own["x"] + own["width"] <= phone["width"], "the current section is in sight"
        for edge in (links.first, links.last):
            await edge.focus()
            box = await edge.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= phone["width"], "a link that has the focus is in sight"


async def test_a_draft_is_reviewed_and_released_by_keyboard(site):
    begun, whom, incident = site
    draft = next(each for each in await notices(begun.api, incident) if each["state"] == "draft")
    async with begun.opened(whom, viewport={"width": 360, "height": 740}) as page:
        await page.goto(f"/incidents/{incident['id']}/notices/{draft['id']}")
        frame = page.frame_locator("iframe.words")
        await expect(frame.locator("h1")).to_be_visible()
        button = page.get_by_role("button", name=text("incident.release_one", "en"), exact=True)
        await button.focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/notices?done=released")
        assert [each for each in page.complaints if "Content Security Policy" in each] == []
    assert (await ok(begun.api.get(f"/notices/{draft['id']}")))["state"] != "draft"


async def test_deliveries_are_shown_as_they_happen(site):
    begun, whom, _ = site
    owner = await customer(begun.api, "Late", contacts=(("late@x.example", "en"),))
    other = await declare(
        begun.api, impact="I1", affected_customers=[affected(owner, data_harm=harm(confidentiality="yes"))]
    )
    async with begun.opened(whom) as page:
        await page.clock.install()
        await page.goto(f"/incidents/{other['id']}/deliveries")
        await expect(page.get_by_text(text("incident.nothing_out", "en"))).to_be_visible()
        await release(begun.api, other)
        await begun.service.sink.wait_for(1, timeout_seconds=60)
        # The page asks again by itself.
        for _ in range(10):
            await page.clock.run_for(10_000)
            if await page.get_by_text("late@x.example").is_visible():
                break
        await expect(page.get_by_text("late@x.example")).to_be_visible()
        assert page.complaints == []
