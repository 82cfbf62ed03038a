"""What a customer reads does not change while things happen to others, and to drafts about itself.

Everything that a member can read is read twice, byte by byte: status, headers and body; every list page by page.
Between the two, another customer is served, and drafts about this customer are made, changed and withdrawn.
"""

import re
from uuid import UUID

import httpx2
import pytest
from test_matrix import filled

from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from support.commits import until
from support.matrix_rows import ROWS
from support.people import browser, person
from support.scenario import affected, change, customer, declare, harm, ok
from support.world import build_world

#: They prove something against the head of the log. The head grows with every entry of anybody, and it is public.
OF_THE_WHOLE_LOG = ("/log/", "/audit/checkpoint", "/audit/consistency", "/bundle", "/proof")
FORM_ID = re.compile(rb'name="form_id" value="[^"]+"')
NOTICE_PROOF = "GET /api/v1/notices/{notice_id}/proof"


@pytest.fixture
async def world(running, api):
    return await build_world(running, api)


def readable():
    """Return the operations that read, but for those about the head of the log."""
    reading = [operation for operation in ROWS if operation.startswith("GET ")]
    return [each for each in reading if each == NOTICE_PROOF or not any(part in each for part in OF_THE_WHOLE_LOG)]


def seen(answer):
    headers = sorted((name, value) for name, value in answer.headers.items() if name != "date")
    # Every shown form has an identifier of its own.
    return answer.status_code, headers, FORM_ID.sub(b"", answer.content)


async def everything(client, names):
    """Return what a client reads: by operation, the answer, and every page of a list with one item a page."""
    return {operation: await answers(client, names, operation) for operation in readable()}


async def answers(client, names, operation):
    """Return the answer of one operation, and every page of a list with one item a page."""
    url = filled(operation.removeprefix("GET "), names, operation)
    answer = await client.get(url)
    found = [seen(answer)]
    cursor = None
    while answer.is_success and b'"next_cursor"' in answer.content:
        page = await client.get(url, params={"limit": 1} | ({"cursor": cursor} if cursor else {}))
        found.append(seen(page))
        cursor = page.json()["next_cursor"]
        items = page.json()["items"]
        assert len(items) == 1 or (cursor is None and len(found) == 2), f"a page with a gap: {operation}"
        if cursor is None:
            break
    return found


async def settled(running, *notice_ids):
    """Wait until notices are served, dated and proven, and nothing waits to be sequenced."""
    store = running.parts.store

    def is_done(tx):
        seals = [tx.notices.seal(each) for each in notice_ids]
        # The webhooks of this world lead nowhere: one attempt each.
        queued = [item for each in notice_ids for item in tx.deliveries.of_notice(each) if item.attempts == 0]
        proven = all(seal is not None and seal.timestamp and seal.log_proof for seal in seals)
        return proven and not queued and not tx.audit.pending(1)

    await until(store, lambda: store.read(is_done))


async def test_nothing_that_a_customer_reads_changes_until_something_is_released_to_it(running, api, world):
    own, foreign = world.own, world.foreign
    manager = await person(running, "Ann", (Role.CUSTOMER_MANAGER, own["customer_id"]))
    await settled(running, UUID(own["notice_id"]), UUID(foreign["notice_id"]))
    headers = {"Authorization": f"Bearer {world.tokens['member']}"}
    async with (
        httpx2.AsyncClient(base_url=running.url, headers=headers, timeout=120) as member,
        browser(running, manager) as pages,
    ):
        # The first look at a notice is recorded.
        for client in (member, pages):
            await everything(client, own)
        await settled(running)
        before = [await everything(client, own) for client in (member, pages)]
        assert sum(found[0][0] == 200 for found in before[0].values()) > 25
        await _happen(running, api, world)
        after = [await everything(client, own) for client in (member, pages)]
        for earlier, later in zip(before, after, strict=True):
            assert [operation for operation in earlier if earlier[operation] != later[operation]] == []

        # What is released to it does change the lists.
        await ok(api.post(f"/notices/{own['draft_id']}/release", headers={"If-Match": "*"}))
        await settled(running, UUID(own["draft_id"]))
        served = await everything(member, own)
        changed = {operation for operation in served if served[operation] != before[0][operation]}
        lists = ("/notices", "/customers/{customer_id}/inbox", "/customers/{customer_id}/trail")
        assert {f"GET /api/v1{path}" for path in lists} <= changed


async def _happen(running, api, world):
    """Let things happen to the other customer, and to drafts about the first."""
    own, foreign = {"id": world.own["customer_id"]}, {"id": world.foreign["customer_id"]}
    grave = {"impact": "I1", "service_harm": harm(confidentiality="yes")}
    hurt = {"data_harm": harm(confidentiality="yes")}
    # The other one is served, reads and acknowledges; there are more customers and accounts.
    await ok(api.post(f"/notices/{world.foreign['draft_id']}/release", headers={"If-Match": "*"}))
    theirs = await person(running, "Bea", (Role.CUSTOMER_MANAGER, foreign["id"]))
    async with browser(running, theirs) as reading:
        assert (await reading.get(f"/api/v1/notices/{world.foreign['notice_id']}/document")).status_code == 200
    await ok(api.post(f"/customers/{foreign['id']}/members", json={"email": "new@foreign.example"}))
    await customer(api, "Third", contacts=(("soc@third.example", "en"),))
    only_foreign = await declare(api, **grave, affected_customers=[affected(foreign, **hurt)])
    drafted = (await ok(api.get(f"/incidents/{only_foreign['id']}/notices")))["items"]
    (notice,) = [each for each in drafted if each["customer_id"] == foreign["id"]]
    await ok(api.post(f"/notices/{notice['id']}/release", headers={"If-Match": "*"}))
    # Drafts about the first one: a new one, one that is changed, one that is withdrawn, one after a notice it has.
    await declare(api, **grave, affected_customers=[affected(own, **hurt)])
    withdrawn = await declare(api, **grave, affected_customers=[affected(own, **hurt)])
    await change(api, withdrawn, affected_customers=[affected(own, affected="no")], service_harm=harm(), impact="I3")
    for incident_id in {world.own["incident_id"]}:
        incident = await ok(api.get(f"/incidents/{incident_id}"))
        stated = [affected(each, **hurt, effect={"en": "More is known."}) for each in (own, foreign)]
        await change(api, incident, affected_customers=stated)
    drafts = (await ok(api.get("/notices", params={"customer_id": own["id"], "state": "draft"})))["items"]
    assert len(drafts) >= 3
    await settled(running, UUID(world.foreign["draft_id"]), UUID(notice["id"]))


async def test_notices_of_an_incident_are_paged_once_each_while_they_change(running, api, world):
    for number in range(5):
        await customer(api, f"Paged {number}", contacts=())
    grave = {"impact": "I1", "service_harm": harm(confidentiality="yes"), "unlisted_customers": "unknown"}
    incident = await declare(api, **grave)
    path = f"/incidents/{incident['id']}/notices"
    wanted = [each["id"] for each in (await ok(api.get(path)))["items"]]
    assert len(wanted) >= 5
    seen, cursor = [], None
    while cursor or not seen:
        page = await ok(api.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {})))
        seen += [each["id"] for each in page["items"]]
        assert page["total"] == len(wanted)
        cursor = page["next_cursor"]
        # Behind the cursor and before it, a notice goes out.
        for each in {seen[0], wanted[-1]}:
            if (await ok(api.get(f"/notices/{each}")))["state"] == "draft":
                await ok(api.post(f"/notices/{each}/release", headers={"If-Match": "*"}))
    assert seen == wanted


async def test_a_cursor_says_nothing_and_serves_one_account_in_one_list(running, api, world):
    for number in range(3):
        await customer(api, f"More {number}", contacts=())
        await declare(api)
    first = (await ok(api.get("/customers", params={"limit": 1})))["next_cursor"]
    second = (await ok(api.get("/customers", params={"limit": 1, "cursor": first})))["next_cursor"]
    assert len(first) == len(second)
    assert first != second
    assert (await ok(api.get("/customers", params={"limit": 1})))["next_cursor"] == first
    incidents = (await ok(api.get("/incidents", params={"limit": 1, "state": "open"})))["next_cursor"]
    headers = {"Authorization": f"Bearer {world.tokens['analyst']}"}
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as analyst:
        changed = first[:-1] + ("A" if first[-1] != "A" else "B")
        # The same bytes in another spelling, where the last character has bits to spare.
        respelled = first[:-1] + chr(ord(first[-1]) + 1)
        plain = "Y3VzdG9tZXJzOjE"  # what a cursor was: customers:1
        for client, path, cursor in (
            (analyst, "/customers", first),
            (api, "/customers", incidents),
            (api, "/incidents", first),
            (api, "/incidents", incidents),
            (api, "/incidents?state=closed", incidents),
            (api, "/customers", changed),
            (api, "/customers", respelled),
            (api, "/customers", first + "A"),
            (api, "/customers", first[4:]),
            (api, "/customers", plain),
            (api, "/customers", "é"),
            (api, "/customers", "="),
            (api, "/audit/entries", "1"),
        ):
            joined = "&" if "?" in path else "?"
            answer = await client.get(f"{path}{joined}limit=1&cursor={cursor}")
            assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, ["cursor"]), path
        # Another size of page is the same list.
        for limit in (1, 50):
            await ok(api.get("/incidents", params={"state": "open", "limit": limit, "cursor": incidents}))


async def test_an_erasure_tells_a_customer_nothing_of_its_drafts(running, api, world):
    own = world.own["customer_id"]
    await ok(api.put(f"/customers/{own}/erasure", json={"served_by": "mail"}))
    assert (await ok(api.get(f"/customers/{own}/erasure")))["in_the_way"]["unserved_notices"] == 1
    manager = await person(running, "Ann", (Role.CUSTOMER_MANAGER, own))
    async with browser(running, manager) as theirs:
        assert (await ok(theirs.get(f"/api/v1/customers/{own}/erasure")))["in_the_way"] == {}


async def test_a_dry_run_tells_a_customer_no_number_of_incidents(running, api, world):
    own = world.own["customer_id"]
    manager = await person(running, "Ann", (Role.CUSTOMER_MANAGER, own))
    form = manager.form()
    async with browser(running, manager) as theirs:
        path, body = f"/api/v1/customers/{own}/profiles/dry-run", {"choices": None}
        proof = {"X-CSRF-Token": form["csrf_token"]}
        assert (await ok(theirs.post(path, json=body, headers=proof)))["incidents_examined"] is None
    assert (await ok(api.post(f"/customers/{own}/profiles/dry-run", json={"choices": None})))["incidents_examined"] == 2


async def test_where_the_provider_wants_it_a_ticket_does_not_count_the_incidents_of_others(data_folder, service_log):
    async with embedded_service(data_folder, provider__random_tickets=True) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            tickets = [(await declare(api))["ticket"] for _ in range(5)]
    assert all(re.fullmatch(r"INC-20[0-9]{2}-[0-9]{9}", ticket) for ticket in tickets)
    assert len(set(tickets)) == 5
