"""Proofs of the log in a real browser: an entry that is in the log, and falsified entries, proofs and heads."""

import base64
import hashlib
import json
import zipfile
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import expect

from notifications.audit.proof import format_proof, parse_proof
from service.ports.accounts import Role
from support import scenario
from support.browsed_site import BrowsedSite, browsed_site
from support.chromium import unfold
from support.people import person

expect.set_options(timeout=30_000)

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"width": 360, "height": 740}
GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


@dataclass
class House(BrowsedSite):
    """A browsed service, and the log that it shows."""

    incident: dict
    customers: list

    @asynccontextmanager
    async def page(self, language="en", **options):
        """Open a page of an auditor."""
        auditor = await person(self.service, f"Iris{next(_NUMBERS)}", (Role.AUDITOR, None), language=language)
        async with self.opened(auditor, locale=language, **options) as page:
            yield page


_NUMBERS = iter(range(10_000))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(prepared_folder, tmp_path_factory, chromium):
    async with browsed_site(chromium, prepared_folder, tmp_path_factory.mktemp("browsed")) as begun:
        customers = [
            await scenario.customer(begun.api, name, contacts=((f"soc@{name.lower()}.example", "en"),))
            for name in ("Alpha", "Beta")
        ]
        incident = await scenario.declare(begun.api, **GRAVE)
        await scenario.release(begun.api, incident)
        await begun.service.sink.wait_for(2, timeout_seconds=60)
        yield House(**vars(begun), incident=incident, customers=customers)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kept_page(house):
    async with house.page() as page:
        yield page


@pytest_asyncio.fixture(loop_scope="session")
async def page(kept_page):
    """A page for falsified answers, the same for each: a new profile costs more than ten pages."""
    yield kept_page
    await kept_page.unroute_all()


async def checked(page, index=3):
    """Open an entry and check its proof; returns the place of the result."""
    await page.goto(f"/audit/entries/{index}")
    await page.get_by_role("button", name="Check the proof", exact=True).click()
    return page.locator("[data-result]")


async def test_an_entry_of_the_log_is_proven_and_the_page_says_what_was_not_checked(house):
    async with house.page() as page:
        result = await checked(page)
        await expect(result).to_contain_text("Entry 3 is in the log of size")
        await expect(result).to_contain_text("head signed by")
        await expect(page.get_by_text("Not checked here: that this key")).to_be_visible()
        await expect(page.get_by_text("Checked in this browser")).to_be_visible()
        assert page.complaints == []


async def falsify(page, pattern, change):
    """Change the answers to a request on their way to the page."""

    async def handle(route):
        answer = await route.fetch()
        await route.fulfill(response=answer, body=change(await answer.body()))

    await page.route(pattern, handle)


def other_leaf(body):
    entry = json.loads(body)
    leaf = base64.b64decode(entry["leaf_base64"]).replace(b'"v":1', b'"v":2')
    return json.dumps(entry | {"leaf_base64": base64.b64encode(leaf).decode()}).encode()


def _proof(body, **changes):
    proof = parse_proof(body)
    parts = {"index": proof.index, "hashes": proof.hashes, "checkpoint": proof.checkpoint} | changes
    return format_proof(parts["index"], parts["hashes"], parts["checkpoint"])


def other_hash(body):
    hashes = parse_proof(body).hashes
    return _proof(body, hashes=(bytes(32), *hashes[1:]))


def other_index(body):
    return _proof(body, index=parse_proof(body).index + 1)


def other_size(body):
    origin, size, rest = parse_proof(body).checkpoint.split(b"\n", 2)
    return _proof(body, checkpoint=b"\n".join((origin, b"%d" % (int(size) + 1), rest)))


def other_root(body):
    origin, size, _, rest = parse_proof(body).checkpoint.split(b"\n", 3)
    return _proof(body, checkpoint=b"\n".join((origin, size, base64.b64encode(bytes(32)), rest)))


@pytest.mark.parametrize(
    ("pattern", "change", "step"),
    [
        ("**/api/v1/audit/entries/3", other_leaf, "Failed at the entry: the service now gives other bytes"),
        ("**/api/v1/audit/entries/3", lambda _: b"<html>", "Failed at the entry"),
        ("**/api/v1/audit/entries/3/proof", other_hash, "Failed at inclusion"),
        ("**/api/v1/audit/entries/3/proof", other_index, "Failed at the proof"),
        ("**/api/v1/audit/entries/3/proof", lambda _: b"nothing", "Failed at the proof"),
        ("**/api/v1/audit/entries/3/proof", other_size, "Failed at the head"),
        ("**/api/v1/audit/entries/3/proof", other_root, "Failed at the head"),
        ("**/api/v1/audit/verifier-key", lambda body: body.replace(b"+", b"x+", 1), "Failed at the key of the log"),
        ("**/api/v1/audit/verifier-key", lambda _: b"", "Failed at the key of the log"),
    ],
)
async def test_what_was_falsified_on_the_way_is_found_and_its_step_is_named(pattern, change, step, page):
    await falsify(page, pattern, change)
    result = await checked(page)
    await expect(result).to_contain_text("The proof does not hold.")
    await expect(result).to_contain_text(step)
    assert "is in the log of size" not in await result.inner_text()


async def test_a_page_that_was_falsified_itself_does_not_lead_to_the_head(house, page):
    """Page and entry agree on other bytes: then the proof does not lead from them to the root."""
    leaf = await house.api.get("/audit/entries/3")
    genuine = leaf.json()["leaf_base64"]
    false = base64.b64encode(base64.b64decode(genuine).replace(b"system:", b"systom:"))
    for pattern in ("**/audit/entries/3", "**/api/v1/audit/entries/3"):
        await falsify(page, pattern, lambda body: body.replace(genuine.encode(), false))
    assert genuine.encode() != false
    result = await checked(page)
    await expect(result).to_contain_text("Failed at inclusion")


async def test_what_cannot_be_loaded_is_not_checked(page):
    await page.route("**/api/v1/audit/entries/3/proof", lambda route: route.fulfill(status=503))
    result = await checked(page)
    await expect(result).to_contain_text("Not checked: something could not be loaded.")


async def test_the_proofs_of_a_whole_page_are_checked(house):
    async with house.page() as page:
        await page.goto("/audit/entries?last=5")
        await page.get_by_role("button", name="Check the proofs of this page").click()
        await expect(page.locator("[data-all-checked]")).to_have_text("6 of 6 proofs hold.")
        assert await page.locator("[data-result].info").count() == 6
        assert page.complaints == []


async def test_without_scripts_there_is_the_proof_and_the_command(house):
    async with house.page(java_script_enabled=False) as page:
        await page.goto("/audit/entries/3")
        await expect(page.get_by_text("Without JavaScript this page cannot check proofs")).to_be_visible()
        await expect(page.get_by_text("greffier audit --log log --trust trust")).to_be_visible()
        await expect(page.get_by_role("button", name="Check the proof", exact=True)).to_be_hidden()
        await expect(page.get_by_role("link", name="Proof (file)")).to_be_visible()


PATHS = (
    "/audit",
    "/audit/entries",
    "/audit/entries/3",
    "/audit/entries?type=nothing.here",
    "/audit/entries?from=x",
    "/audit/heads?older=1&newer=2",
    "/audit/bundles",
    "/audit/bundles?from=2020-01-01&to=2099-01-01",
)


async def test_no_page_is_wider_than_a_phone_in_any_language(house):
    for language in ("fr", "en", "de"):
        async with house.page(language, viewport=PHONE) as page:
            for path in PATHS:
                await page.goto(path)
                await unfold(page)
                assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], (language, path)
                assert await page.locator("h1").count() == 1
            assert [text for text in page.complaints if "422" not in text] == []


# -- heads


async def sizes_of(house):
    """Return the sizes of some heads, rising."""
    heads = (await scenario.ok(house.api.get("/audit/heads", params={"limit": 200})))["items"]
    return sorted(head["size"] for head in heads)


async def compared(page, older, newer):
    """Compare two heads; returns the place of the result."""
    await page.goto(f"/audit/heads?older={older}&newer={newer}")
    await page.get_by_role("button", name="Check in this browser").click()
    return page.locator("[data-result]")


async def test_any_two_heads_are_compared_in_the_browser(house):
    sizes = await sizes_of(house)
    async with house.page() as page:
        for older, newer in ((sizes[0], sizes[-1]), (sizes[2], sizes[7]), (sizes[3], sizes[3])):
            result = await compared(page, older, newer)
            await expect(result).to_contain_text(f"The head of size {newer} extends the head of size {older}")
            await expect(page.get_by_text("Not checked here: that the keys are those")).to_be_visible()
        assert page.complaints == []


def other_root_of_note(body):
    origin, size, _, rest = body.split(b"\n", 3)
    return b"\n".join((origin, size, base64.b64encode(bytes(32)), rest))


def other_proof(body):
    proof = json.loads(body)
    return json.dumps(proof | {"hashes": [base64.b64encode(bytes(32)).decode(), *proof["hashes"][1:]]}).encode()


@pytest.mark.parametrize(
    ("which", "change", "step"),
    [
        ("older", other_root_of_note, "Failed at the older head"),
        ("newer", other_root_of_note, "Failed at the newer head"),
        ("consistency", other_proof, "Failed at consistency"),
        ("consistency", lambda _: b'{"hashes":["!"]}', "Failed at consistency"),
    ],
)
async def test_a_falsified_head_or_proof_is_found_and_its_step_is_named(which, change, step, house, page):
    sizes = await sizes_of(house)
    older, newer = sizes[2], sizes[-2]
    names = {"older": f"heads/{older}", "newer": f"heads/{newer}", "consistency": "consistency?*"}
    await falsify(page, f"**/api/v1/audit/{names[which]}", change)
    result = await compared(page, older, newer)
    await expect(result).to_contain_text("The check does not hold.")
    await expect(result).to_contain_text(step)


async def test_another_head_that_the_log_signed_is_not_taken_for_the_one_asked_for(house, page):
    sizes = await sizes_of(house)
    other = (await house.api.get(f"/audit/heads/{sizes[4]}")).content
    await falsify(page, f"**/api/v1/audit/heads/{sizes[2]}", lambda _: other)
    result = await compared(page, sizes[2], sizes[-1])
    await expect(result).to_contain_text("Failed at the older head")
    result = await compared(page, 10**9, sizes[-1])
    await expect(result).to_contain_text("Not checked")


async def test_without_scripts_there_are_the_files_of_both_heads_and_the_command(house):
    sizes = await sizes_of(house)
    async with house.page(java_script_enabled=False) as page:
        await page.goto("/audit/heads")
        await page.get_by_label("Size of the older head").fill(str(sizes[1]))
        await page.get_by_role("button", name="Check in this browser").click()
        await expect(page.get_by_role("link", name="Consistency proof")).to_be_visible()
        await expect(page.get_by_role("link", name=f"Signed head of size {sizes[1]}", exact=True)).to_be_visible()
        await expect(page.get_by_text("greffier audit --log log --trust trust")).to_be_visible()


# -- bundles


async def test_a_bundle_is_made_with_its_progress_and_said_with_its_digest(house, tmp_path):
    async with house.page() as page:
        await page.goto("/audit/bundles")
        await page.get_by_label("Incident or announcement (ticket)").fill(house.incident["ticket"])
        await page.get_by_role("button", name="Continue").click()
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Make and download (ZIP)").click()
        file = tmp_path / (await download.value).suggested_filename
        await (await download.value).save_as(file)
        state = page.locator("[data-state]")
        await expect(state).to_contain_text(f"Done: {file.name}")
        await expect(state).to_contain_text(hashlib.sha256(file.read_bytes()).hexdigest())
        assert zipfile.ZipFile(file).testzip() is None
        await expect(page.get_by_text(f"greffier verify {file.name} --trust trust")).to_be_visible()
        assert page.complaints == []
        # What could not be made is said.
        await page.route("**/api/v1/audit/bundle?*", lambda route: route.fulfill(status=503))
        await page.get_by_role("button", name="Make and download (ZIP)").click()
        await expect(state).to_contain_text("The bundle was not made: HTTP 503")


async def test_without_scripts_a_link_makes_the_bundle(house):
    async with house.page(java_script_enabled=False) as page:
        await page.goto(f"/audit/bundles?customer=alpha&reader=customer&incident={house.incident['ticket']}")
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Make and download (ZIP)").click()
        assert (await download.value).suggested_filename.startswith("evidence-")


# -- an auditor of one customer


async def test_an_auditor_of_one_customer_checks_the_trail_of_that_customer_alone(house):
    own, foreign = house.customers
    reader = await person(house.service, "Otto", (Role.AUDITOR, own["id"]))
    async with house.opened(reader) as page:
        await page.goto(f"/customers/{own['id']}/trail")
        count = await page.locator("[data-entry-proof]").count()
        assert count > 3
        await page.get_by_role("button", name="Check the proofs of this page").click()
        await expect(page.locator("[data-all-checked]")).to_have_text(f"{count} of {count} proofs hold.")
        assert page.complaints == []
        for path in (f"/customers/{foreign['id']}/trail", "/audit/entries", "/audit/heads", "/audit/bundles"):
            assert (await page.goto(path)).status in {403, 404}, path
