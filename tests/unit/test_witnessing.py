"""The witness protocol: requests in one form only, refusals in the order of c2sp.org/tlog-witness, answers verified."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.audit.checkpoint import Checkpoint, cosign_checkpoint, sign_checkpoint
from notifications.audit.cosignature import (
    MAX_REQUEST_BYTES,
    AddCheckpoint,
    Refusal,
    RefusedError,
    format_add_checkpoint,
    parse_add_checkpoint,
    parse_conflict,
    verified_answer,
    verify_extension,
    verify_known_log,
)
from notifications.audit.merkle import append_leaves, consistency_proof, leaf_hash
from notifications.audit.note import COSIGNATURE_V1, verifier_key
from notifications.errors import InvalidInputError, VerificationError

_LOG = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
_OTHER = Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32)
_WITNESS = Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32)
_ORIGIN = "provider.example/log"
_VKEY = verifier_key(_ORIGIN, _LOG)
_WKEY = verifier_key("witness.example", _WITNESS, COSIGNATURE_V1)
_AT = datetime(2026, 11, 23, 12, tzinfo=UTC)

_SPEC_ORIGIN = "example.com/behind-the-sofa"
# The request that c2sp.org/tlog-witness gives as its example.
_SPEC_EXAMPLE = f"""old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— {_SPEC_ORIGIN} Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— {_SPEC_ORIGIN} opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
""".encode()


class Tree:
    """A log of numbered leaves; ``forked_at`` gives other leaves from there on."""

    def __init__(self, size, forked_at=None):
        leaves = [
            leaf_hash(b"%d%s" % (index, b"" if forked_at is None or index < forked_at else b"'"))
            for index in range(size)
        ]
        self.growth = append_leaves(0, lambda _: [], leaves)
        self.nodes = {(level, index): node for level, index, node in self.growth.nodes}

    def read(self, wanted):
        return [self.nodes[node] for node in wanted]

    def head(self):
        return Checkpoint(_ORIGIN, self.growth.size, self.growth.root)

    def request(self, old, key=_LOG):
        size = self.growth.size
        proof = consistency_proof(old, size, self.read) if old <= size else []
        return AddCheckpoint(old, tuple(proof), sign_checkpoint(key, self.head()))


def _judge(request, latest=None, keys=(_VKEY,)):
    checkpoint = verify_known_log(request, keys)
    verify_extension(request, checkpoint, latest)
    return checkpoint


def _refusal(request, latest=None, keys=(_VKEY,)):
    with pytest.raises(RefusedError) as caught:
        _judge(request, latest, keys)
    return caught.value.refusal, caught.value.size


def test_the_example_of_the_specification_is_read():
    request = parse_add_checkpoint(_SPEC_EXAMPLE)
    assert (request.old_size, len(request.proof)) == (20852014, 4)
    assert request.note.startswith(b"example.com/behind-the-sofa\n20852163\n")
    assert format_add_checkpoint(request.old_size, request.proof, request.note) == _SPEC_EXAMPLE


@pytest.mark.parametrize(
    "change",
    [
        (b"old 20852014", b"old 020852014"),
        (b"old 20852014", b"old -1"),
        (b"old 20852014", b"old  20852014"),
        (b"old 20852014", b"Old 20852014"),
        (b"old 20852014", b"old 9999999999999999999"),
        (b"old 20852014\n", b""),
        (b"old 20852014\n", b"old 20852014\r\n"),
        (b"old 20852014\n", b"old 20852014\n\n"),
        (b"PlRN", b"PlR"),
        (b"PlRN", b"Pl N"),
        (b"kaw=\n", b"kax=\n"),
        (b"kaw=\n", b"kaw=" + b"\nAAAA\n"),
        (b"j/0=\n\n", b"j/0=\n"),
        (b"\n20852163\n", b"\n020852163\n"),
        ("\n—".encode(), b"\n-"),
    ],
    ids=lambda change: repr(change[1]),
)
def test_any_other_form_is_refused(change):
    before, after = change
    assert before in _SPEC_EXAMPLE
    with pytest.raises(InvalidInputError):
        parse_add_checkpoint(_SPEC_EXAMPLE.replace(before, after, 1))


def test_a_request_is_bounded():
    line = b"PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
    assert len(parse_add_checkpoint(_SPEC_EXAMPLE.replace(line, 60 * line, 1)).proof) == 63
    with pytest.raises(InvalidInputError, match="63 proof lines"):
        parse_add_checkpoint(_SPEC_EXAMPLE.replace(line, 61 * line, 1))
    with pytest.raises(InvalidInputError, match="longer"):
        parse_add_checkpoint(_SPEC_EXAMPLE + b"x" * MAX_REQUEST_BYTES)


def test_what_extends_is_taken_from_size_nought_on():
    latest = None
    for size in (0, 0, 1, 1, 2, 7, 8, 9, 255, 257):
        latest = _judge(Tree(size).request(0 if latest is None else latest.size), latest)
        assert latest.size == size


def test_an_unknown_log_comes_before_its_signature():
    stranger = sign_checkpoint(_LOG, Checkpoint("other.example/log", 1, b"r" * 32))
    assert _refusal(AddCheckpoint(0, (), stranger))[0] is Refusal.UNKNOWN_ORIGIN
    assert _refusal(Tree(3).request(0), keys=())[0] is Refusal.UNKNOWN_ORIGIN


def test_another_key_under_the_name_of_the_log_is_not_enough():
    assert _refusal(Tree(3).request(0, key=_OTHER))[0] is Refusal.NOT_SIGNED


def test_a_line_that_the_log_did_not_sign_is_found_under_its_key():
    note = Tree(3).request(0).note
    swapped = note.replace(b"\n3\n", b"\n4\n")
    assert _refusal(AddCheckpoint(0, (), swapped))[0] is Refusal.NOT_SIGNED


def test_going_back_by_its_own_words():
    assert _refusal(Tree(3).request(4), Tree(4).head())[0] is Refusal.MALFORMED


def test_a_conflict_tells_the_size():
    assert _refusal(Tree(9).request(0), Tree(5).head()) == (Refusal.CONFLICT, 5)
    assert _refusal(Tree(9).request(5)) == (Refusal.CONFLICT, 0)
    # Rolled back: the head is genuine, and older than the one cosigned last.
    assert _refusal(Tree(3).request(3), Tree(5).head()) == (Refusal.CONFLICT, 5)


def test_another_root_for_one_size_is_a_conflict():
    assert _refusal(Tree(5, forked_at=4).request(5), Tree(5).head()) == (Refusal.CONFLICT, 5)


def test_a_fork_is_refused_whatever_its_proof():
    fork, latest = Tree(9, forked_at=3), Tree(5).head()
    assert _refusal(fork.request(5), latest)[0] is Refusal.BAD_PROOF
    honest = Tree(9).request(5)
    assert _refusal(AddCheckpoint(5, honest.proof, fork.request(5).note), latest)[0] is Refusal.BAD_PROOF
    assert _refusal(AddCheckpoint(5, (), honest.note), latest)[0] is Refusal.BAD_PROOF
    assert _refusal(AddCheckpoint(0, honest.proof, honest.note))[0] is Refusal.BAD_PROOF
    assert _refusal(AddCheckpoint(5, honest.proof[:1], Tree(5).request(5).note), latest)[0] is Refusal.BAD_PROOF


@settings(max_examples=60, deadline=None)
@given(old=st.integers(0, 40), more=st.integers(0, 40), fork=st.integers(0, 39))
def test_of_two_histories_one_is_cosigned(old, more, fork):
    latest, grown = Tree(old).head(), Tree(old + more)
    assert _judge(grown.request(old), latest) == grown.head()
    if fork < old:
        with pytest.raises(RefusedError):
            _judge(Tree(old + more, forked_at=fork).request(old), latest)


def _cosigned(note, key=_WITNESS, name="witness.example"):
    return cosign_checkpoint(note, name, key, _AT)[len(note) :]


def test_an_answer_is_verified_and_its_strangers_are_ignored():
    note = Tree(3).request(0).note
    line = _cosigned(note)
    taken = verified_answer(note, _cosigned(note, _OTHER, "somebody.example") + line, _WKEY)
    assert (taken.line.encode(), taken.seconds) == (line, int(_AT.timestamp()))


@pytest.mark.parametrize(
    "answer",
    [b"", b"\n", b"3\n", b"\xff", "— witness.example AAAA\n".encode()],
    ids=["nothing", "blank", "size", "bytes", "short"],
)
def test_an_answer_that_is_no_cosignature(answer):
    with pytest.raises(VerificationError):
        verified_answer(Tree(3).request(0).note, answer, _WKEY)


def test_a_cosignature_of_another_head_or_another_key_or_twice():
    note, later = Tree(3).request(0).note, Tree(4).request(0).note
    for answer in (_cosigned(later), _cosigned(note, _OTHER), 2 * _cosigned(note)):
        with pytest.raises(VerificationError):
            verified_answer(note, answer, _WKEY)


def test_a_size_is_one_number():
    assert parse_conflict(b"12\n") == 12
    for body in (b"12", b"012\n", b"-1\n", b"12\n\n", b"", b"9999999999999999999\n"):
        with pytest.raises(InvalidInputError):
            parse_conflict(body)
