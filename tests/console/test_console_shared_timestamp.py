"""A notice that shares its timestamp is checked in the browser: the token over the checkpoint, every changed file."""

from uuid import UUID

import pytest
import pytest_asyncio
from test_console_notice_proof import PARTS, changed_at, site_with_a_notice, verdict

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(prepared_folder, tmp_path_factory, chromium):
    place = tmp_path_factory.mktemp("browsed")
    async with site_with_a_notice(chromium, prepared_folder, place, timestamps__one_each_up_to=0) as begun:
        yield begun


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(site):
    page = await site.open("Member")
    yield page
    await page.context.close()


async def test_a_genuine_notice_is_said_to_be_and_the_page_says_how_to_check_it(site):
    page = await site.open("Anna")
    found, said = await verdict(page)
    assert found == "genuine", said
    assert "dated the head of the log that covers exactly this notice" in said
    assert "dated exactly this signature" not in said
    whole = await page.inner_text("main")
    assert "over the checkpoint in notice.tlog-proof; other notices share it" in whole
    await page.get_by_text("How to check them yourself").click()
    whole = await page.inner_text("main")
    assert "sed '1,/^$/d' notice.tlog-proof > checkpoint" in whole
    assert "openssl ts -verify -in notice.json.tsr -data checkpoint -CAfile tsa.pem" in whole
    assert "-data notice.json.p7s" not in whole
    assert page.complaints == []
    await page.context.close()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("place", [0, 0.37, 0.62, -1])
async def test_a_changed_byte_is_found_and_the_file_is_named(site, page, part, place):
    await refused(site, page, part, changed_at(place))


async def refused(site, page, part, change, path=None):
    await site.falsify(page, path or part, change)
    found, said = await verdict(page)
    assert found == "alert", said
    line = next(line for line in said.splitlines() if line.startswith("Not genuine"))
    assert PARTS[part] in line
    assert not any(name in line for other, name in PARTS.items() if other != part), line
    assert "Genuine:" not in said


async def test_a_token_over_the_signature_or_over_another_checkpoint_is_refused(site, page):
    sealing, store = site.service.parts.context.sealing, site.service.parts.store
    sealed = await store.read(lambda tx: tx.notices.seal(UUID(site.notice)))
    newest = await store.read(lambda tx: tx.log.checkpoint())
    for content in (sealed.signature, newest):
        token = await sealing.timestamp_authority.timestamp(content)
        await refused(site, page, "timestamp", lambda _content, token=token: token)
