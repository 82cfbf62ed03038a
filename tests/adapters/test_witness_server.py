"""The witness: what it cosigns is on disk before it answers, and no fork passes, whoever asks at once."""

import hashlib
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from notifications.audit.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    format_checkpoint,
    parse_checkpoint_note,
    sign_checkpoint,
)
from notifications.audit.cosignature import MAX_REQUEST_BYTES, RefusedError, format_add_checkpoint, verified_answer
from notifications.audit.merkle import append_leaves, consistency_proof, leaf_hash
from notifications.audit.note import verifier_key
from notifications.errors import InvalidInputError, LogUnavailableError
from service.audit_log.witness.folder import Algorithm, WitnessFolder, prepare_witness
from service.audit_log.witness.server import SIZE_TYPE, create_witness_app
from service.system.file_lock import sole_use
from support.commands import Command, run

_LOG = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
_ORIGIN = "provider.example/log"
_VKEY = verifier_key(_ORIGIN, _LOG)


def _nodes(size, fork=b""):
    growth = append_leaves(0, lambda _: [], [leaf_hash(b"%d" % index + fork) for index in range(size)])
    return growth, {(level, index): node for level, index, node in growth.nodes}


def _request(old, size, fork=b"", key=_LOG, origin=_ORIGIN):
    growth, nodes = _nodes(size, fork)
    note = sign_checkpoint(key, Checkpoint(origin, size, growth.root))
    return format_add_checkpoint(
        old, consistency_proof(old, size, lambda wanted: [nodes[node] for node in wanted]), note
    )


def _note(size):
    return _request(0, size).partition(b"\n\n")[2]


@pytest.fixture
def folder(tmp_path):
    prepare_witness(tmp_path / "witness", "witness.example", [_VKEY])
    return tmp_path / "witness"


@pytest.fixture
def witness(folder):
    return WitnessFolder(folder, lambda: datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture
async def client(witness):
    transport = httpx2.ASGITransport(create_witness_app(witness))
    async with httpx2.AsyncClient(transport=transport, base_url="http://witness.example") as client:
        yield client


async def _post(client, body):
    return await client.post("/add-checkpoint", content=body)


async def test_it_cosigns_what_extends(client, witness):
    for old, size in ((0, 3), (3, 3), (3, 257)):
        answer = await _post(client, _request(old, size))
        assert answer.status_code == 200
        assert verified_answer(_note(size), answer.content, witness.key).seconds == 1795392000
    shown = await client.get(f"/checkpoint/{hashlib.sha256(_ORIGIN.encode()).hexdigest()}")
    assert shown.content == _note(257)
    assert (await client.get("/checkpoint/" + "0" * 64)).status_code == 404


@pytest.mark.parametrize(("algorithm", "kinds"), [("mldsa44", [6]), ("both", [4, 6])])
async def test_it_cosigns_with_the_keys_that_it_was_made_with(tmp_path, algorithm, kinds):
    keys = prepare_witness(tmp_path / "w", "w.example", [_VKEY], Algorithm(algorithm))
    witness = WitnessFolder(tmp_path / "w", lambda: datetime(2026, 11, 23, tzinfo=UTC))
    assert ([key.kind for key in keys], witness.keys) == (kinds, keys)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(create_witness_app(witness)), base_url="http://w.example"
    ) as client:
        answer = await _post(client, _request(0, 3))
    assert answer.content.count(b"\n") == len(kinds)
    assert verified_answer(_note(3), answer.content, *keys).seconds == 1795392000


def test_a_name_that_ml_dsa_cannot_sign_is_refused_before_a_key_is_made(tmp_path):
    with pytest.raises(InvalidInputError, match="name: must have 255 bytes at most for ML-DSA-44"):
        prepare_witness(tmp_path / "w", "é" * 128, [_VKEY], Algorithm.BOTH)
    assert not (tmp_path / "w").exists()
    prepare_witness(tmp_path / "w", "é" * 128, [_VKEY])


async def test_it_cosigns_a_log_that_signs_with_ml_dsa_only(tmp_path):
    key = MLDSA44PrivateKey.generate()
    prepare_witness(tmp_path / "w", "w.example", [verifier_key("pq.example/log", key)])
    witness = WitnessFolder(tmp_path / "w", lambda: datetime(2026, 11, 23, tzinfo=UTC))
    head = Checkpoint("pq.example/log", 1, leaf_hash(b"a leaf"))
    text = format_checkpoint(head).encode()
    throwaway = sign_checkpoint(Ed25519PrivateKey.generate(), head)
    note = text + b"\n" + cosign_checkpoint(throwaway, "pq.example/log", key, datetime.now(UTC)).removeprefix(throwaway)
    wrong = bytearray(note)
    wrong[-100] ^= 1
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(create_witness_app(witness)), base_url="http://w.example"
    ) as client:
        assert (await _post(client, b"old 0\n\n" + throwaway)).status_code == 403
        assert (await _post(client, b"old 0\n\n" + bytes(wrong))).status_code in {400, 403}
        answer = await _post(client, b"old 0\n\n" + note)
    assert (answer.status_code, verified_answer(note, answer.content, *witness.keys).seconds) == (200, 1795392000)


def test_a_key_that_is_not_of_the_witness_is_refused(tmp_path):
    prepare_witness(tmp_path / "w", "w.example", [_VKEY], Algorithm.BOTH)
    lines = (tmp_path / "w" / "witness.vkey").read_text().splitlines(keepends=True)
    for wrong in ("", lines[0], lines[1] + lines[0], "".join(lines).replace("w.example", "v.example")):
        (tmp_path / "w" / "witness.vkey").write_text(wrong)
        with pytest.raises(InvalidInputError):
            WitnessFolder(tmp_path / "w", lambda: datetime.now(UTC))


async def test_each_refusal_has_its_status(client, witness):
    assert (await _post(client, _request(0, 5))).status_code == 200
    stranger = Ed25519PrivateKey.generate()
    assert (await _post(client, _request(5, 9, origin="other.example/log"))).status_code == 404
    assert (await _post(client, _request(5, 9, key=stranger))).status_code == 403
    assert (await _post(client, b"old 5\n")).status_code == 400
    assert (await _post(client, b"")).status_code == 400
    assert (await _post(client, _request(5, 9).replace(b"old 5", b"old 10"))).status_code == 400
    assert (await _post(client, _request(5, 9, fork=b"'"))).status_code == 422
    for body in (_request(0, 9), _request(3, 3), _request(5, 5, fork=b"'")):
        conflict = await _post(client, body)
        assert (conflict.status_code, conflict.content) == (409, b"5\n")
        assert conflict.headers["content-type"] == SIZE_TYPE
    assert (await _post(client, b"x" * (MAX_REQUEST_BYTES + 1))).status_code == 413
    assert (await client.get("/add-checkpoint")).status_code == 405
    # None of it moved what was cosigned.
    assert witness.latest(_ORIGIN) == _note(5)


def test_of_many_at_once_one_history_is_cosigned(witness):
    assert witness.add_checkpoint(_request(0, 5))
    bodies = [_request(5, size, fork) for size in (5, 6, 9, 17) for fork in (b"", b"'", b'"')] * 2

    def ask(body):
        try:
            witness.add_checkpoint(body)
        except RefusedError:
            return None
        return parse_checkpoint_note(body.partition(b"\n\n")[2])

    with ThreadPoolExecutor(8) as pool:
        cosigned = [checkpoint for checkpoint in pool.map(ask, bodies) if checkpoint]
    assert cosigned
    assert {checkpoint.root for checkpoint in cosigned} <= {_nodes(size)[0].root for size in (5, 6, 9, 17)}
    # The race of the specification: what is kept is the largest that was cosigned.
    assert parse_checkpoint_note(witness.latest(_ORIGIN)).size == max(item.size for item in cosigned)
    assert len({checkpoint.size for checkpoint in cosigned} - {5}) == 1


async def test_what_cannot_be_kept_is_not_cosigned(client, folder, witness, monkeypatch):
    assert (await _post(client, _request(0, 3))).status_code == 200

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert (await _post(client, _request(3, 5))).status_code == 500
    monkeypatch.undo()
    assert witness.latest(_ORIGIN) == _note(3)
    assert (await _post(client, _request(3, 5))).status_code == 200


async def test_a_head_that_is_damaged_stops_it(client, folder):
    assert (await _post(client, _request(0, 3))).status_code == 200
    (head,) = (folder / "heads").iterdir()
    head.write_bytes(b"")
    assert (await _post(client, _request(0, 5))).status_code == 500


async def test_a_new_log_is_known_without_a_restart(client, folder):
    other = Ed25519PrivateKey.generate()
    body = _request(0, 2, key=other, origin="other.example/log")
    assert (await _post(client, body)).status_code == 404
    with (folder / "logs.vkey").open("a") as file:
        file.write(verifier_key("other.example/log", other).text() + "\n")
    assert (await _post(client, body)).status_code == 200


def test_a_folder_is_made_once_and_used_by_one(folder, tmp_path):
    with pytest.raises(InvalidInputError, match="already"):
        prepare_witness(folder, "witness.example", [])
    with pytest.raises(InvalidInputError, match="init"):
        WitnessFolder(tmp_path, lambda: datetime.now(UTC))
    with sole_use(folder), pytest.raises(InvalidInputError, match="in use"), sole_use(folder):
        pass
    assert (folder / "witness.key").stat().st_mode & 0o777 == 0o600


class Running:
    """``greffier witness`` in a process of its own."""

    def __init__(self, folder):
        reading, writing = os.pipe()
        self.errors = os.fdopen(reading)
        with os.fdopen(writing, "w") as errors:
            self.process = Command(("witness", "--data", folder, "--port", 0), stderr=errors)
        while (line := self.errors.readline()) and (match := re.search(r"at (http://\S+)", line)) is None:
            pass
        self.url = match[1]

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        try:
            return self.process.wait(20)
        finally:
            self.errors.close()


def test_killed_at_any_moment_it_cosigns_no_fork(tmp_path):
    folder, log = tmp_path / "witness", tmp_path / "log.vkey"
    log.write_text(_VKEY.text() + "\n")
    made = run("witness", "init", "--data", folder, "--name", "w.example", "--log", log)
    assert made.returncode == 0, made.stderr
    assert made.stdout == (folder / "witness.vkey").read_text()
    cosigned = 0
    for kill_after in (1, 4):
        running = Running(folder)
        for step in range(kill_after):
            answer = httpx2.post(running.url, content=_request(cosigned, cosigned + 3))
            assert answer.status_code == 200, (step, answer.text)
            cosigned += 3
        running.kill()
        witness = WitnessFolder(folder, lambda: datetime.now(UTC))
        assert witness.latest(_ORIGIN) == _note(cosigned)
    running = Running(folder)
    assert httpx2.post(running.url, content=_request(cosigned, 20, b"'")).status_code == 422
    assert httpx2.post(running.url, content=_request(0, cosigned)).text == f"{cosigned}\n"
    assert running.kill(signal.SIGTERM) == 0


def test_a_head_of_another_log_in_its_place_stops_it(folder, witness):
    witness.add_checkpoint(_request(0, 3))
    (head,) = (folder / "heads").iterdir()
    head.write_bytes(sign_checkpoint(_LOG, Checkpoint("other.example/log", 3, b"r" * 32)))
    with pytest.raises(LogUnavailableError, match="another log"):
        witness.add_checkpoint(_request(3, 5))
