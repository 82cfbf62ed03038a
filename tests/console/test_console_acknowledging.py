"""Acknowledging in a real browser: by button and link, without scripts, on a phone; and who has not, by name."""

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default as mail_policy
from uuid import UUID

import pytest
import pytest_asyncio
from playwright.async_api import expect

from service.ports.accounts import Role
from support.browsed_site import BrowsedSite, browsed_site
from support.chromium import unfold
from support.people import browser, person
from support.scenario import affected, customer, declare, harm, ok, release

# A loaded machine takes its time.
expect.set_options(timeout=30_000)

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"width": 360, "height": 740}
LANGUAGES = ("en", "fr", "de")


@dataclass
class Site(BrowsedSite):
    """A browsed service with two customers and a notice each, and whose mail is whose."""

    customers: list
    incident: dict
    notices: dict

    async def member(self, name, at=0, role=Role.CUSTOMER_MEMBER, **options):
        return await person(self.service, name, (role, self.customers[at]["id"]), **options)

    def link(self, address):
        """Return the path of the link in the mail to an address, as its reader sees it."""
        mail, *_ = (each.content for each in self.service.sink.messages if list(each.recipients) == [address])
        parts = message_from_bytes(mail, policy=mail_policy).walk()
        texts = [part.get_content() for part in parts if part.get_content_type() == "text/plain"]
        (found,) = re.findall(rf"{re.escape(self.origin)}(/acknowledge/\S+)", "\n".join(texts))
        return found

    async def given(self, at):
        path = f"/notices/{self.notices[self.customers[at]['id']]}/acknowledgements"
        return (await ok(self.api.get(path)))["items"]

    def path(self, at):
        return f"/notices/{self.notices[self.customers[at]['id']]}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(prepared_folder, tmp_path_factory, chromium):
    async with browsed_site(chromium, prepared_folder, tmp_path_factory.mktemp("browsed")) as begun:
        customers = [
            await customer(
                begun.api,
                name,
                contacts=[(f"{language}@{name.lower()}.example", language) for language in LANGUAGES],
                acknowledge_within_seconds=within,
            )
            for name, within in (("Alpha", 3600), ("Beta", None))
        ]
        entries = [affected(each, data_harm=harm(confidentiality="yes")) for each in customers]
        incident = await declare(
            begun.api, impact="I1", service_harm=harm(confidentiality="yes"), affected_customers=entries
        )
        notices = {each["customer_id"]: each["id"] for each in await release(begun.api, incident)}
        await begun.service.sink.wait_for(6, timeout_seconds=60)
        yield Site(**vars(begun), customers=customers, incident=incident, notices=notices)


async def test_the_link_of_a_mail_takes_a_tick_and_a_click(site):
    link = site.link("de@beta.example")
    page = await site.page()
    await page.goto(link)
    assert await page.get_attribute("html", "lang") == "de"
    await expect(page.get_by_role("heading", level=1)).to_have_text("Empfang bestätigen")
    # Whoever presses the button alone is held back by the browser, and nothing leaves it.
    button = page.get_by_role("button", name="Empfang bestätigen")
    await button.click()
    assert page.url == site.origin + link
    assert await page.evaluate("document.querySelector('#received').validity.valueMissing")
    assert await site.given(1) == []
    await page.get_by_label("Ich habe diese Benachrichtigung erhalten.").check()
    await button.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Empfang bestätigt")
    assert page.url == f"{site.origin}/acknowledged?language=de"
    (given,) = await site.given(1)
    assert (given["via"], given["name"]) == ("link", "de")
    # The way back leads to a link that is used up.
    answer = await page.goto(link)
    assert answer.status == 410
    await expect(page.get_by_role("heading", level=1)).to_have_text("Dieser Link gilt nicht")
    assert [text for text in page.complaints if "410" not in text] == []
    await page.context.close()


async def test_the_link_works_without_scripts_and_by_keyboard(site):
    page = await site.page(java_script_enabled=False)
    await page.goto(site.link("fr@beta.example"))
    box = page.get_by_label("J’ai reçu cette notification.")
    await box.focus()
    await page.keyboard.press("Space")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Réception confirmée")
    assert {each["name"] for each in await site.given(1)} >= {"fr"}
    await page.context.close()


async def test_a_browser_that_is_told_to_press_everything_at_once_acknowledges_nothing(site):
    """Some programs that look into mails render the page and press what can be pressed."""
    before = await site.given(1)
    page = await site.page()
    await page.goto(site.link("en@beta.example"))
    await page.evaluate("document.querySelectorAll('button').forEach(each => each.click())")
    await page.evaluate("document.querySelectorAll('form').forEach(each => each.submit())")
    await expect(page.get_by_role("alert")).to_contain_text("Tick the box")
    assert await site.given(1) == before
    await page.context.close()


async def test_a_member_acknowledges_by_the_button_with_a_note_and_everybody_sees_who(site):
    anna = await site.member("Anna")
    page = await site.page(anna, java_script_enabled=False)
    await page.goto(site.path(0))
    section = page.get_by_role("region", name="Acknowledgement")
    await expect(section).to_contain_text("Wanted by")
    await expect(section).to_contain_text("Nobody has acknowledged yet.")
    await section.get_by_label("Note to the provider (optional)").fill("Received.\nWe look into it: <b>now</b>.")
    await section.get_by_role("button", name="Acknowledge receipt").click()
    await expect(section.get_by_role("status")).to_have_text("Your acknowledgement is recorded.")
    await expect(section.get_by_role("heading", level=3)).to_have_text("Anna")
    await expect(section).to_contain_text("in the console")
    await expect(section).to_contain_text("We look into it: <b>now</b>.")
    await expect(section.get_by_role("button")).to_have_count(0)
    assert page.complaints == []
    (given,) = await site.given(0)
    assert (given["via"], given["note"]) == ("console", "Received.\nWe look into it: <b>now</b>.")
    # A colleague sees it, and may still answer for itself.
    bert = await site.member("Bert", role=Role.CUSTOMER_MANAGER)
    other = await site.page(bert)
    await other.goto(site.path(0))
    await expect(other.get_by_role("heading", level=3, name="Anna")).to_be_visible()
    await other.get_by_role("button", name="Acknowledge receipt").click()
    await expect(other.get_by_role("heading", level=3, name="Bert")).to_be_visible()
    assert [each["name"] for each in await site.given(0)] == ["Anna", "Bert"]
    for each in (page, other):
        await each.context.close()


async def test_nobody_else_is_offered_the_button_or_gets_through_without_it(site):
    analyst = await person(site.service, "Ada", (Role.ANALYST, None))
    auditor = await person(site.service, "Aud", (Role.AUDITOR, site.customers[0]["id"]))
    before = await site.given(0)
    for whom in (analyst, auditor):
        page = await site.page(whom)
        await page.goto(site.path(0))
        section = page.get_by_role("region", name="Acknowledgement")
        await expect(section).to_be_visible()
        await expect(section.get_by_role("button")).to_have_count(0)
        await page.context.close()
        async with browser(site.service, whom) as client:
            answer = await client.post(f"{site.path(0)}/acknowledgement", data=whom.form())
            assert answer.status_code == 403
    stranger = await site.member("Foreign", at=1)
    async with browser(site.service, stranger) as client:
        assert (await client.post(f"{site.path(0)}/acknowledgement", data=stranger.form())).status_code == 404
    own = await site.member("Own")
    async with browser(site.service, own) as client:
        # A page of another site has no code of ours; a note is text.
        assert (await client.post(f"{site.path(0)}/acknowledgement", data={})).status_code == 403
        for note in ("a\x00b", "x" * 2001):
            answer = await client.post(f"{site.path(0)}/acknowledgement", data=own.form(note=note))
            assert answer.status_code == 422
    assert await site.given(0) == before


async def test_reading_in_the_console_is_an_opening_by_name_and_looking_ahead_is_none(site):
    reader = await site.member("Reader", at=1)
    path = site.path(1)

    async def openings():
        return [each["name"] for each in (await ok(site.api.get(f"{path}/acknowledgements")))["openings"]]

    async with browser(site.service, reader) as client:
        assert (await client.get(path, headers={"Sec-Purpose": "prefetch"})).status_code == 200
        assert (await client.head(path)).status_code == 405
        assert "Reader" not in await openings()
        assert (await client.get(path)).status_code == 200
        assert (await client.get(f"{path}/words/en")).status_code == 200
    assert (await openings()).count("Reader") == 1
    assert not any(each["by"] == f"account:{reader.account.id}" for each in await site.given(1))


async def test_the_provider_sees_by_name_who_has_not_and_who_must_first(site):
    # A second incident, that nobody answered.
    entries = [affected(each, data_harm=harm(confidentiality="yes")) for each in site.customers]
    incident = await declare(
        site.api, impact="I1", service_harm=harm(confidentiality="yes"), affected_customers=entries
    )
    await release(site.api, incident)
    await site.service.sink.wait_for(12, timeout_seconds=60)
    analyst = await person(site.service, "Alma", (Role.ANALYST, None))
    page = await site.page(analyst)
    await page.goto(f"/incidents/{incident['id']}/acknowledgements")
    await expect(page.get_by_text("Acknowledged: 0. Not yet: 2.")).to_be_visible()
    rows = page.locator("tbody tr")
    assert [re.match(r"\w+", text)[0] for text in await rows.locator("th").all_inner_texts()] == ["Alpha", "Beta"]
    await expect(rows.nth(0)).to_contain_text("en")
    await expect(rows.nth(1)).to_contain_text("not asked for")
    await page.get_by_role("link", name="Alpha").click()
    await expect(page.get_by_role("region", name="Acknowledgement")).to_contain_text("not acknowledged by: en, fr, de")
    await page.get_by_role("link", name="Acknowledgements of the incident").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(incident["ticket"])
    assert page.complaints == []
    await page.context.close()


@pytest.mark.parametrize("language", LANGUAGES)
async def test_no_page_is_wider_than_a_phone(site, language):
    roles = [(Role.CUSTOMER_MEMBER, UUID(site.customers[0]["id"]).hex), (Role.ANALYST, None)]
    reader = await person(site.service, f"Phone{language}", *roles, language=language)
    page = await site.page(reader, viewport=PHONE, locale=language)
    link = site.link(f"{language}@alpha.example")
    for path in (
        site.path(0),
        f"/incidents/{site.incident['id']}/acknowledgements",
        link,
        f"/acknowledged?language={language}",
        "/acknowledge/unknown",
    ):
        await page.goto(path)
        assert await page.get_attribute("html", "lang") == language, path
        await unfold(page)
        assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], path
        # Whatever can be pressed is big enough for a finger.
        heights = await page.locator("main button").evaluate_all("all => all.map(each => each.offsetHeight)")
        assert all(height >= 44 for height in heights), path
    await page.context.close()
