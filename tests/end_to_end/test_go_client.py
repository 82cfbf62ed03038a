"""Go's sumdb/note and sumdb/tlog take the log as it is exported: an implementation that is not ours."""

import base64
import hashlib
import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from notifications.audit.checkpoint import Checkpoint, cosign_checkpoint, sign_checkpoint
from notifications.audit.merkle import EMPTY_ROOT, append_leaves, consistency_proof, inclusion_proof, leaf_hash
from notifications.audit.note import COSIGNATURE_V1, verifier_key
from notifications.audit.proof import format_proof
from notifications.audit.tile_reading import tile_contents
from notifications.audit.tiles import tile_path, tiles_of
from support.go_program import built_go

SIZES = (0, 1, 2, 255, 256, 257, 65_535, 65_536, 65_537, 70_000)
ORIGIN, WITNESS = "provider.example/log", "witness.example"
LEAVES = [b"leaf %d" % number for number in range(SIZES[-1])]
LOG_KEY, WITNESS_KEY = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return built_go("client", tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="module")
def nodes():
    growth = append_leaves(0, lambda _wanted: [], [leaf_hash(leaf) for leaf in LEAVES])
    return {(level, index): hashed for level, index, hashed in growth.nodes}


@pytest.fixture(scope="module")
def exported(tmp_path_factory, nodes):
    """Return the folder of a log of some size, as it is exported, with a cosignature and proofs beside it."""
    root = tmp_path_factory.mktemp("logs")

    def read(wanted):
        return [nodes[node] for node in wanted]

    def export(size, older=None):
        folder = root / str(size)
        if not folder.exists():
            growth = append_leaves(0, lambda _wanted: [], [leaf_hash(leaf) for leaf in LEAVES[:size]])
            note = sign_checkpoint(LOG_KEY, Checkpoint(ORIGIN, size, growth.root if size else EMPTY_ROOT))
            note = cosign_checkpoint(note, WITNESS, WITNESS_KEY, datetime(2026, 3, 2, tzinfo=UTC))
            files = {
                "checkpoint": note,
                "log.vkey": verifier_key(ORIGIN, LOG_KEY).text().encode() + b"\n",
                "witness.vkey": verifier_key(WITNESS, WITNESS_KEY, COSIGNATURE_V1).text().encode() + b"\n",
            }
            tiles = [tile for level in (None, 0, 1, 2) for tile in tiles_of(size, level)]
            for tile in tiles:
                files[tile_path(tile)] = tile_contents(
                    tile, size, read, lambda start, count: LEAVES[start : start + count]
                )
            for index in {0, size // 3, size - 1} if size else ():
                files[f"proofs/{index}"] = format_proof(index, inclusion_proof(index, size, read), note)
            for name, content in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
        if older is not None:
            lines = [base64.b64encode(item) for item in consistency_proof(older, size, read)]
            (folder / "proofs" / "consistency").write_bytes(b"\n".join(lines) + b"\n")
        return folder

    return export


def asked(client, *folders):
    return subprocess.run([client, *folders], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("size", SIZES)
def test_go_takes_checkpoint_cosignature_and_proofs_and_makes_its_own_from_our_tiles(client, exported, size):
    older = [item for item in SIZES if 0 < item < size]
    folder = exported(size, older[-1] if older else None)
    ran = asked(client, folder, *([exported(older[-1])] if older else []))
    assert (ran.returncode, ran.stdout) == (0, f"size {size}\n"), ran.stderr


def test_go_ignores_lines_of_ml_dsa(client, exported, tmp_path):
    folder = tmp_path / "log"
    shutil.copytree(exported(257), folder)
    note = before = (folder / "checkpoint").read_bytes()
    key = MLDSA44PrivateKey.from_seed_bytes(b"M" * 32)
    # Of the witness, of another witness, and of the log itself.
    for name in (WITNESS, "other.example", ORIGIN):
        note = cosign_checkpoint(note, name, key, datetime(2026, 3, 2, tzinfo=UTC))
    for path in (folder / "checkpoint", *(folder / "proofs").iterdir()):
        path.write_bytes(path.read_bytes().replace(before, note))
    ran = asked(client, folder)
    assert (ran.returncode, ran.stdout) == (0, "size 257\n"), ran.stderr
    first, _, rest = note.partition(b"\n\n")
    (folder / "checkpoint").write_bytes(first + b"\n\n" + b"".join(rest.splitlines(keepends=True)[2:]))
    assert asked(client, folder).returncode == 1


@pytest.mark.parametrize(
    "name", ["checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/000", "proofs/0", "witness.vkey", "log.vkey"]
)
def test_go_refuses_what_was_changed(client, exported, tmp_path, name):
    folder = tmp_path / "log"
    shutil.copytree(exported(257), folder)
    content = bytearray((folder / name).read_bytes())
    # In the middle of what is there; for text, another letter of its alphabet.
    place = len(content) // 2
    content[place] = ord("A") if content[place] != ord("A") else ord("B")
    assert hashlib.sha256(content).digest() != hashlib.sha256((folder / name).read_bytes()).digest()
    (folder / name).write_bytes(content)
    assert asked(client, folder).returncode == 1
