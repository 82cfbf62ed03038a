"""Pages as they are after a person acted on them, judged by axe-core: what a tour of addresses does not show."""

import pytest
import pytest_asyncio
from playwright.async_api import expect

from service.ports.accounts import Role
from service.web.console.catalogues import text
from support.announcements import announce, bound, open_letter, released
from support.axe_source import WIDE, faults_of
from support.browsed_site import browsed_site
from support.chromium import opened_page
from support.people import person

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

LANGUAGES = ("fr", "en", "de")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(prepared_folder, tmp_path_factory, chromium):
    """A service with an announcement that was released and needs a letter, a browser, and an analyst per language."""
    async with browsed_site(chromium, prepared_folder, tmp_path_factory.mktemp("axe_states_site")) as browsed:
        running, api = browsed.service, browsed.api
        await bound(api, "Valmont", "a@valmont.example")
        made = await announce(api, "loss_of_qualification")
        await released(api, made)
        letter = await open_letter(running, api)
        roles = ((Role.ANALYST, None), (Role.ADMINISTRATOR, None), (Role.AUDITOR, None))
        people = {each: await person(running, f"Ada-{each}", *roles, language=each) for each in LANGUAGES}
        yield browsed.origin, browsed.chromium, people, {"announcement": made["id"], "letter": letter["id"]}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_menu_of_every_area_takes_one_row(site, language):
    origin, chromium, people, _ = site
    small = {"width": 1280, "height": 720}
    async with opened_page(chromium, origin, people[language], locale=language, viewport=small) as page:
        await page.goto("/", wait_until="domcontentloaded")
        seen = "[...document.querySelectorAll('nav li')].filter(each => each.checkVisibility())"
        rows = await page.evaluate(f"{seen}.map(each => each.offsetTop)")
        assert len(rows) > 10
        assert len(set(rows)) == 1


async def test_the_statement_picker_with_what_it_found(site, axe):
    origin, chromium, people, _ = site
    async with opened_page(chromium, origin, people["fr"], locale="fr", viewport=WIDE) as page:
        await page.goto("/incidents/new", wait_until="domcontentloaded")
        await page.locator("#statements summary").click()
        await page.get_by_label(text("statements.filter", "fr")).fill("incendie")
        await expect(page.locator("#statement option:checked")).not_to_have_attribute("value", "")
        assert await faults_of(page, axe, "picker") == []


async def test_the_consequence_after_typing(site, axe):
    origin, chromium, people, _ = site
    async with opened_page(chromium, origin, people["de"], locale="de", viewport=WIDE) as page:
        await page.goto("/incidents/new", wait_until="domcontentloaded")
        before = await page.locator("#consequence").inner_html()
        async with page.expect_response("**/incidents/new/consequence**"):
            await page.locator("[data-picture]").first.click()
        await expect(page.locator("#consequence")).not_to_have_attribute("aria-busy", "true")
        assert await page.locator("#consequence").inner_html() != before
        await page.evaluate("document.querySelectorAll('#consequence details').forEach(each => { each.open = true })")
        assert await faults_of(page, axe, "consequence") == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_form_of_an_announcement_side_by_side_and_refused(site, axe, language):
    origin, chromium, people, _ = site
    async with opened_page(chromium, origin, people[language], locale=language, viewport=WIDE) as page:
        await page.goto("/announcements/new?kind=capacity", wait_until="domcontentloaded")
        places = [await page.locator(f"#title-{each}").bounding_box() for each in LANGUAGES]
        assert len({place["y"] for place in places}) == 1
        assert len({place["x"] for place in places}) == len(LANGUAGES)
        if language == "en":
            assert await faults_of(page, axe, "announcement form") == []
        async with page.expect_navigation(wait_until="domcontentloaded"):
            await page.evaluate("HTMLFormElement.prototype.submit.call(document.querySelector('form[data-draft]'))")
        assert await page.locator("main [lang=en].error").count() == 0
        assert await faults_of(page, axe, "announcement form, refused") == []


async def test_the_pages_of_what_was_announced(site, axe):
    origin, chromium, people, ids = site
    paths = {
        "fr": ("/announcements", f"/announcements/{ids['announcement']}"),
        "de": (f"/announcements/{ids['announcement']}/change", f"/letters/{ids['letter']}"),
    }
    for language, visited in paths.items():
        async with opened_page(chromium, origin, people[language], locale=language, viewport=WIDE) as page:
            for path in visited:
                await page.goto(path, wait_until="domcontentloaded")
                assert await faults_of(page, axe, path) == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_account_of_announcements_unfolded(site, axe, language):
    origin, chromium, people, made = site
    async with opened_page(chromium, origin, people[language], locale=language, viewport=WIDE) as page:
        await page.goto("/audit", wait_until="domcontentloaded")
        await page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        await expect(page.locator(f"#i-{made['announcement']} dl").first).to_be_visible()
        assert await faults_of(page, axe, "account") == []
