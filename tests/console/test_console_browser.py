"""The pages in a real browser: by keyboard, without scripts, with a passkey, on a phone."""

import base64
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.async_api import expect

from service.auth.authentication import SESSION_COOKIE
from service.auth.sign_in.sessions import DEVICE_COOKIE
from service.ports.accounts import Role
from service.web.console.catalogues import text
from support.browsed_site import BrowsedSite, browsed_site
from support.chromium import unfold
from support.people import act_of, person
from support.scenario import affected, customer, declare, harm, release

# A loaded machine takes its time.
expect.set_options(timeout=30_000)

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD = "lantern otter velvet quarry"
PHONE = {"width": 360, "height": 740}
AT_PROVIDER = (Role.ANALYST, Role.APPROVER, Role.ADMINISTRATOR, Role.AUDITOR)


@dataclass
class Site(BrowsedSite):
    """A browsed service, and what there is to see."""

    customers: list
    notice: dict

    async def invited(self, name, *grants):
        """Make a person that was invited; returns the path of its invitation and its address."""
        invited = await person(self.service, name, *grants)
        act, links = act_of(self.service), self.service.parts.console.password_links
        secret = await self.service.parts.store.write(lambda tx: links.invite(tx, act, invited.account))
        return f"/invitation/{secret}", invited.account.email


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(prepared_folder, tmp_path_factory, chromium):
    async with browsed_site(chromium, prepared_folder, tmp_path_factory.mktemp("browsed")) as begun:
        customers = [
            await customer(begun.api, name, contacts=((f"soc@{name.lower()}.example", "en"),))
            for name in ("Alpha", "Beta")
        ]
        entries = [affected(each, data_harm=harm(confidentiality="yes")) for each in customers]
        title = {"en": "Credentials_of_an_administration_console_that_were_exposed_by_a_misconfiguration"}
        incident = await declare(
            begun.api, title=title, impact="I1", service_harm=harm(confidentiality="yes"), affected_customers=entries
        )
        (notice, *_) = await release(begun.api, incident)
        await begun.service.sink.wait_for(2, timeout_seconds=60)
        yield Site(**vars(begun), customers=customers, notice=notice)


async def type_password_twice(page):
    """Set a password by keyboard: the first field has the focus."""
    await expect(page.locator("#password")).to_be_focused()
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("Your password is set")


async def type_sign_in(page, email):
    """Sign in by keyboard: the first field has the focus."""
    await expect(page.locator("#email")).to_be_focused()
    await page.keyboard.type(email)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")


async def test_an_invitation_is_taken_and_signed_in_with_by_keyboard_alone(site):
    invitation, email = await site.invited("Kim", (Role.CUSTOMER_MEMBER, site.customers[0]["id"]))
    page = await site.page()
    await page.goto(invitation)
    await expect(page.locator("#password")).to_be_focused()
    await page.keyboard.press("Tab")
    # Wherever the focus goes, it is seen.
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    await page.keyboard.press("Shift+Tab")
    await type_password_twice(page)
    await type_sign_in(page, email)
    await expect(page.get_by_role("heading", level=1)).to_have_text("My account")
    await page.goto("/")
    await expect(page.get_by_role("heading", level=2).first).to_have_text("Alpha")
    cookies = {cookie["name"]: cookie for cookie in await page.context.cookies()}
    assert {SESSION_COOKIE, DEVICE_COOKIE} <= cookies.keys()
    for name in (SESSION_COOKIE, DEVICE_COOKIE):
        assert cookies[name]["secure"]
        assert cookies[name]["httpOnly"]
        assert cookies[name]["sameSite"] == "Lax"
        assert cookies[name]["path"] == "/"
    assert page.complaints == []
    # The link is used up, and looking at it tells nothing.
    answer = await page.goto(invitation)
    assert answer.status == 410


async def test_everything_but_passkeys_works_without_scripts(site):
    invitation, email = await site.invited("Noa", (Role.ANALYST, None))
    page = await site.page(java_script_enabled=False)
    await page.goto(invitation)
    await type_password_twice(page)
    assert "Passkeys need JavaScript" in await page.inner_text("main")
    await type_sign_in(page, email)
    # An analyst needs a second factor before anything else.
    await expect(page.get_by_role("alert")).to_contain_text("Your role needs a second factor")
    await page.get_by_role("button", name="Set up an authenticator app").click()
    await expect(page.get_by_role("img")).to_be_visible()
    address = await page.locator("a[href^='otpauth:']").get_attribute("href")
    generator = TOTP(base64.b32decode(parse_qs(urlsplit(address).query)["secret"][0]), 6, SHA1(), 30)
    now = site.service.parts.context.clock.now().timestamp()
    await page.get_by_label("Code of the app").fill(generator.generate(now).decode())
    await page.get_by_role("button", name="Finish").click()
    await expect(page.get_by_role("status")).to_have_text("The authenticator app is set up.")
    await page.get_by_role("button", name="Make new recovery codes").click()
    codes = await page.locator(".secrets code").all_inner_texts()
    assert len(codes) == 10
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await expect(page.get_by_role("status")).to_have_text("You are signed out.")
    await type_sign_in(page, email)
    await page.get_by_label("Code").fill("000000000")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("That code is not right. Try again.")
    await page.get_by_label("Code").fill(codes[0])
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=2, name="What waits for you")).to_be_visible()


async def test_a_passkey_is_enrolled_and_signs_in(site):
    invitation, email = await site.invited("Pat", (Role.CUSTOMER_MEMBER, site.customers[0]["id"]))
    page = await site.page()
    devices = await page.context.new_cdp_session(page)
    await devices.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    await page.goto(invitation)
    await type_password_twice(page)
    await type_sign_in(page, email)
    await expect(page.get_by_role("heading", level=1)).to_have_text("My account")
    await page.locator("#passkey-name").fill("Test device")
    await page.get_by_role("button", name="Add a passkey").click()
    await expect(page.get_by_role("status")).to_have_text("The passkey is added.")
    await expect(page.get_by_role("heading", name="Test device")).to_be_visible()
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Home")
    assert page.complaints == []
    await page.goto("/account")
    await page.get_by_label("Name of the passkey").first.fill("Renamed")
    await page.get_by_role("button", name="Rename").click()
    await expect(page.get_by_role("heading", name="Renamed")).to_be_visible()
    await page.get_by_role("button", name="Remove").first.click()
    await expect(page.get_by_role("status")).to_have_text("The passkey is removed.")


async def test_no_page_is_wider_than_a_phone_in_any_language(site):
    roles = (Role.CUSTOMER_MEMBER, site.customers[0]["id"]), (Role.CUSTOMER_MANAGER, site.customers[1]["id"])
    for language in ("fr", "en", "de"):
        reader = await person(site.service, f"Reader{language}", *roles, (Role.ANALYST, None), language=language)
        page = await site.page(reader, viewport=PHONE, locale=language)
        for path in (
            "/",
            f"/notices/{site.notice['id']}",
            "/account",
            "/sign-in?again=1",
            "/reset",
            "/verify",
            "/audit",
            "/nothing",
        ):
            answer = await page.goto(path)
            assert answer.status in {200, 404}, path
            assert await page.get_attribute("html", "lang") == language
            await unfold(page)
            assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], (language, path)
        assert [text for text in page.complaints if "404" not in text] == []
        await page.context.close()


ROWS = """() => new Set([...document.querySelectorAll("header nav :is(li, summary)")]
    .filter(each => each.checkVisibility()).map(each => each.getBoundingClientRect().top)).size"""


@pytest.mark.parametrize("language", ["fr", "en", "de"])
async def test_the_menu_takes_two_rows_at_most_and_opens_by_keyboard_without_scripts(site, language):
    reader = await person(site.service, f"Menu{language}", *((role, None) for role in AT_PROVIDER), language=language)
    page = await site.page(reader, viewport=PHONE, locale=language, java_script_enabled=False)
    await page.goto("/customers")
    navigation = page.get_by_role("navigation", name=text("layout.navigation", language))
    here = navigation.get_by_role("link", name=text("layout.customers", language), exact=True)
    assert await page.evaluate(ROWS) == 1
    # Where the reader is stands on the closed menu too.
    await expect(navigation.locator("summary")).to_contain_text(text("layout.customers", language))
    await expect(here).to_be_hidden()
    await page.locator("header .own button").last.focus()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(here).to_be_visible()
    await expect(here).to_have_attribute("aria-current", "page")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(text("home.title", language))
    for width in (600, 768, 769, 1024, 1280):
        await page.set_viewport_size({"width": width, "height": 740})
        assert await page.evaluate(ROWS) <= 2, width
    await expect(here).to_be_visible()
    assert await navigation.get_by_role("link").count() == await here.locator("xpath=../../li").count()
    await page.context.close()


async def test_sealed_words_stand_in_a_frame_that_can_do_nothing(site):
    reader = await person(site.service, "Framed", (Role.CUSTOMER_MEMBER, site.notice["customer_id"]))
    page = await site.page(reader)
    await page.goto(f"/notices/{site.notice['id']}")
    frame = page.frame_locator("iframe.words")
    await expect(frame.get_by_role("heading", level=1)).to_contain_text("Initial notice")
    # Its own style sheet is let in by its digest.
    assert await frame.locator("main").evaluate("each => getComputedStyle(each).maxWidth") == "720px"
    assert page.complaints == []
    async with page.expect_download() as download:
        await page.get_by_role("link", name="notice.json", exact=True).click()
    assert (await download.value).suggested_filename == "notice.json"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def notice_files(site, tmp_path_factory):
    """The files of the notice as the API hands them out, with the log's key, and a document of somebody else."""
    folder = tmp_path_factory.mktemp("notice")
    headers = {"Authorization": f"Bearer {site.service.token}"}
    async with httpx2.AsyncClient(base_url=f"{site.service.url}/api/v1", headers=headers, timeout=120) as api:
        for name, path in (
            ("notice.tlog-proof", "proof"),
            ("notice.json", "document"),
            ("notice.json.p7s", "signature"),
        ):
            (folder / name).write_bytes((await api.get(f"/notices/{site.notice['id']}/{path}")).content)
        (folder / "log.vkey").write_bytes((await api.get("/audit/verifier-key")).content)
    proof = (folder / "notice.tlog-proof").read_bytes()
    index = re.search(rb"\nindex (\d+)\n", proof)
    (folder / "of-another-index").write_bytes(proof.replace(index[0], b"\nindex %d\n" % (int(index[1]) - 1)))
    (folder / "other.json").write_bytes((folder / "notice.json").read_bytes().replace(b"I1", b"I2"))
    return folder


async def verified(page, files, **chosen):
    """Verify by the form; returns the place of the answer."""
    await page.locator("#key").fill((files / "log.vkey").read_text())
    for field, name in chosen.items():
        await page.locator(f"#{field}").set_input_files(files / name if name else [])
    await page.get_by_role("button", name="Verify", exact=True).click()
    await expect(page.get_by_role("status")).to_be_focused()
    return page.get_by_role("status")


async def test_a_proof_is_verified_in_the_browser_and_nothing_leaves_it(site, notice_files):
    page = await site.page()
    await page.goto("/verify")
    asked = []
    page.on("request", lambda request: asked.append((request.method, urlsplit(request.url).path)))
    proof = "notice.tlog-proof"
    result = await verified(page, notice_files, proof=proof, document="notice.json", signature="notice.json.p7s")
    await expect(result).to_contain_text("The proof holds.")
    await expect(result).to_contain_text("notice.json, notice.json.p7s")
    result = await verified(page, notice_files, proof=proof, document=None, signature=None)
    await expect(result).to_contain_text("No file of the notice was compared")
    result = await verified(page, notice_files, proof=proof, document="other.json")
    await expect(result).to_contain_text("The proof does not hold.")
    await expect(result).to_contain_text("the leaf commits to another document")
    assert "The proof holds." not in await result.inner_text()
    result = await verified(page, notice_files, proof="of-another-index", document="notice.json")
    await expect(result).to_contain_text("inclusion: ")
    # Only the verifier itself was fetched, once it was needed.
    assert {method for method, _ in asked} == {"GET"}
    # The browser asks for the page's icon when it sees fit.
    fetched = re.compile(r"/static/(log-verifier|icon)\.[0-9a-f]{16}\.(js|svg)")
    assert all(fetched.fullmatch(path) for _, path in asked), asked
    assert page.complaints == []


async def test_without_scripts_the_page_says_how_to_verify_by_a_command(site):
    page = await site.page(java_script_enabled=False)
    await page.goto("/verify")
    await expect(page.get_by_text("greffier verify notice.eml")).to_be_visible()
    await expect(page.get_by_text("Without JavaScript")).to_be_visible()
    await expect(page.get_by_role("button", name="Verify", exact=True)).to_be_hidden()


async def test_the_skip_link_comes_first_and_leads_to_the_content(site):
    page = await site.page()
    await page.goto("/nothing")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    assert await page.evaluate("document.activeElement.getBoundingClientRect().left") == 0
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
    assert re.search("#main$", page.url)
