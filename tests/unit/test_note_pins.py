"""Signed notes, each rule by itself: what is refused, under which name and in which words.

Quick on purpose: mutation testing takes these first. ``test_note`` has the published vectors and the definitions.
"""

import base64
from dataclasses import FrozenInstanceError

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.note import (
    COSIGNATURE_V1,
    ED25519,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    MLDSA_44,
    NoteSignature,
    VerifierKey,
    parse_note,
    parse_verifier_key,
    sign_note,
    signature_line,
    verifier_key,
    verify_mldsa_44,
    verify_note,
)
from notifications.errors import VerificationError
from support.refusals import refused

NAME = "log.example"
PRIVATE = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(MAX_SIGNATURES + 1)]
KEY, OTHER = (verifier_key(NAME, private) for private in PRIVATE[:2])
LINE = signature_line(KEY, b"s" * 64)


def test_the_numbers_of_the_format():
    assert (ED25519, COSIGNATURE_V1, MAX_SIGNATURES, MAX_NOTE_BYTES) == (1, 4, 100, 1_000_000)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name", "must be name+keyID+key"),
        (f"na me+{KEY.id.hex()}+AQ==", "must be name+keyID+key"),
        (f"{NAME}+{KEY.id.hex()}+*AQ==", "is not base64"),
        (f"{NAME}+{KEY.id.hex()}+AR==", "is not canonical base64"),
        (f"{NAME}+{KEY.id.hex()}+" + base64.b64encode(b"\x02" + KEY.public_key).decode(), "is of no known type"),
        (f"{NAME}+{KEY.id.hex()}+" + base64.b64encode(b"\x01" + KEY.public_key[1:]).decode(), "is of no known type"),
        (KEY.text().replace(KEY.id.hex(), "00000000"), "has a key ID that is not its own"),
    ],
)
def test_what_is_no_key(text, reason):
    assert refused(parse_verifier_key, text) == f"verifier key: {reason}"


def test_names_of_signers():
    assert refused(verifier_key, "a b", PRIVATE[0]) == "name: may hold no white space and no +"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\n\n", "note: is not UTF-8"),
        (b"text", "note: must end with a line feed"),
        (b"te\rxt\n\n" + LINE.encode(), "note: holds a control character"),
        (b"text\n\n", "note: has no signatures"),
        # A signature over nothing is no note, though each of its lines is well-formed.
        (LINE.encode(), "note: has no signatures"),
        (b"text\n\n" + LINE.encode() * 101, "note: has more than 100 signatures"),
        (b"text\n\nsigned\n", "note: has a malformed signature line"),
        ("text\n\n— name YQ\n".encode(), "note signature: is not base64"),
        ("text\n\n— name YR==\n".encode(), "note signature: is not canonical base64"),
        ("text\n\n— name YWFhYQ==\n".encode(), "note: has a signature that is too short"),
    ],
)
def test_what_is_no_note(data, reason):
    assert refused(parse_note, data) == reason


def test_longest_notes():
    room = MAX_NOTE_BYTES - len(f"\n\n{LINE}".encode())
    longest = ("x" * room + f"\n\n{LINE}").encode()
    assert len(longest) == MAX_NOTE_BYTES
    assert len(parse_note(longest).text) == room + 1
    assert refused(parse_note, b"x" + longest) == "note: is longer than 1000000 bytes"
    assert refused(sign_note, "x" * room + "x\n", NAME, PRIVATE[0]) == "note: is longer than 1000000 bytes"
    assert len(parse_note(b"text\n\n" + LINE.encode() * 100).signatures) == 100
    assert parse_note("text\n\n— name YWFhYWE=\n".encode()).signatures == (NoteSignature("name", b"aaaa", b"a"),)


def test_several_keys_of_one_signer():
    note = sign_note("text\n", NAME, PRIVATE[0], also=[PRIVATE[1]])
    assert [line.key_id for line in parse_note(note).signatures] == [KEY.id, OTHER.id]
    assert verify_note(note, [OTHER, KEY])[1] == (OTHER, KEY)
    many = sign_note("text\n", NAME, PRIVATE[0], also=PRIVATE[1:100])
    assert len(parse_note(many).signatures) == 100
    twice = "note: would be signed twice by one key, or by too many"
    assert refused(sign_note, "text\n", NAME, PRIVATE[0], also=PRIVATE[1:]) == twice
    assert refused(sign_note, "text\n", NAME, PRIVATE[0], also=[PRIVATE[0]]) == twice


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("text", "must end with a line feed"),
        ("te\x7fxt\n", "holds a control character"),
    ],
)
def test_what_is_not_signed(text, reason):
    assert refused(sign_note, text, NAME, PRIVATE[0]) == f"note: {reason}"


def test_no_lone_surrogate_is_signed():
    for number in (0xD800, 0xDC00, 0xDFFF):
        assert refused(sign_note, f"te{chr(number)}xt\n", NAME, PRIVATE[0]) == "note: holds a lone surrogate"
    for number in (0xD7FF, 0xE000):
        assert verify_note(sign_note(f"te{chr(number)}xt\n", NAME, PRIVATE[0]), [KEY])[1] == (KEY,)


def test_who_signed_where_nobody_trusted_did():
    signers = ("b.example", "d.example", "a.example", "c.example", "b.example")
    lines = "".join(signature_line(verifier_key(name, PRIVATE[2]), b"s" * 64) for name in signers)
    with pytest.raises(VerificationError) as caught:
        verify_note(f"text\n\n{lines}".encode(), [KEY])
    named = "a.example, b.example, c.example, d.example"
    assert caught.value.reason == f"signed by no trusted key (signed by {named})"


def test_what_is_said_stays_said():
    note = parse_note(sign_note("text\n", NAME, PRIVATE[0]))
    for item, name in ((KEY, "name"), (note, "text"), (note.signatures[0], "name")):
        with pytest.raises(FrozenInstanceError):
            setattr(item, name, None)
        assert not hasattr(item, "__dict__")


def test_a_note_by_strangers_names_them_in_order():
    names = [f"{letter}.example" for letter in "hgfedcba"]
    lines = [signature_line(verifier_key(name, PRIVATE[2]), b"s" * 64) for name in names]
    with pytest.raises(VerificationError) as caught:
        verify_note(("text\n\n" + "".join(lines)).encode(), [KEY])
    assert caught.value.reason == f"signed by no trusted key (signed by {', '.join(sorted(names))})"


@pytest.mark.parametrize(
    ("public_key", "signature", "reason"),
    [
        (b"k" * 1312, b"s" * 2419, "has not 2420 bytes"),
        (b"k" * 1312, b"s" * 2421, "has not 2420 bytes"),
        (b"k" * 1312, b"s" * 2420, "is wrong"),
        # No key of the type has this length.
        (b"k" * 1311, b"s" * 2420, "is wrong"),
    ],
)
def test_an_ml_dsa_signature_is_refused_in_words(public_key, signature, reason):
    key = VerifierKey(NAME, MLDSA_44, public_key)
    with pytest.raises(VerificationError) as caught:
        verify_mldsa_44(key, signature, b"message", "cosignature")
    assert (caught.value.step, caught.value.reason) == ("cosignature", f"the signature of {NAME} {reason}")
