"""What became of an announcement: carried out, cancelled, or its time passed; the inbox and the lists say it."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest

from notifications.ports import LetterState
from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from service.system.logging import SystemClock
from support.announcements import act_on, ahead, announce, announced, bound, open_letter, released
from support.commits import until
from support.scenario import ok
from support.world import account, at_customer


class MovedClock(SystemClock):
    """The system's clock, put forward."""

    moved = timedelta()

    def now(self):
        return super().now() + self.moved


class World:
    def __init__(self, running, api, clock):
        self.running, self.api, self.clock = running, api, clock

    async def member(self, own):
        _, token = await account(self.running, "Erika", at_customer(Role.CUSTOMER_MANAGER, own["id"]))
        return httpx2.AsyncClient(
            base_url=f"{self.running.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    async def sealed(self, notice):
        async def asked():
            return (await ok(self.api.get(f"/notices/{notice['id']}")))["state"] == "sealed"

        await until(self.running.parts.store, asked)

    async def ended(self, **moved):
        self.clock.moved = timedelta(**moved)
        await asyncio.gather(*(self.running.parts.ending.look() for _ in range(3)))

    async def outcome(self, made):
        return (await ok(self.api.get(f"/announcements/{made['id']}")))["outcome"]

    async def kinds(self):
        leaves = await self.running.parts.store.read(
            lambda tx: [json.loads(each.leaf) for each in (*tx.audit.entries(0, 9999), *tx.audit.pending(9999))]
        )
        return [leaf["type"] for leaf in leaves if leaf["type"].startswith("announcement.")]


@pytest.fixture
async def world(data_folder, service_log):
    clock = MovedClock()
    async with embedded_service(
        data_folder, clock=clock, log__batch_seconds=0.01, access__requests_burst=20_000
    ) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            yield World(running, api, clock)


async def open_in_inbox(member, own):
    items = (await ok(member.get(f"/customers/{own['id']}/notices")))["items"]
    return [item["open"] for item in items]


async def test_an_announcement_is_over_when_its_time_has_passed_and_the_log_says_so_once(world):
    own = await bound(world.api, "Own", "soc@own.example")
    made = await announce(world.api, occurs_at=ahead(hours=4), ends_at=ahead(hours=6))
    (notice,) = await released(world.api, made)
    await world.sealed(notice)
    async with await world.member(own) as member:
        await world.ended(hours=5)
        assert (await world.outcome(made), await open_in_inbox(member, own)) == ("open", [True])
        await world.ended(hours=7)
        assert (await world.outcome(made), await open_in_inbox(member, own)) == ("elapsed", [False])
        assert (await ok(member.get(f"/customers/{own['id']}/notices?open=true")))["items"] == []
        # A moment that is moved opens it again; the customer is told by an update.
        current = await ok(world.api.get(f"/announcements/{made['id']}"))
        later = announced(occurs_at=ahead(hours=20))
        moved = await ok(
            world.api.put(f"/announcements/{made['id']}", json=later, headers={"If-Match": f'"{current["version"]}"'})
        )
        assert (moved["outcome"], moved["closed_at"]) == ("open", None)
        assert await open_in_inbox(member, own) == [True]
    assert await world.kinds() == [
        "announcement.declared", "announcement.decided", "announcement.elapsed", "announcement.changed",
        "announcement.decided",
    ]  # fmt: skip


async def test_who_was_not_told_yet_keeps_it_open(world):
    await bound(world.api, "Own", "soc@own.example")
    made = await announce(world.api, occurs_at=ahead(hours=4))
    await world.ended(hours=5)
    assert await world.outcome(made) == "open"
    (notice,) = await released(world.api, made)
    await world.sealed(notice)
    await world.ended(hours=5)
    assert await world.outcome(made) == "elapsed"


async def test_what_took_place_is_recorded_afterwards_and_cannot_be_changed_then(world):
    own = await bound(world.api, "Own", "soc@own.example")
    made = await announce(world.api, occurs_at=ahead(hours=4))
    (notice,) = await released(world.api, made)
    await world.sealed(notice)
    await world.ended(hours=5)
    current = await ok(world.api.get(f"/announcements/{made['id']}"))
    done = await ok(act_on(world.api, current, "carry-out"))
    assert (done["outcome"], done["state"]) == ("carried_out", "closed")
    for act in ("cancel", "carry-out"):
        assert (await act_on(world.api, done, act)).status_code == 409
    async with await world.member(own) as member:
        assert await open_in_inbox(member, own) == [False]
    assert [each["outcome"] for each in (await ok(world.api.get("/announcements?state=closed")))["items"]] == [
        "carried_out"
    ]


async def test_a_cancellation_stays_open_in_the_inbox_until_its_notice_is_there(world):
    own = await bound(world.api, "Own", "soc@own.example")
    made = await announce(world.api, occurs_at=ahead(hours=4))
    (notice,) = await released(world.api, made)
    await world.sealed(notice)
    cancelled = await ok(act_on(world.api, made, "cancel"))
    async with await world.member(own) as member:
        assert (cancelled["outcome"], await open_in_inbox(member, own)) == ("cancelled", [True])
        (final,) = await released(world.api, cancelled)
        await world.sealed(final)
        assert await open_in_inbox(member, own) == [False, False]
    await world.ended(hours=5)
    assert await world.outcome(made) == "cancelled"


async def test_what_the_agreement_wants_by_letter_only_is_not_mailed(world):
    own = await bound(world.api, "Own", "soc@own.example")
    made = await announce(world.api, "loss_of_qualification", occurs_at=ahead(minutes=1))
    (notice,) = await released(world.api, made)
    letter = await open_letter(world.running, world.api)
    assert letter["notice_id"] == notice["id"]
    store = world.running.parts.store

    def channels(tx):
        return [each.channel.value for each in tx.deliveries.of_notice(UUID(notice["id"]))]

    assert await store.read(channels) == ["console"]
    # Nobody is called and no other contact is written to, however late the letter is.
    world.clock.moved = timedelta(days=30)
    await world.running.parts.escalating.look()
    assert await store.read(channels) == ["console"]
    assert await store.read(lambda tx: tx.escalations.get(UUID(notice["id"]))) is None
    assert letter["state"] == LetterState.OPEN.value
    world.clock.moved = timedelta()
    # The next notice is of a kind that goes by mail. It is the first mail that the customer gets.
    (mailed,) = await released(world.api, await announce(world.api, occurs_at=ahead(days=90)))
    await world.sealed(mailed)
    await world.running.sink.wait_for(1)
    assert [message.recipients for message in world.running.sink.messages] == [("soc@own.example",)]
    async with await world.member(own) as member:
        items = (await ok(member.get(f"/customers/{own['id']}/notices")))["items"]
        assert {item["notice_id"] for item in items} == {notice["id"], mailed["id"]}
