"""Kills the service over and over while it works, starts it again, and counts what that cost.

``make faults ARGS="--kills 1000 --seed 1 --engine sqlite"``. A cell is one installation with a mail sink beside it, of
which the sink and its records are never killed. In each round an analyst declares an incident and releases its notices,
and one process dies: before or after a numbered step, while the sink has a message and has not answered, or at any
moment. At the end the service is left alone, on a clock that is ahead so that what waits is due, and is asked what
became of everything it had said yes to. The last line is ``kills=N lost=N duplicates=N stuck=N``.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from itertools import pairwise, product
from pathlib import Path

import httpx2
import psycopg

from notifications.delivery.webhook_message import webhook_id
from notifications.errors import GreffierError
from notifications.evidence.verification import verify_notice_mail
from service.audit_log.published_head import read_head, verified_head
from service.bootstrap.data_folder import prepare_data_folder
from service.cli.verify import load_trust
from service.settings import load_settings
from service.store import migrate_store, open_store
from support import scenario
from support.postgresql_server import PostgresqlServer
from support.reserved_port import reserved_port
from support.smtp_server import CLOSE, SmtpServer
from support.tls_authority import new_authority
from support.webhook_server import answer, close_at_once, webhook_server

LAUNCHER = Path(__file__).with_name("launcher.py")
ADDRESS = "soc@demo-cloud.example"
GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}
#: One customer has a contact whose address is refused for good: its deliveries must stand failed, with the reason.
GONE = "gone@klinik.example"
CUSTOMERS = {
    "Hôpital de Valmont": (("rssi@valmont.example", "fr"), ("soc@valmont.example", "en")),
    "Klinik am Fluss": (("it@klinik.example", "de"), (GONE, "de")),
}
#: Points at which the one process, or one of several, may die, by what it does.
SERVING = ("add_incident", "store_response")
WORKING = (
    "lease_released_notices", "sign", "timestamp", "add_sealed", "grow_tree", "write_head", "included", "set_log_proof",
    "lease_deliveries", "send_mail", "send_console", "send_webhook", "finish_attempts",
)  # fmt: skip
#: Points that only a cell comes to whose notices share timestamps.
SHARING = ("add_timestamp", "set_shared_timestamps")
#: What the sink has done when the process that sends to it dies.
SINK = ("content", "recorded", "answered")
#: The customer that also has its notices posted.
POSTED = "Hôpital de Valmont"
ROUND_SECONDS = 2.5


class Launched:
    """A process that the launcher started."""

    def __init__(self, pid, role, trap):
        self.pid, self.role, self.trap = pid, role, trap
        self.up, self.ended = asyncio.Event(), asyncio.Event()
        self.reached = None
        self.status = None

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Launcher:
    """The process that loads the program once and forks."""

    async def __aenter__(self):
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(LAUNCHER), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self._launched = {}
        self._begun = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        self._process.stdin.close()
        await self._process.wait()
        await self._reading

    async def start(self, role, trap=None, **order):
        self._process.stdin.write(json.dumps({"start": role, "trap": trap} | order).encode() + b"\n")
        await self._process.stdin.drain()
        launched = Launched(None, role, trap)
        self._expected = launched
        if await self._begun.get() is None:
            raise RuntimeError("the launcher ended")
        return launched

    async def _read(self):
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            pid = said["pid"]
            if pid not in self._launched:
                self._expected.pid = pid
                self._launched[pid] = self._expected
                self._begun.put_nowait(pid)
            launched = self._launched[pid]
            if "up" in said:
                launched.up.set()
            if "trap" in said:
                launched.reached = said["trap"]
            if "ended" in said:
                launched.status = said["ended"]
                launched.ended.set()
                del self._launched[pid]
        self._begun.put_nowait(None)


@dataclass
class Taken:
    """A message that the sink took responsibility for."""

    message_id: str
    recipient: str
    sha256: str
    #: how many processes had been killed when its connection was made, and which connection that was
    epoch: int
    connection: int
    at: float = field(default_factory=time.monotonic)


@dataclass
class Findings:
    """What a cell came to; each fault in one line."""

    kills: Counter = field(default_factory=Counter)
    lost: list = field(default_factory=list)
    stuck: list = field(default_factory=list)
    #: what must not be at all: a log that does not verify, another Message-ID, a copy that no kill explains
    wrong: list = field(default_factory=list)
    duplicates: int = 0
    owed: int = 0
    accepted: int = 0
    failed: int = 0
    seconds: float = 0.0

    def add(self, other):
        self.kills += other.kills
        for name in ("lost", "stuck", "wrong"):
            getattr(self, name).extend(getattr(other, name))
        for name in ("duplicates", "owed", "accepted", "failed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def line(self):
        return (
            f"kills={self.kills.total()} lost={len(self.lost) + len(self.wrong)} duplicates={self.duplicates}"
            f" stuck={len(self.stuck)}"
        )


class Sink:
    """Takes mail, writes down what it took before it says so, and dies never; it refuses some for now on purpose."""

    def __init__(self, record, chance, epoch, *, unruly=True):
        self.taken = []
        self.contents = {}
        #: copies that its own silence after it took a message explains
        self.silent = Counter()
        #: told once about the next message, at a stage of ``SINK``
        self.cut = None
        self._record, self._chance, self._epoch = record.open("ab"), chance, epoch
        self._unruly = unruly
        self._epochs = {}
        self.server = SmtpServer(on_content=self._content)

    async def __aenter__(self):
        await self.server.__aenter__()
        converse, answer = self.server._converse, self.server._answer

        async def marked(number, reader, writer):
            self._epochs[number] = self._epoch()
            await converse(number, reader, writer)

        async def unruly(writer, step, default):
            if step == "RCPT":
                text = self.server.commands[-1].line
                if GONE in text:
                    default = "550 5.1.1 no such user"
                elif self._unruly and self._chance.random() < 0.02:
                    default = "451 4.7.1 greylisted"
            if len(self.server.commands) > 1000:
                del self.server.commands[:-100]
            return await answer(writer, step, default)

        self.server._converse, self.server._answer = marked, unruly
        return self

    async def __aexit__(self, *error):
        await self.server.__aexit__(*error)
        self._record.close()

    def _cut(self, stage):
        if self.cut is not None and self.cut[0] == stage:
            cut, self.cut = self.cut[1], None
            cut()
            return True
        return False

    async def _content(self, message):
        self.server.messages.clear()
        if self._cut("content"):
            return CLOSE
        said = None
        if self._unruly and (chance := self._chance.random()) < 0.01:
            if chance < 0.005:
                return "452 4.3.1 no space"
            said = CLOSE
        found = BytesHeaderParser().parsebytes(message.content)["Message-ID"]
        taken = Taken(
            found, message.recipient, hashlib.sha256(message.content).hexdigest(),
            self._epochs[message.connection], message.connection,
        )  # fmt: skip
        self._record.write(json.dumps(vars(taken)).encode() + b"\n")
        self._record.flush()
        self.taken.append(taken)
        self.contents.setdefault(found, message.content)
        if said is CLOSE:
            self.silent[found] += 1
        if self._cut("recorded"):
            return CLOSE
        if self.cut is not None and self.cut[0] == "answered":
            asyncio.get_running_loop().call_later(0.001, self._cut, "answered")
        return said


class Receiver:
    """A customer's system that posts go to: as ``Sink`` it never dies, and refuses some for now on purpose."""

    def __init__(self, server, chance, epoch):
        self.taken, self.silent, self.unruly = [], Counter(), True
        self.port, self._connections = server.port, 0
        self._chance, self._epoch, self._server = chance, epoch, server
        server.answers = [self._answer]

    async def _answer(self, writer):
        post = self._server.received.pop()
        self._server.received.clear()
        self._connections += 1
        chance = self._chance.random() if self.unruly else 1.0
        if chance < 0.02:
            writer.write(answer(503))
            await writer.drain()
            return
        identifier = post.headers["webhook-id"]
        digest = hashlib.sha256(post.body).hexdigest()
        self.taken.append(Taken(identifier, POSTED, digest, self._epoch(), self._connections))
        if chance < 0.03:
            self.silent[identifier] += 1
            await close_at_once(writer)
            return
        writer.write(answer(204))
        await writer.drain()


class Cell:
    """One installation, killed so many times."""

    def __init__(self, number, prepared, folder, kills, seed, database=None):
        self.number, self.kills, self.database = number, kills, database
        self.folder = folder / f"cell-{number}"
        self.data = self.folder / "data"
        shutil.copytree(prepared, self.data)
        #: whether its notices share timestamps: those of every other cell do
        self.shares = number % 2 == 0
        self.clock = self.folder / "ahead"
        self.clock.write_text("0")
        self.chance = random.Random(f"{seed}/{number}")
        self.findings = Findings()
        self.schedule = self._schedule()
        self.processes = []
        self.owed = {}
        self.declared = 0
        self.pending = None
        self.token = (self.data / "api-token").read_text(encoding="ascii").strip()
        self.dead = 0
        #: from when to when the database server was away
        self.restarts = []
        #: the last entry that had to be in the log when nothing was open any more
        self.drained = 0

    def _schedule(self):
        """Every step before and after, mixed with the sink's stages and with any moment, in an order by chance."""
        while True:
            points = (*SERVING, *WORKING, *(SHARING if self.shares else ()))
            steps = [{"point": p, "when": w} for p, w in product(points, ("before", "after"))]
            mixed = [*steps, *({"sink": stage} for stage in SINK * 2), *[{"random": True}] * 8]
            if self.database is not None:
                mixed += [{"server": True}] * 4
            self.chance.shuffle(mixed)
            yield from mixed

    def _settings(self, sink):
        settings = {
            "mail__host": "127.0.0.1", "mail__port": sink.server.port, "mail__tls": "none", "mail__connections": 4,
            "mail__send_timeout_seconds": 5, "log__batch_seconds": 0.01, "contact_checks__every_days": 0,
            "access__requests_per_second": 10_000, "access__requests_burst": 100_000, "alerts__least_free_bytes": 0,
            "webhooks__allow_private": True, "webhooks__ca_file": str(self.folder / "ca.pem"),
            "webhooks__timeout_seconds": 5,
        }  # fmt: skip
        if self.shares:
            settings |= {"timestamps__one_each_up_to": 0, "timestamps__shared_every_seconds": 0.05}
        if self.database is not None:
            settings |= {"database__url": self.database.address, "limits__lease_seconds": 10}
        return settings

    async def run(self):
        started = time.monotonic()
        authority = new_authority()
        (self.folder / "ca.pem").write_bytes(authority.pem())
        with reserved_port() as self.port:
            await self._all_rounds(authority)
        self.findings.seconds = time.monotonic() - started
        return self.findings

    async def _all_rounds(self, authority):
        async with (
            Launcher() as launcher,
            webhook_server(authority.server_context(self.folder, "localhost")) as server,
            Sink(self.folder / "taken.jsonl", self.chance, lambda: self.dead) as sink,
            httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{self.port}/api/v1",
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=20,
            ) as self.api,
        ):
            self.launcher, self.sink = launcher, sink
            self.receiver = Receiver(server, self.chance, lambda: self.dead)
            await self._begin()
            while self.findings.kills.total() < self.kills:
                await self._round()
            await self._drain()
            await self._audit()

    # -- processes

    def _roles(self):
        return ["serve"] if self.database is None else ["serve", "work", "work"]

    async def _start(self, role, trap=None):
        launched = await self.launcher.start(
            role,
            trap,
            data=str(self.data), port=self.port, settings=self._settings(self.sink), works=self.database is None,
            log=str(self.folder / "service.log"), clock=str(self.clock),
        )  # fmt: skip
        self.processes.append(launched)
        return launched

    async def _up(self, launched):
        """Wait until it is up or has ended; returns whether it is up."""
        waiting = [asyncio.ensure_future(event.wait()) for event in (launched.up, launched.ended)]
        try:
            async with asyncio.timeout(60):
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
        return launched.up.is_set() and not launched.ended.is_set()

    async def _begin(self):
        for role in self._roles():
            assert await self._up(await self._start(role)), "the service did not start"
        self.customers = {}
        for name, contacts in CUSTOMERS.items():
            customer = await scenario.customer(self.api, name, contacts)
            self.customers[customer["id"]] = {email for email, _ in contacts}
            if name == POSTED:
                self.posted = customer["id"]
                url = f"https://localhost:{self.receiver.port}/hook"
                await scenario.ok(self.api.post(f"/customers/{customer['id']}/webhooks", json={"url": url}))

    async def _round(self):
        """Start what is not there, with the next trap in it; let the analyst work; see one process die."""
        plan = next(self.schedule)
        if "server" in plan:
            await self._server_dies()
            return
        missing = list(self._roles())
        for launched in self.processes:
            missing.remove(launched.role)
        fresh = None
        for role in missing:
            trap = None
            if "point" in plan and fresh is None:
                fits = self.database is None or (plan["point"] in SERVING) == (role == "serve")
                trap = {"nth": self.chance.choice((1, 1, 2, 3))} | plan if fits else None
            launched = await self._start(role, trap)
            fresh = fresh or launched
        victim = fresh or self.chance.choice(self.processes)
        if "sink" in plan:
            worker = next((p for p in self.processes if p.role == "work"), victim)
            target = worker if self.database is not None else victim
            self.sink.cut = (plan["sink"], target.kill)
            victim = target
        after = None
        if "random" in plan:
            after = self.chance.uniform(0, 1.2)
        analyst = asyncio.create_task(self._analyst(victim))
        ending = asyncio.create_task(victim.ended.wait())
        try:
            async with asyncio.timeout(after if after is not None else 30):
                done, _ = await asyncio.wait({analyst, ending}, return_when=asyncio.FIRST_COMPLETED)
                if analyst in done:
                    analyst.result()
                    async with asyncio.timeout(ROUND_SECONDS if after is None else after):
                        await victim.ended.wait()
        except TimeoutError:
            pass
        self.sink.cut = None
        by_itself = victim.ended.is_set()
        if not by_itself:
            victim.kill()
            await victim.ended.wait()
        analyst.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await analyst
        ending.cancel()
        self.processes.remove(victim)
        self.dead += 1
        if victim.status != -signal.SIGKILL:
            self.findings.wrong.append(f"cell {self.number}: a process ended by itself with {victim.status}")
        named = victim.reached or (f"sink {plan['sink']}" if "sink" in plan and by_itself else "any moment")
        self.findings.kills[named.rsplit(" ", 1)[0] if victim.reached else named] += 1

    async def _server_dies(self):
        """Stop the database server in the middle of the work, as a crash would, and start it again."""
        analyst = asyncio.create_task(self._analyst(None))
        await asyncio.sleep(self.chance.uniform(0, 0.8))
        began = time.monotonic()
        await asyncio.to_thread(self.database.server.restart)
        self.restarts.append((began, time.monotonic()))
        await analyst
        self.findings.kills["the database server"] += 1

    # -- the analyst

    async def _analyst(self, victim):
        """Declare and release; what got no answer is asked again under the same idempotency key, by the next round."""
        if not all([await self._up(launched) for launched in list(self.processes)]):
            return
        if self.pending is None:
            self.declared += 1
            self.pending = {"number": self.declared, "facts": scenario.facts(**GRAVE), "incident": None}
        key = f"cell-{self.number}-{self.pending['number']}"
        try:
            if self.pending["incident"] is None:
                self.pending["incident"] = await scenario.ok(
                    self.api.post(
                        "/incidents", json=self.pending["facts"], headers={"Idempotency-Key": f"{key}-declare"}
                    )
                )
            incident = self.pending["incident"]
            released = await scenario.ok(
                self.api.post(
                    f"/incidents/{incident['id']}/release",
                    headers={"If-Match": f'"{incident["version"]}"', "Idempotency-Key": f"{key}-release"},
                )
            )
        except httpx2.TransportError:
            return
        except AssertionError as error:
            # The store is away: nothing was done, or nobody can say; it is asked again.
            if self.database is None or not str(error).startswith("503 "):
                raise
            return
        assert len(released["items"]) == len(CUSTOMERS)
        for notice in released["items"]:
            self.owed[notice["id"]] = notice["customer_id"]
        self.pending = None

    # -- the end

    def _rows(self, statement):
        if self.database is not None:
            with psycopg.connect(self.database.address) as store:
                return store.execute(statement).fetchall()
        with contextlib.closing(sqlite3.connect(self.data / "greffier.sqlite3")) as store:
            return store.execute(statement).fetchall()

    def _open(self):
        """Return what is still under way, by what it waits for."""
        counts = {
            "released and not sealed": "SELECT count(*) FROM notices WHERE state = 'released'",
            "queued": "SELECT count(*) FROM deliveries WHERE state = 'queued'",
            "leased": "SELECT count(*) FROM deliveries WHERE leased_until IS NOT NULL",
            "leased to be sealed": "SELECT count(*) FROM notices WHERE leased_until IS NOT NULL AND state = 'released'",
            "proof or timestamp owed": "SELECT count(*) FROM owed_evidence",
            "without an index": (
                "SELECT count(*) FROM audit_entries"
                " WHERE position > (SELECT coalesce(max(position), 0) FROM log_leaves)"
            ),
        }
        return {name: found for name, statement in counts.items() if (found := self._rows(statement)[0][0])}

    async def _drain(self, seconds=90):
        missing = list(self._roles())
        for launched in self.processes:
            missing.remove(launched.role)
        for role in missing:
            await self._start(role)
        for launched in self.processes:
            if not await self._up(launched):
                self.findings.wrong.append(f"cell {self.number}: does not start any more ({launched.status})")
                return
        self.sink._unruly = self.receiver.unruly = False
        if self.pending is not None:
            await self._analyst(self.processes[0])
        until = time.monotonic() + seconds
        hours = 0
        left = self._open()
        while left and time.monotonic() < until:
            # What a process has leased ends before the clock jumps: it would send it a second time after the jump.
            # The leases of a dead process end only by the jump.
            for _ in range(40):
                if "leased" not in self._open():
                    break
                await asyncio.sleep(0.05)
            hours += 1
            self.clock.write_text(str(3600 * hours))
            await asyncio.sleep(1.0 if hours < 10 else 3.0)
            left = self._open()
        self.findings.stuck.extend(f"cell {self.number}: {count} {name}" for name, count in left.items())
        ((self.drained,),) = self._rows("SELECT max(position) FROM audit_entries")

    async def _audit(self):
        name = f"cell {self.number}"
        findings, taken = self.findings, defaultdict(list)
        for one in self.sink.taken:
            if one.recipient != ADDRESS:
                taken[one.message_id].append(one)
        posted = defaultdict(list)
        for one in self.receiver.taken:
            posted[one.message_id].append(one)
        known = {}
        if len(self._rows("SELECT id FROM incidents")) != self.declared:
            findings.wrong.append(f"{name}: {self.declared} declared, {self._rows('SELECT count(*) FROM incidents')}")
        contacts = {}
        for customer in self.customers:
            for contact in (await scenario.ok(self.api.get(f"/customers/{customer}/contacts")))["items"]:
                contacts[contact["id"]] = (customer, contact["email"])
        for notice, customer in self.owed.items():
            deliveries = (await scenario.ok(self.api.get(f"/notices/{notice}/deliveries")))["items"]
            mails = [item for item in deliveries if item["channel"] == "email"]
            told = {contacts[item["contact_id"]][1] for item in mails}
            for email in self.customers[customer] - told:
                findings.lost.append(f"{name}: notice {notice} is owed to {email} and not queued")
            if not any(item["channel"] == "console" and item["state"] == "sent" for item in deliveries):
                findings.lost.append(f"{name}: notice {notice} is not in the console")
            posts = [item for item in deliveries if item["channel"] == "webhook"]
            if len(posts) != (customer == self.posted):
                findings.lost.append(f"{name}: notice {notice} has {len(posts)} posts")
            for item in posts:
                self._judge_post(item, posted)
            for item in mails:
                findings.owed += 1
                of, email = contacts[item["contact_id"]]
                known[item["message_id"]] = email
                if of != customer:
                    findings.wrong.append(f"{name}: notice {notice} is queued for {email} of another customer")
                copies = taken.get(item["message_id"], [])
                if item["state"] == "sent" and copies:
                    findings.accepted += 1
                elif item["state"] == "failed" and item["last_error"]:
                    findings.failed += 1
                    if email != GONE:
                        findings.wrong.append(f"{name}: {email} stands failed: {item['last_error']}")
                else:
                    findings.lost.append(f"{name}: {notice} to {email} is {item['state']}, {len(copies)} copies")
                if [proof["number"] for proof in item["evidence"]] != list(range(1, item["attempts"] + 1)):
                    findings.wrong.append(f"{name}: attempts of {item['id']} are not numbered without gaps")
        for message, copies in taken.items():
            self._judge_copies(message, copies, known, self.sink.silent)
        for identifier in posted:
            findings.wrong.append(f"{name}: {identifier} was posted, which no delivery of an owed notice has")
        trust = load_trust(self.data / "trust")
        for message in self.chance.sample(sorted(known), min(50, len(known))):
            if message in self.sink.contents:
                try:
                    list(verify_notice_mail(self.sink.contents[message], trust))
                except GreffierError as error:
                    findings.wrong.append(f"{name}: the mail {message} does not verify: {error}")
        for launched in self.processes:
            os.kill(launched.pid, signal.SIGTERM)
        for launched in self.processes:
            async with asyncio.timeout(60):
                await launched.ended.wait()
            if launched.status != 0:
                findings.wrong.append(f"{name}: told to stop, {launched.role} ended with {launched.status}")
        await self._audit_log()

    def _judge_post(self, item, posted):
        """Count one notice posted to the customer's system, under the same ``webhook-id`` each time."""
        findings, identifier = self.findings, webhook_id(item["message_id"])
        copies = posted.pop(identifier, [])
        findings.owed += 1
        if item["state"] != "sent" or not copies:
            findings.lost.append(f"cell {self.number}: the post {identifier} is {item['state']}, {len(copies)} copies")
            return
        findings.accepted += 1
        self._judge_copies(identifier, copies, {identifier: POSTED}, self.receiver.silent)

    def _judge_copies(self, message, copies, known, silences):
        findings, name = self.findings, f"cell {self.number}"
        if message not in known:
            findings.wrong.append(
                f"{name}: {copies[0].recipient} got {message}, which no delivery of an owed notice has"
            )
            return
        if {one.recipient for one in copies} != {known[message]}:
            findings.wrong.append(f"{name}: {message} went to somebody else than {known[message]}")
        findings.duplicates += len(copies) - 1
        explained = silences[message]
        # Where the database server was away, the same process may not have been able to record what it had sent.
        for one, again in pairwise(copies):
            explained += one.connection == again.connection and any(
                one.at < back and gone < again.at for gone, back in self.restarts
            )
        distinct = {one.epoch for one in copies} if self.database is None else {one.connection for one in copies}
        if len(copies) - len(distinct) > explained:
            findings.wrong.append(f"{name}: {len(copies)} copies of {message} that no kill and no silence explains")

    async def _audit_log(self):
        """Verify the whole log: every leaf, the tree, the checkpoint, the head file; and the database file."""
        from service.audit_log.backup import _verified_log, log_keys

        name, settings = f"cell {self.number}", load_settings(self.data)
        if self.database is None:
            faults = self._rows("PRAGMA integrity_check") + self._rows("PRAGMA foreign_key_check")
            if faults != [("ok",)]:
                self.findings.wrong.append(f"{name}: the database is damaged: {faults[:3]}")
        location = settings.store_location() if self.database is None else self.database.address
        store = open_store(location, migrate=False, readers=1)
        try:
            keys, published = log_keys(settings), read_head(settings.head_file)
            head = await store.read(lambda tx: verified_head(tx, published, keys))
            whole = await store.read(lambda tx: _verified_log(tx, keys))
            # Entries that the service writes while it stops (an alert is over) wait for its next start.
            pending = await store.read(lambda tx: tx.audit.pending(10))
            waiting = sum(leaf.position <= self.drained for leaf in pending)
            if published != head.checkpoint or whole.size != head.size:
                self.findings.wrong.append(f"{name}: the head file is not the head of the log")
            if waiting:
                self.findings.stuck.append(f"{name}: {waiting} entries without an index")
        except (GreffierError, Exception) as error:  # noqa: BLE001 - whatever it is, the log did not verify
            self.findings.wrong.append(f"{name}: the log does not verify: {error}")
        finally:
            await store.close()


def prepared_folder(folder):
    """Make a data folder that cells copy."""
    data = folder / "prepared"
    prepare_data_folder(data, address=ADDRESS, provider_name="Demo Cloud", now=datetime.now(UTC))
    migrate_store(data / "greffier.sqlite3")
    return data


@dataclass(frozen=True)
class SharedDatabase:
    """A server with a database for the processes of one cell."""

    server: PostgresqlServer
    address: str


def shared_database(_number):
    """Start a server of its own for a cell; it ends with this run."""
    server = PostgresqlServer(tempfile.mkdtemp(prefix="greffier-faults-pg-"), cleanup="delete")
    return SharedDatabase(server, server.database())


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def campaign(folder, *, kills, seed, cells, at_once, databases=None, report=say):
    """Run cells until there were so many kills; returns the findings of all together."""
    prepared = await asyncio.to_thread(prepared_folder, folder)
    total, places = Findings(), asyncio.Semaphore(at_once)

    async def one(number):
        share = kills // cells + (number < kills % cells)
        async with places:
            database = None if databases is None else databases(number)
            cell = Cell(number, prepared, folder, share, seed, database)
            findings = await cell.run()
        total.add(findings)
        report(f"cell {number}: {findings.line()} in {findings.seconds:.0f} s")
        for fault in (*findings.lost, *findings.stuck, *findings.wrong):
            report(f"  {fault}")
        if not (findings.lost or findings.stuck or findings.wrong):
            shutil.rmtree(cell.folder)
        if database is not None:
            await asyncio.to_thread(database.server.stop)
            shutil.rmtree(database.server.folder)

    await asyncio.gather(*(one(number) for number in range(cells)))
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--kills-per-cell", type=int, default=50)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="where cells that found something are left")
    chosen = parser.parse_args()
    if chosen.folder is not None:
        chosen.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="greffier-faults-", dir=chosen.folder))
    cells = max(1, -(-chosen.kills // chosen.kills_per_cell))
    databases = None if chosen.engine == "sqlite" else shared_database
    total = asyncio.run(
        campaign(folder, kills=chosen.kills, seed=chosen.seed, cells=cells, at_once=chosen.at_once, databases=databases)
    )
    for point, count in sorted(total.kills.items()):
        say(f"  {count:5} killed at: {point}")
    say(f"owed={total.owed} accepted={total.accepted} failed_visibly={total.failed}")
    clean = not (total.lost or total.stuck or total.wrong)
    if clean:
        shutil.rmtree(folder)
    else:
        say(f"what is left to look at: {folder}")
    say(total.line())
    sys.exit(0 if clean else 1)


if __name__ == "__main__":
    main()
