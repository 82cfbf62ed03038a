"""The sequencer: contiguous indices, proofs that verify, recovery, and the refusal to sign a rewritten history."""

import asyncio
import shutil
import threading
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from notifications.audit.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from notifications.audit.note import parse_note, signatures_of, verifier_key
from notifications.errors import (
    LogUnavailableError,
    NotFoundError,
    SealingUnavailableError,
    StateConflictError,
    StoreUnavailableError,
)
from service.audit_log.published_head import verify_head, write_head
from service.audit_log.sequencer import Sequencer, SequencerSettings
from service.crypto.log_keys import LogSigners
from service.store import open_store
from support.memory_store import MemoryStore
from support.opened_store import opened_store
from support.records import make_entry
from support.sqlite_file import new_database

ORIGIN = "log.greffier.test"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
VERIFIER = verifier_key(ORIGIN, KEY)
#: no batching and hardly any backing off: a test goes as fast as the machine, and leaves it to the store meanwhile
AT_ONCE = SequencerSettings(batch_seconds=0, poll_seconds=30, first_retry_seconds=0.001, last_retry_seconds=0.001)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def head_path(tmp_path):
    return tmp_path / "log-head"


class FixedKeys:
    """The keys of a log, as given: the current one first, then those that sign beside it."""

    def __init__(self, *keys, before=()):
        self.origin, self.keys, self.before = ORIGIN, keys, before

    def signers(self):
        known = [*self.before, *reversed(self.keys)]
        return LogSigners(self.keys, tuple(verifier_key(ORIGIN, key) for key in known))


def make_sequencer(store, head_path, keys=FixedKeys(KEY), **settings):  # noqa: B008 - it is never changed
    chosen = SequencerSettings(**{name: getattr(AT_ONCE, name) for name in AT_ONCE.__slots__} | settings)
    return Sequencer(store, keys=keys, head_path=head_path, settings=chosen)


@asynccontextmanager
async def running(store, head_path, **settings):
    sequencer = make_sequencer(store, head_path, **settings)
    await sequencer.start()
    try:
        yield sequencer
    finally:
        await sequencer.stop()


async def append(store, count=1):
    entries = [make_entry() for _ in range(count)]
    await store.write(lambda tx: tx.audit.append(entries))
    return [entry.id for entry in entries]


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the condition is inside the subject, which has no event for it
            # Not at once: the thread of the store gets no turn while this one spins.
            await asyncio.sleep(0.001)


async def read_checkpoint(store):
    return verify_checkpoint(await store.read(lambda tx: tx.log.checkpoint()), VERIFIER)


class FailingStore:
    """A store whose writes or reads fail a number of times."""

    def __init__(self, store, *, writes=0, reads=0):
        self._store, self.writes, self.reads = store, writes, reads
        self.on_commit = store.on_commit

    async def write(self, work):
        if self.writes:
            self.writes -= 1
            raise StoreUnavailableError("the disk is full")
        return await self._store.write(work)

    async def read(self, work):
        if self.reads:
            self.reads -= 1
            raise StoreUnavailableError("the store is slow")
        return await self._store.read(work)


class TestRounds:
    async def test_an_empty_log_gets_no_checkpoint(self, store, head_path):
        assert await make_sequencer(store, head_path).sequence_pending() == 0
        assert await store.read(lambda tx: (tx.log.size(), tx.log.checkpoint())) == (0, None)
        assert not head_path.exists()

    @pytest.mark.parametrize("batch_entries", [1, 7, 4096])
    async def test_indices_follow_the_order_of_commits_whatever_the_batch(self, store, head_path, batch_entries):
        ids = [(await append(store))[0] for _ in range(15)]
        sequencer = make_sequencer(store, head_path, batch_entries=batch_entries)
        assert await sequencer.sequence_pending() == 15
        assert await sequencer.sequence_pending() == 0
        found = await store.read(lambda tx: tx.audit.entries(0, 99))
        assert [(item.index, item.entry_id) for item in found] == list(enumerate(ids))
        head = await read_checkpoint(store)
        assert head == Checkpoint(ORIGIN, 15, root_of([leaf_hash(item.leaf) for item in found]))
        assert head_path.read_bytes() == await store.read(lambda tx: tx.log.checkpoint())

    @pytest.mark.parametrize("sizes", [(1, 2, 3), (255, 256, 257), (600,)])
    async def test_proofs_from_stored_nodes_verify(self, store, head_path, sizes):
        sequencer = make_sequencer(store, head_path, batch_entries=100)
        heads = []
        for size in sizes:
            await append(store, size - (heads[-1].size if heads else 0))
            await sequencer.sequence_pending()
            heads.append(await read_checkpoint(store))
            assert heads[-1].size == size

            def prove(tx, size=size):
                leaves = tx.audit.entries(0, size)
                return [(item, inclusion_proof(item.index, size, tx.log.node_hashes)) for item in leaves]

            proofs = await store.read(prove)
            assert len(proofs) == size
            for item, proof in proofs:
                verify_inclusion(leaf_hash(item.leaf), item.index, size, proof, heads[-1].root)
        for old in heads:
            proof = await store.read(
                lambda tx, old=old: consistency_proof(old.size, heads[-1].size, tx.log.node_hashes)
            )
            verify_consistency(old.size, old.root, heads[-1].size, heads[-1].root, proof)

    async def test_the_head_is_compared_and_swapped(self, store, head_path):
        """Another sequencer is quicker between looking and committing: this one changes nothing and goes on."""
        other, late = make_sequencer(store, head_path), make_sequencer(store, head_path)
        await append(store, 3)
        growth = await store.read(lambda tx: late._next_growth(tx, late._keys.signers()))
        await other.sequence_pending()
        await append(store, 2)
        with pytest.raises(StateConflictError):
            await store.write(
                lambda tx: tx.log.grow(growth.size_before, growth.leaves, growth.nodes, growth.head.checkpoint)
            )
        assert (await read_checkpoint(store)).size == 3
        assert await late.sequence_pending() == 2
        assert (await read_checkpoint(store)).size == 5

    async def test_a_round_cut_short_at_any_step_is_finished_by_the_next_process(self, store, head_path):
        class CrashError(Exception):
            pass

        await append(store, 3)
        await make_sequencer(store, head_path).sequence_pending()
        for crash_at in ("before commit", "before head file"):
            await append(store, 4)
            dying = make_sequencer(store, head_path)

            async def crash(*_):
                raise CrashError

            if crash_at == "before commit":
                dying._store = FailingStore(store, writes=1)
            else:
                dying._publish = crash
            with pytest.raises((CrashError, StoreUnavailableError)):
                await dying.sequence_pending()
            await make_sequencer(store, head_path).sequence_pending()
            assert head_path.read_bytes() == await store.read(lambda tx: tx.log.checkpoint())
        found = await store.read(lambda tx: tx.audit.entries(0, 99))
        assert [item.index for item in found] == list(range(11))
        assert len({item.entry_id for item in found}) == 11
        assert (await read_checkpoint(store)).root == root_of([leaf_hash(item.leaf) for item in found])


class TestWaiting:
    async def test_an_entry_is_included_once_a_published_checkpoint_covers_it(self, store, head_path):
        async with running(store, head_path) as sequencer:
            ids = await append(store, 3)
            assert [await sequencer.included(entry_id) for entry_id in reversed(ids)] == [2, 1, 0]
            assert verify_checkpoint(head_path.read_bytes(), VERIFIER).size == 3
            assert sequencer.health() is None

    async def test_many_wait_at_once_and_some_go_away(self, store, head_path):
        async with running(store, head_path, batch_entries=16) as sequencer:

            async def client():
                entry_id = (await append(store))[0]
                return entry_id, await sequencer.included(entry_id)

            tasks = [asyncio.ensure_future(client()) for _ in range(50)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            found = await asyncio.gather(*tasks[1:])
            order = [item.entry_id for item in await store.read(lambda tx: tx.audit.entries(0, 99))]
            assert all(order[index] == entry_id for entry_id, index in found)
            assert sequencer._waiting == {}

    async def test_entries_of_before_the_start_are_included_too(self, store, head_path):
        ids = await append(store, 2)
        await make_sequencer(store, head_path).sequence_pending()
        ids += await append(store)
        async with running(store, head_path) as sequencer:
            assert [await sequencer.included(entry_id) for entry_id in ids] == [0, 1, 2]

    async def test_an_entry_that_does_not_exist_is_not_waited_for(self, store, head_path):
        async with running(store, head_path) as sequencer:
            with pytest.raises(NotFoundError):
                await sequencer.included(make_entry().id)

    async def test_nobody_waits_for_a_sequencer_that_stops_or_does_not_run(self, store, head_path):
        ids = await append(store)
        sequencer = make_sequencer(store, head_path, batch_seconds=30)
        with pytest.raises(LogUnavailableError, match="not running"):
            await sequencer.included(ids[0])
        await sequencer.start()
        waiting = asyncio.ensure_future(sequencer.included(ids[0]))
        await until(lambda: sequencer._waiting)
        await sequencer.stop()
        with pytest.raises(LogUnavailableError):
            await waiting
        assert [item.entry_id for item in await store.read(lambda tx: tx.audit.pending(9))] == ids

    async def test_a_round_under_way_ends_before_a_stop(self, store, head_path, monkeypatch):
        """Otherwise a head would be in the database, and not in the head file, until the next start."""
        has_begun, may_end = threading.Event(), threading.Event()

        def slowly(*head):
            has_begun.set()
            assert may_end.wait(60)
            write_head(*head)

        monkeypatch.setattr("service.audit_log.sequencer.write_head", slowly)
        sequencer = make_sequencer(store, head_path)
        await append(store)
        await sequencer.start()
        await asyncio.to_thread(has_begun.wait, 60)
        stopping = asyncio.ensure_future(sequencer.stop())
        for _ in range(100):
            await asyncio.sleep(0)
        assert not stopping.done()
        may_end.set()
        await stopping
        assert head_path.read_bytes() == await store.read(lambda tx: tx.log.checkpoint())

    async def test_a_stop_waits_for_no_round_for_ever(self, store, head_path, monkeypatch):
        has_begun, may_end = threading.Event(), threading.Event()
        monkeypatch.setattr("service.audit_log.sequencer._LAST_ROUND_SECONDS", 0)
        monkeypatch.setattr("service.audit_log.sequencer.write_head", lambda *_: (has_begun.set(), may_end.wait(60)))
        sequencer = make_sequencer(store, head_path)
        await append(store)
        await sequencer.start()
        await asyncio.to_thread(has_begun.wait, 60)
        await sequencer.stop()
        may_end.set()

    async def test_failures_that_pass_are_waited_out_and_show_meanwhile(self, store, head_path):
        failing = FailingStore(store, writes=3)
        sequencer = make_sequencer(failing, head_path)
        ids = await append(store)
        await sequencer.start()
        seen = set()
        waiting = asyncio.ensure_future(sequencer.included(ids[0]))
        while not waiting.done():
            seen.add(sequencer.health())
            await asyncio.sleep(0.001)
        assert await waiting == 0
        assert any("the disk is full" in reason for reason in seen if reason)
        await until(lambda: sequencer.health() is None)
        await sequencer.stop()

    async def test_what_is_committed_but_not_in_the_head_file_is_not_told(self, store, head_path, monkeypatch):
        """The head file cannot be written at first: the index is told only once it is."""
        async with running(store, head_path) as sequencer:
            blocked = head_path.with_name(head_path.name + ".new")
            blocked.mkdir()
            ids = await append(store)
            waiting = asyncio.ensure_future(sequencer.included(ids[0]))
            await until(lambda: sequencer.health() is not None)
            assert (await store.read(lambda tx: tx.log.size())) == 1
            late = asyncio.ensure_future(sequencer.included(ids[0]))
            await until(lambda: late.done() or len(sequencer._waiting[ids[0]]) == 2)
            for _ in range(20):
                await store.read(lambda tx: None)
            assert not waiting.done()
            assert not late.done()
            blocked.rmdir()
            assert (await waiting, await late) == (0, 0)
            assert verify_checkpoint(head_path.read_bytes(), VERIFIER).size == 1


class TestRefusal:
    @pytest.fixture
    async def published(self, store, head_path):
        """A log of five entries whose head is published."""
        await append(store, 5)
        await make_sequencer(store, head_path).sequence_pending()

    async def refused(self, store, head_path, reason):
        """The sequencer signs nothing more, says why, and turns those away who wait."""
        await append(store)
        before = await store.read(lambda tx: (tx.log.size(), tx.log.checkpoint()))
        file_before = head_path.read_bytes()
        with pytest.raises(LogUnavailableError, match=reason):
            await make_sequencer(store, head_path).sequence_pending()
        sequencer = make_sequencer(store, head_path)
        await sequencer.start()
        entry_id = (await append(store))[0]
        with pytest.raises(LogUnavailableError, match=reason):
            await sequencer.included(entry_id)
        with pytest.raises(LogUnavailableError, match=reason):
            await sequencer.included(entry_id)
        assert reason in sequencer.health()
        await sequencer.stop()
        assert await store.read(lambda tx: (tx.log.size(), tx.log.checkpoint())) == before
        assert head_path.read_bytes() == file_before

    async def test_a_database_behind_the_published_head(self, store, published, head_path):
        note = sign_checkpoint(KEY, Checkpoint(ORIGIN, 6, b"r" * 32))
        head_path.write_bytes(note)
        await self.refused(store, head_path, "restored from an older backup")

    async def test_a_database_that_was_restored_and_went_another_way(self, store, published, head_path):
        head_path.write_bytes(sign_checkpoint(KEY, Checkpoint(ORIGIN, 4, b"r" * 32)))
        await self.refused(store, head_path, "holds other entries")

    async def test_a_restored_copy_of_the_database_file(self, tmp_path, head_path):
        backup, path = new_database(tmp_path / "backup.sqlite3"), tmp_path / "store.sqlite3"
        opened = open_store(backup, migrate=False)
        await append(opened, 3)
        await make_sequencer(opened, head_path).sequence_pending()
        await opened.close()
        shutil.copy(backup, path)
        opened = open_store(path, migrate=False)
        await append(opened, 3)
        await make_sequencer(opened, head_path).sequence_pending()
        await opened.close()
        restored = open_store(backup, migrate=False)
        await self.refused(restored, head_path, "restored from an older backup")
        await restored.close()

    async def test_a_head_of_another_key(self, store, published, head_path):
        other = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
        head = await read_checkpoint(store)
        head_path.write_bytes(sign_checkpoint(other, head))
        await self.refused(store, head_path, "no checkpoint of this log's key")

    @pytest.mark.parametrize("content", [b"", b"\xff\x00", b"log\n5\nAAAA\n"])
    async def test_a_head_file_that_cannot_be_read(self, store, published, head_path, content):
        head_path.write_bytes(content)
        await self.refused(store, head_path, "no checkpoint of this log's key")

    async def test_a_database_exchanged_under_a_running_sequencer(self, store, head_path):
        sequencer = make_sequencer(store, head_path)
        await append(store, 2)
        await sequencer.sequence_pending()
        sequencer._store = MemoryStore()
        await append(sequencer._store)
        with pytest.raises(LogUnavailableError, match="went back from 2 entries to 0"):
            await sequencer.sequence_pending()
        with pytest.raises(LogUnavailableError, match="went back"):
            await sequencer.sequence_pending()

    async def test_a_missing_head_file_is_written_anew_and_said(self, store, published, head_path, capsys):
        head_path.unlink()
        assert await make_sequencer(store, head_path).sequence_pending() == 0
        assert verify_checkpoint(head_path.read_bytes(), VERIFIER).size == 5
        assert "log_head.missing" in capsys.readouterr().out

    async def test_an_older_head_that_the_log_extends_is_fine(self, store, published, head_path):
        older = head_path.read_bytes()
        await append(store, 4)
        await make_sequencer(store, head_path).sequence_pending()
        head_path.write_bytes(older)
        await append(store)
        assert await make_sequencer(store, head_path).sequence_pending() == 1
        assert verify_checkpoint(head_path.read_bytes(), VERIFIER).size == 10


class TestKeys:
    """A log whose key is replaced; the sequencer looks at its keys before every round."""

    NEW = Ed25519PrivateKey.from_private_bytes(b"n" * 32)
    NEW_VERIFIER = verifier_key(ORIGIN, NEW)

    async def signers_of_head(self, store):
        note = await store.read(lambda tx: tx.log.checkpoint())
        return [key for key in (VERIFIER, self.NEW_VERIFIER) if signatures_of(parse_note(note), key)]

    async def test_a_key_that_is_replaced_while_it_runs_signs_beside_the_new_one_and_then_no_more(
        self, store, head_path
    ):
        keys = FixedKeys(KEY)
        sequencer = make_sequencer(store, head_path, keys)
        expected = [(FixedKeys(KEY), [VERIFIER]), (FixedKeys(self.NEW, KEY), [VERIFIER, self.NEW_VERIFIER])]
        for now, signed in (*expected, (FixedKeys(self.NEW, before=[KEY]), [self.NEW_VERIFIER])):
            keys.keys, keys.before = now.keys, now.before
            await append(store)
            assert await sequencer.sequence_pending() == 1
            assert await self.signers_of_head(store) == signed
        checkpoint = await store.read(lambda tx: tx.log.checkpoint())
        assert verify_checkpoint(checkpoint, self.NEW_VERIFIER).size == 3

    async def test_a_head_by_a_retired_key_is_ours(self, store, head_path):
        await append(store)
        await make_sequencer(store, head_path).sequence_pending()
        await append(store)
        await make_sequencer(store, head_path, FixedKeys(self.NEW, before=[KEY])).sequence_pending()
        assert verify_checkpoint(head_path.read_bytes(), self.NEW_VERIFIER).size == 2

    async def test_a_head_by_a_key_that_the_log_never_had_is_not_built_upon(self, store, head_path):
        await append(store)
        await make_sequencer(store, head_path).sequence_pending()
        with pytest.raises(LogUnavailableError, match="is no checkpoint of this log's key"):
            await verify_head(store, head_path, FixedKeys(self.NEW))
        await verify_head(store, head_path, FixedKeys(self.NEW, KEY))
        keys = FixedKeys(KEY)
        sequencer = make_sequencer(store, head_path, keys)
        await sequencer.sequence_pending()
        keys.keys = (self.NEW,)
        await append(store)
        with pytest.raises(LogUnavailableError, match="refusing to sign"):
            await sequencer.sequence_pending()
        assert sequencer.refusal is not None
        assert await self.signers_of_head(store) == [VERIFIER]

    async def test_a_key_that_cannot_be_read_holds_the_log_until_it_can(self, store, head_path):
        class Broken(FixedKeys):
            broken = True

            def signers(self):
                if self.broken:
                    raise SealingUnavailableError("the key's file is gone")
                return super().signers()

        keys = Broken(KEY)
        async with running(store, head_path, keys=keys) as sequencer:
            waiting = asyncio.ensure_future(sequencer.included((await append(store))[0]))
            await until(lambda: "the key's file is gone" in (sequencer.health() or ""))
            keys.broken = False
            assert await waiting == 0
