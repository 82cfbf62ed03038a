"""Signed notes, checkpoints and cosignatures against published vectors, and every way to bend one."""

import base64
import json
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
    MAX_NOTE_BYTES,
    VerifierKey,
    parse_note,
    parse_verifier_key,
    sign_note,
    verifier_key,
    verify_note,
)
from notifications.errors import InvalidInputError, VerificationError

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "signed_note.json").read_text("utf-8"))
TEXT = VECTORS["text"]
PETER_LINE, ENOCH_LINE = VECTORS["peter"]["signature_line"], VECTORS["enoch"]["signature_line"]
PETER = parse_verifier_key(VECTORS["peter"]["verifier_key"])
ENOCH = parse_verifier_key(VECTORS["enoch"]["verifier_key"])
PETER_SEED = base64.b64decode(VECTORS["peter"]["signer_key"].split("+", 4)[4])[1:]

ORIGIN = "log.greffier.example/audit"
LOG_KEY = Ed25519PrivateKey.from_private_bytes(b"L" * 32)
WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(b"W" * 32)
LOG = verifier_key(ORIGIN, LOG_KEY)
WITNESS = verifier_key("witness.example/w1", WITNESS_KEY, COSIGNATURE_V1)
ROOT = leaf_hash(b"a leaf")
HEAD = Checkpoint(ORIGIN, 20_852_163, ROOT)
SIGNED = sign_checkpoint(LOG_KEY, HEAD)


def note(*lines, text=TEXT):
    return (text + "\n" + "".join(lines)).encode()


def signed_text(text):
    """A note over any text, made here so that it may be malformed."""
    blob = base64.b64encode(LOG.id + LOG_KEY.sign(text.encode())).decode()
    return f"{text}\n— {ORIGIN} {blob}\n".encode()


def refused(call, *arguments):
    with pytest.raises((InvalidInputError, VerificationError)) as caught:
        call(*arguments)
    return str(caught.value)


def unverified(data, *keys):
    with pytest.raises(VerificationError) as caught:
        verify_note(data, keys or (PETER,))
    assert caught.value.step == "checkpoint signature"
    return caught.value.reason


class TestVerifierKeys:
    def test_published_keys(self):
        for name in ("peter", "enoch"):
            text = VECTORS[name]["verifier_key"]
            assert parse_verifier_key(text).text() == text
            assert parse_verifier_key(text + "\n").text() == text
        assert (PETER.name, PETER.kind, PETER.id.hex()) == ("PeterNeumann", ED25519, "c74f20a3")
        assert verifier_key("PeterNeumann", Ed25519PrivateKey.from_private_bytes(PETER_SEED)) == PETER

    def test_a_cosigner_has_a_key_of_its_own_kind(self):
        assert parse_verifier_key(WITNESS.text()) == WITNESS
        assert WITNESS.id != VerifierKey(WITNESS.name, ED25519, WITNESS.public_key).id

    @pytest.mark.parametrize("text", VECTORS["refused_keys"].values(), ids=VECTORS["refused_keys"].keys())
    def test_published_refusals(self, text):
        refused(parse_verifier_key, text)

    def test_no_part_of_a_key_is_a_key(self):
        text = VECTORS["peter"]["verifier_key"]
        for start in range(len(text)):
            for end in range(start, len(text) + 1):
                if (start, end) != (0, len(text)):
                    refused(parse_verifier_key, text[start:end])

    def test_no_changed_character_is_passed_over(self):
        text = VECTORS["peter"]["verifier_key"]
        for place, char in enumerate(text):
            for other in {chr(ord(char) + 1), "A", "+", " ", "\n", "é", "=", char.swapcase()} - {char}:
                refused(parse_verifier_key, text[:place] + other + text[place + 1 :])

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: " " + text,
            lambda text: text + " ",
            lambda text: text + "\r\n",
            lambda text: "\n" + text,
            lambda text: text + "\n\n",
            lambda text: text + "=",
            lambda text: text.replace("c74f20a3", "C74F20A3"),
            lambda text: text.replace("c74f20a3", "é74f20a3"),
            lambda text: text.replace("PeterNeumann", ""),
        ],
    )
    def test_anything_around_it_is_refused(self, change):
        refused(parse_verifier_key, change(VECTORS["peter"]["verifier_key"]))

    @pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\u2003b", "a\nb", "a\x01b", "a\x7f", "\ud800"])
    def test_names_that_a_line_cannot_carry(self, name):
        refused(verifier_key, name, LOG_KEY)
        refused(sign_note, TEXT, name, LOG_KEY)


class TestNotes:
    def test_published_signatures(self):
        data = note(PETER_LINE, ENOCH_LINE)
        assert verify_note(data, [PETER]) == (parse_note(data), (PETER,))
        assert verify_note(data, [PETER, ENOCH])[1] == (PETER, ENOCH)
        assert parse_note(data).text == TEXT
        assert [line.name for line in parse_note(data).signatures] == ["PeterNeumann", "EnochRoot"]

    def test_signing_gives_the_published_bytes(self):
        key = Ed25519PrivateKey.from_private_bytes(PETER_SEED)
        assert sign_note(TEXT, "PeterNeumann", key) == note(PETER_LINE)

    @pytest.mark.parametrize(
        "data",
        [
            TEXT.encode(),
            note(),
            note(PETER_LINE[:-1]),
            b"\x01" + note(PETER_LINE),
            b"\xff" + note(PETER_LINE),
            b"\r" + note(PETER_LINE),
            b"\t" + note(PETER_LINE),
            b"\x7f" + note(PETER_LINE),
            note(
                "— Bad Name x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJ=\n"
            ),
            note(PETER_LINE, "Unexpected line.\n"),
            note("Unexpected line.\n", PETER_LINE),
            note(PETER_LINE, "\n"),
            note(PETER_LINE.replace("—", "-")),
            note(PETER_LINE.replace("— ", "—")),
            note(PETER_LINE.replace("— ", "—  ")),
            note(PETER_LINE.replace("\n", " \n")),
            note("— a+b x08go/ZJ\n"),
            note("— a\u00a0b x08go/ZJ\n"),
            note("— a \n"),
            note("— a x08goA==\n"),
            note("— a x08go/Z\n"),
            note("— a x08go/Z=\n"),
            note("— a x08go_ZJkuA=\n"),
            note("— a x08go/ZJkuB=\n"),
            note(PETER_LINE * 101),
            b"",
            b"\n",
            b"\n\n",
            b"x" * MAX_NOTE_BYTES + note(PETER_LINE),
        ],
    )
    def test_malformed_notes(self, data):
        with pytest.raises(InvalidInputError):
            parse_note(data)
        unverified(data)

    def test_the_last_empty_line_parts_text_and_signatures(self):
        text = "first\n\nsecond\n\n\n"
        signed = sign_note(text, ORIGIN, LOG_KEY)
        assert verify_note(signed, [LOG])[0].text == text

    @pytest.mark.parametrize("text", ["", "no line feed", "a\x00\n", "a\r\n", "\ud800\n"])
    def test_texts_that_cannot_be_signed(self, text):
        refused(sign_note, text, ORIGIN, LOG_KEY)

    def test_unknown_keys_are_passed_over(self):
        others = [
            f"— other.example/{number} {base64.b64encode(bytes([number]) * 9).decode()}\n" for number in range(99)
        ]
        assert verify_note(note(*others, PETER_LINE), [PETER])[1] == (PETER,)
        assert verify_note(note(*others[:8], PETER_LINE, *others[8:15], ENOCH_LINE), [PETER, ENOCH])[1] == (
            PETER,
            ENOCH,
        )
        assert "more than 100" in unverified(note(*others, PETER_LINE, ENOCH_LINE))
        # A key is known by name and ID together: one of them alone is another key.
        same_name = PETER_LINE.replace("x08go", "x18go")
        same_id = PETER_LINE.replace("PeterNeumann", "PeterNeumanm")
        assert verify_note(note(same_name, same_id, PETER_LINE), [PETER])[1] == (PETER,)
        assert "no trusted key" in unverified(note(same_name, same_id))

    def test_a_note_that_no_known_key_signed_is_refused(self):
        assert "no trusted key (signed by EnochRoot)" in unverified(note(ENOCH_LINE))
        with pytest.raises(VerificationError):
            verify_note(note(PETER_LINE, ENOCH_LINE), [])

    def test_a_wrong_signature_of_a_known_key_refuses_the_whole_note(self):
        wrong = PETER_LINE[:60] + ("A" if PETER_LINE[60] != "A" else "B") + PETER_LINE[61:]
        assert "is wrong" in unverified(note(wrong, ENOCH_LINE), PETER, ENOCH)
        assert "is wrong" in unverified(note(ENOCH_LINE, wrong), ENOCH, PETER)
        longer = PETER_LINE[:60] + "ABCD" + PETER_LINE[60:]
        assert "64 bytes" in unverified(note(longer))

    def test_a_known_key_signs_once(self):
        assert "twice" in unverified(note(PETER_LINE, PETER_LINE))
        assert "twice" in unverified(note(PETER_LINE, ENOCH_LINE, PETER_LINE), PETER, ENOCH)

    def test_a_cosigner_is_no_signer_of_notes(self):
        cosigned = cosign_checkpoint(SIGNED, WITNESS.name, WITNESS_KEY, datetime(2026, 1, 1, tzinfo=UTC))
        unverified(cosigned, WITNESS)


class TestCheckpoints:
    def test_the_exact_text(self):
        assert format_checkpoint(HEAD) == f"{ORIGIN}\n20852163\n{base64.b64encode(ROOT).decode()}\n"
        assert parse_checkpoint(format_checkpoint(HEAD)) == HEAD

    def test_the_example_of_the_format(self):
        text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        parsed = parse_checkpoint(text)
        assert (parsed.origin, parsed.size, len(parsed.root)) == ("example.com/behind-the-sofa", 20_852_163, 32)
        assert format_checkpoint(parsed) == text

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

    @given(st.binary(max_size=300))
    @settings(deadline=None)
    def test_arbitrary_bytes_are_refused(self, data):
        with pytest.raises(VerificationError):
            verify_checkpoint(data, LOG)

    def test_another_log_is_refused(self):
        other = Checkpoint("other.example/log", HEAD.size, ROOT)
        with pytest.raises(VerificationError, match="no trusted key"):
            verify_checkpoint(sign_checkpoint(LOG_KEY, other), LOG)
        with pytest.raises(VerificationError, match="no trusted key"):
            verify_checkpoint(SIGNED, verifier_key(ORIGIN, WITNESS_KEY))
        # A trusted key's name under another log's text: the key signs for its own origin only.
        with pytest.raises(VerificationError, match=r"of other\.example/log, the key of"):
            verify_checkpoint(signed_text(format_checkpoint(other)), LOG)

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

    @pytest.mark.parametrize("seconds", [2**63, 2**64 - 1])
    def test_times_of_more_than_63_bits(self, seconds):
        message = f"cosignature/v1\ntime {seconds}\n{format_checkpoint(HEAD)}".encode()
        blob = WITNESS.id + seconds.to_bytes(8, "big") + WITNESS_KEY.sign(message)
        self.refused(SIGNED + f"— witness.example/w1 {base64.b64encode(blob).decode()}\n".encode())

    def test_only_checkpoints_are_cosigned(self):
        refused(cosign_checkpoint, note(PETER_LINE), WITNESS.name, WITNESS_KEY, self.AT)
        refused(cosign_checkpoint, b"", WITNESS.name, WITNESS_KEY, self.AT)
        message = f"cosignature/v1\ntime 1\n{TEXT}".encode()
        blob = WITNESS.id + (1).to_bytes(8, "big") + WITNESS_KEY.sign(message)
        self.refused(note(f"— witness.example/w1 {base64.b64encode(blob).decode()}\n"))

    @pytest.mark.parametrize(
        "at",
        [datetime(2026, 1, 1), datetime(1969, 12, 31, tzinfo=UTC)],  # noqa: DTZ001 - refused for being naive
    )
    def test_times_that_cannot_be_written(self, at):
        refused(cosign_checkpoint, SIGNED, WITNESS.name, WITNESS_KEY, at)
