"""Several processes on one PostgreSQL: each message once, whoever dies; the log goes on, and verifies at the end."""

import asyncio
import shutil
import signal
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default

import httpx2
import psycopg
import pytest

from notifications.audit.checkpoint import verify_checkpoint
from notifications.audit.merkle import leaf_hash, root_of
from notifications.audit.note import parse_verifier_key
from notifications.evidence.verification import verify_notice_mail
from service.cli.verify import load_trust
from support import scenario
from support.postgresql_server import own_server
from support.processes import greffier
from support.scenario import ok
from support.smtp_server import SmtpServer

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}
#: Longer than any send here takes, and short enough to wait for.
LEASE_SECONDS = 4


class House:
    """A database, a prepared folder with the keys of all, a relay, and processes on them."""

    def __init__(self, stack, server, data, relay, address, owner_address):
        self.stack, self.server, self.data, self.relay = stack, server, data, relay
        self.address, self.owner_address = address, owner_address
        self.heads = []

    def settings(self, **changes):
        chosen = {
            "database__url": self.address,
            "mail__host": "127.0.0.1",
            "mail__port": self.relay.port,
            "mail__tls": "none",
            "mail__connections": 2,
            "log__batch_seconds": 0,
            "limits__lease_seconds": LEASE_SECONDS,
            "access__requests_burst": 1_000_000,
        }
        return chosen | changes

    async def start(self, *arguments, **changes):
        """Start a process with a head file of its own; it is killed at the end, if it is still there."""
        self.heads.append(self.data.parent / f"head-{len(self.heads)}")
        settings = self.settings(log__head_file=self.heads[-1], **changes)
        return await self.stack.enter_async_context(
            greffier(arguments[0], "--data", self.data, *arguments[1:], **settings)
        )

    async def worker(self, **changes):
        return await self.start("worker", **changes)

    async def serve(self, *arguments, **changes):
        return await self.start("serve", "--port", "0", *arguments, **changes)

    async def client(self, process, token=None):
        token = token or (self.data / "api-token").read_text(encoding="ascii").strip()
        address = await process.address()
        return await self.stack.enter_async_context(
            httpx2.AsyncClient(base_url=f"{address}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60)
        )

    # -- what was delivered

    async def arrived(self, addresses, *, seconds=120):
        """Return the messages once there is one for each address."""
        wanted = set(addresses)

        def all_there():
            return wanted <= {message.recipient for message in self.relay.messages}

        async with asyncio.timeout(seconds), self.relay._changed:
            await self.relay._changed.wait_for(all_there)
        return list(self.relay.messages)

    async def recorded(self, api, notices, count):
        """Wait until so many mails of the notices stand as sent, with nothing queued beside."""
        async with asyncio.timeout(120):
            while True:
                items = [
                    item
                    for notice in notices
                    for item in (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
                ]
                states = Counter(item["state"] for item in items)
                if set(states) == {"sent"} and sum(item["channel"] == "email" for item in items) == count:
                    return items
                # To ask without a pause would take the processor from those who are waited for.
                await asyncio.sleep(0.05)

    # -- the log

    async def verify_log(self):
        """Verify the whole log: every leaf under one root that the log's key signed, and every witness beside it."""
        keys = [parse_verifier_key(line) for line in (self.data / "trust" / "log.vkey").read_text().split()]
        # Witnesses before the database, and that as of one moment: the log goes on meanwhile.
        witnesses = [path.read_bytes() for path in self.heads if path.exists()]
        async with await psycopg.AsyncConnection.connect(self.owner_address) as connection:
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            rows = await (
                await connection.execute(
                    "SELECT l.leaf_index, e.leaf FROM log_leaves l JOIN audit_entries e ON e.position = l.position"
                    " ORDER BY l.leaf_index"
                )
            ).fetchall()
            (note,) = await (
                await connection.execute("SELECT note FROM log_checkpoints ORDER BY size DESC LIMIT 1")
            ).fetchone()
            (pending,) = await (
                await connection.execute(
                    "SELECT count(*) FROM audit_entries e LEFT JOIN log_leaves l ON l.position = e.position"
                    " WHERE l.position IS NULL AND e.position <= (SELECT max(position) FROM log_leaves)"
                )
            ).fetchone()
        leaves = [bytes(leaf) for _, leaf in rows]
        assert [index for index, _ in rows] == list(range(len(rows)))
        assert pending == 0, "an entry was passed over"
        head = verify_checkpoint(bytes(note), *keys)
        assert head.root == root_of([leaf_hash(leaf) for leaf in leaves[: head.size]])
        for witness in witnesses:
            witnessed = verify_checkpoint(witness, *keys)
            assert witnessed.root == root_of([leaf_hash(leaf) for leaf in leaves[: witnessed.size]])
        return head


def ids_by_notice(messages):
    """Return the Message-IDs by recipient and subject, which names incident and sequence."""
    ids = {}
    for message in messages:
        parsed = message_from_bytes(message.content, policy=default)
        ids.setdefault((message.recipient, parsed["Subject"]), []).append(parsed["Message-ID"])
    return ids


async def dispatch(api, name, count):
    """Release one incident to a customer with so many contacts; returns its notices and the addresses."""
    addresses = [f"{name}-{number}@valmont.example" for number in range(count)]
    customer = await scenario.customer(api, name, contacts=[(address, "fr") for address in addresses])
    incident = await scenario.declare(
        api, **GRAVE, unlisted_customers="not_affected",
        affected_customers=[scenario.affected(customer, data_harm=scenario.harm(confidentiality="yes"))],
    )  # fmt: skip
    # An earlier customer is told of it as well.
    released = await scenario.release(api, incident)
    return [notice for notice in released if notice["customer_id"] == customer["id"]], addresses


async def leader_of(*processes):
    """Return the process that leads, once one of them does."""
    tasks = {asyncio.create_task(process.line("leadership.gained")): process for process in processes}
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    return tasks[done.pop()]


@dataclass
class Database:
    """A server that may be stopped, the address of the owner of the tables, and that of the application's role."""

    server: object
    owner_address: str
    address: str


@pytest.fixture
def database():
    with own_server() as server:
        owner = server.empty_database()
        if not server.has_role("greffier_app"):
            server.execute("CREATE ROLE greffier_app LOGIN")
        yield Database(server, owner, owner.replace("postgres:@", "greffier_app@"))


@pytest.fixture
async def house(prepared_folder, tmp_path, database):
    """Nothing runs yet."""
    data = tmp_path / "data"
    shutil.copytree(prepared_folder, data)
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(SmtpServer(extensions=("SIZE 10000000", "8BITMIME", "SMTPUTF8")))
        house = House(stack, database.server, data, relay, database.address, database.owner_address)
        migrating = greffier(
            "migrate", "--data", data, up=False, database__url=database.owner_address, database__role="greffier_app"
        )
        async with migrating as migrated:
            assert await migrated.end() == 0, migrated.lines
        yield house


async def under_way(house, count):
    """Wait until so many messages are held in the middle of being taken."""
    async with asyncio.timeout(60), house.relay._changed:
        await house.relay._changed.wait_for(lambda: house.relay.in_content == count)


async def test_one_serves_and_two_work_and_each_message_goes_out_once(house):
    serving, *working = await asyncio.gather(house.serve("--no-work"), house.worker(), house.worker())
    api = await house.client(serving)
    house.relay.hold = asyncio.Event()
    notices, addresses = await dispatch(api, "fan-out", 40)
    # Two connections each: both send.
    await under_way(house, 4)
    house.relay.hold.set()
    messages = await house.arrived(addresses)
    await house.recorded(api, notices, len(addresses))
    assert Counter(message.recipient for message in messages) == dict.fromkeys(addresses, 1)
    assert len({ids[0] for ids in ids_by_notice(messages).values()}) == len(addresses)
    trust = load_trust(house.data / "trust")
    assert len(list(verify_notice_mail(messages[-1].content, trust))) == 9
    for process in (serving, *working):
        process.signal(signal.SIGTERM)
    assert [await process.end() for process in (serving, *working)] == [0, 0, 0]
    assert sum("leadership.gained" in line for process in working for line in process.lines) >= 1
    assert not any("leadership.gained" in line for line in serving.lines)
    head = await house.verify_log()
    assert head.size > 40


async def test_two_workers_share_the_timestamps_of_their_notices(house):
    """A worker that does not lead sees checkpoints and tokens in the database."""
    sharing = {"timestamps__one_each_up_to": 2, "log__timestamp_every_seconds": 0}
    serving, *_ = await asyncio.gather(
        house.serve("--no-work", **sharing), house.worker(**sharing), house.worker(**sharing)
    )
    api = await house.client(serving)
    addresses = [f"customer-{number}@valmont.example" for number in range(12)]
    for address in addresses:
        await scenario.customer(api, address, contacts=[(address, "fr")])
    incidents = [await scenario.declare(api, **GRAVE) for _ in range(3)]
    released = [await scenario.release(api, incident) for incident in incidents]
    notices = [notice for notices in released for notice in notices]
    await house.recorded(api, notices, 3 * len(addresses))
    trust = load_trust(house.data / "trust")
    for message in house.relay.messages:
        steps = list(verify_notice_mail(message.content, trust))
        assert steps[3].finding.endswith("over the checkpoint of the proof")
    async with await psycopg.AsyncConnection.connect(house.owner_address) as connection:
        found = await connection.execute(
            "SELECT (SELECT count(*) FROM shared_timestamps), (SELECT count(*) FROM checkpoint_timestamps),"
            " (SELECT count(*) FROM seal_timestamps)"
        )
        dated, tokens, own = await found.fetchone()
    assert (dated, own) == (36, 0)
    # One for each group that is sealed together, and both workers may ask for the same one.
    assert 1 <= tokens <= len(notices) / 3
    await house.verify_log()


async def test_a_worker_that_is_killed_in_the_middle_loses_nothing(house):
    serving, one, two = await asyncio.gather(house.serve("--no-work"), house.worker(), house.worker())
    api = await house.client(serving)
    house.relay.hold = asyncio.Event()
    notices, addresses = await dispatch(api, "killed", 30)
    await under_way(house, 4)
    killed = await leader_of(one, two)
    left = two if killed is one else one
    killed.signal(signal.SIGKILL)
    await killed.end()
    house.relay.hold.set()
    await house.arrived(addresses)
    # What the dead one held is taken up when its leases end, by whoever is left; the log goes on under a new leader.
    await house.recorded(api, notices, len(addresses))
    await left.line("leadership.gained")
    ids = ids_by_notice(house.relay.messages)
    assert {recipient for recipient, _ in ids} == set(addresses)
    assert all(len(set(of_one)) == 1 for of_one in ids.values())
    # Twice at most what was on its way to be taken when it died.
    assert sum(len(of_one) - 1 for of_one in ids.values()) <= 2
    later, _ = await dispatch(api, "later", 2)
    await house.recorded(api, later, 2)
    await house.verify_log()


async def test_a_worker_that_is_told_to_stop_hands_back_what_it_holds(house):
    """Leases last for ever here: what comes is what was handed back."""
    serving, one = await asyncio.gather(
        house.serve("--no-work"), house.worker(limits__lease_seconds=100_000, limits__stop_seconds=0.2)
    )
    api = await house.client(serving)
    house.relay.hold = asyncio.Event()
    notices, addresses = await dispatch(api, "stopped", 12)
    await under_way(house, 2)
    one.signal(signal.SIGTERM)
    assert await one.end() == 0
    house.relay.hold.set()
    await house.worker(limits__lease_seconds=100_000)
    await house.arrived(addresses)
    await house.recorded(api, notices, len(addresses))
    assert all(len(set(of_one)) == 1 for of_one in ids_by_notice(house.relay.messages).values())
    await house.verify_log()


async def test_a_database_that_is_stopped_and_started_again_is_gone_on_with(house):
    serving, *working = await asyncio.gather(house.serve(), house.worker())
    api = await house.client(serving)
    first, addresses = await dispatch(api, "before", 3)
    await house.recorded(api, first, 3)
    leader = await leader_of(serving, *working)
    house.relay.hold = asyncio.Event()
    during, more = await dispatch(api, "during", 12)
    await under_way(house, 2)
    await asyncio.to_thread(house.server.stop)
    await leader.line("leadership.lost")
    house.relay.hold.set()
    refused = await api.get("/incidents")
    assert refused.status_code == 503
    await asyncio.to_thread(house.server.start)
    await house.arrived([*addresses, *more])
    await house.recorded(api, during, 12)
    assert all(len(set(of_one)) == 1 for of_one in ids_by_notice(house.relay.messages).values())
    after, _ = await dispatch(api, "after", 3)
    await house.recorded(api, after, 3)
    await house.verify_log()


async def test_keys_that_are_replaced_are_noticed_by_every_process(house):
    serving, *_ = await asyncio.gather(house.serve("--no-work"), house.worker())
    api = await house.client(serving)
    _, addresses = await dispatch(api, "old", 2)
    await house.arrived(addresses)
    old = load_trust(house.data / "trust")
    await ok(api.post("/keys/log/rotate"))
    await ok(api.post("/keys/signing/rotate"))
    second, more = await dispatch(api, "new", 2)
    messages = await house.arrived([*addresses, *more])
    new = load_trust(house.data / "trust")
    assert len(new.log_keys) == len(old.log_keys) + 1
    for message in messages:
        assert len(list(verify_notice_mail(message.content, new))) == 9
    await house.recorded(api, second, 2)
    # Every head is signed by the new key, the witness of the process that only serves too.
    new_key = parse_verifier_key((house.data / "trust" / "log.vkey").read_text().split()[-1])
    await house.verify_log()
    for path in house.heads:
        assert verify_checkpoint(path.read_bytes(), new_key)


async def test_what_is_revoked_at_one_process_is_refused_by_the_others(house):
    one, two = await asyncio.gather(house.serve(), house.serve("--no-work"))
    here, there = await house.client(one), await house.client(two)
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    token = await ok(
        here.post("/account/tokens", json={"name": "leaked", "permissions": ["incident.read"], "expires_at": soon})
    )
    leaked = await house.client(two, token["token"])
    assert (await leaked.get("/incidents")).status_code == 200
    assert (await here.delete(f"/account/tokens/{token['id']}")).is_success
    async with asyncio.timeout(10):
        while (await leaked.get("/incidents")).status_code != 401:
            pass
    assert (await there.get("/incidents")).status_code == 200
