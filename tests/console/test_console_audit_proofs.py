"""Proofs of the log in a real browser: an entry that is in the log, and falsified entries, proofs and heads."""

import base64
import json
import shutil
from dataclasses import dataclass

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect
from test_console_browser import ARGUMENTS, CHROMIUM, PHONE

from notifications.audit.proof import format_proof, parse_proof
from service.auth.authentication import SESSION_COOKIE
from service.cli.demo.environment import RunningService, embedded_service
from service.ports.accounts import Role
from service.system.http_server import bound_socket
from support import scenario
from support.people import person

expect.set_options(timeout=30_000)

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


@dataclass
class House:
    """The service, a browser, and the log that it shows."""

    service: RunningService
    api: httpx2.AsyncClient
    origin: str
    chromium: object
    incident: dict

    async def page(self, language="en", **options):
        """Open a page of an auditor; whatever the browser complains of is collected in ``page.complaints``."""
        number = next(_NUMBERS)
        auditor = await person(self.service, f"Iris{number}", (Role.AUDITOR, None), language=language)
        context = await self.chromium.new_context(base_url=self.origin, locale=language, **options)
        context.set_default_timeout(40_000)
        cookie = {"name": SESSION_COOKIE, "value": auditor.secret, "url": "https://localhost", "secure": True}
        await context.add_cookies([cookie])
        page = await context.new_page()
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        return page


_NUMBERS = iter(range(10_000))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(prepared_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("proofs") / "data"
    shutil.copytree(prepared_folder, folder)
    with bound_socket("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    origin = f"http://localhost:{port}"
    settings = {"provider__console_url": origin, "log__batch_seconds": 0.01, "access__stranger_requests_burst": 5000}
    async with (
        embedded_service(folder, port=port, **settings) as service,
        httpx2.AsyncClient(
            base_url=f"{service.url}/api/v1", headers={"Authorization": f"Bearer {service.token}"}, timeout=30
        ) as api,
        async_playwright() as playwright,
    ):
        for name in ("Alpha", "Beta"):
            await scenario.customer(api, name, contacts=((f"soc@{name.lower()}.example", "en"),))
        incident = await scenario.declare(api, **GRAVE)
        await scenario.release(api, incident)
        await service.sink.wait_for(2, timeout_seconds=60)
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield House(service, api, origin, chromium, incident)
        finally:
            await chromium.close()


async def checked(page, index=3):
    """Open an entry and check its proof; returns the place of the result."""
    await page.goto(f"/audit/entries/{index}")
    await page.get_by_role("button", name="Check the proof", exact=True).click()
    return page.locator("[data-result]")


async def test_an_entry_of_the_log_is_proven_and_the_page_says_what_was_not_checked(house):
    page = await house.page()
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
async def test_what_was_falsified_on_the_way_is_found_and_its_step_is_named(pattern, change, step, house):
    page = await house.page()
    await falsify(page, pattern, change)
    result = await checked(page)
    await expect(result).to_contain_text("The proof does not hold.")
    await expect(result).to_contain_text(step)
    assert "is in the log of size" not in await result.inner_text()


async def test_a_page_that_was_falsified_itself_does_not_lead_to_the_head(house):
    """Page and entry agree on other bytes: then the proof does not lead from them to the root."""
    page = await house.page()
    leaf = await house.api.get("/audit/entries/3")
    genuine = leaf.json()["leaf_base64"]
    false = base64.b64encode(base64.b64decode(genuine).replace(b"system:", b"systom:"))
    for pattern in ("**/audit/entries/3", "**/api/v1/audit/entries/3"):
        await falsify(page, pattern, lambda body: body.replace(genuine.encode(), false))
    assert genuine.encode() != false
    result = await checked(page)
    await expect(result).to_contain_text("Failed at inclusion")


async def test_what_cannot_be_loaded_is_not_checked(house):
    page = await house.page()
    await page.route("**/api/v1/audit/entries/3/proof", lambda route: route.fulfill(status=503))
    result = await checked(page)
    await expect(result).to_contain_text("Not checked: something could not be loaded.")


async def test_the_proofs_of_a_whole_page_are_checked(house):
    page = await house.page()
    await page.goto("/audit/entries?last=5")
    await page.get_by_role("button", name="Check the proofs of this page").click()
    await expect(page.locator("[data-all-checked]")).to_have_text("6 of 6 proofs hold.")
    assert await page.locator("[data-result].info").count() == 6
    assert page.complaints == []


async def test_without_scripts_there_is_the_proof_and_the_command(house):
    page = await house.page(java_script_enabled=False)
    await page.goto("/audit/entries/3")
    await expect(page.get_by_text("Without JavaScript this page cannot check proofs")).to_be_visible()
    await expect(page.get_by_text("greffier audit --log log --trust trust")).to_be_visible()
    await expect(page.get_by_role("button", name="Check the proof", exact=True)).to_be_hidden()
    await expect(page.get_by_role("link", name="Download the proof")).to_be_visible()


PATHS = ("/audit", "/audit/entries", "/audit/entries/3", "/audit/entries?type=nothing.here", "/audit/entries?from=x")


async def test_no_page_is_wider_than_a_phone_in_any_language(house):
    for language in ("fr", "en", "de"):
        page = await house.page(language, viewport=PHONE)
        for path in PATHS:
            await page.goto(path)
            for summary in await page.locator("summary").all():
                await summary.click()
            assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], (language, path)
            assert await page.locator("h1").count() == 1
        assert [text for text in page.complaints if "422" not in text] == []
        await page.context.close()
