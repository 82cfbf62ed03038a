"""A customer's requests cost the store the same, whatever others have; and foreign is refused like what is nowhere.

Counted are statements and the steps of SQLite's machine, not time: they tell whether time could tell.
"""

import re
from dataclasses import replace
from itertools import count
from uuid import UUID, uuid4

import httpx2
import pytest
from test_matrix import filled, request_of
from test_stable_lists import answers, readable, settled

from notifications.delivery.acknowledgement import AcknowledgedVia, Acknowledgement, NoticeOpening
from notifications.delivery.delivery import DeliveryState
from notifications.notice import NoticeState
from notifications.ports import InboxItem, Page
from service.ports.accounts import Role
from support.matrix_rows import ROLES, ROWS
from support.people import browser, person
from support.records import (
    NOW,
    after,
    make_attempt,
    make_contact,
    make_decision,
    make_delivery,
    make_entry,
    make_incident,
    make_notice,
    make_sealed,
)
from support.scenario import ok
from support.store_work import watch_requests
from support.world import build_world

#: Identifiers from the top down: so no record of the customer is the last of an index, which would spare a step.
_LAST = (UUID(int=2**128 - number) for number in count(1))
#: Some of what is measured; each of these must be readable, and cost something.
LISTS = (
    "GET /api/v1/notices",
    "GET /api/v1/notices/{notice_id}/deliveries",
    "GET /api/v1/notices/{notice_id}/acknowledgements",
    "GET /api/v1/customers/{customer_id}/inbox",
    "GET /api/v1/customers/{customer_id}/trail",
    "GET /notices/{notice_id}",
    "GET /",
)


@pytest.fixture
async def world(running, api):
    made = await build_world(running, api)
    await settled(running, UUID(made.own["notice_id"]), UUID(made.foreign["notice_id"]))
    return made


@pytest.fixture
async def manager(running, world):
    return await person(running, "Ann", (Role.CUSTOMER_MANAGER, world.own["customer_id"]))


def grow(tx, customer, notices):
    """Serve a customer many notices, each sent, opened and acknowledged; each act is in the log."""
    pseudonym = tx.customers.pseudonym(customer.id)
    contact = make_contact(customer)
    tx.customers.add_contact(contact)
    for number in range(notices):
        incident = make_incident(id=next(_LAST), ticket=f"OLD-{notices}-{number}")
        notice = make_notice(incident, customer, id=next(_LAST), state=NoticeState.SEALED, sealed_at=after(minutes=3))
        delivery = make_delivery(notice, contact, id=next(_LAST))
        tx.incidents.add(incident)
        tx.incidents.add_decisions([make_decision(incident, customer)])
        tx.notices.add([notice])
        tx.notices.add_seal(make_sealed(notice, timestamp=b"t", log_proof=b"p"), uuid4())
        tx.deliveries.add([replace(delivery, state=DeliveryState.SENT, next_attempt_at=None)])
        tx.deliveries.finish_attempt(replace(delivery, state=DeliveryState.SENT), make_attempt(delivery), b"mail")
        tx.deliveries.add_inbox_item(InboxItem(notice.id, customer.id, NOW))
        tx.notices.add_opening(NoticeOpening(notice.id, customer.id, "account:b", NOW))
        acknowledged = Acknowledgement(
            uuid4(), notice.id, customer.id, contact.id, "account:b", AcknowledgedVia.CONSOLE, NOW, None
        )
        tx.notices.add_acknowledgement(acknowledged)
        subjects = {"incident": str(incident.id), "customer": pseudonym, "notice": str(notice.id)}
        tx.audit.append([make_entry(subjects) for _ in range(5)])


async def test_what_a_customer_reads_costs_the_same_whatever_another_has(running, world, manager):
    watched, store = watch_requests(running), running.parts.store
    headers = {"Authorization": f"Bearer {world.tokens['member']}"}
    foreign = UUID(world.foreign["customer_id"])

    async def costs(client):
        """Return status and statements, with the steps of each, of every operation that reads; lists page by page."""
        found = {}
        for operation in readable():
            (status, *_), *_ = await answers(client, world.own, operation)
            found[operation] = status, watched.taken()
        return found

    async def grown(notices):
        await store.write(lambda tx: grow(tx, tx.customers.require(foreign), notices))
        await settled(running)
        # The first look at a notice is recorded, and what changed is read into caches.
        for client in (member, pages):
            await costs(client)
        await settled(running)
        return await costs(member), await costs(pages)

    async with (
        httpx2.AsyncClient(base_url=running.url, headers=headers, timeout=120) as member,
        browser(running, manager) as pages,
    ):
        few, many = await grown(3), await grown(200)
    assert [few[1][operation][0] for operation in LISTS] == [200] * len(LISTS)
    assert all(sum(steps for _, steps in few[1][operation][1]) > 50 for operation in LISTS)
    for before, then in zip(few, many, strict=True):
        differing = {operation: _difference(cost, then[operation]) for operation, cost in before.items()}
        assert {operation: what for operation, what in differing.items() if what} == {}


def _difference(before, then):
    """Return the statements that cost another number of steps, or the whole where other statements ran."""
    if before == then:
        return []
    pairs = list(zip(before[1], then[1], strict=False))
    return [pair for pair in pairs if pair[0] != pair[1]] or [before, then]


async def test_what_is_foreign_or_hidden_is_refused_like_what_is_nowhere(running, api, world, manager):
    await _complete(running, api, world)
    watched = watch_requests(running)
    headers = {"Authorization": f"Bearer {world.tokens['manager']}"}
    differing, tried = [], 0
    async with (
        httpx2.AsyncClient(base_url=running.url, headers=headers, timeout=120) as program,
        browser(running, manager) as pages,
    ):
        for operation, row in ROWS.items():
            if row.split()[ROLES.index("manager")] == "--" and not operation.split(" ")[1].startswith("/account/"):
                continue
            client = program if "/api/" in operation else pages
            for there, nowhere in _pairs(world, operation):
                found = []
                for names in (there, nowhere):
                    answer = await _sent(client, manager, operation, names)
                    kept = sorted(item for item in answer.headers.items() if item[0] not in {"date", "content-length"})
                    text = _IDENTIFIER.sub("?", answer.text)
                    found.append((answer.status_code, kept, text, [statement for statement, _ in watched.taken()]))
                tried += 1
                # To end a session that is none is done.
                if found[0] != found[1] or found[0][0] != (303 if operation.endswith("/end") else 404):
                    differing.append((operation, *found))
    assert [(operation, there[0], nowhere[0]) for operation, there, nowhere in differing] == []
    assert tried > 80


_IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=[ /])[0-9]+(?=[ /])")
#: Parameters that name an object.
NAMED = (
    "customer_id", "notice_id", "contact_id", "delivery_id", "endpoint_id", "secret_id", "member_id", "token_id",
    "session_id", "passkey_id", "index",
)  # fmt: skip


async def _complete(running, api, world):
    """Add the objects of the foreign customer that the world does not name."""
    other = await person(running, "Bea", (Role.CUSTOMER_MANAGER, world.foreign["customer_id"]))
    for names in (world.own, world.foreign):
        (endpoint,) = (await ok(api.get(f"/customers/{names['customer_id']}/webhooks")))["items"]
        names["secret_id"] = endpoint["secrets"][0]["id"]
        members = (await ok(api.get(f"/customers/{names['customer_id']}/members")))["items"]
        names["member_id"] = members[-1]["id"]
    parts = running.parts
    account_id = world.accounts["approver"].id
    (token, *_) = await parts.store.read(lambda tx: tx.tokens.of_account(account_id))
    foreign_id = UUID(world.foreign["customer_id"])
    pseudonym = await parts.store.read(lambda tx: tx.customers.pseudonym(foreign_id))
    (entry, *_), _ = await parts.store.read(lambda tx: tx.audit.about("customer", pseudonym, Page(1)))
    world.foreign |= {
        "token_id": str(token.id), "session_id": str(other.session_id), "index": str(entry.index),
    }  # fmt: skip


def _pairs(world, operation):
    """Yield names for a request about what is foreign or hidden, and for the same about what is nowhere."""
    named = [name for name in re.findall(r"{(\w+)}", operation) if name in NAMED]
    if operation.endswith("/replays"):
        named.append("notice_id")
    nowhere = {name: str(uuid4()) for name in NAMED} | {"index": "9" * len(world.foreign["index"])}
    # The last name alone, then the one before it too: foreign below what is its own, and foreign altogether.
    for at in range(len(named)):
        there, gone = ({name: names[name] for name in named[at:]} for names in (world.foreign, nowhere))
        yield world.own | there, world.own | gone
    if "notice_id" in named:
        yield world.own | {"notice_id": world.own["draft_id"]}, world.own | {"notice_id": nowhere["notice_id"]}


async def _sent(client, manager, operation, names):
    method, path = operation.split(" ")
    url = filled(path, names, operation)
    if method == "GET":
        return await client.get(url)
    body, headers = request_of(operation, names)
    if path.startswith("/api/"):
        return await client.request(method, url, json=body, headers=headers)
    fields = {
        "url": "https://hook.invalid/",
        "description": "",
        "version": "1",
        "kind": "v1",
        "overlap_days": "1",
        "name": "N",
    }
    form = manager.form(**fields, notice_id=names["notice_id"])
    return await client.request(method, url, data=form)
