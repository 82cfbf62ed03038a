"""A log and two witnesses that are processes of their own: heads are cosigned, a fork is refused on both sides."""

import asyncio
import contextlib
import re
import shutil
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx2
import pytest

from notifications.audit.checkpoint import parse_checkpoint_note, verify_checkpoint, verify_cosignature
from notifications.audit.merkle import consistency_proof
from notifications.audit.note import parse_verifier_key
from notifications.errors import VerificationError
from service.audit_log.backup import log_keys
from service.audit_log.witness.client import WitnessClient, WitnessConflictError, WitnessDisputeError, parse_witness
from service.cli.demo.environment import embedded_service
from service.settings import load_settings
from service.store import open_store
from support import scenario
from support.clocks import TurnedClock
from support.commands import run as command
from support.commits import until
from support.processes import greffier
from support.scenario import ok

NAMES = ("witness.customer.example", "witness.authority.example")


class Witnesses:
    """Two witnesses, as their keepers run them."""

    def __init__(self, folder, log_vkey):
        self.folder, self.ports, self.keys = folder, {}, {}
        for name in NAMES:
            made = command("witness", "init", "--data", folder / name, "--name", name, "--log", log_vkey)
            assert made.returncode == 0, made.stderr
            self.keys[name] = parse_verifier_key(made.stdout.strip())

    @contextlib.asynccontextmanager
    async def running(self, *names):
        """Run some, each on the port that it had before; yields what they say."""
        async with contextlib.AsyncExitStack() as stack:
            said = {}
            for name in names or NAMES:
                port = self.ports.get(name, 0)
                arguments = ("witness", "--data", self.folder / name, "--port", port)
                said[name] = await stack.enter_async_context(greffier(*arguments, up=False))
                line = await said[name].line(rf"^witness {name} at http")
                self.ports[name] = int(re.search(r":(\d+)/add-checkpoint", line)[1])
            yield said

    def setting(self, name):
        return f"http://127.0.0.1:{self.ports[name]} {self.keys[name].text()}"

    @property
    def settings(self):
        return tuple(self.setting(name) for name in NAMES)


@pytest.fixture
async def witnesses(data_folder, tmp_path):
    return await asyncio.to_thread(Witnesses, tmp_path / "witnesses", data_folder / "trust" / "log.vkey")


@contextlib.asynccontextmanager
async def service(folder, **settings):
    """A service whose log is for everybody; yields it with a client of its pages."""
    quick = {"log__batch_seconds": 0, "witnesses__period_seconds": 0}
    async with embedded_service(folder, **(quick | {"log__public": True} | settings)) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with (
            httpx2.AsyncClient(base_url=running.url, headers=headers, timeout=120) as client,
            httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api,
        ):
            yield SimpleNamespace(parts=running.parts, client=client, api=api)


async def cosigned(running, keys, *, beyond=0):
    """Return the served checkpoint once all of the witnesses cosigned it, and it covers more than so many entries."""

    async def look():
        answer = await running.client.get("/log/checkpoint")
        if answer.status_code == httpx2.codes.NOT_FOUND:
            # The log has no head yet.
            return None
        note = answer.content
        if parse_checkpoint_note(note).size <= beyond or not all(key.name.encode() in note for key in keys):
            return None
        return note

    return await until(running.parts.store, look)


async def figures(running, *wanted):
    """Return the metrics once they hold some lines; a look is shared for a second."""
    async with asyncio.timeout(30):
        while True:
            told = (await running.client.get("/metrics")).text
            if all(re.search(line, told, re.MULTILINE) for line in wanted):
                return told


async def test_both_cosign_what_is_served_and_one_that_is_away_holds_up_nothing(
    data_folder, witnesses, service_log, tmp_path
):
    keys, log = list(witnesses.keys.values()), log_keys(load_settings(data_folder))
    first, second = NAMES
    async with witnesses.running(second), contextlib.AsyncExitStack() as other:
        await other.enter_async_context(witnesses.running(first))
        async with service(data_folder, witnesses__cosigners=witnesses.settings) as running:
            await scenario.customer(running.api)
            note = await cosigned(running, keys)
            verify_checkpoint(note, *log)
            for key in keys:
                assert abs(verify_cosignature(note, key) - datetime.now(UTC).timestamp()) < 60
            await _exported_with_cosignatures(data_folder, tmp_path / "log", keys)
            await figures(
                running,
                rf'^greffier_witness_cosignature_age_seconds{{witness="{first}"}} ',
                rf'^greffier_witness_uncosigned_entries{{witness="{first}"}} 0\.0$',
            )

            await other.aclose()
            # The log may have grown, and its heads been cosigned, until the witness had stopped.
            size = await running.parts.store.read(lambda tx: tx.log.size())
            await scenario.customer(running.api, "While one is away")
            note = await cosigned(running, [witnesses.keys[second]], beyond=size)
            assert first.encode() not in note
            await figures(
                running,
                rf'^greffier_witness_failures_total{{witness="{first}"}} [1-9]',
                rf'^greffier_witness_uncosigned_entries{{witness="{first}"}} [1-9]',
                rf'^greffier_witness_uncosigned_entries{{witness="{second}"}} 0\.0$',
            )
            assert running.parts.probes["log"]() is None

            async with witnesses.running(first):
                await cosigned(running, keys, beyond=size)


async def _exported_with_cosignatures(data, target, keys):
    """Export the log until its head has all cosignatures: a head that is newer than the last one may lack them."""
    async with asyncio.timeout(60):
        while True:
            exported = await asyncio.to_thread(command, "log", "export", target, "--data", data)
            assert exported.returncode == 0, exported.stderr
            with contextlib.suppress(VerificationError):
                for key in keys:
                    verify_cosignature((target / "checkpoint").read_bytes(), key)
                return


async def test_a_fork_is_refused_by_the_witnesses_and_by_the_service_and_alarms(
    data_folder, witnesses, service_log, tmp_path
):
    async with witnesses.running() as said:
        clock = TurnedClock()
        async with service(data_folder) as running:
            await scenario.customer(running.api)
        # Database and head file are set back together: nothing on this machine knows better.
        shutil.copytree(data_folder, tmp_path / "back")
        async with service(data_folder, witnesses__cosigners=witnesses.settings) as running:
            await scenario.customer(running.api, "Forgotten")
            origin = verify_checkpoint(
                await cosigned(running, witnesses.keys.values()), *log_keys(load_settings(data_folder))
            ).origin
        # The log may have grown until the service stopped: each witness knows what it cosigned last.
        clients = {name: WitnessClient(parse_witness(witnesses.setting(name)), timeout_seconds=5) for name in NAMES}
        cosigned_last = {name: parse_checkpoint_note(await client.head(origin)) for name, client in clients.items()}

        # Without its witnesses the other history grows; each of them refuses it.
        shutil.copytree(tmp_path / "back", tmp_path / "fork")
        async with service(tmp_path / "fork") as running:
            for number in range(3):
                await scenario.customer(running.api, f"Instead {number}")
            await until(
                running.parts.store, lambda: _grown(running, 1 + max(head.size for head in cosigned_last.values()))
            )
        store = open_store(tmp_path / "fork" / "greffier.sqlite3", migrate=False)
        size, note, proofs = await store.read(
            lambda tx: (
                tx.log.size(),
                tx.log.checkpoint(),
                {
                    name: consistency_proof(head.size, tx.log.size(), tx.log.node_hashes)
                    for name, head in cosigned_last.items()
                },
            )
        )
        await store.close()
        for name, client in clients.items():
            before = cosigned_last[name]
            assert size > before.size
            tries = ((before.size, proofs[name], WitnessDisputeError), (0, [], WitnessConflictError))
            for old, hashes, refusal in tries:
                with pytest.raises(refusal):
                    await client.add_checkpoint(old, hashes, note)
            assert parse_checkpoint_note(await client.head(origin)) == before
            await client.aclose()
            await said[name].line("witness.refused")

        # With them the service shows it to itself, and signs nothing: neither what went back nor what went elsewhere.
        for folder in ("back", "fork"):
            await _refuses(tmp_path / folder, witnesses, clock)


async def _grown(running, size):
    return True if await running.parts.store.read(lambda tx: tx.log.size() >= size) else None


async def _refuses(folder, witnesses, clock):
    async with service(
        folder, witnesses__cosigners=witnesses.settings, clock=clock, alerts__log_lag_seconds=60
    ) as running:
        signed = (await running.client.get("/log/checkpoint")).content
        await ok(running.api.post("/channels/email/pause", json={"reason": "something to sign"}))
        # The refusal commits nothing: what wakes the look is what is asked of the service meanwhile.
        async with asyncio.timeout(30):
            while running.parts.sequencer.refusal is None:
                await running.client.get("/readyz")
        ready = await running.client.get("/readyz")
        assert ready.status_code == 503
        assert "witness shows a head that this log signed" in ready.json()["parts"]["log"]
        await figures(running, r'^greffier_part_ready{part="log"} 0\.0$')
        # Whoever watches no metrics is told by mail, once entries have waited for a minute.
        clock.turn(minutes=2)
        await running.parts.alerting.look()
        clock.turn(minutes=2)
        await running.parts.alerting.look()
        alerts = await running.parts.store.read(lambda tx: tx.alerts.unseen(100))
        assert "log_lagging" in {alert.kind for alert in alerts}
        assert (await running.client.get("/log/checkpoint")).content == signed
