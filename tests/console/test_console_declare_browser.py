"""Declaring in a browser: a fire in a minute and twelve inputs; no tab, network or session loses what was typed."""

import base64
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from time import monotonic

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.async_api import expect

from service.auth.authentication import SESSION_COOKIE, session_digest
from service.cli.demo.public_incidents import load_public_incidents
from service.ports.accounts import Role
from service.ports.sessions import Session
from support.browsed_site import browsed_site
from support.people import Person, act_of, person
from support.scenario import customer, ok

expect.set_options(timeout=30_000)

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD = "lantern otter velvet quarry"
PHONE = {"width": 360, "height": 740}
#: From the sign-in to the declared incident.
MOST_SECONDS, MOST_INPUTS = 60, 12


async def give_session(context, whom):
    cookie = {"name": SESSION_COOKIE, "value": whom.secret, "url": "https://localhost", "secure": True}
    await context.add_cookies([cookie])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(prepared_folder, tmp_path_factory, chromium):
    async with browsed_site(chromium, prepared_folder, tmp_path_factory.mktemp("browsed")) as begun:
        for name, region in (("Alpha", "sbg"), ("Beta", "sbg"), ("Gamma", "gra")):
            await customer(begun.api, name, contacts=((f"soc@{name.lower()}.example", "en"),), regions=[region])
        yield begun


@dataclass
class CountedHands:
    """A person at a page, whose inputs are counted: a field that is typed, a click and a choice are one each."""

    page: object
    inputs: list = field(default_factory=list)

    async def type(self, locator, text):
        self.inputs.append(f"type {text!r}")
        await locator.fill(text)

    async def click(self, locator):
        self.inputs.append(f"click {await locator.inner_text() or await locator.get_attribute('value')!r}")
        await locator.click()


async def enrolled(site, name):
    """Make an analyst with a password and an authenticator app; returns the address and a function for codes."""
    invited = await person(site.service, name, (Role.ANALYST, None))
    act, links = act_of(site.service), site.service.parts.console.password_links
    secret = await site.service.parts.store.write(lambda tx: links.invite(tx, act, invited.account))
    async with site.opened(java_script_enabled=False) as page:
        await page.goto(f"/invitation/{secret}")
        for selector in ("#password", "#repeated, input[type=password] >> nth=1"):
            await page.locator(selector).first.fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.locator("#email").fill(invited.account.email)
        await page.locator("#password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Set up an authenticator app").click()
        address = await page.locator("a[href^='otpauth:']").get_attribute("href")
        seed = re.search(r"secret=([A-Z2-7]+)", address)[1]
        generator = TOTP(base64.b32decode(seed), 6, SHA1(), 30)

        def code(after_seconds=0):
            now = site.service.parts.context.clock.now().timestamp()
            return generator.generate(now + after_seconds).decode()

        await page.get_by_label("Code of the app").fill(code())
        await page.get_by_role("button", name="Finish").click()
        await expect(page.get_by_role("status")).to_have_text("The authenticator app is set up.")
    # A code is taken once; the next one is taken a little early.
    return invited.account.email, lambda: code(30)


async def test_a_fire_is_declared_rightly_within_a_minute_and_twelve_inputs(site):
    email, code = await enrolled(site, "Night")
    known = next(each for each in load_public_incidents() if each.slug == "ovhcloud-sbg2-fire-first-hours-2021")
    async with site.opened() as page:
        await page.goto("/sign-in")
        hands, begun = CountedHands(page), monotonic()
        await hands.type(page.locator("#email"), email)
        await hands.type(page.locator("#password"), PASSWORD)
        await hands.click(page.get_by_role("button", name="Sign in", exact=True))
        await hands.type(page.get_by_label("Code"), code())
        await hands.click(page.locator("main button").first)
        await hands.click(page.get_by_role("link", name="Declare", exact=True))
        await hands.type(page.get_by_label("Title").first, "Fire in the SBG2 datacenter in Strasbourg")
        await hands.type(page.get_by_label("What happened").first, "A fire is burning in SBG2. All services are down.")
        await hands.click(page.get_by_role("button", name="Now").first)
        await hands.click(page.get_by_role("button", name="Site lost"))
        await hands.click(page.get_by_label("sbg", exact=True))
        # What it comes to is there before it is declared.
        await expect(page.locator("#consequence")).to_contain_text("2 to notify")
        await hands.click(page.get_by_role("button", name="Declare the incident").last)
        await page.wait_for_url(re.compile(r"/incidents/[0-9a-f-]{36}$"))
        seconds = monotonic() - begun
        incident = await ok(site.api.get(page.url.removeprefix(site.origin)))
    found, expected = incident["classification"], known.expected
    assert found["nature"] == expected["nature"]
    assert found["possible_natures"] == expected["possible_natures"]
    assert found["provisional"] == expected["provisional"]
    assert (found["priority"], found["gti_seconds"]) == (expected["priority"], expected["gti_seconds"])
    assert [each["fact"] for each in found["open_questions"]] == ["intent", "security_measures_harmed"]
    assert incident["facts"]["regions"] == ["sbg"]
    assert len(hands.inputs) <= MOST_INPUTS, hands.inputs
    assert seconds <= MOST_SECONDS, seconds


async def typed_title(page, text):
    await page.get_by_label("Title").first.fill(text)
    await expect(page.locator("#draft-said")).to_have_text("Draft saved")


async def test_a_closed_tab_loses_nothing(site):
    ada = await person(site.service, "Ada", (Role.ANALYST, None))
    async with site.opened(ada) as page:
        await page.goto("/incidents/new")
        await page.get_by_role("button", name="Ransomware").click()
        await typed_title(page, "Typed before the tab was closed")
        other = await page.context.new_page()
        await page.close()
        await other.goto("/")
        await other.get_by_role("link", name="Declare", exact=True).click()
        await other.get_by_role("link", name="Typed before the tab was closed").click()
        await expect(other.get_by_label("Title").first).to_have_value("Typed before the tab was closed")
        await expect(other.locator("input[name=intent][value=malicious]")).to_be_checked()


async def test_a_closed_tab_loses_nothing_of_an_announcement(site):
    """By itself with script; without, what the button saved; and it is gone when it is announced."""
    dora = await person(site.service, "Dora", (Role.ADMINISTRATOR, None))
    title, text = "title.en", "We replace both controllers."

    async def filled(page, name):
        await expect(page.locator(f"[name='{title}']")).to_have_value(name)
        await expect(page.locator("[name='text.en']")).to_have_value(text)

    async with site.opened(dora) as page:
        await page.goto("/announcements/new")
        await page.locator("a[href$='kind=planned_work']").click()
        await page.locator(f"[name='{title}']").fill("New storage controllers")
        await page.locator("[name='text.en']").fill(text)
        await expect(page.locator("#draft-said")).to_have_text("Draft saved")
        other = await page.context.new_page()
        await page.close()
        await other.goto("/announcements")
        await other.get_by_role("link", name="New storage controllers").click()
        await filled(other, "New storage controllers")
        assert not page.complaints
    async with site.opened(dora, java_script_enabled=False) as page:
        await page.goto("/announcements/drafts")
        await page.get_by_role("link", name="Go on").click()
        await page.locator(f"[name='{title}']").fill("Newer storage controllers")
        await page.get_by_role("button", name="Save as a draft").click()
        await expect(page.get_by_role("status").first).to_have_text("The draft is saved.")
    async with site.opened(dora) as page:
        await page.goto("/announcements/drafts")
        await page.get_by_role("link", name="Newer storage controllers").click()
        await filled(page, "Newer storage controllers")
        for field in await page.locator("[name^='item.'][name$='.en']").all():
            await field.fill("Words on it")
        await page.locator("#occurs_at").fill("2099-01-12T22:00")
        await page.get_by_role("button", name="Declare and draft the notices").click()
        await page.wait_for_url(re.compile(r"/announcements/[0-9a-f-]{36}$"))
        await page.goto("/announcements/drafts")
        await expect(page.get_by_role("heading", name="No drafts")).to_be_visible()


async def test_a_lost_network_is_said_and_what_was_typed_is_saved_when_it_is_back(site):
    bo = await person(site.service, "Bo", (Role.ANALYST, None))
    async with site.opened(bo) as page:
        await page.goto("/incidents/new")
        await typed_title(page, "Before")
        address = page.url
        await page.context.set_offline(offline=True)
        await page.get_by_label("Title").first.fill("Typed without a network")
        await expect(page.locator("#draft-said")).to_contain_text("No connection: the draft is not saved.")
        # It cannot be sent either, and stays on the page.
        await page.get_by_label("What happened").first.fill("Words")
        await page.get_by_role("button", name="Now").first.click()
        await page.get_by_role("button", name="Declare the incident").click()
        await expect(page.locator("#draft-said")).to_contain_text("No connection")
        assert page.url == address
        await expect(page.get_by_label("Title").first).to_have_value("Typed without a network")
        await page.context.set_offline(offline=False)
        await expect(page.locator("#draft-said")).to_have_text("Draft saved")
        async with site.opened(bo) as elsewhere:
            await elsewhere.goto(address)
            await expect(elsewhere.get_by_label("Title").first).to_have_value("Typed without a network")


async def test_an_ended_session_keeps_the_text_and_goes_on_after_a_new_sign_in(site):
    cy = await person(site.service, "Cy", (Role.ANALYST, None))
    async with site.opened(cy) as page:
        await page.goto("/incidents/new")
        await typed_title(page, "Before the session ended")
        await page.context.clear_cookies()
        await page.get_by_label("Title").first.fill("After the session ended")
        await expect(page.locator("#draft-said")).to_contain_text("Your session has ended.")
        await page.get_by_label("What happened").first.fill("Words")
        await page.get_by_role("button", name="Now").first.click()
        await page.get_by_role("button", name="Declare the incident").click()
        await expect(page.get_by_role("link", name="Sign in again")).to_be_visible()
        await expect(page.get_by_label("Title").first).to_have_value("After the session ended")
        # The way to sign in leads to the draft.
        way = await page.get_by_role("link", name="Sign in again").get_attribute("href")
        async with site.opened() as stranger:
            await stranger.goto(way)
            return_to = await stranger.locator("input[name=return_to]").first.get_attribute("value")
            assert return_to.startswith("/incidents/new?draft=")
        # A session of the same account in another tab: the page proves itself anew and goes on by itself.
        await give_session(page.context, await another_session(site, cy))
        await page.get_by_label("Title").first.fill("Goes on")
        await page.get_by_role("button", name="Save as a draft").click()
        await expect(page.locator("main [role=status]").first).to_have_text("The draft is saved.")
        await expect(page.get_by_label("Title").first).to_have_value("Goes on")


async def another_session(site, whom):
    """Return the same person with another session."""
    act, secret = act_of(site.service), secrets.token_urlsafe(32)
    session_id = act.identifiers.new_id()
    session = Session(
        session_id, whom.account.id, session_digest(secret), "password+totp", "Browser", act.now, act.now,
        act.now + timedelta(hours=1),
    )  # fmt: skip
    await site.service.parts.store.write(lambda tx: tx.sessions.add(session))
    return Person(whom.account, session_id, secret)


async def test_two_tabs_do_not_overwrite_each_other(site):
    di = await person(site.service, "Di", (Role.ANALYST, None))
    async with site.opened(di) as page:
        await page.goto("/incidents/new")
        await typed_title(page, "First tab")
        other = await page.context.new_page()
        await other.goto(page.url)
        await typed_title(other, "Second tab")
        await page.get_by_label("Title").first.fill("First tab again")
        await expect(page.locator("#draft-said")).to_contain_text("this draft was changed elsewhere")
        await page.get_by_role("button", name="Save as a draft").click()
        conflict = page.locator("#conflict")
        await expect(conflict).to_contain_text("Second tab")
        await expect(conflict).to_contain_text("First tab again")
        await expect(page.get_by_label("Title").first).to_have_value("First tab again")


async def test_without_scripts_everything_is_there(site):
    ed = await person(site.service, "Ed", (Role.ANALYST, None))
    async with site.opened(ed, java_script_enabled=False) as page:
        await page.goto("/incidents/new")
        await page.get_by_label("Title").first.fill("Without a script")
        await page.get_by_label("What happened").first.fill("Words")
        await page.get_by_role("button", name="Denial-of-service attack").click()
        await expect(page.locator("input[name=intent][value=malicious]")).to_be_checked()
        # Enter in a field declares nothing.
        await page.get_by_label("Title").first.press("Enter")
        await expect(page.locator("#consequence")).to_contain_text("security incident")
        assert "/incidents/new/consequence" in page.url
        await page.get_by_role("button", name="Save as a draft").click()
        await expect(page.locator("main [role=status]").first).to_have_text("The draft is saved.")
        await page.get_by_label("When did we become aware?", exact=True).fill("2026-03-10T02:40")
        await page.get_by_role("button", name="Declare the incident").click()
        await page.wait_for_url(re.compile(r"/incidents/[0-9a-f-]{36}$"))


async def test_the_pages_fit_a_phone_in_every_language_and_the_browser_complains_of_nothing(site):
    for language in ("fr", "en", "de"):
        reader = await person(site.service, f"Phone{language}", (Role.ANALYST, None), language=language)
        async with site.opened(reader, viewport=PHONE, locale=language) as page:
            await page.goto("/incidents/new")
            await page.locator("[data-picture]").first.click()
            await expect(page.locator("#draft-said")).not_to_be_empty()
            for path in (page.url, "/drafts"):
                await page.goto(path)
                for summary in await page.locator("main summary").all():
                    await summary.click()
                assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], (language, path)
            assert page.complaints == []
            levels = await page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(each => +each.tagName[1])")
            assert levels[0] == 1
            assert all(after - before <= 1 for before, after in pairwise(levels))


async def test_what_is_wrong_has_its_words_and_every_control_its_label(site):
    flo = await person(site.service, "Flo", (Role.ANALYST, None))
    async with site.opened(flo) as page:
        await page.goto("/incidents/new")
        bare = await page.evaluate(
            """[...document.querySelectorAll("main input:not([type=hidden]), main select, main textarea")]
            .filter(each => !each.labels?.length && !each.getAttribute("aria-label")).map(each => each.name)"""
        )
        assert bare == []
        dangling = await page.evaluate(
            """[...document.querySelectorAll("[aria-describedby], [aria-labelledby]")].flatMap(each =>
            `${each.getAttribute("aria-describedby") ?? ""} ${each.getAttribute("aria-labelledby") ?? ""}`
            .split(" ").filter(id => id && !document.getElementById(id)))"""
        )
        assert dangling == []
        twice = await page.evaluate(
            """(ids => ids.filter((id, at) => ids.indexOf(id) !== at))
            ([...document.querySelectorAll("[id]")].map(each => each.id))"""
        )
        assert twice == []
