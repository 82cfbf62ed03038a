"""The board in a real browser: it follows what happens, keeps focus and scroll, and is whole without scripts."""

import pytest
import pytest_asyncio
from playwright.async_api import expect

from service.ports.accounts import Role
from support.browsed_site import browsed_site
from support.people import person
from support.scenario import affected, ago, customer, declare, release

expect.set_options(timeout=30_000)

pytestmark = pytest.mark.asyncio(loop_scope="session")

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(prepared_folder, tmp_path_factory, chromium):
    """The service with one customer and two incidents, a browser, and the API."""
    async with browsed_site(chromium, prepared_folder, tmp_path_factory.mktemp("browsed")) as begun:
        hospital = await customer(begun.api)
        late = await declare(
            begun.api, title={"en": "Late"}, **GRAVE, affected_customers=[affected(hospital)], aware_at=ago(hours=9)
        )
        unknown = await declare(begun.api, title={"en": "Unknown"}, intent="unknown", service_harm={})
        ada = await person(begun.service, "Ada", (Role.ANALYST, None))
        yield begun, begun.api, ada, late, unknown


async def test_the_board_follows_what_happens_and_keeps_the_place_of_its_reader(house):
    site, api, ada, late, unknown = house
    page = await site.page(ada)
    async with page.expect_response("**/events") as following:
        await page.goto("/incidents")
    assert (await following.value).status == 200
    await page.locator(f"#unknown-{unknown['id']}").click()
    await page.locator(f"#open-{unknown['id']}").focus()
    await page.evaluate("window.scrollTo(0, 60)")

    await release(api, late)
    await expect(page.get_by_role("status")).to_have_text("1 incident has changed")
    await expect(page.locator("#burns")).not_to_contain_text("Late")
    await expect(page.locator(f"#open-{unknown['id']}")).to_be_focused()
    await expect(page.locator(f"#unknown-{unknown['id']}").locator("..")).to_have_attribute("open", "")
    assert await page.evaluate("window.scrollY") == 60

    new = await declare(api, title={"en": "Declared meanwhile"})
    await expect(page.locator(f"#open-{new['id']}")).to_have_text("Declared meanwhile")
    assert page.complaints == []
    await page.context.close()


async def test_a_slash_leads_to_the_search_field_but_is_typed_where_one_types(house):
    site, _, ada, late, _ = house
    page = await site.page(ada)
    await page.goto("/incidents?service=x")
    await page.keyboard.press("/")
    await expect(page.get_by_role("search").get_by_role("searchbox")).to_be_focused()
    await page.keyboard.type("late")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="Late", exact=True).first).to_have_attribute(
        "href", f"/incidents/{late['id']}"
    )
    await page.goto("/incidents?service=x")
    await page.locator("#service").focus()
    await page.keyboard.press("End")
    await page.keyboard.type("/y")
    await expect(page.locator("#service")).to_have_value("x/y")
    assert page.complaints == []
    await page.context.close()


@pytest.mark.parametrize("width", [360, 1440])
async def test_everything_is_there_without_scripts_on_any_width(house, width):
    site, _, ada, late, _ = house
    page = await site.page(ada, java_script_enabled=False, viewport={"width": width, "height": 800})
    await page.goto("/incidents")
    await page.get_by_role("link", name="Refresh").click()
    await expect(page.locator(f"#open-{late['id']}")).to_be_visible()
    await page.locator("summary", has_text="Filter").click()
    await page.get_by_label("Nature").select_option("security_incident")
    await page.get_by_role("button", name="Show", exact=True).click()
    assert "nature=security_incident" in page.url
    for path in ("/incidents", "/search?q=inc", "/"):
        await page.goto(path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
    await page.context.close()
