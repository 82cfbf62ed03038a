"""The pages of the log's entries from outside: filters, pages, words, and nothing outside an auditor's scope."""

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from test_console_audit import told

from notifications.audit.merkle import leaf_hash
from service.ports.accounts import Grant, Role
from support import scenario
from support.commits import until_read
from support.people import act_of, browser, person, visible_text
from support.scenario import ok
from support.store_work import watch_requests
from support.world import moment

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}
NAMES = ("Hôpital de Valmont", "Klinik <b>am Fluss</b>", "Klinik am See")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def customers(shared_service, shared_api):
    """Three customers, and an incident that was released to them."""
    registered = [await scenario.customer(shared_api, name, contacts=()) for name in NAMES]
    incident = await scenario.declare(shared_api, **GRAVE)
    notices = await scenario.release(shared_api, incident)
    await until_read(shared_service.parts.store, lambda tx: all(told(tx, notice) for notice in notices))
    await sequenced(shared_service)
    return incident, registered


async def sequenced(running):
    """Wait until nothing is pending."""
    waiting = await running.parts.store.read(lambda tx: [leaf.entry_id for leaf in tx.audit.pending(10_000)])
    for entry_id in waiting:
        await running.parts.sequencer.included(entry_id)


def indices(page):
    return [int(index) for index in re.findall(r'<li class="card" id="e-(\d+)">', page)]


async def listed(client, **params):
    answer = await client.get("/audit/entries", params=params)
    assert answer.status_code == 200, answer.text
    return answer.text


async def every_page(client, **params):
    """Return the indices of every page of a list."""
    found, path = [], None
    while True:
        page = await listed(client, **params) if path is None else (await client.get(path)).text
        found += indices(page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        if following is None:
            return found
        path = html.unescape(following[1])


async def test_entries_are_listed_newest_first_and_each_once(shared_service, shared_api, customers):
    ada = await person(shared_service, "Ada", (Role.ANALYST, None))
    await sequenced(shared_service)
    async with browser(shared_service, ada) as client:
        size = (await ok(shared_api.get("/audit/entries")))["size"]
        found = await every_page(client)
        assert found[: len(found)] == sorted(found, reverse=True)
        assert found == list(range(found[0], -1, -1))
        assert found[0] >= size - 1
        assert len(indices(await listed(client))) == 25


async def test_each_filter_narrows_the_list_and_they_add_up(shared_service, shared_api, customers):
    incident, registered = customers
    ada = await person(shared_service, "Ada2", (Role.ANALYST, None), email="ada2@people.example")
    whole = []
    cursor = None
    while True:
        params = {"limit": 200} | ({"cursor": cursor} if cursor else {})
        answer = await ok(shared_api.get("/audit/entries", params=params))
        whole += answer["items"]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    declared = next(item for item in whole if item["leaf"]["type"] == "incident.declared")
    today = datetime.now(UTC).date()
    pseudonyms = {
        item["leaf"]["subjects"]["customer"] for item in whole if item["leaf"]["type"] == "customer.registered"
    }
    assert len(pseudonyms) == 3

    def of(**wanted):
        return [
            item["index"]
            for item in reversed(whole)
            if all(
                item["leaf"][name] == value
                if name in {"type", "actor"}
                else item["leaf"]["subjects"].get(name) == value
                for name, value in wanted.items()
            )
        ]

    first = next(
        item["leaf"]["subjects"]["customer"] for item in whole if item["leaf"]["type"] == "customer.registered"
    )
    # The log grows on: only what was read above is compared.
    last = str(whole[-1]["index"])
    async with browser(shared_service, ada) as client:

        async def known(**params):
            return await every_page(client, last=last, **params)

        assert await known(type="notice.sealed") == of(type="notice.sealed")
        assert await known(actor=declared["leaf"]["actor"]) == of(actor=declared["leaf"]["actor"])
        ticket = declared["leaf"]["detail"]["ticket"]
        assert await known(incident=ticket.lower()) == of(incident=incident["id"])
        assert await known(incident=incident["id"]) == of(incident=incident["id"])
        assert await known(customer="valmont") == of(customer=first)
        assert await known(customer=registered[0]["id"], incident=ticket, type="notice.sealed") == of(
            customer=first, incident=incident["id"], type="notice.sealed"
        )
        assert await every_page(client, first="2", last="4") == [4, 3, 2]
        assert declared["index"] in await every_page(client, **{"from": today.isoformat(), "to": today.isoformat()})
        empty = await listed(client, to=(today - timedelta(days=2)).isoformat())
        assert indices(empty) == []
        assert "No entry that you may read" in visible_text(empty)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("from", "yesterday", "State a day of the calendar."),
        ("to", "2026-13-01", "State a day of the calendar."),
        ("incident", "INC-0000-1", "There is no such incident or announcement."),
        ("customer", "<nobody>", "There is no such customer."),
        ("customer", "klinik", "Several customers have such a name"),
        ("actor", "nobody@people.example", "There is no account"),
        ("first", "-1", "State a whole number"),
        ("last", "9" * 40, "State a whole number"),
    ],
)
async def test_a_filter_that_means_nothing_comes_back_with_its_error(field, value, words, shared_service, customers):
    ada = await person(shared_service, f"Ada{abs(hash((field, value)))}", (Role.AUDITOR, None))
    async with browser(shared_service, ada) as client:
        answer = await client.get("/audit/entries", params={field: value, "type": "notice.sealed"})
        assert answer.status_code == 422
        assert words in answer.text
        assert f'value="{html.escape(value)}"' in answer.text
        assert f'aria-describedby="{field}-error"' in answer.text
        assert '<option value="notice.sealed" selected>' in answer.text
        if "Several" in words:
            assert "Klinik &lt;b&gt;am Fluss&lt;/b&gt;" in answer.text
            for path in re.findall(r'href="(/audit/entries\?customer=[^"]+)"', answer.text):
                assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("language", "kind", "detail"),
    [
        ("en", "Incident declared", "aware since"),
        ("fr", "Incident déclaré", "prise de connaissance"),
        ("de", "Vorfall gemeldet", "Kenntnis seit"),
    ],
)
async def test_an_entry_is_said_in_words_with_names_and_its_bytes(
    language, kind, detail, shared_service, shared_api, customers
):
    ada = await person(shared_service, f"Zoë{language}", (Role.AUDITOR, None), language=language)
    (declared,) = (await ok(shared_api.get("/audit/entries", params={"type": "incident.declared"})))["items"]
    async with browser(shared_service, ada) as client:
        page = await listed(client, type="incident.declared")
        assert kind in visible_text(page)
        answer = await client.get(f"/audit/entries/{declared['index']}")
        assert answer.status_code == 200
        assert kind in answer.text
        assert detail in answer.text
        assert customers[0]["ticket"] in answer.text
        bytes_shown = html.unescape(re.findall(r'<pre class="command">(.*?)</pre>', answer.text, re.DOTALL)[1])
        assert leaf_hash(bytes_shown.encode()).hex() in answer.text
        sealed = await listed(client, type="notice.sealed")
        assert html.escape(NAMES[1]) in sealed
        assert "<b>am" not in sealed
        for path in set(re.findall(r'href="(/(?:notices|audit)/[^"]+)"', sealed)):
            assert (await client.get(html.unescape(path))).status_code == 200, path
        assert (await client.get("/audit/entries/999999")).status_code == 404
        assert (await client.get("/audit/entries/x")).status_code == 404


async def test_an_auditor_of_a_period_sees_only_it_and_each_read_is_logged(shared_service, shared_api, customers):
    ends_at = moment()
    nobody = await person(shared_service, "Pia2")
    pia = await limited_person(shared_service, "Pia3", None, moment(days=-9), moment(days=-1))
    async with browser(shared_service, pia) as client:
        assert indices(await listed(client)) == []
        assert (await client.get("/audit/entries/0")).status_code == 404
        assert (await client.get("/audit/entries", params={"incident": customers[0]["id"]})).status_code == 422
    iris = await limited_person(shared_service, "Iris", None, moment(days=-9), ends_at)
    await scenario.declare(shared_api, **GRAVE)
    await sequenced(shared_service)
    async with browser(shared_service, iris) as client:
        found = await every_page(client, type="incident.declared")
        assert len(found) == 1
        assert found == await every_page(client, incident=customers[0]["id"], type="incident.declared")
        whole = await every_page(client)
        entries = await shared_service.parts.store.read(lambda tx: tx.audit.entries(0, 10_000))
        outside = [entry.index for entry in entries if entry.index not in whole]
        assert outside
        assert (await client.get(f"/audit/entries/{outside[-1]}")).status_code == 404
        assert (await client.get(f"/audit/entries/{whole[0]}")).status_code == 200
    await sequenced(shared_service)
    async with browser(shared_service, await person(shared_service, "Ada9", (Role.ANALYST, None))) as client:
        page = await listed(client, actor=f"account:{iris.account.id}", type="record.read")
        assert "GET /audit/entries/{index}" in page
        assert "GET /audit/entries</" in page
    async with browser(shared_service, nobody) as client:
        assert (await client.get("/audit/entries")).status_code == 403


async def limited_person(running, name, customer_id, starts_at, ends_at):
    """Create an auditor of a period with a session."""
    made = await person(running, name)
    act = act_of(running)
    grant = Grant(
        act.identifiers.new_id(), made.account.id, Role.AUDITOR, customer_id, starts_at, ends_at, act.now, "x:y"
    )
    await running.parts.store.write(lambda tx: tx.accounts.add_grant(grant))
    return made


async def test_a_page_needs_as_many_statements_whatever_the_log_has(shared_service, customers):
    ada = await person(shared_service, "Bea", (Role.ANALYST, None))
    watched = watch_requests(shared_service)
    async with browser(shared_service, ada) as client:

        async def statements(**params):
            await listed(client, **params)
            watched.taken()
            await listed(client, **params)
            return [each for each, _ in watched.taken() if "audit" in each or "log_" in each]

        few = await statements(type="incident.declared")
        all_of_them = await statements()
        assert len(few) == len(all_of_them)
        assert len(await statements(first="0", last="3", **{"from": "2020-01-01", "to": "2099-01-01"})) <= len(few) + 4
