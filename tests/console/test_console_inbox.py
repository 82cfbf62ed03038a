"""The inbox on pages: what waits first, customers side by side, searched and downloaded, and nothing of others."""

import csv
import html
import io
import re
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from service.ports.accounts import Role
from support.people import browser, person, visible_text
from support.scenario import affected, customer, declare, harm, release
from support.store_work import watch_requests

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAYLOAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class House:
    """Two customers with notices of the same incidents."""

    def __init__(self, service, api, customers):
        self.service, self.api, self.customers = service, api, customers
        self.served = 0

    async def incident(self, title, *of):
        of = of or self.customers
        entries = [affected(each, data_harm=harm(confidentiality="yes")) for each in of]
        incident = await declare(
            self.api,
            title={"en": title},
            impact="I1",
            service_harm=harm(confidentiality="yes"),
            affected_customers=entries,
            # The others use the service too.
            unlisted_customers="not_affected",
        )
        notices = await release(self.api, incident)
        self.served += len(notices)
        await self.service.sink.wait_for(self.served, timeout_seconds=60)
        return incident, {each["customer_id"]: each["id"] for each in notices}

    async def member(self, name, *at, language="en"):
        grants = [(Role.CUSTOMER_MEMBER, self.customers[place]["id"]) for place in at]
        return await person(self.service, name, *grants, language=language)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(shared_service, shared_api):
    customers = [
        await customer(shared_api, name, contacts=((f"soc@{domain}.example", "en"),), acknowledge_within_seconds=within)
        for name, domain, within in ((f"Alpha {PAYLOAD}", "alpha", 3600), ("Beta", "beta", None))
    ]
    made = House(shared_service, shared_api, customers)
    for title in ("First outage", f"Second {PAYLOAD}", "Third outage"):
        await made.incident(title)
    return made


def titles(page):
    return [
        html.unescape(each) for each in re.findall(r"<h3><a href=\"/notices/[^>]*><span[^>]*><bdi>(.*?)</bdi>", page)
    ]


async def test_what_waits_comes_first_and_reading_takes_it_from_there(house):
    anna = await house.member("Anna", 0)
    async with browser(house.service, anna) as client:
        page = (await client.get("/inbox")).text
        assert titles(page)[:3] == ["Third outage", f"Second {PAYLOAD}", "First outage"]
        assert "Unread: 3" in visible_text(page)
        assert "To acknowledge: 3" in visible_text(page)
        # What an analyst or an administrator typed is text.
        assert "<script>alert" not in page
        assert "<img" not in page
        (path, *_) = re.findall(r"<h3><a href=\"(/notices/[\w-]+)\"", page)
        assert (await client.get(path)).status_code == 200
        page = (await client.get("/inbox")).text
        assert "Unread: 2" in visible_text(page)
        assert titles(page)[-1] == "Third outage"
        assert len(titles((await client.get("/inbox?show=unread")).text)) == 2
        assert (await client.post(f"{path}/acknowledgement", data=anna.form())).status_code == 303
        assert len(titles((await client.get("/inbox?show=acknowledge")).text)) == 2
    # The mark is each reader's own.
    bert = await house.member("Bert", 0)
    async with browser(house.service, bert) as client:
        assert "Unread: 3" in visible_text((await client.get("/inbox")).text)


async def test_an_integrator_sees_its_customers_side_by_side(house):
    both = await house.member("Inge", 0, 1)
    async with browser(house.service, both) as client:
        page = (await client.get("/inbox")).text
        assert re.findall(r"<h2 id=\"customer-[^>]*><bdi>(\w+)", page) == ["Alpha", "Beta"]
        assert len(titles(page)) == 6
        beta = house.customers[1]["id"]
        one = (await client.get(f"/inbox?customer={beta}")).text
        assert re.findall(r"<h2 id=\"customer-[^>]*><bdi>(\w+)", one) == ["Beta"]
        assert "All your customers" in one
        assert "To acknowledge" not in re.sub(r"<option.*?</option>", "", one)


async def test_it_is_searched_and_the_address_holds_what_was_asked_for(house):
    anna = await house.member("Cora", 0)
    async with browser(house.service, anna) as client:
        page = (await client.get("/inbox", params={"contains": "FIRST"})).text
        assert titles(page) == ["First outage"]
        assert 'value="FIRST"' in page
        for words in (PAYLOAD, "%", "'; DROP TABLE notices; --", "\x00"):
            answer = await client.get("/inbox", params={"contains": words})
            assert answer.status_code == 200
            assert "<script>alert" not in answer.text
        assert "No notice fits" in (await client.get("/inbox?contains=nothing+like+this")).text
        for nonsense in ("/inbox?show=x", "/inbox?customer=x", f"/inbox?customer={house.customers[1]['id']}"):
            answer = await client.get(nonsense)
            assert answer.status_code == 200
            assert "Beta" not in answer.text


async def test_pages_follow_each_other_by_a_cursor_of_ones_own(house):
    dora = await house.member("Dora", 1)
    for number in range(32):
        await house.incident(f"Incident {number}", house.customers[1])
    async with browser(house.service, dora) as client:
        first = (await client.get("/inbox")).text
        (following,) = re.findall(r'rel="next" href="([^"]+)"', first)
        following = html.unescape(following)
        assert parse_qs(urlsplit(following).query)["customer"] == [house.customers[1]["id"]]
        second = (await client.get(following)).text
        assert len(titles(first)) == 30
        assert len(set(titles(first)) | set(titles(second))) == len(titles(first)) + len(titles(second)) == 35
        assert 'rel="next"' not in second
        # The store's cursor is of this list and of this reader.
        assert (await client.get(f"{following}x")).status_code == 422
        assert (await client.get(f"{following}&show=unread")).status_code == 422
    other = await house.member("Elsa", 1)
    async with browser(house.service, other) as client:
        assert (await client.get(following)).status_code == 422


async def test_the_download_has_the_same_list_and_runs_no_formula(house):
    # The second sign is the wide one, which some programs take for the first.
    titles_of = {
        (await house.incident(title, house.customers[0]))[0]["ticket"]: f"'{title}"
        for title in ("=HYPERLINK(1)", "\uff1dHYPERLINK(2)")
    }
    anna = await house.member("Fay", 0)
    async with browser(house.service, anna) as client:
        answer = await client.get("/inbox.csv", params={"show": "unread"})
        assert answer.headers["content-type"].startswith("text/csv")
        assert "inbox.csv" in answer.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert {row["ticket"]: row["title"] for row in rows if row["ticket"] in titles_of} == titles_of
        assert {row["read"] for row in rows} == {"no"}
        assert not any("Beta" in row["customer"] for row in rows)


async def test_one_page_takes_as_many_statements_for_many_notices_and_customers_as_for_one(house):
    one, both = await house.member("Gus", 0), await house.member("Hal", 0, 1)
    watched, numbers = watch_requests(house.service), []
    for whom in (one, both):
        async with browser(house.service, whom) as client:
            await client.get("/inbox")
            watched.taken()
            assert (await client.get("/inbox")).status_code == 200
            asked = [statement for statement, _ in watched.taken()]
            numbers.append(len([each for each in asked if "notice_openings" in each or "FROM customers" in each]))
    assert numbers == [3, 3]


async def test_nobody_at_the_provider_has_an_inbox(house):
    analyst = await person(house.service, "Ada", (Role.ANALYST, None))
    async with browser(house.service, analyst) as client:
        page = (await client.get("/inbox")).text
        assert titles(page) == []
        assert "You act for no customer" in page
        assert 'href="/inbox"' not in page.split("<main")[0]
        assert (await client.get("/inbox.csv")).text.count("\n") == 1


@pytest.mark.parametrize(
    ("language", "words"), [("fr", "Notifications reçues"), ("de", "Eingegangene Benachrichtigungen")]
)
async def test_it_speaks_the_readers_language(house, language, words):
    reader = await house.member(f"Reader{language}", 0, language=language)
    async with browser(house.service, reader) as client:
        page = (await client.get("/inbox")).text
        assert f"<h1>{words}</h1>" in page
        assert f'<html lang="{language}">' in page
