"""Signed notes and verifier keys against published vectors, and every way to bend one."""

import base64
import json
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.audit.note import (
    COSIGNATURE_V1,
    ED25519,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    NoteSignature,
    VerifierKey,
    parse_note,
    parse_verifier_key,
    sign_note,
    signature_line,
    verifier_key,
    verify_ed25519,
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


def note(*lines, text=TEXT):
    return (text + "\n" + "".join(lines)).encode()


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
        # Even a right signature over the text: the kind of a key says what its signatures mean.
        plain = signature_line(WITNESS, WITNESS_KEY.sign(TEXT.encode()))
        assert "no trusted key" in unverified(note(plain), WITNESS)
        assert verify_note(note(plain, PETER_LINE), [WITNESS, PETER])[1] == (PETER,)

    def test_the_longest_note_that_is_signed_can_be_read(self):
        def length(text):
            return len(note(PETER_LINE, text=text))

        text = "x" * (MAX_NOTE_BYTES - length("\n")) + "\n"
        key = Ed25519PrivateKey.from_private_bytes(PETER_SEED)
        assert parse_note(sign_note(text, "PeterNeumann", key)).text == text
        assert length(text) == MAX_NOTE_BYTES
        assert "longer" in refused(sign_note, "x" + text, "PeterNeumann", key)

    @given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.just("\n"), max_size=60))
    @settings(deadline=None, max_examples=150)
    def test_every_signed_text_reads_back(self, text):
        signed = sign_note(text + "\n", ORIGIN, LOG_KEY)
        read, keys = verify_note(signed, [LOG, PETER])
        assert (read.text, keys) == (text + "\n", (LOG,))
        assert read.signatures == (NoteSignature(ORIGIN, LOG.id, LOG_KEY.sign(read.text.encode())),)

    def test_at_least_16_signatures_are_taken_and_a_bound_holds(self):
        signers = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(MAX_SIGNATURES + 1)]
        keys = [verifier_key(f"signer.example/{number}", signer) for number, signer in enumerate(signers)]
        signatures = [
            signature_line(key, signer.sign(TEXT.encode())) for key, signer in zip(keys, signers, strict=True)
        ]
        for count in (1, 16, 17, MAX_SIGNATURES):
            assert verify_note(note(*signatures[:count]), keys)[1] == tuple(keys[:count])
        assert "more than 100" in unverified(note(*signatures), *keys)

    def test_no_changed_byte_of_text_or_signature_is_passed_over(self):
        data = note(PETER_LINE)
        for place in range(len(data)):
            for mask in (0x01, 0x20, 0x80, 0xFF):
                changed = bytearray(data)
                changed[place] ^= mask
                unverified(bytes(changed))

    def test_no_cut_is_passed_over(self):
        data = note(PETER_LINE)
        for length in range(len(data)):
            unverified(data[:length])
            unverified(data[length + 1 :])

    def test_every_bit_of_the_raw_signature_counts(self):
        signature = base64.b64decode(PETER_LINE.split(" ")[2])[4:]
        verify_ed25519(PETER, signature, TEXT.encode())
        for bit in range(len(signature) * 8):
            changed = bytearray(signature)
            changed[bit // 8] ^= 1 << bit % 8
            assert "is wrong" in unverified(note(signature_line(PETER, bytes(changed))))
        for other in (signature[:-1], signature + b"\0", b"\0"):
            assert "64 bytes" in unverified(note(signature_line(PETER, other)))

    @pytest.mark.parametrize("char", [*map(chr, range(0x20)), "\x7f"])
    def test_control_characters_are_refused_wherever_they_stand(self, char):
        if char == "\n":
            return
        assert "control" in refused(sign_note, f"a{char}b\n", ORIGIN, LOG_KEY)
        unverified(note(PETER_LINE.replace("Peter", "Peter" + char)))
        unverified(note(PETER_LINE[:-1] + char + "\n"))
        text = f"a{char}b\n"
        assert "control" in unverified(note(signature_line(LOG, LOG_KEY.sign(text.encode())), text=text), LOG)


class TestArbitraryBytes:
    """Whatever comes in, a verifier answers with its own error: nothing else may escape to the caller."""

    PIECES = st.sampled_from([
        TEXT.encode(), b"\n", b"\n\n", "— ".encode(), b" ", b"PeterNeumann", b"+", PETER_LINE.encode(),
        ENOCH_LINE.encode(), b"x08go/ZJ", b"=", b"\x00", b"\xff", b"\xed\xa0\x80", "\u2028".encode(), b"A" * 92,
    ])  # fmt: skip

    @given(st.binary(max_size=200) | st.lists(PIECES, max_size=8).map(b"".join))
    @settings(deadline=None, max_examples=150)
    def test_notes(self, data):
        with suppress(InvalidInputError):
            parsed = parse_note(data)
            assert parsed.text.endswith("\n")
            assert parsed.signatures
        with suppress(VerificationError):
            assert verify_note(data, [PETER, ENOCH, WITNESS])[0].text == TEXT

    @given(st.text(max_size=80) | st.text("Peter+c74f20a3ARpc2Q/=\n", max_size=80))
    @settings(deadline=None)
    def test_verifier_keys(self, text):
        with suppress(InvalidInputError):
            assert parse_verifier_key(text).text() == text.removesuffix("\n")

    @given(st.binary(max_size=80), st.binary(min_size=64, max_size=64), st.binary(max_size=20))
    @settings(deadline=None)
    def test_public_keys_that_are_no_points(self, public_key, signature, message):
        with suppress(VerificationError):  # a key of low order takes some signatures: whoever trusts it chose so
            verify_ed25519(VerifierKey("any", ED25519, public_key), signature, message)
