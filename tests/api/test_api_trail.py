"""The trail: what the log says about one customer, with proofs, and nothing of another or of what it was not told."""

import base64

import httpx
import pytest
from test_api_accounts import caller, service

from notifications.audit.checkpoint import parse_checkpoint_note
from notifications.audit.merkle import leaf_hash, verify_inclusion
from notifications.audit.proof import parse_proof
from support import scenario
from support.scenario import ok

__all__ = ["caller"]

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


@pytest.fixture
async def own(api, caller):
    """A customer and the client of its member."""
    registered = await scenario.customer(api)
    permissions = ("trail.read", "notice.read")
    _, token = await service(api, "customer_member", permissions, customer_id=registered["id"])
    async with caller(token) as client:
        yield registered, client


async def pages(client: httpx.AsyncClient, customer, limit=3):
    cursor, found = None, []
    while True:
        params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = await ok(client.get(f"/customers/{customer['id']}/trail", params=params))
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def sequenced(running):
    """Wait until nothing is pending."""
    context = running.parts.context
    act_id = await running.parts.store.read(lambda tx: [leaf.entry_id for leaf in tx.audit.pending(10_000)])
    for entry_id in act_id:
        await running.parts.sequencer.included(entry_id)
    assert context is not None


async def test_entries_that_name_the_customer_oldest_first_each_with_its_proof(running, api, own):
    customer, member = own
    await scenario.customer(api, name="Other")
    await sequenced(running)
    trail = await pages(member, customer)
    assert [item["index"] for item in trail] == sorted({item["index"] for item in trail})
    assert trail[0]["leaf"]["type"] == "customer.registered"
    assert len({item["leaf"]["subjects"]["customer"] for item in trail}) == 1
    for item in trail:
        answer = await member.get(f"/customers/{customer['id']}/trail/{item['index']}/proof")
        proof = parse_proof(answer.content)
        checkpoint = parse_checkpoint_note(proof.checkpoint)
        digest = leaf_hash(base64.b64decode(item["leaf_base64"]))
        verify_inclusion(digest, item["index"], checkpoint.size, proof.hashes, checkpoint.root)
    known = {item["index"] for item in trail}
    size = (await ok(api.get("/audit/entries")))["size"]
    for index in [*set(range(size)) - known, size, 2**53]:
        assert (await member.get(f"/customers/{customer['id']}/trail/{index}/proof")).status_code == 404
        assert (await api.get(f"/customers/{customer['id']}/trail/{index}/proof")).status_code == 404


async def test_a_draft_is_in_no_trail_of_a_customer_until_it_is_served(running, api, own):
    customer, member = own
    incident = await scenario.declare(api, **GRAVE)
    await sequenced(running)
    assert incident["id"] not in str(await pages(member, customer))
    assert incident["id"] in str(await pages(api, customer))
    await scenario.release(api, incident)
    await running.sink.wait_for(1)
    await sequenced(running)
    kinds = {item["leaf"]["type"] for item in await pages(member, customer) if incident["id"] in str(item)}
    assert {"decision.recorded", "notice.released", "notice.sealed"} <= kinds
