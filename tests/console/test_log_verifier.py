"""The verifier for browsers, run by node: published vectors pass, and whatever is falsified fails, as in our own."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

import service.web.console
from notifications.audit.checkpoint import Checkpoint, cosign_checkpoint, sign_checkpoint, verify_checkpoint
from notifications.audit.entry import parse_leaf, verify_commitment
from notifications.audit.merkle import EMPTY_ROOT, leaf_hash, verify_inclusion
from notifications.audit.note import COSIGNATURE_V1, verifier_key
from notifications.audit.proof import format_notice_extra, format_proof, parse_notice_extra, parse_proof
from notifications.errors import GreffierError
from support.sealed_sample import ORIGIN, Office, files_of

MODULE = Path(service.web.console.__file__).parent / "static" / "log-verifier.js"
VECTORS = Path(__file__).parent.parent / "vectors"
#: Takes calls as JSON, a line each, and answers each with what it returned or what it threw.
DRIVER = """
import { createInterface } from "node:readline";
if (typeof globalThis.crypto === "undefined") globalThis.crypto = (await import("node:crypto")).webcrypto;
const verifier = await import(process.argv[2]);
const taken = (value) => {
  if (Array.isArray(value)) return value.map(taken);
  if (value === null || typeof value !== "object") return value;
  if ("bytes" in value) return Uint8Array.from(Buffer.from(value.bytes, "base64"));
  if ("big" in value) return BigInt(value.big);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, taken(item)]));
};
const told = (_, value) => {
  if (typeof value === "bigint") return value.toString();
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
};
for await (const line of createInterface({ input: process.stdin })) {
  const { call, given, vkeys } = JSON.parse(line);
  let answer;
  try {
    const filled = taken(given);
    const keys = await Promise.all((vkeys ?? []).map(verifier.parseVerifierKey));
    if (call === "verifyNoticeProof") filled[0].keys = keys;
    else if (vkeys !== undefined) filled.push(call === "verifyCosignature" ? keys[0] : keys);
    answer = { found: (await verifier[call](...filled)) ?? null };
  } catch (error) {
    answer = { step: error.step ?? null, reason: error.reason ?? String(error), name: error.name };
  }
  console.log(JSON.stringify(answer, told));
}
"""


def data(content):
    return {"bytes": base64.b64encode(content).decode()}


class Node:
    """One node for all calls of this file: it starts once."""

    def __init__(self, folder):
        program = folder / "driver.mjs"
        program.write_text(DRIVER)
        module = folder / "log-verifier.mjs"
        shutil.copy(MODULE, module)
        command = [shutil.which("node"), "--no-warnings", str(program), module.as_uri()]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, call, *given, vkeys=None):
        asked = {"call": call, "given": given} | ({} if vkeys is None else {"vkeys": vkeys})
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def holds(self, call, *given, **named):
        answer = self.ask(call, *given, **named)
        assert "found" in answer, answer
        return answer["found"]

    def refuses(self, call, *given, **named):
        answer = self.ask(call, *given, **named)
        assert answer.get("name") == "VerificationError", answer
        return f"{answer['step']}: {answer['reason']}"

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=20)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    if shutil.which("node") is None:
        pytest.skip("no node here; the same module is tried in a browser by test_verify_page.py")
    running = Node(tmp_path_factory.mktemp("node"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def sealed(office):
    return files_of(office.seal())


@pytest.fixture(scope="module")
def vkeys(office):
    return [office.trust.log_keys[0].text()]


def test_it_loads_nothing_and_asks_nobody():
    source = re.sub(r"//.*", "", MODULE.read_text())
    assert not re.search(r"\b(import|fetch|XMLHttpRequest|WebSocket|eval|Function|window)\b", source)


def _verify_here(proof, parts, keys):
    """Take the same steps with our own verifier."""
    parsed = parse_proof(proof)
    extra = parse_notice_extra(parsed.extra or b"")
    leaf = parse_leaf(extra.leaf)
    for name, part in parts.items():
        verify_commitment(leaf, name, extra.salts.get(name, b""), hashlib.sha256(part).digest())
    head = verify_checkpoint(parsed.checkpoint, *keys)
    verify_inclusion(leaf_hash(extra.leaf), parsed.index, head.size, parsed.hashes, head.root)


class TestTree:
    TREE = json.loads((VECTORS / "rfc6962_tree.json").read_text("utf-8"))
    LEAVES = tuple(leaf_hash(bytes.fromhex(leaf)) for leaf in TREE["leaves"])
    ROOTS = tuple(bytes.fromhex(root) for root in TREE["roots"])

    def inclusion(self, vector):
        proof = [data(bytes.fromhex(hashed)) for hashed in vector["proof"]]
        size = vector["size"]
        return [
            data(self.LEAVES[vector["index"]]),
            {"big": vector["index"]},
            {"big": size},
            proof,
            data(self.ROOTS[size]),
        ]

    def consistency(self, vector):
        proof = [data(bytes.fromhex(hashed)) for hashed in vector["proof"]]
        old, new = vector["old"], vector["new"]
        return [{"big": old}, data(self.ROOTS[old]), {"big": new}, data(self.ROOTS[new]), proof]

    def test_leaf_hashes(self, node):
        for leaf, hashed in zip(self.TREE["leaves"], self.LEAVES, strict=True):
            assert node.holds("leafHash", data(bytes.fromhex(leaf))) == hashed.hex()

    def test_published_inclusion_proofs_hold_and_falsified_ones_do_not(self, node):
        for vector in self.TREE["inclusion"]:
            genuine = self.inclusion(vector)
            node.holds("verifyInclusion", *genuine)
            hashed, index, size, proof, root = genuine
            for wrong in [
                [data(leaf_hash(b"other")), index, size, proof, root],
                [hashed, {"big": vector["index"] + 1}, size, proof, root],
                [hashed, {"big": vector["size"]}, size, proof, root],
                [hashed, {"big": -1}, size, proof, root],
                [hashed, index, {"big": vector["index"]}, proof, root],
                [hashed, index, size, [*proof, data(EMPTY_ROOT)], root],
                [hashed, index, size, [root, *proof], root],
                [hashed, index, size, [*proof, data(b"short")], root],
                [hashed, index, size, proof, data(EMPTY_ROOT)],
                *([[hashed, index, size, proof[:-1], root]] if proof else []),
                *([[hashed, index, size, proof[1:], root]] if proof else []),
                *([[hashed, index, size, proof[::-1], root]] if len(proof) > 1 else []),
            ]:
                assert node.refuses("verifyInclusion", *wrong).startswith("inclusion: ")

    def test_published_consistency_proofs_hold_and_falsified_ones_do_not(self, node):
        for vector in self.TREE["consistency"]:
            genuine = self.consistency(vector)
            node.holds("verifyConsistency", *genuine)
            old, old_root, new, new_root, proof = genuine
            for wrong in [
                [old, data(EMPTY_ROOT), new, new_root, proof],
                [old, old_root, new, data(EMPTY_ROOT), proof],
                [{"big": vector["new"] + 1}, old_root, new, new_root, proof],
                [{"big": -1}, old_root, new, new_root, proof],
                [old, old_root, new, new_root, [*proof, data(EMPTY_ROOT)]],
                [old, old_root, new, new_root, [*proof, data(b"short")]],
                *([[old, old_root, new, new_root, proof[:-1]]] if proof else []),
                *([[old, old_root, new, new_root, proof[1:]]] if proof else []),
                *([[old, old_root, new, new_root, []]] if proof else []),
                *([[old, old_root, new, new_root, proof[::-1]]] if len(proof) > 1 else []),
            ]:
                assert node.refuses("verifyConsistency", *wrong).startswith("consistency: ")

    def test_every_tree_extends_the_empty_one(self, node):
        empty, root = data(EMPTY_ROOT), data(self.ROOTS[3])
        node.holds("verifyConsistency", {"big": 0}, empty, {"big": 3}, root, [])
        node.refuses("verifyConsistency", {"big": 0}, root, {"big": 3}, root, [])
        node.refuses("verifyConsistency", {"big": 0}, empty, {"big": 3}, root, [root])
        node.refuses("verifyConsistency", {"big": 0}, root, {"big": 0}, root, [])


class TestNotes:
    PUBLISHED = json.loads((VECTORS / "signed_note.json").read_text("utf-8"))
    KEY, WITNESS = (Ed25519PrivateKey.from_private_bytes(seed * 32) for seed in (b"L", b"W"))

    def test_published_keys(self, node):
        for who in ("peter", "enoch"):
            text = self.PUBLISHED[who]["verifier_key"]
            assert node.holds("parseVerifierKey", text)["name"] == text.split("+", 1)[0]
            assert node.refuses("parseVerifierKey", text.replace("+", "+0", 1)).startswith("verifier key: ")
        for text in self.PUBLISHED["refused_keys"].values():
            assert node.refuses("parseVerifierKey", text).startswith("verifier key: ")

    def test_a_published_signature_is_checked_before_the_text_is_refused(self, node):
        """The published note is no checkpoint: its signature holds, and a changed one is told as such."""
        peter = self.PUBLISHED["peter"]
        note = f"{self.PUBLISHED['text']}\n{peter['signature_line']}".encode()
        keys = [peter["verifier_key"]]
        assert "origin, size and root" in node.refuses("verifyCheckpoint", data(note), vkeys=keys)
        assert "is wrong" in node.refuses("verifyCheckpoint", data(note.replace(b"answer", b"Answer")), vkeys=keys)

    def test_the_published_cosigned_checkpoint_is_taken_apart(self, node):
        published = self.PUBLISHED["cosigned_checkpoint"]["note"].encode()
        assert len(node.holds("parseNote", data(published))["signatures"]) == 2

    def test_a_cosignature_of_ml_dsa_is_ignored_and_its_key_is_refused(self, node):
        """WebCrypto of browsers has no ML-DSA: the page verifies the Ed25519 lines beside it, and says no word more."""
        at, key = datetime(2026, 3, 2, tzinfo=UTC), MLDSA44PrivateKey.from_seed_bytes(b"M" * 32)
        note = sign_checkpoint(self.KEY, Checkpoint("log.example", 5, b"r" * 32))
        cosigned = cosign_checkpoint(note, "witness.example", self.WITNESS, at)
        cosigned = cosign_checkpoint(cosigned, "witness.example", key, at)
        witness = verifier_key("witness.example", self.WITNESS, COSIGNATURE_V1)
        log = verifier_key("log.example", self.KEY)
        assert node.holds("verifyCheckpoint", data(cosigned), vkeys=[log.text()])["size"] == "5"
        assert node.holds("verifyCosignature", data(cosigned), vkeys=[witness.text()]) == str(int(at.timestamp()))
        text = verifier_key("witness.example", key).text()
        assert node.refuses("parseVerifierKey", text) == "verifier key: is of no known type"

    def test_a_checkpoint_and_its_cosignature(self, node):
        at = datetime(2026, 3, 2, tzinfo=UTC)
        note = sign_checkpoint(self.KEY, Checkpoint("log.example", 5, b"r" * 32))
        cosigned = cosign_checkpoint(note, "witness.example", self.WITNESS, at)
        log, witness = (
            verifier_key("log.example", self.KEY),
            verifier_key("witness.example", self.WITNESS, COSIGNATURE_V1),
        )
        assert node.holds("verifyCheckpoint", data(cosigned), vkeys=[log.text()]) == {
            "origin": "log.example", "size": "5", "root": (b"r" * 32).hex(),
        }  # fmt: skip
        assert node.holds("verifyCosignature", data(cosigned), vkeys=[witness.text()]) == str(int(at.timestamp()))
        other = verifier_key("witness.example", self.KEY, COSIGNATURE_V1)
        for wrong, keys in (
            (note, [witness.text()]),
            (cosigned, [other.text()]),
            (cosigned, [log.text()]),
            (cosigned.replace(b"\n5\n", b"\n6\n"), [witness.text()]),
            (cosigned + cosigned.splitlines(keepends=True)[-1], [witness.text()]),
        ):
            assert node.refuses("verifyCosignature", data(wrong), vkeys=keys).startswith("cosignature: ")
        stranger = verifier_key("log.example", self.WITNESS)
        twice = note + note.splitlines(keepends=True)[-1]
        for wrong, keys in (
            (note, [stranger.text()]),
            (note, [witness.text()]),
            (note, []),
            (twice, [log.text()]),
            (note.replace(b"\n5\n", b"\n05\n"), [log.text()]),
            (note.replace(b"\n5\n", b"\n6\n"), [log.text()]),
            (note[:-1], [log.text()]),
            (note.replace(b"log.example\n", b"log.exampl\xff\n"), [log.text()]),
        ):
            assert node.refuses("verifyCheckpoint", data(wrong), vkeys=keys).startswith("checkpoint signature: ")


class TestNoticeProof:
    def ask(self, proof, **parts):
        return {"proof": data(proof), "parts": {name: data(part) for name, part in parts.items()}}

    def test_it_holds_with_each_part_and_says_which_it_compared(self, node, sealed, vkeys):
        parts = {"document": sealed.document, "signature": sealed.signature, "timestamp": sealed.timestamp}
        found = node.holds("verifyNoticeProof", self.ask(sealed.proof, **parts), vkeys=vkeys)
        assert found["compared"] == ["document", "signature", "timestamp"]
        assert (found["index"], found["checkpoint"]["size"], found["checkpoint"]["origin"]) == ("5", "11", ORIGIN)
        assert found["leaf"]["detail"]["ticket"] == "INC-2026-000042"
        assert node.holds("verifyNoticeProof", self.ask(sealed.proof), vkeys=vkeys)["compared"] == []

    @pytest.mark.parametrize("name", ["document", "signature", "timestamp"])
    def test_another_part_is_found_and_named(self, node, sealed, vkeys, name):
        wrong = getattr(sealed, name) + b"\n"
        found = node.refuses("verifyNoticeProof", self.ask(sealed.proof, **{name: wrong}), vkeys=vkeys)
        assert found == f"commitment: the leaf commits to another {name}"

    def test_parts_of_another_proof_do_not_fit(self, node, office, sealed, vkeys):
        whole = parse_proof(sealed.proof)
        extra = parse_notice_extra(whole.extra)
        swapped = {**extra.salts, "document": extra.salts["signature"], "signature": extra.salts["document"]}
        other_leaf = extra.leaf.replace(b'"sequence":1', b'"sequence":2')
        cases = {
            "index": (format_proof(4, whole.hashes, whole.checkpoint, whole.extra), "inclusion: "),
            "index beyond": (format_proof(11, whole.hashes, whole.checkpoint, whole.extra), "inclusion: "),
            "short": (format_proof(5, whole.hashes[:-1], whole.checkpoint, whole.extra), "inclusion: "),
            "long": (format_proof(5, (*whole.hashes, b"x" * 32), whole.checkpoint, whole.extra), "inclusion: "),
            "order": (format_proof(5, whole.hashes[::-1], whole.checkpoint, whole.extra), "inclusion: "),
            "no leaf": (format_proof(5, whole.hashes, whole.checkpoint), "leaf: "),
            "leaf": (self._with(whole, format_notice_extra(other_leaf, extra.salts)), "inclusion: "),
            "salts": (self._with(whole, format_notice_extra(extra.leaf, swapped)), "commitment: "),
            "no salts": (self._with(whole, format_notice_extra(extra.leaf, {})), "commitment: "),
        }
        for what, (proof, begins) in cases.items():
            found = node.refuses("verifyNoticeProof", self.ask(proof, document=sealed.document), vkeys=vkeys)
            assert found.startswith(begins), (what, found)
        stranger = verifier_key(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"s" * 32)).text()
        found = node.refuses("verifyNoticeProof", self.ask(sealed.proof), vkeys=[stranger])
        assert found == "checkpoint signature: signed by no trusted key"

    @staticmethod
    def _with(whole, extra):
        return format_proof(whole.index, whole.hashes, whole.checkpoint, extra)

    def test_no_changed_byte_is_passed_over_and_both_verifiers_agree(self, node, office, sealed, vkeys):
        proof = sealed.proof
        parts = {"document": sealed.document, "signature": sealed.signature, "timestamp": sealed.timestamp}
        for place in range(0, len(proof), 5):
            changed = bytearray(proof)
            changed[place] ^= (0x01, 0x20, 0xFF)[place % 3]
            with suppress(GreffierError):
                _verify_here(bytes(changed), parts, office.trust.log_keys)
                pytest.fail(f"byte {place} is passed over by our own verifier")
            node.refuses("verifyNoticeProof", self.ask(bytes(changed), **parts), vkeys=vkeys)

    @pytest.mark.parametrize("cut", [0, 1, 22, 200, -1])
    def test_a_cut_proof_is_refused(self, node, sealed, vkeys, cut):
        node.refuses("verifyNoticeProof", self.ask(sealed.proof[:cut]), vkeys=vkeys)

    @pytest.mark.parametrize(
        "leaf",
        [
            b"{}",
            b'{"v":1}',
            b"[" * 20_000,
            b'{"a":1,"a":1}',
            b'{"a":1.5}',
            b'{"a":-0}',
            b'{"a":"\\ud800"}',
            b'{ "a":1}',
            b'{"b":1,"a":1}',
            b"\xff",
        ],
        ids=range(10),
    )
    def test_a_leaf_of_another_form_is_refused(self, node, leaf):
        assert node.refuses("parseLeaf", data(leaf)).startswith("leaf: ")
