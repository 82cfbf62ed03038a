"""The pages of a customer in a real browser: on a phone, in every language, by keyboard, without scripts, sound."""

from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import expect

from service.ports.accounts import Role
from support.browsed_site import BrowsedSite, browsed_site
from support.chromium import unfold
from support.people import person
from support.scenario import affected, customer, declare, harm, ok, release

expect.set_options(timeout=30_000)

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"width": 360, "height": 740}
#: What is wrong with a page: identifiers twice, fields without a label, headings that skip, references to nothing.
FAULTS = """() => {
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  const twice = ids.filter((id, at) => ids.indexOf(id) !== at);
  const fields = [...document.querySelectorAll("main :is(input:not([type=hidden]), select, textarea)")];
  const unlabelled = fields.filter((each) => !each.labels?.length && !each.ariaLabel).map((each) => each.name);
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((each) => Number(each.tagName[1]));
  const skips = levels.filter((level, at) => level > (levels[at - 1] ?? 0) + 1);
  const ones = levels.filter((level) => level === 1).length;
  const named = [...document.querySelectorAll("[aria-describedby], [aria-labelledby]")].flatMap((each) =>
    [each.getAttribute("aria-describedby"), each.getAttribute("aria-labelledby")].filter(Boolean).join(" ").split(" "));
  const lost = named.filter((id) => !document.getElementById(id));
  return { twice, unlabelled, skips, lost, ones: ones - 1 };
}"""
SOUND = {"twice": [], "unlabelled": [], "skips": [], "lost": [], "ones": 0}


@dataclass
class Site(BrowsedSite):
    """A browsed service with two customers and a notice each."""

    customers: list
    notices: dict


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(prepared_folder, tmp_path_factory, chromium):
    async with browsed_site(chromium, prepared_folder, tmp_path_factory.mktemp("browsed")) as begun:
        customers = [
            await customer(
                begun.api, name, contacts=((f"soc@{name[:4].lower()}.example", "en"),), acknowledge_within_seconds=3600
            )
            for name in ("Alpha_with_a_name_that_is_long_and_has_no_space_to_break_at_anywhere", "Beta")
        ]
        entries = [affected(each, data_harm=harm(confidentiality="yes")) for each in customers]
        title = {"en": "Credentials_of_an_administration_console_that_were_exposed_by_a_misconfiguration"}
        incident = await declare(
            begun.api, title=title, impact="I1", service_harm=harm(confidentiality="yes"), affected_customers=entries
        )
        notices = {each["customer_id"]: each["id"] for each in await release(begun.api, incident)}
        await begun.service.sink.wait_for(2, timeout_seconds=60)
        yield Site(**vars(begun), customers=customers, notices=notices)


@pytest.mark.parametrize("language", ["en", "fr", "de"])
async def test_every_page_is_sound_and_fits_a_phone(site, language):
    alpha = site.customers[0]["id"]
    roles = (Role.CUSTOMER_MANAGER, alpha), (Role.CUSTOMER_MEMBER, site.customers[1]["id"]), (Role.ANALYST, None)
    reader = await person(site.service, f"Reader{language}", *roles, language=language)
    contact = (await ok(site.api.get(f"/customers/{alpha}/contacts")))["items"][0]["id"]
    page = await site.page(reader, viewport=PHONE, locale=language, color_scheme="dark")
    long_question = "Question_without_any_space_" * 10
    await page.goto(f"/notices/{site.notices[alpha]}")
    await page.locator("#question").fill(long_question)
    await page.locator("form[action*='/questions'] button.primary").last.click()
    await page.wait_for_url("**done=asked*")
    question = (await ok(site.api.get("/questions")))["items"][-1]["id"]
    for path in (
        "/inbox",
        f"/inbox?customer={alpha}&show=unread&contains=nothing",
        f"/notices/{site.notices[alpha]}",
        "/questions",
        f"/questions/{question}",
        f"/customers/{alpha}/contacts",
        f"/customers/{alpha}/contacts/new",
        f"/customers/{alpha}/contacts/{contact}",
        f"/customers/{alpha}/levels",
        f"/customers/{alpha}/members",
        f"/customers/{alpha}/trail",
        f"/customers/{alpha}/data",
    ):
        answer = await page.goto(path)
        assert answer.status == 200, path
        await unfold(page)
        assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], path
        assert await page.evaluate(FAULTS) == SOUND, path
        heights = await page.locator("main button:visible").evaluate_all("all => all.map(each => each.offsetHeight)")
        assert all(height >= 44 for height in heights), path
    assert page.complaints == []
    await page.context.close()


async def test_a_day_of_a_member_goes_by_keyboard_alone_and_without_scripts(site):
    beta = site.customers[1]["id"]
    member = await person(site.service, "Kim", (Role.CUSTOMER_MEMBER, beta))
    page = await site.page(member, java_script_enabled=False)
    await page.goto("/inbox")
    link = page.get_by_role("link", name="Credentials_of_an_administration_console")
    await link.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Credentials_of")
    await page.get_by_role("button", name="Acknowledge receipt").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Your acknowledgement is recorded.")).to_be_visible()
    await page.get_by_label("Ask the provider about this notice").focus()
    await page.keyboard.type("Which machines?")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Your question has reached the provider")).to_be_visible()
    await page.get_by_label("Partly").focus()
    await page.keyboard.press("Space")
    await page.get_by_role("button", name="Send", exact=True).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Thank you. You can change it at any time.")).to_be_visible()
    await page.get_by_role("link", name="Notices", exact=True).focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("main h1")).to_have_text("Inbox: your notices")
    await expect(page.locator("main .counts")).to_contain_text("Nothing waits for you")
    await page.context.close()


async def test_a_form_that_is_refused_has_the_focus_at_the_wrong_field(site):
    alpha = site.customers[0]["id"]
    manager = await person(site.service, "Lou", (Role.CUSTOMER_MANAGER, alpha))
    page = await site.page(manager)
    await page.goto(f"/customers/{alpha}/contacts/new")
    await page.get_by_label("Name of the person or mailbox").fill("CERT")
    await page.get_by_label("E-mail address").fill("cert@alph.example")
    await page.get_by_label("Telephone (optional)").fill("call me")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("#phone")).to_be_focused()
    await expect(page.locator("#phone-error")).to_be_visible()
    await expect(page.get_by_label("Name of the person or mailbox")).to_have_value("CERT")
    assert [text for text in page.complaints if "422" not in text] == []
    await page.context.close()
