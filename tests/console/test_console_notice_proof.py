"""A notice is checked in the reader's browser: what is genuine is said to be, and a changed byte is found and named."""

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import pytest
import pytest_asyncio
from playwright.async_api import expect

from service.ports.accounts import Role
from support.browsed_site import BrowsedSite, browsed_site
from support.people import person
from support.scenario import affected, customer, declare, harm, ok, release

expect.set_options(timeout=30_000)

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTS = {
    "document": "the document (notice.json)",
    "signature": "the signature (notice.json.p7s)",
    "timestamp": "the timestamp (notice.json.tsr)",
    "proof": "the proof of the log (notice.tlog-proof)",
}


@dataclass
class Site(BrowsedSite):
    """A browsed service with one sealed, dated and proven notice."""

    customer: dict
    notice: str

    async def open(self, name, language="en", **options):
        """Open the notice's page as a member."""
        reader = await person(self.service, name, (Role.CUSTOMER_MEMBER, self.customer["id"]), language=language)
        page = await self.page(reader, locale=language, **options)
        await page.goto(f"/notices/{self.notice}")
        return page

    async def falsify(self, page, end, change):
        """Open the notice's page anew; what comes from the end of a path is changed by a function of the bytes."""
        await page.unroute_all()
        await page.route(f"**/notices/*/{end}", self._changing(change))
        await page.goto(f"/notices/{self.notice}")

    @staticmethod
    def _changing(change):
        async def handle(route):
            # The frame with the words is left as it is: what a script fetches is changed.
            if route.request.resource_type != "fetch":
                await route.continue_()
                return
            answer = await route.fetch()
            await route.fulfill(response=answer, body=change(await answer.body()))

        return handle


@asynccontextmanager
async def site_with_a_notice(chromium, prepared_folder, place, **settings):
    """Start a service and tell one customer."""
    async with browsed_site(chromium, prepared_folder, place, **settings) as begun:
        made = await customer(
            begun.api, "Alpha", contacts=(("soc@alpha.example", "en"),), acknowledge_within_seconds=3600
        )
        entries = [affected(made, data_harm=harm(confidentiality="yes"), effect={"en": "Two of your machines."})]
        incident = await declare(
            begun.api,
            impact="I1",
            service_harm=harm(confidentiality="yes"),
            affected_customers=entries,
            recommendations={"en": "Renew your <b>keys</b>."},
        )
        (notice,) = await release(begun.api, incident)
        await begun.service.sink.wait_for(1, timeout_seconds=60)
        yield Site(**vars(begun), customer=made, notice=notice["id"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(prepared_folder, tmp_path_factory, chromium):
    async with site_with_a_notice(chromium, prepared_folder, tmp_path_factory.mktemp("browsed")) as begun:
        yield begun


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(site):
    """A page for falsified answers, the same for each: a new profile costs more than ten pages."""
    page = await site.open("Member")
    yield page
    await page.context.close()


async def verdict(page):
    place = page.locator("[data-notice-proof]")
    await expect(place).to_have_attribute("data-verdict", re.compile("."))
    return await place.get_attribute("data-verdict"), await place.inner_text()


async def test_a_genuine_notice_is_said_to_be_with_what_was_checked_and_what_was_not(site):
    page = await site.open("Anna")
    found, said = await verdict(page)
    assert found == "genuine"
    sealed = await site.service.parts.store.read(lambda tx: tx.notices.seal(UUID(site.notice)))
    fingerprint = site.service.parts.context.sealing.signer.fingerprint
    index = re.search(rb"\nindex (\d+)\n", sealed.log_proof)[1].decode()
    assert re.search(rf"Genuine: signed by .+ \(certificate fingerprint {fingerprint}\), timestamped .+ by .+,", said)
    assert f"entry {index} of the log" in said
    for part in ("document", "signature", "timestamp"):
        assert PARTS[part] in said
    assert "Words: what this page shows are the sealed words" in said
    whole = await page.inner_text("main")
    assert "What only the offline verifier checks" in whole
    # The anchors are there to be compared.
    keys = (await site.api.get("/audit/verifier-key")).text.strip()
    assert keys in whole
    assert page.complaints == []
    await page.context.close()


def changed_at(place):
    """Return the function that changes one bit of a file: at a part of its length, or in its last byte (-1)."""

    def changed(content):
        content = bytearray(content)
        at = len(content) - 1 if place == -1 else int(len(content) * place)
        content[at] ^= 1
        return bytes(content)

    return changed


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("place", [0, 0.37, 0.62, -1])
async def test_a_changed_byte_is_found_and_the_file_is_named(site, page, part, place):
    await site.falsify(page, part, changed_at(place))
    found, said = await verdict(page)
    assert found == "alert", said
    line = next(line for line in said.splitlines() if line.startswith("Not genuine"))
    assert PARTS[part] in line
    assert not any(name in line for other, name in PARTS.items() if other != part), line
    assert "Genuine:" not in said


async def test_other_words_than_the_sealed_ones_and_another_notices_files_are_found(site, page):
    await site.falsify(page, "words/*", lambda content: content.replace(b"</p>", b"!</p>", 1))
    found, said = await verdict(page)
    assert (found, "the words shown on this page" in said) == ("alert", True)
    await site.falsify(page, "document", lambda _content: b"{}")
    found, said = await verdict(page)
    assert (found, PARTS["document"] in said) == ("alert", True)


async def test_a_browser_without_ed25519_says_so_and_not_that_it_is_genuine(site):
    page = await site.open("Old")
    await verdict(page)
    await page.add_init_script(
        "const own = crypto.subtle.importKey.bind(crypto.subtle);"
        "crypto.subtle.importKey = (form, key, kind, ...rest) => kind?.name === 'Ed25519'"
        " ? Promise.reject(new DOMException('no', 'NotSupportedError')) : own(form, key, kind, ...rest);"
    )
    await page.reload()
    found, said = await verdict(page)
    assert found == "info"
    assert "this browser lacks Ed25519" in said
    assert "Genuine:" not in said
    await page.context.close()


async def test_without_scripts_the_page_says_how_to_check_by_a_command(site):
    page = await site.open("Noscript", java_script_enabled=False)
    await expect(page.locator("[data-notice-proof]")).to_be_hidden()
    whole = await page.inner_text("main")
    assert "Without JavaScript this page checks nothing" in whole
    assert "greffier verify notice.eml --trust trust" in whole
    await page.context.close()


async def test_a_notice_says_in_short_what_happened_what_it_means_what_to_do_and_by_when(site):
    page = await site.open("Brief")
    brief = page.get_by_role("region", name="In short")
    headings = await brief.get_by_role("heading", level=3).all_inner_texts()
    assert headings == ["What happened", "What it means for you", "What to do", "By when"]
    for words in ("Something happened.", "You are affected.", "confidentiality", "Two of your machines.",
                  "Renew your <b>keys</b>.", "Acknowledge this notice by"):  # fmt: skip
        await expect(brief).to_contain_text(words)
    await page.context.close()


@pytest.mark.parametrize(("language", "words"), [("fr", "Authentique : signée par"), ("de", "Echt: signiert von")])
async def test_the_verdict_speaks_the_readers_language_and_fits_a_phone(site, language, words):
    page = await site.open(f"Phone{language}", language=language, viewport={"width": 360, "height": 740})
    found, said = await verdict(page)
    assert (found, words in said.replace("\u202f", " ").replace("\u00a0", " ")) == ("genuine", True)
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
    assert (await ok(site.api.get(f"/notices/{site.notice}")))["state"] == "sealed"
    await page.context.close()
