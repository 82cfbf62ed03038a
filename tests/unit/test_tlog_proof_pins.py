"""Proofs as text, each rule by itself: what is refused, under which name and in which words.

Quick on purpose: mutation testing takes these first. ``test_tlog_proof`` has the exact bytes and the definitions.
"""

import base64
import hashlib
from dataclasses import FrozenInstanceError

import pytest

from notifications.audit.proof import (
    NoticeExtra,
    TlogProof,
    format_notice_extra,
    format_proof,
    parse_notice_extra,
    parse_proof,
)
from notifications.canonical_json import canonicalize
from support.refusals import refused

HEADER = "c2sp.org/tlog-proof@v1"
HASHES = [hashlib.sha256(b"%d" % number).digest() for number in range(64)]
ENCODED = [base64.b64encode(hashed).decode() for hashed in HASHES]
SALT = base64.b64encode(bytes(32)).decode()
MOST_BYTES = 1_000_000


def text(*lines, checkpoint=b"signed\n"):
    return "\n".join(lines).encode() + b"\n\n" + checkpoint


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (text(HEADER + "é", "index 1"), "is not ASCII before the checkpoint"),
        (text("c2sp.org/tlog-proof@v2", "index 1"), f"is no {HEADER}"),
        (text(HEADER, "index 1", checkpoint=b""), f"is no {HEADER}"),
        (f"{HEADER}\nindex 1\n".encode(), f"is no {HEADER}"),
        (text(HEADER, "extra ", "index 1"), "has an extra line without data"),
        (text(HEADER), "names no index"),
        (text(HEADER, "index 01"), "names no index"),
        (text(HEADER, "index " + "1" * 20), "names no index"),
        (text(HEADER, "index 9223372036854775808"), "has an index of more than 63 bits"),
        (text(HEADER, "index 1", "YQ=="), "has a hash that is no SHA-256, or too many"),
        (text(HEADER, "index 1", *ENCODED), "has a hash that is no SHA-256, or too many"),
        (text(HEADER, "index 1", "*" + ENCODED[0]), "is not base64"),
        (text(HEADER, "index 1", "YQ"), "is not base64"),
        (text(HEADER, "extra YR==", "index 1"), "is not canonical base64"),
    ],
)
def test_what_is_no_proof(data, reason):
    assert refused(parse_proof, data) == f"proof: {reason}"


def test_longest_proofs():
    last = (1 << 63) - 1
    assert parse_proof(format_proof(last, HASHES[:63], b"c", b"e")) == TlogProof(last, tuple(HASHES[:63]), b"c", b"e")
    longest = text(HEADER, "index 1", checkpoint=b"c" * (MOST_BYTES - len(HEADER) - len("\nindex 1\n\n")))
    assert len(longest) == MOST_BYTES
    assert parse_proof(longest).index == 1
    assert refused(parse_proof, longest + b"c") == "proof: is longer than 1000000 bytes"
    assert refused(format_proof, 1, HASHES[:1], b"\n\nc", b"") == "proof: has an extra line without data"


def test_what_does_not_read_back_is_not_written():
    class Five(bytes):
        def __eq__(self, other):
            return False

        __hash__ = bytes.__hash__

    assert refused(format_proof, 1, [Five(HASHES[0])], b"c") == "proof: does not read back as itself"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"x": 1}, "extra: is malformed"),
        ({"leaf": 1}, "extra: is malformed"),
        ({"openings": []}, "extra: is malformed"),
        ({"v": 2}, "extra: is not of this version"),
        ({"v": True}, "extra: is not of this version"),
        ({"openings": {"a": SALT, "b": 1}}, "extra: has a salt that is no text"),
        ({"openings": {"a": SALT, "b": "YQ=="}}, "extra: has a salt that has not 32 bytes"),
        ({"openings": {"a": "YQ"}}, "proof: is not base64"),
        ({"leaf": "YQ"}, "proof: is not base64"),
    ],
)
def test_what_is_no_extra(members, reason):
    data = canonicalize({"v": 1, "leaf": "YQ==", "openings": {"a": SALT}, **members})
    assert refused(parse_notice_extra, data) == reason


def test_what_is_no_object():
    assert refused(parse_notice_extra, b"[]") == "extra: is malformed"


def test_what_is_said_stays_said():
    extra = parse_notice_extra(format_notice_extra(b"leaf", {"a": bytes(32)}))
    assert extra == NoticeExtra(b"leaf", {"a": bytes(32)})
    for item, name in ((extra, "leaf"), (parse_proof(text(HEADER, "index 1")), "index")):
        with pytest.raises(FrozenInstanceError):
            setattr(item, name, None)
        assert not hasattr(item, "__dict__")
