"""Heads of the log timestamped at an interval: the real store and authority, a stepped clock, nothing by itself."""

import subprocess
from datetime import timedelta

import pytest

from notifications.errors import TimestampUnavailableError
from service.audit_log.checkpoint_timestamps import CheckpointTimestamper
from service.audit_log.sequencer import Sequencer, SequencerSettings
from service.crypto.demo_keys import KeyFiles
from service.crypto.key_files import load_chain
from service.crypto.log_keys import LogKeyFile
from service.crypto.master_key import key_passphrases, load_masters
from service.crypto.timestamping import EmbeddedTimestampAuthority, HttpTimestampAuthority
from service.monitoring.metrics import Metrics
from service.monitoring.service_findings import scan_operations
from service.settings import load_settings
from service.settings.alerts import AlertSettings
from service.store import open_store
from support.clocks import SteppedClock
from support.records import NOW, make_entry
from support.sqlite_file import new_database

SETTINGS = AlertSettings(log_lag_seconds=9 * 24 * 3600, least_free_bytes=0)


class Faltering:
    """The authority, out of reach while it is told to be; counts what it is asked."""

    independent = False

    def __init__(self, authority):
        self.authority, self.asked, self.is_away = authority, [], False

    async def timestamp(self, content):
        self.asked.append(content)
        if self.is_away:
            raise TimestampUnavailableError("the authority cannot be reached: ConnectError")
        return await self.authority.timestamp(content)


class House:
    """A log, and the duty of having its heads timestamped every hour."""

    def __init__(self, store, folder, keys, authority, roots):
        self.store, self.roots, self.clock = store, roots, SteppedClock(NOW)
        self.authority = Faltering(authority)
        self.metrics = Metrics(store, self.clock)
        self.sequencer = Sequencer(
            store, keys=keys, head_path=folder / "log-head", settings=SequencerSettings(batch_seconds=0)
        )
        self.duty = CheckpointTimestamper(
            store, self.authority, every_seconds=3600, clock=self.clock, failed=self.metrics.head_not_timestamped
        )

    async def grow(self, count=1):
        await self.store.write(lambda tx: tx.audit.append([make_entry() for _ in range(count)]))
        await self.sequencer.sequence_pending()

    async def look(self, **span):
        self.clock.step(timedelta(**span))
        return await self.duty.look()

    async def sizes(self):
        return await self.store.read(lambda tx: tx.log.timestamped_sizes())

    async def alerted(self):
        def work(tx):
            return scan_operations(
                tx, self.clock.now(), SETTINGS, free_bytes=None, before=None, head_timestamping=self.duty.state
            )

        looked, _ = await self.store.read(work)
        return [(finding.kind, finding.count) for finding in looked.new]


@pytest.fixture
async def house(tmp_path, data_folder):
    settings = load_settings(data_folder)
    files = KeyFiles(settings.keys_dir, settings.trust_dir)
    passphrases = key_passphrases(settings, load_masters(settings))
    authority = EmbeddedTimestampAuthority(files.timestamp_key, files.timestamp_chain, passphrases)
    store = open_store(new_database(tmp_path / "store.sqlite3"), migrate=False)
    keys = LogKeyFile(files.log_key, settings.log.origin, passphrases, SteppedClock())
    yield House(store, tmp_path, keys, authority, settings.trust_dir / "tsa.pem")
    await store.close()


async def test_the_first_head_at_once_and_a_newer_one_an_interval_later(house):
    assert await house.look() is None
    assert house.authority.asked == []
    await house.grow(3)
    assert await house.look() == NOW + timedelta(hours=1)
    assert await house.look(hours=5) is None, "nothing was logged since"
    assert await house.sizes() == [3]
    await house.grow()
    due_at = await house.look()
    assert await house.sizes() == [3, 4]
    await house.grow()
    assert await house.look(minutes=59) == due_at, "not before the interval is over"
    assert len(house.authority.asked) == 2
    await house.look(minutes=1)
    assert await house.sizes() == [3, 4, 5]


async def test_openssl_takes_the_token_over_the_exact_bytes_of_the_checkpoint(house, tmp_path):
    await house.grow(2)
    await house.look()
    found = await house.store.read(lambda tx: tx.log.timestamped_checkpoint())
    assert found.note == await house.store.read(lambda tx: tx.log.checkpoint())
    (tmp_path / "token").write_bytes(found.token)
    for content, code in ((found.note, 0), (found.note + b"\n", 1)):
        (tmp_path / "checkpoint").write_bytes(content)
        command = ["openssl", "ts", "-verify", "-in", tmp_path / "token", "-data", tmp_path / "checkpoint"]
        ran = subprocess.run([*command, "-CAfile", house.roots], capture_output=True, check=False)
        assert ran.returncode == code, ran.stderr


async def test_an_authority_that_is_away_is_asked_ever_more_rarely_counted_and_alerted(house):
    house.authority.is_away = True
    await house.grow()
    again_at = await house.look()
    assert again_at == NOW + timedelta(seconds=5)
    await house.grow()
    assert await house.look(seconds=4) == again_at
    assert len(house.authority.asked) == 1, "a commit is no reason to ask sooner"
    assert await house.look(seconds=1) == house.clock.now() + timedelta(seconds=10)
    for _ in range(20):
        following = await house.look(minutes=5)
        assert following <= house.clock.now() + timedelta(minutes=5)
        if house.clock.now() < NOW + timedelta(hours=1):
            assert await house.alerted() == []
    assert (house.duty.state.failures, house.duty.state.failing_since) == (22, NOW)
    assert await house.alerted() == [("head_untimestamped", 22)]
    assert b"greffier_log_timestamp_failures_total 22.0" in await house.metrics.exposition()
    # The log went on meanwhile, and the newest head is what is timestamped once it can be.
    house.authority.is_away = False
    await house.look(minutes=5)
    assert await house.sizes() == [2]
    assert (house.duty.state.failing_since, house.duty.state.reason) == (None, None)
    assert await house.alerted() == []


async def test_what_another_process_had_timestamped_is_not_asked_for_again(house):
    house.authority.is_away = True
    await house.grow()
    await house.look()
    await house.store.write(lambda tx: tx.log.add_timestamp(1, b"token", NOW))
    assert await house.look(seconds=10) is None
    assert house.duty.state.failing_since is None
    assert len(house.authority.asked) == 1


async def test_an_authority_at_which_nobody_listens_is_away(house, data_folder):
    roots = load_chain(data_folder / "trust" / "ca.pem")
    house.authority.authority = HttpTimestampAuthority("http://127.0.0.1:9", roots, independent=True, timeout_seconds=1)
    await house.grow()
    await house.look()
    await house.authority.authority.aclose()
    assert await house.sizes() == []
    assert "cannot be reached" in house.duty.state.reason
