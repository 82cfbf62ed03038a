"""The log and its witnesses against each other: cosigned as it grows, and a roll-back of all of it found out."""

import asyncio
import copy
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from notifications.audit.checkpoint import parse_checkpoint_note, verify_cosignature
from notifications.audit.note import COSIGNATURE_V1, verifier_key
from notifications.errors import InvalidInputError, LogUnavailableError, VerificationError
from service.audit_log.cosigning import Cosigning, CosigningPace
from service.audit_log.published_head import read_head
from service.audit_log.sequencer import Sequencer, SequencerSettings
from service.audit_log.witness.client import (
    Witness,
    WitnessClient,
    WitnessConflictError,
    WitnessDisputeError,
    WitnessUnavailableError,
    heads_elsewhere,
    parse_witness,
    parse_witnesses,
)
from service.audit_log.witness.folder import WitnessFolder, prepare_witness
from service.audit_log.witness.server import create_witness_app
from service.crypto.log_keys import LogSigners
from service.system.http_server import HttpServer, bound_socket
from support.clocks import SteppedClock
from support.memory_store import MemoryStore
from support.records import make_entry

ORIGIN = "log.greffier.test"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
VERIFIER = verifier_key(ORIGIN, KEY)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT_ONCE = SequencerSettings(batch_seconds=0, poll_seconds=30, first_retry_seconds=0.001, last_retry_seconds=0.001)


class Keys:
    """The key of the log."""

    origin = ORIGIN

    def signers(self):
        return LogSigners((KEY,), (VERIFIER,))


@asynccontextmanager
async def served(app):
    """An application on a port of loopback; yields its address."""
    with bound_socket("127.0.0.1", 0) as listener:
        server = HttpServer(app)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await server.is_up.wait()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.stop()
            await serving


@pytest.fixture
async def witness(tmp_path):
    prepare_witness(tmp_path / "witness", "witness.example", [VERIFIER])
    folder = WitnessFolder(tmp_path / "witness", lambda: NOW)
    async with served(create_witness_app(folder)) as url:
        client = WitnessClient(Witness(url, folder.key), timeout_seconds=5)
        client.folder = folder
        yield client
        await client.aclose()


class House:
    """A log and the duty of having it cosigned, as one process has them; nothing runs by itself."""

    def __init__(self, store, head_path, *clients):
        self.store, self.head_path = store, head_path
        self.sequencer = Sequencer(
            store,
            keys=Keys(),
            head_path=head_path,
            settings=AT_ONCE,
            elsewhere=lambda: heads_elsewhere(clients, ORIGIN),
        )
        self.clock = SteppedClock(NOW)
        self.witnessing = Cosigning(store, clients, measure=self.sequencer.measure, clock=self.clock)

    async def grow(self, *numbers):
        await self.store.write(lambda tx: tx.audit.append([make_entry() for _ in numbers]))
        await self.sequencer.sequence_pending()

    async def look(self):
        await self.witnessing.look()
        return self.witnessing.states[0]


@pytest.fixture
def house(tmp_path, witness):
    return House(MemoryStore(), tmp_path / "log-head", witness)


async def _latest(store):
    return await store.read(lambda tx: (tx.log.size(), tx.log.checkpoint()))


async def test_each_head_is_cosigned_and_kept(house, witness):
    await house.look()
    for number in range(1, 6):
        await house.grow(number)
        state = await house.look()
        assert (state.size, state.reason) == (number, None)
        size, note = await _latest(house.store)
        lines = await house.store.read(lambda tx, size=size: tx.log.cosignatures(size))
        served_note = note + "".join(lines).encode()
        assert verify_cosignature(served_note, witness.witness.key) == int(NOW.timestamp())
        assert witness.folder.latest(ORIGIN) == note


async def test_several_entries_are_one_question_and_a_restart_asks_from_where_it_was(house, witness, tmp_path):
    await house.grow(1, 2, 3)
    assert (await house.look()).size == 3
    await house.grow(4, 5)
    again = House(house.store, house.head_path, witness)
    assert (await again.look()).size == 5
    # What the store does not know the witness tells.
    house.store._records.cosignatures.clear()
    await again.grow(6)
    third = House(house.store, house.head_path, witness)
    assert (await third.look()).size == 6


async def test_a_witness_that_is_away_is_shown_counted_and_tried_again(house, witness, tmp_path):
    away = WitnessClient(Witness("http://127.0.0.1:1", witness.witness.key), timeout_seconds=1)
    lonely = House(house.store, house.head_path, away)
    await lonely.grow(1)
    state = await lonely.look()
    assert "cannot be reached" in state.reason
    lonely.clock.step(timedelta(minutes=5))
    await lonely.look()
    assert (state.failures, state.failing_since) == (2, NOW)
    # The log goes on meanwhile.
    await lonely.grow(2)
    assert (await _latest(house.store))[0] == 2
    assert lonely.sequencer.health() is None
    await away.aclose()


async def test_database_and_head_file_restored_together_are_found_out_at_the_start(house, witness, tmp_path):
    await house.grow(1, 2, 3)
    backup, head = copy.deepcopy(house.store._records), read_head(house.head_path)
    await house.grow(4, 5)
    await house.look()
    restored = MemoryStore()
    restored._records = backup
    house.head_path.write_bytes(head)
    back = House(restored, house.head_path, witness)
    with pytest.raises(
        LogUnavailableError, match=r"witness shows a head that this log signed.*covers 5 entries.*holds 3"
    ):
        await back.grow(6)
    assert (await _latest(restored))[0] == 3
    assert "refusing to sign" in back.sequencer.health()
    # The file holds the witness's head now: the refusal does not need the witness any more.
    assert parse_checkpoint_note(read_head(house.head_path)).size == 5
    alone = House(restored, house.head_path)
    with pytest.raises(LogUnavailableError, match="restored from an older backup"):
        await alone.sequencer.sequence_pending()


async def test_a_witness_that_comes_late_stops_the_fork_that_began_without_it(house, witness, tmp_path):
    await house.grow(1, 2, 3)
    backup, head = copy.deepcopy(house.store._records), read_head(house.head_path)
    await house.grow(4, 5)
    await house.look()
    restored = MemoryStore()
    restored._records = backup
    house.head_path.write_bytes(head)
    forked = House(restored, house.head_path)
    await forked.grow(6, 7, 8, 9)
    late = Cosigning(restored, [witness], measure=forked.sequencer.measure, clock=forked.clock)
    await late.look()
    assert "holds other entries than the 5" in late.states[0].reason
    assert "holds other entries than the 5" in forked.sequencer.health()
    with pytest.raises(LogUnavailableError, match="refusing to sign"):
        await forked.grow(10)


async def test_a_fork_of_the_same_size_is_found_out(house, witness, tmp_path):
    await house.grow(1, 2)
    await house.look()
    other = House(MemoryStore(), tmp_path / "other-head")
    await other.grow(8, 9)
    late = Cosigning(other.store, [witness], measure=other.sequencer.measure, clock=other.clock)
    await late.look()
    assert "other entries" in other.sequencer.health()


class Answers(WitnessClient):
    """A witness that answers as a test says."""

    def __init__(self, key, answer, shown=None):
        super().__init__(Witness("http://127.0.0.1:1", key), timeout_seconds=1)
        self.answer, self.shown = answer, shown

    async def add_checkpoint(self, old_size, proof, note):
        raise self.answer

    async def head(self, origin):
        return self.shown


@pytest.mark.parametrize(
    "answer", [WitnessConflictError(99), WitnessDisputeError("another history")], ids=["409", "422"]
)
@pytest.mark.parametrize("shown", ["nothing", "junk", "strangers"])
async def test_a_witness_that_claims_and_proves_nothing_stops_nothing(house, witness, answer, shown):
    await house.grow(1, 2)
    (_, note) = await _latest(house.store)
    stranger = note.replace(b"\n2\n", b"\n3\n")
    liar = Answers(witness.witness.key, answer, {"nothing": None, "junk": b"junk", "strangers": stranger}[shown])
    told = House(house.store, house.head_path, liar)
    await told.grow(3)
    state = await told.look()
    assert state.disputes
    assert state.failures == 1
    await told.grow(4)
    assert told.sequencer.health() is None
    await liar.aclose()


async def test_what_is_shown_and_is_ours_stops_nothing(house, witness):
    await house.grow(1, 2)
    (_, note) = await _latest(house.store)
    await house.sequencer.measure(note)
    with pytest.raises(VerificationError):
        await house.sequencer.measure(note.replace(b"\n2\n", b"\n3\n"))
    await house.grow(3)


async def test_the_duty_runs_and_follows_commits(house, witness):
    fast = CosigningPace(period_seconds=0, poll_seconds=60)
    duty = Cosigning(house.store, [witness], measure=house.sequencer.measure, clock=house.clock, pace=fast)
    cosigned = asyncio.Event()
    house.store.on_commit += [duty.wake, lambda changed: "log" not in changed and cosigned.set()]
    running = asyncio.create_task(duty.run())
    for number in (1, 2, 3):
        cosigned.clear()
        await house.grow(number)
        while duty.states[0].size != number:
            await asyncio.wait_for(cosigned.wait(), 10)
            cosigned.clear()
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def _app(scope, receive, send):
    """Answers with far too much."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(30):
        await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def test_an_answer_that_is_too_long_is_cut_off():
    key = verifier_key("witness.example", KEY, COSIGNATURE_V1)
    async with served(_app) as url:
        client = WitnessClient(Witness(url, key), timeout_seconds=5)
        with pytest.raises(WitnessUnavailableError, match="too much"):
            await client.head(ORIGIN)
        await client.aclose()


@pytest.mark.parametrize(
    ("status", "headers", "body", "error"),
    [
        (200, {}, b"", WitnessUnavailableError),
        (200, {}, b"hello\n", WitnessUnavailableError),
        (409, {"content-type": "text/x.tlog.size"}, b"7\n", WitnessConflictError),
        (409, {"content-type": "text/x.tlog.size"}, b"seven\n", WitnessUnavailableError),
        (409, {"content-type": "text/plain"}, b"7\n", WitnessDisputeError),
        (422, {}, b"", WitnessDisputeError),
        (403, {}, b"", WitnessUnavailableError),
        (404, {}, b"", WitnessUnavailableError),
        (302, {"location": "http://127.0.0.1:1/"}, b"", WitnessUnavailableError),
        (500, {}, b"", WitnessUnavailableError),
    ],
)
async def test_each_answer_has_its_meaning(house, witness, status, headers, body, error):
    await house.grow(1)
    (_, note) = await _latest(house.store)
    client = WitnessClient(witness.witness, timeout_seconds=5)
    await client.aclose()
    client._client = httpx2.AsyncClient(
        transport=httpx2.MockTransport(
            lambda request: httpx2.Response(status, headers=headers, stream=httpx2.ByteStream(body))
        )
    )
    with pytest.raises(error):
        await client.add_checkpoint(0, [], note)
    await client.aclose()


def test_a_setting_names_address_and_key():
    vkey = verifier_key("witness.example", KEY, COSIGNATURE_V1).text()
    assert parse_witness(f"https://w.example/log/ {vkey}").url == "https://w.example/log"
    for wrong in (
        vkey, f"http://w.example {vkey}", f"https:// {vkey}", f"https://w.example/?a {vkey}", f"ftp://w.example {vkey}",
        f"https://w.example {VERIFIER.text()}", f"https://w.example {vkey}x",
    ):  # fmt: skip
        with pytest.raises(InvalidInputError):
            parse_witness(wrong)
    ml_dsa = verifier_key("witness.example", MLDSA44PrivateKey.generate()).text()
    assert [key.text() for key in parse_witness(f"https://w.example {vkey} {ml_dsa}").keys] == [vkey, ml_dsa]
    assert parse_witness(f"https://w.example {ml_dsa}").key.text() == ml_dsa
    stranger = verifier_key("other.example", MLDSA44PrivateKey.generate()).text()
    for wrong in (
        "https://w.example", f"https://w.example {vkey} {vkey}", f"https://w.example {vkey} {stranger}",
        f"https://w.example {ml_dsa} {VERIFIER.text()}", f"https://w.example {vkey} {ml_dsa} {vkey}",
    ):  # fmt: skip
        with pytest.raises(InvalidInputError, match=r"witnesses\.cosigners"):
            parse_witness(wrong)
    with pytest.raises(InvalidInputError, match="twice"):
        parse_witnesses([f"https://a.example {vkey}", f"https://b.example {vkey}"])
