"""The board in a real browser: it follows what happens, keeps focus and scroll, and is whole without scripts."""

import shutil

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect
from test_console_browser import Site

from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from service.system.http_server import bound_socket
from support.chromium import ARGUMENTS, PATH
from support.people import person
from support.scenario import affected, ago, customer, declare, release

expect.set_options(timeout=30_000)

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(prepared_folder, tmp_path_factory):
    """The service with one customer and two incidents, a browser, and the API."""
    folder = tmp_path_factory.mktemp("board") / "data"
    shutil.copytree(prepared_folder, folder)
    with bound_socket("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    origin = f"http://localhost:{port}"
    async with (
        embedded_service(folder, port=port, provider__console_url=origin, log__batch_seconds=0.01) as service,
        httpx2.AsyncClient(
            base_url=f"{service.url}/api/v1", headers={"Authorization": f"Bearer {service.token}"}, timeout=30
        ) as api,
        async_playwright() as playwright,
    ):
        hospital = await customer(api)
        late = await declare(
            api, title={"en": "Late"}, **GRAVE, affected_customers=[affected(hospital)], aware_at=ago(hours=9)
        )
        unknown = await declare(api, title={"en": "Unknown"}, intent="unknown", service_harm={})
        chromium = await playwright.chromium.launch(executable_path=PATH, args=ARGUMENTS)
        ada = await person(service, "Ada", (Role.ANALYST, None))
        try:
            yield Site(service, origin, chromium, [hospital], {}), api, ada, late, unknown
        finally:
            await chromium.close()


async def test_the_board_follows_what_happens_and_keeps_the_place_of_its_reader(house):
    site, api, ada, late, unknown = house
    page = await site.signed_in(ada)
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
    page = await site.signed_in(ada)
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
    page = await site.signed_in(ada, java_script_enabled=False, viewport={"width": width, "height": 800})
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
