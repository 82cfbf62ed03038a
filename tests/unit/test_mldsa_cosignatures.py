"""ML-DSA-44 signatures of c2sp.org/tlog-cosignature: another implementation's, ours, and every way to bend one."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.audit.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    format_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
    verify_cosignature,
)
from notifications.audit.cosignature import MAX_REQUEST_BYTES, format_add_checkpoint, verified_answer
from notifications.audit.merkle import leaf_hash
from notifications.audit.note import (
    COSIGNATURE_V1,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    MLDSA_44,
    VerifierKey,
    key_id,
    parse_verifier_key,
    signature_line,
    verifier_key,
    verify_note,
)
from notifications.errors import VerificationError
from support.refusals import refused

VECTOR = json.loads((Path(__file__).parent.parent / "vectors" / "mldsa_checkpoint.json").read_text("utf-8"))
PUBLISHED_KEY = MLDSA44PrivateKey.from_seed_bytes(bytes.fromhex(VECTOR["seed"]))
PUBLISHED_NOTE = VECTOR["note"].encode()

NAME, ORIGIN = "witness.example/w1", "log.example/audit"
WITNESS_KEY, OTHER_KEY = (MLDSA44PrivateKey.from_seed_bytes(bytes([number]) * 32) for number in (1, 2))
ED25519_KEY = Ed25519PrivateKey.from_private_bytes(b"W" * 32)
LOG_KEY = Ed25519PrivateKey.from_private_bytes(b"L" * 32)
WITNESS = verifier_key(NAME, WITNESS_KEY)
BESIDE = verifier_key(NAME, ED25519_KEY, COSIGNATURE_V1)
HEAD = Checkpoint(ORIGIN, 70_000, leaf_hash(b"a leaf"))
SIGNED = sign_checkpoint(LOG_KEY, HEAD)
AT = datetime(2026, 11, 23, 8, 0, 0, 900_000, tzinfo=UTC)
SECONDS = int(AT.timestamp())
COSIGNED = cosign_checkpoint(SIGNED, NAME, WITNESS_KEY, AT)


def message(name=NAME, seconds=SECONDS, origin=ORIGIN, start=0, end=70_000, root=HEAD.root, label=b"subtree/v1\n\0"):
    """The ``cosigned_message`` of the specification, written here a second time."""
    return b"".join([
        label, len(name).to_bytes(1, "big"), name.encode(), seconds.to_bytes(8, "big"),
        len(origin).to_bytes(1, "big"), origin.encode(), start.to_bytes(8, "big"), end.to_bytes(8, "big"), root,
    ])  # fmt: skip


def line(signed, *, seconds=SECONDS, key=WITNESS, private=WITNESS_KEY, context=None):
    signature = private.sign(signed, context)
    return SIGNED + signature_line(key, seconds.to_bytes(8, "big") + signature).encode()


def rejected(note, key=WITNESS):
    with pytest.raises(VerificationError) as caught:
        verify_cosignature(note, key)
    assert caught.value.step == "cosignature"
    return caught.value.reason


class TestPublished:
    """A checkpoint that another implementation signed, and its key made again from its seed."""

    LOG = verifier_key("example.com/mldsa-log", PUBLISHED_KEY)

    def test_the_key(self):
        assert self.LOG.id.hex() == VECTOR["key_id"]
        assert hashlib.sha256(self.LOG.text().encode()).hexdigest() == VECTOR["verifier_key_sha256"]
        assert parse_verifier_key(self.LOG.text()) == self.LOG

    def test_the_signature_is_the_log_s_and_states_no_time(self):
        head = verify_checkpoint(PUBLISHED_NOTE, self.LOG)
        assert (head.origin, head.size) == ("example.com/mldsa-log", 1)
        assert verify_cosignature(PUBLISHED_NOTE, self.LOG) == VECTOR["time"]

    def test_no_witness_may_leave_out_the_time(self):
        _, _, answer = PUBLISHED_NOTE.partition(b"\n\n")
        with pytest.raises(VerificationError, match="states no time"):
            verified_answer(PUBLISHED_NOTE, answer, self.LOG)

    @pytest.mark.parametrize("place", [0, 22, 24, 60, 120, 126, 134, 140, 1500, 3000])
    def test_every_changed_byte_is_found(self, place):
        wrong = bytearray(PUBLISHED_NOTE)
        wrong[place] = ord("B") if wrong[place] != ord("B") else ord("C")
        with pytest.raises(VerificationError) as caught:
            verify_checkpoint(bytes(wrong), self.LOG)
        assert caught.value.step == "checkpoint signature"


class TestKeys:
    def test_the_key_id_commits_to_name_type_and_key(self):
        raw = WITNESS_KEY.public_key().public_bytes_raw()
        assert WITNESS.id == hashlib.sha256(NAME.encode() + b"\n\x06" + raw).digest()[:4]
        encoded = base64.b64encode(b"\x06" + raw).decode()
        assert WITNESS.text() == f"{NAME}+{WITNESS.id.hex()}+{encoded}"
        assert parse_verifier_key(WITNESS.text() + "\n") == WITNESS

    @pytest.mark.parametrize("length", [0, 32, 1311, 1313, 1952])
    def test_a_key_of_another_length_is_of_no_known_type(self, length):
        encoded = base64.b64encode(bytes([MLDSA_44]) + bytes(length)).decode()
        text = f"{NAME}+{key_id(NAME, MLDSA_44, bytes(length)).hex()}+{encoded}"
        assert refused(parse_verifier_key, text) == "verifier key: is of no known type"

    def test_an_ed25519_type_with_an_ml_dsa_key_is_none(self):
        raw = WITNESS.public_key
        for kind in (1, COSIGNATURE_V1, 5, 7):
            text = f"{NAME}+{key_id(NAME, kind, raw).hex()}+{base64.b64encode(bytes([kind]) + raw).decode()}"
            assert refused(parse_verifier_key, text) == "verifier key: is of no known type"


class TestCosignatures:
    def test_the_exact_message(self):
        blob = base64.b64decode(COSIGNED.decode().split()[-1])
        assert COSIGNED.startswith(SIGNED)
        assert (blob[:4], int.from_bytes(blob[4:12], "big"), len(blob)) == (WITNESS.id, SECONDS, 4 + 8 + 2420)
        MLDSA44PublicKey.from_public_bytes(WITNESS.public_key).verify(blob[12:], message())
        assert verify_cosignature(COSIGNED, WITNESS) == SECONDS
        assert verify_checkpoint(COSIGNED, verifier_key(ORIGIN, LOG_KEY)) == HEAD

    def test_what_is_signed_here_by_the_specification_is_accepted(self):
        assert verify_cosignature(line(message()), WITNESS) == SECONDS
        assert verify_cosignature(line(message(seconds=0), seconds=0), WITNESS) == 0

    @pytest.mark.parametrize(
        "changes",
        [
            {"name": "witness.example/w2"},
            {"seconds": SECONDS + 1},
            {"seconds": 0},
            {"origin": "log.example/other"},
            {"start": 1},
            {"end": 69_999},
            {"root": leaf_hash(b"another leaf")},
            {"label": b"subtree/v1\n"},
            {"label": b"subtree/v2\n\0"},
            {"label": b"mtc-subtree/v1\n\0"},
        ],
    )
    def test_a_signature_over_anything_else_is_wrong(self, changes):
        assert rejected(line(message(**changes))) == f"the signature of {NAME} is wrong"

    def test_fields_cannot_flow_into_each_other(self):
        # The same bytes with the border of name and time moved are another message.
        moved = message(name=NAME[:-1])
        assert rejected(line(moved)) == f"the signature of {NAME} is wrong"

    def test_a_time_that_was_changed(self):
        later = line(message(), seconds=SECONDS + 3600)
        assert rejected(later) == f"the signature of {NAME} is wrong"
        assert rejected(line(message(), seconds=2**63)) == f"the time of {NAME} has more than 63 bits"

    def test_a_context_is_another_signature(self):
        assert rejected(line(message(), context=b"subtree/v1")) == f"the signature of {NAME} is wrong"

    def test_the_text_form_is_not_for_this_key(self):
        text = f"cosignature/v1\ntime {SECONDS}\n{format_checkpoint(HEAD)}".encode()
        assert rejected(line(text)) == f"the signature of {NAME} is wrong"
        assert rejected(line(format_checkpoint(HEAD).encode())) == f"the signature of {NAME} is wrong"

    def test_another_key_or_name(self):
        assert "exactly once" in rejected(COSIGNED, verifier_key(NAME, OTHER_KEY))
        assert "exactly once" in rejected(COSIGNED, verifier_key("witness.example/w2", WITNESS_KEY))
        assert "exactly once" in rejected(SIGNED)
        assert "exactly once" in rejected(COSIGNED + COSIGNED.splitlines(keepends=True)[-1])

    def test_names_that_were_swapped(self):
        # A line under the name of another witness, with the key ID that this name gives. The name is signed too.
        other = verifier_key("witness.example/w2", WITNESS_KEY)
        blob = base64.b64decode(COSIGNED.decode().split()[-1])[4:]
        assert (
            rejected(SIGNED + signature_line(other, blob).encode(), other)
            == "the signature of witness.example/w2 is wrong"
        )

    @pytest.mark.parametrize("kind", [1, COSIGNATURE_V1])
    def test_the_same_bytes_under_another_type(self, kind):
        blob = base64.b64decode(COSIGNED.decode().split()[-1])[4:]
        other = VerifierKey(NAME, kind, WITNESS.public_key)
        rejected(SIGNED + signature_line(other, blob).encode(), other)

    @pytest.mark.parametrize("length", [0, 7, 8, 72, 2427, 2429])
    def test_a_signature_of_another_length(self, length):
        note = SIGNED + signature_line(WITNESS, bytes(length)).encode() if length else SIGNED
        rejected(note)

    def test_an_ml_dsa_key_signs_no_text(self):
        with pytest.raises(VerificationError, match="no trusted key"):
            verify_note(COSIGNED, [WITNESS])

    def test_a_witness_is_no_log(self):
        with pytest.raises(VerificationError, match=r"of log\.example/audit, the key of witness"):
            verify_checkpoint(COSIGNED, WITNESS)

    def test_a_checkpoint_with_an_extension_line_is_refused_since_nothing_signs_it(self):
        text = f"{format_checkpoint(HEAD)}extension\n"
        note = f"{text}\n{signature_line(WITNESS, SECONDS.to_bytes(8, 'big') + WITNESS_KEY.sign(message()))}".encode()
        assert "nothing else" in rejected(note)
        with pytest.raises(VerificationError):
            verify_checkpoint(note, VerifierKey(NAME, MLDSA_44, WITNESS.public_key))

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_any_changed_byte_is_found(self, data):
        blob = bytearray(base64.b64decode(COSIGNED.decode().split()[-1])[4:])
        place = data.draw(st.integers(0, len(blob) - 1))
        blob[place] ^= data.draw(st.integers(1, 255))
        rejected(SIGNED + signature_line(WITNESS, bytes(blob)).encode())

    @settings(max_examples=30, deadline=None)
    @given(
        st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=255), st.integers(1, 2**62)
    )
    def test_any_name_and_any_size(self, name, size):
        note = sign_checkpoint(LOG_KEY, Checkpoint(ORIGIN, size, HEAD.root))
        cosigned = cosign_checkpoint(note, name, WITNESS_KEY, AT)
        assert verify_cosignature(cosigned, verifier_key(name, WITNESS_KEY)) == SECONDS


class TestLimits:
    def test_a_name_or_an_origin_of_more_than_255_bytes_has_no_message(self):
        cosign_checkpoint(SIGNED, "w" * 255, WITNESS_KEY, AT)
        assert "cosigner name: is longer than 255 bytes" in refused(
            cosign_checkpoint, SIGNED, "é" * 128, WITNESS_KEY, AT
        )
        long = sign_checkpoint(LOG_KEY, Checkpoint("o" * 256, 1, HEAD.root))
        assert "origin: is longer than 255 bytes" in refused(cosign_checkpoint, long, NAME, WITNESS_KEY, AT)
        cosign_checkpoint(long, NAME, ED25519_KEY, AT)
        key = verifier_key("w" * 256, WITNESS_KEY)
        note = SIGNED + signature_line(key, bytes(2428)).encode()
        assert "longer than 255 bytes" in rejected(note, key)

    def test_a_note_has_room_for_as_many_lines_as_the_format_allows(self):
        note = SIGNED
        for number in range(MAX_SIGNATURES - 1):
            key = verifier_key(f"witness.example/{number}", WITNESS_KEY)
            note += signature_line(key, bytes(2428)).encode()
        assert len(cosign_checkpoint(SIGNED, NAME, WITNESS_KEY, AT)) - len(SIGNED) < 3300
        assert len(note) < MAX_NOTE_BYTES / 2
        assert verify_checkpoint(note, verifier_key(ORIGIN, LOG_KEY)) == HEAD

    def test_a_request_has_room_for_a_log_that_signs_with_sixteen_keys(self):
        note = SIGNED
        for number in range(16):
            key = verifier_key(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(bytes([number]) * 32))
            note += signature_line(key, bytes(2428)).encode()
        assert len(format_add_checkpoint(2**62, [bytes(32)] * 63, note)) < MAX_REQUEST_BYTES


def test_a_library_without_ml_dsa_is_named(monkeypatch):
    class Missing:
        @staticmethod
        def from_public_bytes(_data):
            raise UnsupportedAlgorithm("ML-DSA-44 is not supported by this version of OpenSSL.")

    monkeypatch.setattr("notifications.audit.note.MLDSA44PublicKey", Missing)
    assert rejected(COSIGNED) == (
        f"the signature of {NAME} cannot be verified here: this build of cryptography has no ML-DSA-44"
    )


class TestBothKeys:
    BOTH = cosign_checkpoint(cosign_checkpoint(SIGNED, NAME, ED25519_KEY, AT), NAME, WITNESS_KEY, AT)
    ANSWER = BOTH.removeprefix(SIGNED)

    def test_each_line_is_verified_and_kept(self):
        taken = verified_answer(SIGNED, self.ANSWER, BESIDE, WITNESS)
        assert (taken.line.encode(), taken.seconds) == (self.ANSWER, SECONDS)
        one = verified_answer(SIGNED, self.ANSWER, WITNESS)
        assert one.line.encode() == self.ANSWER.splitlines(keepends=True)[1]

    def test_the_earliest_time_counts(self):
        later = cosign_checkpoint(SIGNED, NAME, WITNESS_KEY, datetime.fromtimestamp(SECONDS + 5, UTC))
        answer = cosign_checkpoint(SIGNED, NAME, ED25519_KEY, AT).removeprefix(SIGNED) + later.removeprefix(SIGNED)
        assert verified_answer(SIGNED, answer, WITNESS, BESIDE).seconds == SECONDS

    def test_a_line_that_is_missing_or_wrong_is_refused(self):
        ed25519, ml_dsa = self.ANSWER.splitlines(keepends=True)
        for answer in (ed25519, ml_dsa, ed25519 * 2, ml_dsa + signature_line(BESIDE, bytes(72)).encode()):
            with pytest.raises(VerificationError):
                verified_answer(SIGNED, answer, BESIDE, WITNESS)
