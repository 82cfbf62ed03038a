"""Search from any page and over the API: everything that the reader may read, and nothing else."""

import re
from html import unescape

import pytest
import pytest_asyncio

from service.ports.accounts import Role
from service.web.console.catalogues import text
from support.people import browser, person, visible_text
from support.scenario import affected, customer, declare, harm, notices, ok

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}
KINDS = ("incident", "effect", "customer", "contact", "notice")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def found(shared_service, shared_api):
    """One incident, told to one customer, drafted for another; and those who read."""
    api = shared_api
    told, drafted = [
        await customer(api, f"Clinique {name}", contacts=((f"soc@{name[1:].lower()}.example", "fr"),))
        for name in ("Évian", "Morges")
    ]
    entries = [
        affected(told, data_harm=harm(confidentiality="yes"), effect={"fr": "Dossiers radiologiques lus"}),
        affected(drafted, data_harm=harm(integrity="yes"), effect={"fr": "Dossiers perdus"}),
    ]
    title = {"fr": "Œuvre d’un pirate <b>dans la régie</b>"}
    incident = await declare(api, title=title, **GRAVE, affected_customers=entries)
    notice = next(each for each in await notices(api, incident) if each["customer_id"] == told["id"])
    await ok(api.post(f"/notices/{notice['id']}/release", headers={"If-Match": "*"}))
    await shared_service.sink.wait_for(1, timeout_seconds=60)
    people = {
        "analyst": await person(shared_service, "Ada", (Role.ANALYST, None), language="fr"),
        "member": await person(shared_service, "Max", (Role.CUSTOMER_MEMBER, told["id"])),
        "other": await person(shared_service, "Oda", (Role.CUSTOMER_MEMBER, drafted["id"])),
        "administrator": await person(shared_service, "Adm", (Role.ADMINISTRATOR, None)),
        "nobody": await person(shared_service, "Nob"),
    }
    return incident, notice, told, drafted, people


async def search(service, whom, **query):
    """Return the kinds with the identifiers of what a person's browser gets from the API."""
    async with browser(service, whom) as pages:
        answer = await ok(pages.get("/api/v1/search", params=query))
    return {group["kind"]: [item["id"] for item in group["items"]] for group in answer["groups"] if group["items"]}


async def test_the_provider_finds_each_kind(shared_service, found):
    incident, notice, told, drafted, people = found
    ada = people["analyst"]
    assert await search(shared_service, ada, q="oeuvre PIRATE") == {
        "incident": [incident["id"]], "notice": [notice["id"]],
    }  # fmt: skip
    assert await search(shared_service, ada, q="radio") == {"effect": [incident["id"]], "notice": [notice["id"]]}
    assert (await search(shared_service, ada, q="clinique"))["customer"] == [drafted["id"], told["id"]]
    assert list(await search(shared_service, ada, q="soc@vian.example")) == ["contact"]
    assert set(await search(shared_service, ada, q=incident["ticket"])) == {"incident", "notice"}
    assert (await search(shared_service, ada, q=str(int(incident["ticket"][-6:]))))["incident"] == [incident["id"]]


async def test_customers_find_their_own_and_no_draft(shared_service, found):
    _, notice, told, drafted, people = found
    assert await search(shared_service, people["member"], q="oeuvre") == {"notice": [notice["id"]]}
    assert await search(shared_service, people["member"], q="clinique") == {"customer": [told["id"]]}
    for mine in ("oeuvre", "dossiers", "radiologiques", "evian"):
        assert await search(shared_service, people["other"], q=mine) == {}, mine
    assert await search(shared_service, people["other"], q="clinique") == {"customer": [drafted["id"]]}
    assert await search(shared_service, people["member"], q="morges perdus") == {}
    for kind in ("incident", "effect"):
        assert await search(shared_service, people["member"], q="dossiers", kind=kind) == {}


async def test_each_role_finds_what_it_may_read(shared_service, found):
    people = found[-1]
    assert set(await search(shared_service, people["administrator"], q="oeuvre")) == set()
    assert set(await search(shared_service, people["administrator"], q="evian")) == {"customer"}
    assert set(await search(shared_service, people["administrator"], q="soc")) == {"contact"}
    assert await search(shared_service, people["nobody"], q="evian") == {}


@pytest.mark.parametrize("language", ["fr", "en", "de"])
async def test_results_are_a_page_in_every_language(shared_service, found, language):
    incident, notice, *_ = found
    reader = await person(shared_service, f"Reader{language}", (Role.ANALYST, None), language=language)
    async with browser(shared_service, reader) as pages:
        page = unescape((await pages.get("/search", params={"q": "dossiers"})).text)
        assert text("search.kind_effect", language) in page
        assert f'href="/notices/{notice["id"]}"' in page
        effect = f"/incidents/{incident['id']}/customers/{found[2]['id']}"
        assert f'href="{effect}"' in page
        assert (await pages.get(effect)).status_code == 200
        nothing = (await pages.get("/search", params={"q": "zzz"})).text
        assert text("search.nothing", language) in unescape(nothing)
        assert text("search.explained", language) in unescape((await pages.get("/search")).text)


async def test_the_form_is_on_every_page_and_markup_is_never_markup(shared_service, found):
    people = found[-1]
    async with browser(shared_service, people["analyst"]) as pages:
        for path in ("/", "/incidents", "/account", "/nothing-here"):
            page = (await pages.get(path)).text
            assert re.search(
                r'<form class="find" role="search" aria-label="[^"]+" method="get" action="/search">', page
            ), path
            assert '<label for="find">' in page
        answer = await pages.get("/search", params={"q": '"><script>alert(1)</script> oeuvre'})
        assert "<script>alert" not in answer.text
        assert "<b>dans" not in (await pages.get("/search", params={"q": "oeuvre"})).text
    async with browser(shared_service) as stranger:
        assert 'role="search"' not in (await stranger.get("/sign-in")).text
        assert (await stranger.get("/search?q=x")).status_code == 303


async def test_hostile_queries_find_nothing_and_break_nothing(shared_service, found):
    ada = found[-1]["analyst"]
    async with browser(shared_service, ada) as pages:
        for query in ('"', "*", "NEAR(a b)", "a" * 10_000, "'", "\\", "=kincident", "((("):
            page = await pages.get("/search", params={"q": query})
            assert page.status_code == 200, query
            assert text("search.nothing", "fr") in unescape(page.text), query
        assert (await pages.get("/api/v1/search", params={"q": "a" * 10_000})).status_code == 422


async def test_long_results_go_on_by_kind_and_page(shared_service, shared_api, found):
    ada = found[-1]["analyst"]
    made = [(await declare(shared_api, title={"en": "Quokka sighting"}))["id"] for _ in range(27)]
    async with browser(shared_service, ada) as pages:
        seen = []
        way = "/search?q=quokka"
        for expected in (5, 25, 2):
            page = unescape((await pages.get(way)).text)
            part = re.findall(r'<h3><a href="/incidents/([^"]+)">', page)
            assert len(part) == expected
            seen.append(part)
            following = re.search(r'rel="next" href="([^"]+)"', page)
            way = following and following.group(1)
        assert way is None
        assert seen[1] + seen[2] == made[::-1]
        assert seen[0] == made[::-1][:5]
        listed = (await pages.get("/incidents?q=quok&state=open")).text
        assert len(re.findall(r'id="open-', listed)) == 25
        assert "Quokka" in visible_text(listed)
    items, cursor = [], {}
    while cursor is not None:
        answer = await ok(shared_api.get("/search", params={"q": "quokka", "kind": "incident", "limit": 10} | cursor))
        (group,) = answer["groups"]
        items += [item["id"] for item in group["items"]]
        cursor = None if group["next_cursor"] is None else {"cursor": group["next_cursor"]}
    assert items == made[::-1]
    assert KINDS
