"""Live updates: events as they are committed, without content, to those who may know, until the session ends."""

import asyncio
import json
import threading
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import product
from uuid import UUID

import httpx2
import pytest

from service.auth.authentication import session_digest
from service.cli.demo.environment import embedded_service
from service.ports.accounts import Grant, Role
from service.store import open_store
from service.store.engines.postgresql import PostgresqlStore
from service.store.log.events import EventRecords
from service.web.live import STREAMS_PER_SESSION
from support.clocks import SteppedClock
from support.people import act_of, browser, person
from support.postgresql_server import postgresql_server
from support.records import make_entry
from support.scenario import affected, change, customer, declare, release

SECRET = "Payroll disks of the hospital"


class Stream:
    """An open stream of events."""

    def __init__(self, answer):
        self.answer, self._lines = answer, answer.aiter_lines()
        self.comments = 0

    async def event(self):
        """Return the next event as (name, data, id); None at the end of the stream."""
        found = {}
        async with asyncio.timeout(30):
            async for line in self._lines:
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(": ")
                    found[name] = value
                elif "event" in found:
                    return found["event"], json.loads(found["data"]), int(found["id"])
        return None

    async def until(self, kind):
        """Return the events up to one of a kind."""
        events = []
        while True:
            name, data, position = await self.event()
            events.append((name, data, position))
            if kind in {name, data.get("kind")}:
                return events


@asynccontextmanager
async def stream(running, whom, path="/events", **headers):
    async with browser(running, whom) as pages, pages.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer)


async def analyst(running, **changes):
    return await person(running, "Ada", (Role.ANALYST, None), **changes)


@pytest.fixture
async def ada(running):
    return await analyst(running)


async def all_ended(running):
    """Wait until the service has no stream; each round is an answer of the service."""
    async with asyncio.timeout(30), httpx2.AsyncClient(base_url=running.url, timeout=120) as client:
        while running.app.state.live.open:
            await client.get("/healthz")


async def test_what_is_committed_is_told_without_what_it_says(running, api, ada):
    hospital = await customer(api, "Hospital of Valmont")
    async with stream(running, ada) as events:
        assert (await events.event())[0] == "ready"
        incident = await declare(
            api, title={"en": SECRET}, intent="malicious", impact="I1", affected_customers=[affected(hospital)]
        )
        declared = await events.until("decision.recorded")
        await release(api, incident)
        released = await events.until("notice.sealed")
    told = [data for name, data, _ in declared + released if name == "incident"]
    assert {"incident.declared", "decision.recorded", "notice.released", "notice.sealed"} <= {
        each["kind"] for each in told
    }
    assert all(
        each == {"kind": each["kind"], "incident_id": incident["id"], "ticket": incident["ticket"]} for each in told
    )
    assert "Valmont" not in str(told)
    positions = [position for _, _, position in declared + released]
    assert positions == sorted(set(positions))


async def test_a_stream_goes_on_where_it_was_cut_off(running, api, ada):
    async with stream(running, ada) as events:
        await events.event()
        first = await declare(api)
        *_, (_, _, seen) = await events.until("incident.declared")
    second = await declare(api)
    await change(api, first, impact="I2")
    async with stream(running, ada, **{"Last-Event-ID": str(seen)}) as events:
        missed = await events.until("ready")
        kinds = [(data["kind"], data["ticket"]) for name, data, _ in missed if name == "incident"]
        assert kinds == [("incident.declared", second["ticket"]), ("incident.facts_changed", first["ticket"])]
        third = await declare(api)
        (_, data, _) = await events.event()
        assert data["ticket"] == third["ticket"]


@pytest.mark.parametrize("stated", ["", "x", "-1", "9" * 18, "9" * 50, "1; DROP"])
async def test_an_identifier_that_is_none_begins_with_what_comes(running, api, ada, stated):
    await declare(api)
    async with stream(running, ada, **{"Last-Event-ID": stated}) as events:
        assert (await events.event())[0] == "ready"


async def test_a_stream_that_is_far_behind_is_told_to_begin_again(running, api, ada, monkeypatch):
    monkeypatch.setattr("service.web.live._ENTRIES_AT_ONCE", 2)
    for _ in range(3):
        await declare(api)
    async with stream(running, ada, **{"Last-Event-ID": "0"}) as events:
        name, data, _ = await events.event()
        assert (name, data) == ("reset", {})


async def test_those_who_may_not_read_incidents_get_no_stream(running, api):
    own = await customer(api)
    member = await person(running, "Max", (Role.CUSTOMER_MEMBER, own["id"]))
    for path in ("/events", "/api/v1/events"):
        async with browser(running, member) as pages:
            assert (await pages.get(path)).status_code == 403
        async with httpx2.AsyncClient(base_url=running.url, timeout=120) as stranger:
            assert (await stranger.get(path)).status_code == 401


async def test_an_auditor_of_a_period_hears_of_its_incidents_alone_and_is_logged(running, api):
    auditor = await person(running, "Aud")
    now, act = running.parts.context.clock.now(), act_of(running)
    account = auditor.account.id

    def grant(starts_at, ends_at):
        return Grant(act.identifiers.new_id(), account, Role.AUDITOR, None, starts_at, ends_at, act.now, act.actor)

    def replace_grant(tx):
        # The first incident is before the new period too: whenever the stream looks at it, it is another's.
        tx.accounts.remove_grant(past.id)
        tx.accounts.add_grant(grant(running.parts.context.clock.now(), now + timedelta(days=1)))

    past = grant(now - timedelta(days=9), now - timedelta(days=8))
    await running.parts.store.write(lambda tx: tx.accounts.add_grant(past))
    async with stream(running, auditor, "/api/v1/events") as events:
        await events.event()
        await declare(api)
        # From now on the period goes on; the stream hears so by itself.
        await running.parts.store.write(replace_grant)
        second = await declare(api)
        (_, data, _) = await events.event()
        assert data["ticket"] == second["ticket"]
    entries = await running.parts.store.read(lambda tx: [*tx.audit.entries(0, 200), *tx.audit.pending(200)])
    read = [json.loads(entry.leaf) for entry in entries if b'"record.read"' in entry.leaf]
    assert [entry["detail"]["operation"] for entry in read] == ["GET /api/v1/events"]


async def test_an_auditor_whose_period_is_over_hears_nothing_new_of_an_incident_in_it(running, api, ada):
    auditor, act = await person(running, "Aud"), act_of(running)
    since = act.now - timedelta(minutes=1)
    async with stream(running, ada) as events:
        first = await declare(api)
        *_, (_, _, seen) = await events.until("incident.declared")
    over, account = running.parts.context.clock.now(), auditor.account.id
    grant = Grant(act.identifiers.new_id(), account, Role.AUDITOR, None, since, over, act.now, act.actor)
    await running.parts.store.write(lambda tx: tx.accounts.add_grant(grant))
    await change(api, first, impact="I2")
    async with browser(running, auditor) as pages:
        assert (await pages.get(f"/incidents/{first['id']}")).status_code == 200
    heard = {}
    for whom in (ada, auditor):
        async with stream(running, whom, **{"Last-Event-ID": str(seen)}) as events:
            heard[whom.account.name] = [
                data["kind"] for name, data, _ in await events.until("ready") if name != "ready"
            ]
    assert heard == {"Ada": ["incident.facts_changed"], "Aud": []}


async def test_a_session_that_ends_ends_its_streams(running, ada):
    async with stream(running, ada) as events:
        await events.event()
        await running.parts.store.write(lambda tx: tx.sessions.end(ada.session_id))
        assert await events.event() is None
    await all_ended(running)
    async with browser(running, ada) as pages:
        assert (await pages.get("/events", headers={"Accept": "text/event-stream"})).status_code == 401


async def test_a_role_that_is_taken_ends_the_stream(running, ada):
    async with stream(running, ada) as events:
        await events.event()

        def take(tx):
            (grant,) = tx.accounts.grants(ada.account.id)
            tx.accounts.remove_grant(grant.id)

        await running.parts.store.write(take)
        assert await events.event() is None


async def test_an_open_stream_does_not_keep_a_session_from_ending_by_rest(data_folder, service_log):
    clock = SteppedClock()
    async with embedded_service(data_folder, clock=clock, access__session_idle_seconds=600) as running:
        running.app.state.live.heartbeat_seconds = 0.01
        ada = await analyst(running)
        async with stream(running, ada) as events:
            await events.event()
            clock.step(timedelta(minutes=9))
            # It is alive, and nobody used the session meanwhile.
            assert running.app.state.live.open == 1
            clock.step(timedelta(minutes=2))
            assert await events.event() is None
            assert events.comments > 0
        session = await running.parts.store.read(lambda tx: tx.sessions.get(session_digest(ada.secret)))
        assert session is None or session.last_seen_at < clock.now() - timedelta(minutes=10)


async def test_a_session_has_few_streams_and_gets_its_places_back(running, ada):
    async with browser(running, ada) as pages:
        answers = [pages.stream("GET", "/events") for _ in range(STREAMS_PER_SESSION)]
        for answer in answers:
            assert (await answer.__aenter__()).status_code == 200
        refused = await pages.get("/events")
        assert (refused.status_code, "retry-after" in refused.headers) == (429, True)
        other = await person(running, "Bob", (Role.APPROVER, None))
        async with stream(running, other) as events:
            assert (await events.event())[0] == "ready"
        for answer in answers:
            await answer.__aexit__(None, None, None)
        await all_ended(running)
    async with stream(running, ada) as events:
        assert (await events.event())[0] == "ready"


async def test_the_service_stops_while_streams_are_open(data_folder, service_log):
    async with embedded_service(data_folder) as running:
        ada = await analyst(running)
        client = browser(running, ada)
        answer = await client.send(client.build_request("GET", "/events"), stream=True)
        events = Stream(answer)
        await events.event()
    # The service has stopped; the stream ended as it should.
    assert await events.event() is None
    await client.aclose()


async def test_an_entry_is_read_once_for_all_streams_and_never_without_one(running, api, ada, monkeypatch):
    reads = []
    plain = EventRecords.after
    monkeypatch.setattr(EventRecords, "after", lambda self, *a: reads.append(a) or plain(self, *a))
    await declare(api)
    assert reads == []
    bob = await person(running, "Bob", (Role.APPROVER, None))
    async with stream(running, ada) as one, stream(running, bob) as other:
        await one.event()
        await other.event()
        await declare(api)
        assert (await one.until("incident.declared"))[-1] == (await other.until("incident.declared"))[-1]
        # Reads follow commits, however many listen.
        assert 1 <= len(reads) <= 5
        assert UUID((await one_event(one, api))["incident_id"])


async def test_a_commit_while_the_first_stream_begins_does_not_read_the_whole_log(running, api, ada, monkeypatch):
    for _ in range(2):
        await declare(api)
    loop, live = asyncio.get_running_loop(), running.app.state.live
    reads, plain_after, plain_last = [], EventRecords.after, EventRecords.last_position
    monkeypatch.setattr(EventRecords, "after", lambda self, *a: reads.append(a) or plain_after(self, *a))

    async def committed():
        live._on_commit({"audit"})
        for _ in range(3):
            await asyncio.sleep(0)

    def last_position(self):
        found = plain_last(self)
        asyncio.run_coroutine_threadsafe(committed(), loop).result(10)
        return found

    monkeypatch.setattr(EventRecords, "last_position", last_position)
    async with stream(running, ada) as events:
        name, _, begun = await events.event()
        assert (name, begun > 0) == ("ready", True)
        third = await declare(api)
        assert (await events.until("incident.declared"))[-1][1]["ticket"] == third["ticket"]
    assert min(position for position, _ in reads) >= begun


async def one_event(events, api):
    await declare(api)
    (_, data, _) = await events.event()
    return data


async def test_two_processes_that_commit_in_turn_leave_no_event_out_on_postgresql(tmp_path, monkeypatch):
    """Positions are given as a transaction ends: what began first and ends last has the later one."""
    address = postgresql_server().database()
    async with embedded_service(tmp_path / "data", database__url=address) as running:
        ada = await person(running, "Ada", (Role.ANALYST, None))
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            incident = await declare(api)
        other = open_store(address, migrate=False)
        has_begun, may_end = threading.Event(), threading.Event()
        may_work_alone, plain_write = asyncio.Event(), PostgresqlStore.write

        async def write_in_turn(self, work, *, concurrently=False):
            if not concurrently:
                await may_work_alone.wait()
            return await plain_write(self, work, concurrently=concurrently)

        # A task that works alone waits for what is open, and what comes later waits for it: none begins meanwhile.
        monkeypatch.setattr(PostgresqlStore, "write", write_in_turn)
        await plain_write(running.parts.store, lambda tx: None)

        def write(tx, name, *, slowly=False):
            tx.audit.append([make_entry({"incident": incident["id"]}, type=f"test.{name}")])
            if slowly:
                has_begun.set()
                assert may_end.wait(60)

        async with stream(running, ada) as live:
            assert (await live.event())[0] == "ready"
            slow = asyncio.create_task(other.write(lambda tx: write(tx, "slow", slowly=True), concurrently=True))
            await asyncio.to_thread(has_begun.wait, 60)
            await running.parts.store.write(lambda tx: write(tx, "quick"), concurrently=True)
            seen = await live.until("test.quick")
            may_end.set()
            await slow
            may_work_alone.set()
            names = ["".join(pair) for pair in product("abcdefgh", repeat=2)]
            stores = (running.parts.store, other)
            await asyncio.gather(
                *(
                    stores[place % 2].write(lambda tx, name=name: write(tx, name), concurrently=True)
                    for place, name in enumerate(names)
                )
            )
            expected = {"test.slow", *(f"test.{name}" for name in names)}
            while expected:
                name, data, position = await live.event()
                assert name == "incident"
                assert position > seen[-1][2]
                seen.append((name, data, position))
                expected.discard(data["kind"])
            kinds = [data["kind"] for _, data, _ in seen if data.get("kind", "").startswith("test.")]
            assert len(kinds) == len(set(kinds)) == 66
        await other.close()
