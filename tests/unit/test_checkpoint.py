"""Checkpoints and cosignatures against the published example, and every way to bend one."""

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.audit.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    format_checkpoint,
    parse_checkpoint,
    parse_checkpoint_note,
    sign_checkpoint,
    verify_checkpoint,
    verify_cosignature,
)
from notifications.audit.merkle import EMPTY_ROOT, leaf_hash
from notifications.audit.note import (
    COSIGNATURE_V1,
    ED25519,
    MAX_SIGNATURES,
    VerifierKey,
    parse_note,
    signature_line,
    verifier_key,
    verify_note,
)
from notifications.errors import InvalidInputError, VerificationError

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "signed_note.json").read_text("utf-8"))
#: A signed note that is no checkpoint.
TEXT = VECTORS["text"]

ORIGIN = "log.greffier.example/audit"
LOG_KEY = Ed25519PrivateKey.from_private_bytes(b"L" * 32)
WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(b"W" * 32)
LOG = verifier_key(ORIGIN, LOG_KEY)
WITNESS = verifier_key("witness.example/w1", WITNESS_KEY, COSIGNATURE_V1)
PIECES = st.sampled_from([
    ORIGIN, "o", "\n", "0", "1", "20852163", "9" * 19, "A" * 43 + "=", base64.b64encode(EMPTY_ROOT).decode(), "\n\n",
    "\r", "+", " ", "=", "\ufeff", "\u0663",
])  # fmt: skip
ROOT = leaf_hash(b"a leaf")
HEAD = Checkpoint(ORIGIN, 20_852_163, ROOT)
SIGNED = sign_checkpoint(LOG_KEY, HEAD)


def signed_text(text):
    """A note over any text, made here so that it may be malformed."""
    blob = base64.b64encode(LOG.id + LOG_KEY.sign(text.encode())).decode()
    return f"{text}\n— {ORIGIN} {blob}\n".encode()


def refused(call, *arguments):
    with pytest.raises((InvalidInputError, VerificationError)) as caught:
        call(*arguments)
    return str(caught.value)


class TestCheckpoints:
    def test_the_exact_text(self):
        assert format_checkpoint(HEAD) == f"{ORIGIN}\n20852163\n{base64.b64encode(ROOT).decode()}\n"
        assert parse_checkpoint(format_checkpoint(HEAD)) == HEAD

    def test_the_example_of_the_format(self):
        text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        parsed = parse_checkpoint(text)
        assert (parsed.origin, parsed.size, len(parsed.root)) == ("example.com/behind-the-sofa", 20_852_163, 32)
        assert format_checkpoint(parsed) == text

    def test_the_published_cosigned_checkpoint_is_taken_apart(self):
        published = VECTORS["cosigned_checkpoint"]["note"].encode()
        log_line, witness_line = parse_note(published).signatures
        assert parse_checkpoint_note(published).origin == log_line.name == "example.com/behind-the-sofa"
        assert (len(log_line.signature), len(witness_line.signature)) == (64, 72)
        assert int.from_bytes(witness_line.signature[:8], "big") == VECTORS["cosigned_checkpoint"]["time"]

    def test_signed_and_verified(self):
        assert verify_checkpoint(SIGNED, LOG) == HEAD == parse_checkpoint_note(SIGNED)
        empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
        assert verify_checkpoint(sign_checkpoint(LOG_KEY, empty), LOG) == empty
        largest = Checkpoint(ORIGIN, 2**63 - 1, ROOT)
        assert verify_checkpoint(sign_checkpoint(LOG_KEY, largest), LOG) == largest

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "\n",
            f"{ORIGIN}\n1\n",
            f"{ORIGIN}\n1\n{base64.b64encode(ROOT).decode()}",
            f"{ORIGIN}\n1\n{base64.b64encode(ROOT).decode()}\nextension\n",
            f"{ORIGIN}\n1\n{base64.b64encode(ROOT).decode()}\n\n",
            f"\n1\n{base64.b64encode(ROOT).decode()}\n",
            f"two words\n1\n{base64.b64encode(ROOT).decode()}\n",
            f"one+two\n1\n{base64.b64encode(ROOT).decode()}\n",
            f"{ORIGIN}\r\n1\r\n{base64.b64encode(ROOT).decode()}\r\n",
            *(
                f"{ORIGIN}\n{size}\n{base64.b64encode(ROOT).decode()}\n"
                for size in (
                    "",
                    "01",
                    "00",
                    "-1",
                    "+1",
                    "1 ",
                    " 1",
                    "1.0",
                    "0x1",
                    "1_0",
                    "٣",
                    2**63,
                    10**19,
                    "9" * 5000,
                )
            ),
            f"{ORIGIN}\n0\n{base64.b64encode(ROOT).decode()}\n",
            f"{ORIGIN}\n1\n{base64.b64encode(ROOT[:31]).decode()}\n",
            f"{ORIGIN}\n1\n{base64.b64encode(ROOT + b'x').decode()}\n",
            f"{ORIGIN}\n1\n{base64.b64encode(ROOT).decode()[:-1]}\n",
            f"{ORIGIN}\n1\n{base64.b64encode(ROOT).decode()} \n",
            f"{ORIGIN}\n1\n{ROOT.hex()}\n",
            f"{ORIGIN}\n1\n{'A' * 42}B=\n",
            f"{ORIGIN}\n1\n{'_' * 43}=\n",
        ],
    )
    def test_any_other_text_is_refused_even_when_it_is_signed(self, text):
        with pytest.raises(InvalidInputError):
            parse_checkpoint(text)
        with pytest.raises(VerificationError):
            verify_checkpoint(signed_text(text), LOG)

    @pytest.mark.parametrize(
        "head",
        [
            Checkpoint("", 1, ROOT),
            Checkpoint("two words", 1, ROOT),
            Checkpoint(f"{ORIGIN}\n2", 1, ROOT),
            Checkpoint("\ud800", 1, ROOT),
            Checkpoint(ORIGIN, -1, ROOT),
            Checkpoint(ORIGIN, 2**63, ROOT),
            Checkpoint(ORIGIN, 0, ROOT),
            Checkpoint(ORIGIN, 1, ROOT[:-1]),
            Checkpoint(ORIGIN, 1, b""),
        ],
    )
    def test_what_cannot_be_read_is_never_signed(self, head):
        with pytest.raises(InvalidInputError):
            sign_checkpoint(LOG_KEY, head)

    def test_no_changed_byte_is_passed_over(self):
        for place in range(len(SIGNED)):
            for mask in (0x01, 0x20, 0x80, 0xFF):
                changed = bytearray(SIGNED)
                changed[place] ^= mask
                with pytest.raises(VerificationError):
                    verify_checkpoint(bytes(changed), LOG)

    def test_no_cut_is_passed_over(self):
        for length in range(len(SIGNED)):
            with pytest.raises(VerificationError):
                verify_checkpoint(SIGNED[:length], LOG)
            with pytest.raises(VerificationError):
                verify_checkpoint(SIGNED[length + 1 :], LOG)

    @given(st.text(max_size=60) | st.lists(PIECES, max_size=8).map("".join))
    @settings(deadline=None, max_examples=200)
    def test_arbitrary_texts_are_refused_or_read_back(self, text):
        with suppress(InvalidInputError):
            assert format_checkpoint(parse_checkpoint(text)) == text
        for data in (signed_text(text), text.encode("utf-8", "surrogatepass")):
            with suppress(VerificationError):
                assert format_checkpoint(verify_checkpoint(data, LOG)) == text

    @given(st.binary(max_size=300))
    @settings(deadline=None)
    def test_arbitrary_bytes_are_refused(self, data):
        with suppress(InvalidInputError):
            parse_checkpoint_note(data)
        with pytest.raises(VerificationError):
            verify_checkpoint(data, LOG)
        with pytest.raises(VerificationError):
            verify_cosignature(data, WITNESS)

    @given(st.builds(Checkpoint, st.text(max_size=30), st.integers(-1, 2**64), st.binary(min_size=31, max_size=33)))
    @settings(deadline=None, max_examples=200)
    def test_what_is_signed_verifies_and_anything_else_is_refused(self, head):
        try:
            signed = sign_checkpoint(LOG_KEY, head)
        except InvalidInputError:
            return
        assert verify_checkpoint(signed, verifier_key(head.origin, LOG_KEY)) == head

    @pytest.mark.parametrize("size", [1, 10, 12_345_678_909, 999, 2**63 - 1])
    def test_sizes_of_any_digits(self, size):
        assert parse_checkpoint(format_checkpoint(Checkpoint(ORIGIN, size, ROOT))).size == size

    def test_roots_of_any_letters(self):
        roots = [leaf_hash(bytes([number])) for number in range(40)]
        assert {chr(letter) for root in roots for letter in base64.b64encode(root)} >= {*"0189AZaz+/"}
        assert [parse_checkpoint(format_checkpoint(Checkpoint(ORIGIN, 1, root))).root for root in roots] == roots

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("x\n", "must be origin, size and root, one a line, and nothing else"),
            (f"{ORIGIN}\n{10**19}\n{base64.b64encode(ROOT).decode()}\n", "must be origin, size and root, one a line, "),
            (f"{ORIGIN}\n{2**63}\n{base64.b64encode(ROOT).decode()}\n", "has a size of more than 63 bits"),
            (f"{ORIGIN}\n1\n{'A' * 42}B=\n", "has a root that is no canonical base64"),
            (f"{ORIGIN}\n0\n{base64.b64encode(ROOT).decode()}\n", "gives the empty tree another root"),
        ],
    )
    def test_what_is_wrong_is_named(self, text, reason):
        assert refused(parse_checkpoint, text).startswith(f"checkpoint: {reason}")
        with pytest.raises(VerificationError) as caught:
            verify_checkpoint(signed_text(text), LOG)
        assert caught.value.step == "checkpoint signature"

    def test_a_head_is_a_value(self):
        assert {HEAD, Checkpoint(HEAD.origin, HEAD.size, HEAD.root)} == {HEAD}
        assert not hasattr(HEAD, "__dict__")

    def test_another_log_is_refused(self):
        other = Checkpoint("other.example/log", HEAD.size, ROOT)
        with pytest.raises(VerificationError, match="no trusted key"):
            verify_checkpoint(sign_checkpoint(LOG_KEY, other), LOG)
        with pytest.raises(VerificationError, match="no trusted key"):
            verify_checkpoint(SIGNED, verifier_key(ORIGIN, WITNESS_KEY))
        # A trusted key's name under another log's text: the key signs for its own origin only.
        with pytest.raises(VerificationError, match=r"of other\.example/log, the key of") as caught:
            verify_checkpoint(signed_text(format_checkpoint(other)), LOG)
        assert caught.value.step == "checkpoint signature"

    def test_a_key_of_the_same_id_that_did_not_sign(self):
        class Colliding(VerifierKey):
            id = LOG.id

        impostor = Colliding(ORIGIN, ED25519, WITNESS.public_key)
        with pytest.raises(VerificationError, match="is wrong"):
            verify_checkpoint(SIGNED, impostor)


class TestCosignatures:
    AT = datetime(2023, 3, 20, 13, 19, 7, 900_000, tzinfo=UTC)
    COSIGNED = cosign_checkpoint(SIGNED, WITNESS.name, WITNESS_KEY, AT)

    def test_the_exact_bytes(self):
        message = b"cosignature/v1\ntime 1679318347\n" + format_checkpoint(HEAD).encode()
        blob = WITNESS.id + (1_679_318_347).to_bytes(8, "big") + WITNESS_KEY.sign(message)
        line = f"— witness.example/w1 {base64.b64encode(blob).decode()}\n"
        assert SIGNED + line.encode() == self.COSIGNED

    def test_log_and_witness_are_each_verified(self):
        assert verify_cosignature(self.COSIGNED, WITNESS) == 1_679_318_347
        assert verify_checkpoint(self.COSIGNED, LOG) == HEAD

    def test_many_witnesses(self):
        signed, keys = SIGNED, []
        for number in range(20):
            private_key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
            keys.append(verifier_key(f"witness.example/{number}", private_key, COSIGNATURE_V1))
            signed = cosign_checkpoint(signed, keys[-1].name, private_key, datetime.fromtimestamp(number, UTC))
        assert [verify_cosignature(signed, key) for key in keys] == list(range(20))
        assert verify_checkpoint(signed, LOG) == HEAD

    def test_no_cosignature_makes_a_note_unreadable(self):
        signed = SIGNED
        for number in range(MAX_SIGNATURES - 1):
            signed = cosign_checkpoint(signed, f"witness.example/{number}", WITNESS_KEY, self.AT)
        assert verify_checkpoint(signed, LOG) == HEAD
        assert "more than 100" in refused(cosign_checkpoint, signed, WITNESS.name, WITNESS_KEY, self.AT)

    def test_a_note_signature_and_a_cosignature_never_stand_for_each_other(self):
        # The witness's key, over the same text, in either form under either kind of key.
        text = format_checkpoint(HEAD)
        plain = verifier_key(WITNESS.name, WITNESS_KEY)
        stamped = (1).to_bytes(8, "big") + WITNESS_KEY.sign(f"cosignature/v1\ntime 1\n{text}".encode())
        unstamped = WITNESS_KEY.sign(text.encode())
        for key, signature in ((plain, stamped), (WITNESS, unstamped), (WITNESS, (1).to_bytes(8, "big") + unstamped)):
            data = SIGNED + signature_line(key, signature).encode()
            assert verify_checkpoint(data, LOG) == HEAD
            for trusted in (plain, WITNESS):
                with pytest.raises(VerificationError):
                    verify_note(data, [trusted])
                self.refused(data, trusted)

    def refused(self, data, key=WITNESS):
        with pytest.raises(VerificationError) as caught:
            verify_cosignature(data, key)
        assert caught.value.step == "cosignature"

    def test_what_is_no_cosignature_of_this_witness(self):
        self.refused(SIGNED)
        self.refused(self.COSIGNED, verifier_key(WITNESS.name, LOG_KEY, COSIGNATURE_V1))
        self.refused(self.COSIGNED, verifier_key("witness.example/w2", WITNESS_KEY, COSIGNATURE_V1))
        self.refused(self.COSIGNED, verifier_key(WITNESS.name, WITNESS_KEY))
        self.refused(self.COSIGNED, LOG)
        self.refused(cosign_checkpoint(self.COSIGNED, WITNESS.name, WITNESS_KEY, self.AT))
        self.refused(b"")

    def test_a_key_for_plain_signatures_does_not_cosign(self):
        plain = verifier_key(WITNESS.name, WITNESS_KEY)
        message = f"cosignature/v1\ntime 1\n{format_checkpoint(HEAD)}".encode()
        blob = plain.id + (1).to_bytes(8, "big") + WITNESS_KEY.sign(message)
        self.refused(SIGNED + f"— {plain.name} {base64.b64encode(blob).decode()}\n".encode(), plain)

    def test_no_changed_byte_of_text_or_cosignature_is_passed_over(self):
        text_length = len(format_checkpoint(HEAD).encode())
        for place in [*range(text_length), *range(len(SIGNED), len(self.COSIGNED))]:
            for mask in (0x01, 0x20, 0xFF):
                changed = bytearray(self.COSIGNED)
                changed[place] ^= mask
                self.refused(bytes(changed))

    def test_the_time_is_under_the_signature(self):
        head, _, line = self.COSIGNED.decode().rstrip("\n").rpartition(" ")
        blob = base64.b64decode(line)
        later = blob[:4] + (1_679_318_348).to_bytes(8, "big") + blob[12:]
        self.refused(f"{head} {base64.b64encode(later).decode()}\n".encode())

    def test_the_last_time_of_63_bits(self):
        seconds = 2**63 - 1
        message = f"cosignature/v1\ntime {seconds}\n{format_checkpoint(HEAD)}".encode()
        blob = WITNESS.id + seconds.to_bytes(8, "big") + WITNESS_KEY.sign(message)
        cosigned = SIGNED + f"— witness.example/w1 {base64.b64encode(blob).decode()}\n".encode()
        assert verify_cosignature(cosigned, WITNESS) == seconds

    @pytest.mark.parametrize("seconds", [2**63, 2**64 - 1])
    def test_times_of_more_than_63_bits(self, seconds):
        message = f"cosignature/v1\ntime {seconds}\n{format_checkpoint(HEAD)}".encode()
        blob = WITNESS.id + seconds.to_bytes(8, "big") + WITNESS_KEY.sign(message)
        self.refused(SIGNED + f"— witness.example/w1 {base64.b64encode(blob).decode()}\n".encode())

    def test_only_checkpoints_are_cosigned(self):
        refused(
            cosign_checkpoint,
            f"{TEXT}\n{VECTORS['peter']['signature_line']}".encode(),
            WITNESS.name,
            WITNESS_KEY,
            self.AT,
        )
        refused(cosign_checkpoint, b"", WITNESS.name, WITNESS_KEY, self.AT)
        message = f"cosignature/v1\ntime 1\n{TEXT}".encode()
        blob = WITNESS.id + (1).to_bytes(8, "big") + WITNESS_KEY.sign(message)
        self.refused(f"{TEXT}\n— witness.example/w1 {base64.b64encode(blob).decode()}\n".encode())

    @pytest.mark.parametrize(
        "at",
        [
            datetime(2026, 1, 1),  # noqa: DTZ001 - refused for being naive
            datetime(1969, 12, 31, tzinfo=UTC),
            datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC),
        ],
    )
    def test_times_that_cannot_be_written(self, at):
        reason = refused(cosign_checkpoint, SIGNED, WITNESS.name, WITNESS_KEY, at)
        assert reason == "at: must be a time with an offset, from 1970 on"
