"""The Merkle tree in a small tree of seven leaves, each rule by itself: what is refused, in which words, what is read.

Quick on purpose: mutation testing takes these first. ``test_merkle`` has the vectors, the definitions and the sizes.
"""

import pytest

from notifications.audit.merkle import (
    EMPTY_ROOT,
    append_leaves,
    complete_subtrees,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from notifications.errors import InvalidInputError, VerificationError

HASHES = [leaf_hash(b"%d" % number) for number in range(9)]
NODES = {(level, index): hashed for level, index, hashed in append_leaves(0, lambda wanted: [], HASHES).nodes}
ROOTS = [EMPTY_ROOT, *(tree_root(size, lambda wanted: [NODES[node] for node in wanted]) for size in range(1, 10))]
SHORT = b"x" * 31


def read(wanted):
    return [NODES[node] for node in wanted]


def refused(verify, *arguments):
    with pytest.raises(VerificationError) as caught:
        verify(*arguments)
    return str(caught.value)


def test_roots_and_nodes_by_hand():
    zero, one, two = HASHES[:3]
    assert (root_of([]), root_of([zero])) == (EMPTY_ROOT, zero)
    assert root_of([zero, one, two]) == ROOTS[3] == node_hash(node_hash(zero, one), two)
    pair = node_hash(zero, one)
    assert append_leaves(0, read, [zero, one, two]).nodes == (
        (0, 0, zero), (0, 1, one), (0, 2, two), (1, 0, pair),
    )  # fmt: skip
    four = node_hash(pair, node_hash(two, HASHES[3]))
    grown = append_leaves(3, read, [HASHES[3]])
    assert (grown.nodes, grown.size, grown.root) == (
        ((0, 3, HASHES[3]), (1, 1, node_hash(two, HASHES[3])), (2, 0, four)), 4, four,
    )  # fmt: skip
    assert append_leaves(0, read, []).root == EMPTY_ROOT


def test_what_covers_a_span():
    assert complete_subtrees(0, 0) == []
    assert complete_subtrees(0, 7) == [(2, 0), (1, 2), (0, 6)]
    assert complete_subtrees(4, 7) == [(1, 2), (0, 6)]
    assert complete_subtrees(4, 8) == [(2, 1)]


def test_proofs_by_hand():
    assert inclusion_proof(0, 1, read) == []
    assert inclusion_proof(2, 7, read) == [HASHES[3], NODES[1, 0], node_hash(NODES[1, 2], HASHES[6])]
    assert inclusion_proof(6, 7, read) == [NODES[1, 2], NODES[2, 0]]
    assert consistency_proof(0, 7, read) == consistency_proof(7, 7, read) == []
    assert consistency_proof(4, 7, read) == [node_hash(NODES[1, 2], HASHES[6])]
    assert consistency_proof(3, 7, read) == [HASHES[2], HASHES[3], NODES[1, 0], node_hash(NODES[1, 2], HASHES[6])]
    assert consistency_proof(6, 7, read) == [NODES[1, 2], HASHES[6], NODES[2, 0]]


def test_what_is_proved_verifies_and_one_step_beside_it_does_not():
    for size in range(1, 9):
        for index in range(size):
            proof = inclusion_proof(index, size, read)
            verify_inclusion(HASHES[index], index, size, proof, ROOTS[size])
            refused(verify_inclusion, HASHES[index], index + 1, size, proof, ROOTS[size])
            refused(verify_inclusion, HASHES[index], index, size, proof, ROOTS[size - 1])
            refused(verify_inclusion, HASHES[index + 1], index, size, proof, ROOTS[size])
        for old in range(size + 1):
            proof = consistency_proof(old, size, read)
            verify_consistency(old, ROOTS[old], size, ROOTS[size], proof)
            refused(verify_consistency, old, ROOTS[old + 1], size, ROOTS[size], proof)
            if 0 < old < size:
                refused(verify_consistency, old, ROOTS[old], size, ROOTS[size + 1], proof)
                refused(verify_consistency, old + 1, ROOTS[old], size, ROOTS[size], proof)


@pytest.mark.parametrize(
    ("hashed", "index", "size", "proof", "root", "reason"),
    [
        (SHORT, 0, 1, [], ROOTS[1], "a hash has not 32 bytes"),
        (HASHES[0], 0, 1, [], SHORT, "a hash has not 32 bytes"),
        (HASHES[0], 0, 2, [SHORT], ROOTS[2], "a hash has not 32 bytes"),
        (HASHES[0], 1, 1, [], ROOTS[1], "index 1 is not in a tree of 1"),
        (HASHES[0], -1, 1, [], ROOTS[1], "index -1 is not in a tree of 1"),
        (HASHES[0], 0, 0, [], ROOTS[0], "index 0 is not in a tree of 0"),
        (HASHES[0], 0, 1, [HASHES[1]], ROOTS[1], "the proof is longer than the path"),
        (HASHES[0], 0, 2, [], HASHES[0], "the proof is shorter than the path"),
        (HASHES[0], 0, 3, [HASHES[1]], ROOTS[2], "the proof is shorter than the path"),
        (HASHES[0], 0, 2, [HASHES[1]], ROOTS[1], "the proof leads to another root"),
    ],
)
def test_how_an_inclusion_is_refused(hashed, index, size, proof, root, reason):
    assert refused(verify_inclusion, hashed, index, size, proof, root) == f"inclusion: {reason}"


@pytest.mark.parametrize(
    ("old", "old_root", "new", "new_root", "proof", "reason"),
    [
        (1, SHORT, 2, ROOTS[2], [HASHES[1]], "a hash has not 32 bytes"),
        (1, ROOTS[1], 2, SHORT, [HASHES[1]], "a hash has not 32 bytes"),
        (1, ROOTS[1], 2, ROOTS[2], [SHORT], "a hash has not 32 bytes"),
        (-1, ROOTS[1], 2, ROOTS[2], [], "size 2 does not extend size -1"),
        (3, ROOTS[3], 2, ROOTS[2], [], "size 2 does not extend size 3"),
        (0, ROOTS[0], 2, ROOTS[2], [HASHES[1]], "the proof must be empty"),
        (2, ROOTS[2], 2, ROOTS[2], [HASHES[1]], "the proof must be empty"),
        (0, ROOTS[1], 2, ROOTS[2], [], "the roots differ"),
        (2, ROOTS[1], 2, ROOTS[2], [], "the roots differ"),
        (0, ROOTS[0], 0, ROOTS[1], [], "the empty tree has another root"),
        (3, ROOTS[3], 4, ROOTS[4], [], "the proof is empty"),
        (2, ROOTS[2], 3, ROOTS[3], [HASHES[2], HASHES[3]], "the proof is longer than the path"),
        (2, ROOTS[2], 3, ROOTS[3], [], "the proof is shorter than the path"),
        (3, ROOTS[2], 4, ROOTS[4], [HASHES[2], HASHES[3], NODES[1, 0]], "the proof leads to another old root"),
        (3, ROOTS[3], 4, ROOTS[5], [HASHES[2], HASHES[3], NODES[1, 0]], "the proof leads to another new root"),
    ],
)
def test_how_a_consistency_is_refused(old, old_root, new, new_root, proof, reason):
    assert refused(verify_consistency, old, old_root, new, new_root, proof) == f"consistency: {reason}"


@pytest.mark.parametrize(
    ("call", "field", "reason"),
    [
        (lambda: root_of([HASHES[0], SHORT]), "leaf_hashes", "must have 32 bytes each"),
        (lambda: inclusion_proof(7, 7, read), "index", "must be from 0 to 6"),
        (lambda: inclusion_proof(-1, 7, read), "index", "must be from 0 to 6"),
        (lambda: consistency_proof(-1, 7, read), "old_size", "must be from 0 to 7"),
        (lambda: consistency_proof(8, 7, read), "old_size", "must be from 0 to 7"),
    ],
)
def test_what_cannot_be_asked_for(call, field, reason):
    with pytest.raises(InvalidInputError) as caught:
        call()
    assert [(fault.field, fault.reason) for fault in caught.value.faults] == [(field, reason)]


def test_a_store_that_lost_a_node_is_noticed():
    with pytest.raises(ValueError, match="shorter"):
        append_leaves(7, lambda wanted: read(wanted)[1:], [HASHES[7]])


def test_what_was_grown_is_a_value():
    grown = append_leaves(0, read, [HASHES[0]])
    assert {grown} == {append_leaves(0, read, [HASHES[0]])}
    assert not hasattr(grown, "__dict__")
