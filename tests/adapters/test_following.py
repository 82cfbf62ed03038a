"""Several processes and one log: one grows it, the others compare and witness it, and take over when it is gone."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from notifications.audit.note import verifier_key
from notifications.errors import LogUnavailableError
from service.audit_log.published_head import write_head
from service.audit_log.sequencer import Sequencer, SequencerSettings
from service.crypto.log_keys import LogSigners
from service.store import open_store
from service.system.leadership import SoleLeadership, while_leading
from support.chosen_leadership import ChosenLeadership
from support.memory_store import MemoryStore
from support.records import make_entry
from support.sqlite_file import new_database

ORIGIN = "log.greffier.test"
KEY, NEW = (Ed25519PrivateKey.from_private_bytes(letter * 32) for letter in (b"k", b"n"))
VERIFIER = verifier_key(ORIGIN, KEY)
AT_ONCE = {"batch_seconds": 0, "poll_seconds": 30, "first_retry_seconds": 0.001, "last_retry_seconds": 0.001}


class Keys:
    """The keys of the log, which may change."""

    origin = ORIGIN

    def __init__(self, *keys):
        self.keys = keys or (KEY,)

    def signers(self):
        return LogSigners(self.keys, tuple(verifier_key(ORIGIN, key) for key in reversed(self.keys)))


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
        return
    opened = open_store(new_database(tmp_path / "store.sqlite3"), migrate=False)
    yield opened
    await opened.close()


@asynccontextmanager
async def process(store, folder, *, leads, keys=None, **settings):
    """A process with a head file of its own."""
    folder.mkdir(exist_ok=True)
    leadership = ChosenLeadership(leads=leads)
    sequencer = Sequencer(
        store,
        keys=keys or Keys(),
        head_path=folder / "log-head",
        settings=SequencerSettings(**AT_ONCE | settings),
        leadership=leadership,
    )
    await sequencer.start()
    try:
        yield sequencer, leadership
    finally:
        await sequencer.stop()


async def append(store, count=1):
    entries = [make_entry() for _ in range(count)]
    await store.write(lambda tx: tx.audit.append(entries))
    return [entry.id for entry in entries]


def witnessed(folder):
    return verify_checkpoint((folder / "log-head").read_bytes(), VERIFIER).size


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the condition is inside the subject, which has no event for it
            # Not at once: the thread of the store gets no turn while this one spins.
            await asyncio.sleep(0.001)


async def test_a_follower_waits_for_what_the_leader_sequenced_and_witnesses_it(store, tmp_path):
    async with (
        process(store, tmp_path / "one", leads=True) as (leader, _),
        process(store, tmp_path / "two", leads=False) as (follower, _),
    ):
        ids = await append(store, 3)
        assert [await follower.included(entry_id) for entry_id in ids] == [0, 1, 2]
        assert [await leader.included(entry_id) for entry_id in ids] == [0, 1, 2]
        assert witnessed(tmp_path / "two") == witnessed(tmp_path / "one") == 3
        assert (leader.health(), follower.health()) == (None, None)


async def test_a_follower_signs_nothing(store, tmp_path):
    await append(store, 3)
    async with process(store, tmp_path / "two", leads=False) as (follower, _):
        assert await follower.sequence_pending() == 0
    assert await store.read(lambda tx: (tx.log.size(), tx.log.checkpoint())) == (0, None)
    assert not (tmp_path / "two" / "log-head").exists()


async def test_whoever_takes_over_goes_on_from_what_is_committed(store, tmp_path):
    async with process(store, tmp_path / "one", leads=True) as (leader, _):
        first = await append(store, 2)
        await leader.included(first[-1])
        async with process(store, tmp_path / "two", leads=False) as (heir, chosen):
            await heir.included(first[-1])
            await leader.stop()
            late = await append(store, 2)
            waiting = asyncio.ensure_future(heir.included(late[-1]))
            await until(lambda: late[-1] in heir._waiting)
            chosen.choose(leads=True)
            assert await waiting == 3
            assert witnessed(tmp_path / "two") == 4


async def test_a_leader_that_lost_the_lead_between_looking_and_committing_commits_nothing(store, tmp_path):
    async with process(store, tmp_path / "one", leads=True, batch_seconds=30) as (sequencer, chosen):
        ids = await append(store, 2)
        real = store.write

        async def losing(work):
            chosen.choose(leads=False)
            return await real(work)

        sequencer._store = type("Losing", (), {"write": staticmethod(losing), "read": staticmethod(store.read)})
        assert await sequencer.sequence_pending() == 0
        assert [leaf.entry_id for leaf in await store.read(lambda tx: tx.audit.pending(9))] == ids
        sequencer._store = store
        chosen.choose(leads=True)
        assert await sequencer.sequence_pending() == 2


async def test_two_that_both_believe_to_lead_grow_one_log(store, tmp_path):
    """The lead was lost and nobody noticed yet: the compare-and-swap of the head is the last guard."""
    async with (
        process(store, tmp_path / "one", leads=True) as (one, _),
        process(store, tmp_path / "two", leads=True) as (two, _),
    ):
        for _ in range(20):
            ids = await append(store, 3)
            assert await one.included(ids[-1]) == await two.included(ids[-1])
        assert (await store.read(lambda tx: tx.log.size())) == 60
        assert (one.refusal, two.refusal) == (None, None)
        await until(lambda: witnessed(tmp_path / "one") == witnessed(tmp_path / "two") == 60)


@pytest.mark.parametrize(
    ("published", "reason"),
    [(Checkpoint(ORIGIN, 9, b"r" * 32), "older backup"), (Checkpoint(ORIGIN, 2, b"r" * 32), "other entries")],
)
async def test_a_follower_refuses_a_database_that_went_back_or_forked(store, tmp_path, published, reason):
    async with process(store, tmp_path / "one", leads=True) as (leader, _):
        ids = await append(store, 3)
        await leader.included(ids[-1])
        (tmp_path / "two").mkdir()
        (tmp_path / "two" / "log-head").write_bytes(sign_checkpoint(KEY, published))
        before = (tmp_path / "two" / "log-head").read_bytes()
        async with process(store, tmp_path / "two", leads=False) as (follower, chosen):
            with pytest.raises(LogUnavailableError, match=reason):
                await follower.included(ids[-1])
            assert reason in follower.health()
            # Nor does it go on from there once it leads.
            await leader.stop()
            await append(store)
            chosen.choose(leads=True)
            with pytest.raises(LogUnavailableError, match=reason):
                await follower.sequence_pending()
        assert (tmp_path / "two" / "log-head").read_bytes() == before
        assert await store.read(lambda tx: tx.log.size()) == 3


async def test_a_follower_whose_key_file_lags_waits_for_it(store, tmp_path):
    keys = Keys()
    async with (
        process(store, tmp_path / "one", leads=True, keys=Keys(NEW)) as (leader, _),
        process(store, tmp_path / "two", leads=False, keys=keys) as (follower, _),
    ):
        (entry_id,) = await append(store)
        await leader.included(entry_id)
        await until(lambda: follower.health() is not None)
        assert "no checkpoint of this log's key" in follower.health()
        assert follower.refusal is None
        keys.keys = (NEW, KEY)
        assert await follower.included(entry_id) == 0
        await until(lambda: follower.health() is None)


async def test_a_log_key_that_is_replaced_is_noticed_by_every_process(store, tmp_path):
    shared = Keys()
    async with (
        process(store, tmp_path / "one", leads=True, keys=shared) as (leader, first),
        process(store, tmp_path / "two", leads=False, keys=shared) as (follower, second),
    ):
        (before,) = await append(store)
        await follower.included(before)
        shared.keys = (NEW, KEY)
        (during,) = await append(store)
        assert (await leader.included(during), await follower.included(during)) == (1, 1)
        first.choose(leads=False)
        second.choose(leads=True)
        (after,) = await append(store)
        assert (await leader.included(after), await follower.included(after)) == (2, 2)
    for name in ("one", "two"):
        assert verify_checkpoint((tmp_path / name / "log-head").read_bytes(), verifier_key(ORIGIN, NEW)).size == 3


async def test_nobody_who_leads_is_told_of(store, tmp_path):
    async with process(store, tmp_path / "two", leads=False, patience_seconds=0) as (follower, chosen):
        assert follower.health() is None
        await append(store)
        await follower.sequence_pending()
        assert "no process sequences" in follower.health()
        chosen.choose(leads=True)
        await follower.sequence_pending()
        assert follower.health() is None


def test_processes_that_share_a_head_file_write_no_earlier_head_over_a_later_one(tmp_path):
    heads = {size: sign_checkpoint(KEY, Checkpoint(ORIGIN, size, b"r" * 32)) for size in (3, 5)}
    for size in (3, 5, 3):
        write_head(tmp_path / "log-head", heads[size])
    assert (tmp_path / "log-head").read_bytes() == heads[5]


class TestDuties:
    async def test_a_duty_is_done_while_this_process_leads(self):
        chosen, history = ChosenLeadership(), []

        async def duty():
            history.append("begun")
            try:
                await asyncio.Event().wait()
            finally:
                history.append("ended")

        task = asyncio.create_task(while_leading(chosen, duty))
        for leads, expected in ((True, ["begun"]), (False, ["begun", "ended"]), (True, ["begun", "ended", "begun"])):
            chosen.choose(leads=leads)
            await until(lambda expected=expected: history == expected)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert history[-1] == "ended"

    async def test_what_a_duty_fails_with_is_not_swallowed(self):
        async def duty():
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await while_leading(SoleLeadership(), duty)
