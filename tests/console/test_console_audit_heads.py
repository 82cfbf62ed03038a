"""The pages of heads and bundles from outside: who cosigned and dated a head; what a bundle is made of."""

import html
import re
import zipfile
from io import BytesIO
from uuid import UUID

import pytest
import pytest_asyncio
from test_console_audit import told
from test_console_audit_trail import limited_person, sequenced

from service.ports.accounts import Role
from support import scenario
from support.announcements import announce, bound
from support.commits import until_read
from support.people import browser, person, visible_text
from support.scenario import ok
from support.world import moment

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def incident(shared_service, shared_api):
    """An incident that was released to two customers."""
    customers = [await scenario.customer(shared_api, name, contacts=()) for name in ("Alpha & Söhne", "Beta")]
    declared = await scenario.declare(shared_api, **GRAVE)
    notices = await scenario.release(shared_api, declared)
    await until_read(shared_service.parts.store, lambda tx: all(told(tx, notice) for notice in notices))
    await sequenced(shared_service)
    return declared | {"customers": customers}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def announcement(shared_service, shared_api, incident):
    """An announcement that was declared to a customer of an agreement with its kind."""
    await bound(shared_api, "Gamma", "soc@gamma.example")
    made = await announce(shared_api, "capacity")
    await sequenced(shared_service)
    return made


def card(page, size):
    return page.partition(f'id="h-{size}"')[2].partition("</li>")[0]


async def test_a_head_says_who_cosigned_it_when_and_who_dated_it(shared_service, shared_api, incident):
    await until_read(shared_service.parts.store, lambda tx: tx.log.timestamped_sizes())
    stamped = await shared_service.parts.store.read(lambda tx: tx.log.timestamped_sizes()[-1])
    at = moment(minutes=-3)
    await shared_service.parts.store.write(
        lambda tx: tx.log.add_cosignature(stamped, "witness.example", "\u2014 witness.example AAAAAAAA\n", at)
    )
    iris = await person(shared_service, "Iris", (Role.AUDITOR, None))
    async with browser(shared_service, iris) as client:
        shown = (await client.get("/audit/heads", params={"confirmed": "yes"})).text
        head = card(shown, stamped)
        assert "Former witness" in head
        assert "witness.example" in head
        assert f"/log/timestamped/{stamped}.tsr" in head
        listed = (await ok(shared_api.get("/audit/heads", params={"confirmed": True})))["items"][-1]
        assert (await client.get(f"/log/timestamped/{stamped}.tsr")).status_code == 200
        note = await client.get(f"/api/v1/audit/heads/{stamped}")
        assert note.text.startswith(listed["note"].partition("\n")[0])
        assert "witness.example" in note.text
        whole = (await client.get("/audit/heads")).text
        sizes = [int(size) for size in re.findall(r'id="h-(\d+)"', whole)]
        assert sizes == sorted(sizes, reverse=True)
        paged, cursor = [], None
        while cursor is not None or not paged:
            params = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
            part = await ok(shared_api.get("/audit/heads", params=params))
            paged += [item["size"] for item in part["items"]]
            cursor = part["next_cursor"]
        assert paged == sorted(set(paged), reverse=True)
        assert set(sizes) <= set(paged)
        assert (await client.get("/api/v1/audit/heads/999999")).status_code == 404
        assert (await client.get("/api/v1/audit/heads/-1")).status_code == 404


async def test_a_choice_leads_to_a_bundle_of_it_alone(shared_service, shared_api, incident, announcement):
    iris = await person(shared_service, "Ida", (Role.AUDITOR, None))
    async with browser(shared_service, iris) as client:
        for params, words in (
            ({"incident": incident["ticket"].lower()}, incident["ticket"]),
            ({"incident": announcement["ticket"].lower()}, announcement["ticket"]),
            ({"incident": announcement["id"]}, announcement["ticket"]),
            ({"customer": "söhne"}, "Alpha &amp; Söhne"),
            ({"customer": "beta", "reader": "customer", "language": "de"}, "The customer itself"),
            ({"from": "2020-01-01", "to": "2099-12-31"}, "2020-01-01"),
        ):
            answer = await client.get("/audit/bundles", params=params)
            assert answer.status_code == 200
            assert words in answer.text
            path = html.unescape(re.search(r'data-path="([^"]+)"', answer.text)[1])
            made = await client.get(path)
            assert made.status_code == 200, made.text
            assert zipfile.ZipFile(BytesIO(made.content)).testzip() is None
        page = (await client.get("/audit/entries", params={"type": "bundle.made"})).text
        assert "Evidence bundle made" in page
        # So do the entries of an announcement, whose subject has another name in the log.
        page = visible_text((await client.get("/audit/entries", params={"incident": announcement["ticket"]})).text)
        assert announcement["ticket"] in page
        assert incident["ticket"] not in page


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"incident": "INC-1"}, "There is no such incident or announcement."),
        ({"customer": "nobody"}, "There is no such customer."),
        ({"from": "x"}, "State a day of the calendar."),
        ({"from": "2026-02-02", "to": "2026-02-01"}, "The last day is before the first."),
        ({"from": "2026-02-02", "reader": "customer"}, "Name the customer for whom the bundle is made."),
    ],
)
async def test_a_choice_that_means_nothing_comes_back_with_its_error(params, words, shared_service, incident):
    iris = await person(shared_service, f"Ivo{abs(hash(str(params)))}", (Role.AUDITOR, None))
    async with browser(shared_service, iris) as client:
        answer = await client.get("/audit/bundles", params=params)
        assert answer.status_code == 422
        assert words in visible_text(answer.text)
        assert "data-path" not in answer.text
        for value in params.values():
            assert f'value="{value}"' in answer.text


async def test_an_auditor_of_a_period_cannot_choose_what_is_outside(shared_service, incident, announcement):
    pia = await limited_person(shared_service, "Pia", None, moment(days=-9), moment(days=-1))
    of_one = await limited_person(shared_service, "Paul", UUID(incident["customers"][0]["id"]), None, None)
    async with browser(shared_service, pia) as client:
        for outside in (incident, announcement):
            assert (await client.get("/audit/bundles", params={"incident": outside["ticket"]})).status_code == 422
        answer = await client.get("/api/v1/audit/bundle", params={"announcement_id": announcement["id"]})
        assert answer.status_code == 404
        assert (await client.get("/audit", params={"ticket": incident["ticket"]})).status_code == 200
        assert incident["id"] not in (await client.get("/audit", params={"ticket": incident["ticket"]})).text
    async with browser(shared_service, of_one) as client:
        for path in ("/audit", "/audit/entries", "/audit/entries/0", "/audit/heads", "/audit/bundles"):
            assert (await client.get(path)).status_code == 403, path
