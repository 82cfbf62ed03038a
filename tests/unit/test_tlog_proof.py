"""Proofs as text (c2sp.org/tlog-proof) and what a notice's proof carries; no byte of one is passed over."""

import base64
import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.audit.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from notifications.audit.entry import AuditEntry, Opening, leaf_bytes, parse_leaf, verify_commitment
from notifications.audit.merkle import append_leaves, inclusion_proof, leaf_hash, tree_root, verify_inclusion
from notifications.audit.note import verifier_key
from notifications.audit.proof import (
    NoticeExtra,
    TlogProof,
    format_notice_extra,
    format_proof,
    parse_notice_extra,
    parse_proof,
)
from notifications.canonical_json import canonicalize
from notifications.errors import GreffierError, InvalidInputError, VerificationError

HASHES = [hashlib.sha256(b"%d" % number).digest() for number in range(64)]
ENCODED = [base64.b64encode(hashed).decode() for hashed in HASHES]
CHECKPOINT = b"example.com/log\n9\n" + ENCODED[9].encode() + b"\n\n\xe2\x80\x94 example.com/log aaaaaaaa\n"


PIECES = st.sampled_from([
    b"c2sp.org/tlog-proof@v1", b"index 0", b"index 9223372036854775807", b"index ", b"extra ", b"YQ==", b"\n", b"\n\n",
    b"7", ENCODED[0].encode(), CHECKPOINT, b"\r", b"\x00", b"\xff",
])  # fmt: skip


def text(*lines, checkpoint=CHECKPOINT):
    return "\n".join(lines).encode() + b"\n\n" + checkpoint


class TestText:
    def test_the_exact_bytes(self):
        assert format_proof(5, HASHES[:2], CHECKPOINT) == (
            b"c2sp.org/tlog-proof@v1\nindex 5\n"
            + f"{ENCODED[0]}\n{ENCODED[1]}\n\n".encode()
            + CHECKPOINT
        )  # fmt: skip
        assert format_proof(0, [], CHECKPOINT) == b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + CHECKPOINT
        assert format_proof(10, HASHES[:1], CHECKPOINT, b"extra information") == (
            b"c2sp.org/tlog-proof@v1\nextra ZXh0cmEgaW5mb3JtYXRpb24=\nindex 10\n"
            + f"{ENCODED[0]}\n\n".encode()
            + CHECKPOINT
        )

    @given(
        st.builds(
            TlogProof,
            st.integers(0, 2**63 - 1),
            st.lists(st.sampled_from(HASHES), max_size=63).map(tuple),
            st.binary(min_size=1, max_size=80),
            st.one_of(st.none(), st.binary(min_size=1, max_size=80)),
        )
    )
    @settings(deadline=None)
    def test_every_proof_reads_back(self, proof):
        assert parse_proof(format_proof(proof.index, proof.hashes, proof.checkpoint, proof.extra)) == proof

    @pytest.mark.parametrize(
        ("index", "hashes", "checkpoint", "extra"),
        [
            (-1, [], CHECKPOINT, None),
            (2**63, [], CHECKPOINT, None),
            (0, [HASHES[0][:-1]], CHECKPOINT, None),
            (0, [b""], CHECKPOINT, None),
            (0, HASHES, CHECKPOINT, None),
            (0, [], b"", None),
            (0, [], CHECKPOINT, b""),
        ],
    )
    def test_what_would_not_read_back_is_never_written(self, index, hashes, checkpoint, extra):
        with pytest.raises(InvalidInputError):
            format_proof(index, hashes, checkpoint, extra)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\n\n",
            CHECKPOINT,
            text("c2sp.org/tlog-proof@v2", "index 0"),
            text("C2SP.org/tlog-proof@v1", "index 0"),
            text(" c2sp.org/tlog-proof@v1", "index 0"),
            text("c2sp.org/tlog-proof@v1 ", "index 0"),
            text("c2sp.org/tlog-proof@v1"),
            text("c2sp.org/tlog-proof@v1", "", "index 0"),
            text("index 0"),
            text("c2sp.org/tlog-proof@v1", "index 0", checkpoint=b""),
            b"c2sp.org/tlog-proof@v1\nindex 0\n" + CHECKPOINT[:20],
            text("c2sp.org/tlog-proof@v1\r", "index 0\r"),
            *(
                text("c2sp.org/tlog-proof@v1", f"index {index}")
                for index in ("", "00", "01", "-1", "+1", " 1", "1 ", "1.0", "0x1", "1_0", "a", 2**63, "9" * 5000)
            ),
            text("c2sp.org/tlog-proof@v1", "index ٣"),
            text("c2sp.org/tlog-proof@v1", "Index 0"),
            text("c2sp.org/tlog-proof@v1", "index 0", "index 0"),
            text("c2sp.org/tlog-proof@v1", "index 0", "extra YQ=="),
            text("c2sp.org/tlog-proof@v1", "extra YQ==", "extra YQ==", "index 0"),
            text("c2sp.org/tlog-proof@v1", "extra YQ=="),
            text("c2sp.org/tlog-proof@v1", "extra ", "index 0"),
            text("c2sp.org/tlog-proof@v1", "extra", "index 0"),
            text("c2sp.org/tlog-proof@v1", "extra YQ", "index 0"),
            text("c2sp.org/tlog-proof@v1", "extra YR==", "index 0"),
            text("c2sp.org/tlog-proof@v1", "extra YQ==YQ==", "index 0"),
            text("c2sp.org/tlog-proof@v1", "extra Y Q==", "index 0"),
            text("c2sp.org/tlog-proof@v1", "extra YQ== ", "index 0"),
            text("c2sp.org/tlog-proof@v1", "index 0", "AA=="),
            text("c2sp.org/tlog-proof@v1", "index 0", ENCODED[0] + " "),
            text("c2sp.org/tlog-proof@v1", "index 0", ENCODED[0][:-1]),
            text("c2sp.org/tlog-proof@v1", "index 0", HASHES[0].hex()),
            text("c2sp.org/tlog-proof@v1", "index 0", base64.b64encode(HASHES[0] + b"x").decode()),
            text("c2sp.org/tlog-proof@v1", "index 0", base64.b64encode(HASHES[0][1:]).decode()),
            text("c2sp.org/tlog-proof@v1", "index 0", "A" * 42 + "B="),
            text("c2sp.org/tlog-proof@v1", "index 0", "_" * 43 + "="),
            text("c2sp.org/tlog-proof@v1", "index 0", *ENCODED),
            text("c2sp.org/tlog-proof@v1", "index 0", checkpoint=b"x" * 1_000_001),
        ],
    )
    def test_any_other_form_is_refused(self, data):
        with pytest.raises(InvalidInputError):
            parse_proof(data)

    @given(st.binary(max_size=200) | st.lists(PIECES, max_size=8).map(b"".join))
    @settings(deadline=None, max_examples=150)
    def test_arbitrary_bytes_are_refused_or_are_the_one_form(self, data):
        for start in (b"", b"c2sp.org/tlog-proof@v1\n", b"c2sp.org/tlog-proof@v1\nindex 0\n"):
            with suppress(InvalidInputError):
                proof = parse_proof(start + data)
                assert format_proof(proof.index, proof.hashes, proof.checkpoint, proof.extra) == start + data

    def test_the_checkpoint_begins_at_the_first_empty_line(self):
        # A checkpoint has empty lines of its own; a second one before it belongs to it and is refused there.
        assert parse_proof(text("c2sp.org/tlog-proof@v1", "index 0")).checkpoint == CHECKPOINT
        assert parse_proof(text("c2sp.org/tlog-proof@v1", "index 0", checkpoint=b"\n\nx")).checkpoint == b"\n\nx"


LEAF = leaf_bytes(
    AuditEntry(
        id=UUID("0199c0de-0000-7000-8000-000000000001"),
        type="notice.sealed",
        at=datetime(2026, 11, 23, 4, 45, 18, tzinfo=UTC),
        actor="system:worker",
        detail={"sequence": 1},
        openings=(Opening("document", b"d" * 32, b"1" * 32), Opening("signature", b"s" * 32, b"2" * 32)),
    )
)
SALTS = {"document": b"d" * 32, "signature": b"s" * 32}


def extra_with(**members):
    return canonicalize({**json.loads(format_notice_extra(LEAF, SALTS)), **members})


class TestNoticeExtra:
    def test_it_reads_back(self):
        assert parse_notice_extra(format_notice_extra(LEAF, SALTS)) == NoticeExtra(LEAF, SALTS)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"null",
            b"{}",
            format_notice_extra(LEAF, SALTS) + b"\n",
            extra_with(more=1),
            extra_with(v=2),
            extra_with(v=True),
            extra_with(v="1"),
            extra_with(leaf=None),
            extra_with(leaf="YR=="),
            extra_with(leaf="é"),
            extra_with(openings=[]),
            extra_with(openings={"document": None}),
            extra_with(openings={"document": "YQ=="}),
            extra_with(openings={"document": "*" * 44}),
            extra_with(openings={"document": "é" * 44}),
            extra_with(openings={"document": base64.b64encode(b"d" * 31).decode()}),
            extra_with(openings={"document": base64.b64encode(b"d" * 33).decode()}),
            format_notice_extra(LEAF, SALTS).replace(b'"v":1', b'"v":1.0'),
            format_notice_extra(LEAF, SALTS).replace(b'{"leaf"', b'{"leaf":"","leaf"'),
        ],
    )
    def test_any_other_form_is_refused(self, data):
        with pytest.raises(InvalidInputError):
            parse_notice_extra(data)

    JSON = st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-9, 9)
        | st.text(max_size=5)
        | st.just(base64.b64encode(b"d" * 32).decode()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    )

    @given(
        st.binary(max_size=80)
        | st.fixed_dictionaries({"v": st.just(1) | JSON, "leaf": JSON, "openings": JSON}).map(canonicalize)
    )
    @settings(deadline=None, max_examples=150)
    def test_arbitrary_data_is_refused_or_is_the_one_form(self, data):
        with suppress(InvalidInputError):
            extra = parse_notice_extra(data)
            assert format_notice_extra(extra.leaf, extra.salts) == data


class TestWholeProof:
    """A notice's proof from end to end, and every byte of it changed."""

    INDEX, SIZE = 9, 13
    LOG_KEY = Ed25519PrivateKey.from_private_bytes(b"L" * 32)
    ORIGIN = "log.greffier.example/audit"

    @pytest.fixture
    def proof(self):
        hashes = [leaf_hash(LEAF if number == self.INDEX else b"%d" % number) for number in range(self.SIZE)]
        nodes = {(level, index): hashed for level, index, hashed in append_leaves(0, lambda _: [], hashes).nodes}

        def read(wanted):
            return [nodes[node] for node in wanted]

        head = sign_checkpoint(self.LOG_KEY, Checkpoint(self.ORIGIN, self.SIZE, tree_root(self.SIZE, read)))
        extra = format_notice_extra(LEAF, SALTS)
        return format_proof(self.INDEX, inclusion_proof(self.INDEX, self.SIZE, read), head, extra)

    def verify(self, data):
        """Raise unless the log holds the leaf that commits to document and signature."""
        proof = parse_proof(data)
        extra = parse_notice_extra(proof.extra or b"")
        leaf = parse_leaf(extra.leaf)
        for name, value in (("document", b"1" * 32), ("signature", b"2" * 32)):
            verify_commitment(leaf, name, extra.salts.get(name, b""), value)
        head = verify_checkpoint(proof.checkpoint, verifier_key(self.ORIGIN, self.LOG_KEY))
        verify_inclusion(leaf_hash(extra.leaf), proof.index, head.size, proof.hashes, head.root)

    def test_it_holds(self, proof):
        self.verify(proof)

    def test_no_changed_byte_is_passed_over(self, proof):
        for place in range(len(proof)):
            for mask in (0x01, 0x20, 0xFF):
                changed = bytearray(proof)
                changed[place] ^= mask
                with pytest.raises(GreffierError):
                    self.verify(bytes(changed))

    def test_no_cut_and_no_lengthening_is_passed_over(self, proof):
        for length in range(len(proof)):
            with pytest.raises(GreffierError):
                self.verify(proof[:length])
        for more in (b"\n", b" ", b"\0", proof):
            with pytest.raises(GreffierError):
                self.verify(proof + more)
            with pytest.raises(GreffierError):
                self.verify(more + proof)

    @given(st.data())
    # The proof is the same bytes every time, so that one fixture may serve every example.
    @settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_no_splice_is_passed_over_or_escapes(self, proof, data):
        start = data.draw(st.integers(0, len(proof)))
        end = data.draw(st.integers(start, len(proof)))
        spliced = proof[:start] + data.draw(st.binary(max_size=8) | PIECES) + proof[end:]
        if spliced == proof:
            return
        with pytest.raises((InvalidInputError, VerificationError)):
            self.verify(spliced)

    def test_parts_of_another_proof_do_not_fit(self, proof):
        whole = parse_proof(proof)
        other_leaf = parse_notice_extra(whole.extra).leaf.replace(b'"sequence":1', b'"sequence":2')
        for bent in (
            replace(whole, index=8),
            replace(whole, index=self.SIZE),
            replace(whole, hashes=whole.hashes[:-1]),
            replace(whole, hashes=(*whole.hashes, whole.hashes[0])),
            replace(whole, hashes=whole.hashes[::-1]),
            replace(whole, extra=format_notice_extra(other_leaf, SALTS)),
            replace(whole, extra=format_notice_extra(LEAF, {"document": b"d" * 32})),
            replace(whole, extra=format_notice_extra(LEAF, {**SALTS, "document": b"s" * 32})),
            replace(whole, extra=None),
        ):
            with pytest.raises(GreffierError):
                self.verify(format_proof(bent.index, bent.hashes, bent.checkpoint, bent.extra))
