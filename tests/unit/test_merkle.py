"""The Merkle tree against published vectors and against the recursive definitions of RFC 9162, read literally."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "rfc6962_tree.json").read_text("utf-8"))
PUBLISHED_LEAVES = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]
PUBLISHED_ROOTS = [bytes.fromhex(root) for root in VECTORS["roots"]]

#: Every size to here is tried, and a few more.
ALL_SIZES = range(71)
LEAVES = [b"leaf %d" % number for number in range(140)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
OTHER = leaf_hash(b"not in the tree")


# The definitions of RFC 9162, sections 2.1.1, 2.1.3.1 and 2.1.4.1, as recursive as they stand there.


def mth(data):
    if not data:
        return hashlib.sha256(b"").digest()
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    k = largest_power_below(len(data))
    return hashlib.sha256(b"\x01" + mth(data[:k]) + mth(data[k:])).digest()


def path(m, data):
    if len(data) == 1:
        return []
    k = largest_power_below(len(data))
    return [*path(m, data[:k]), mth(data[k:])] if m < k else [*path(m - k, data[k:]), mth(data[:k])]


def subproof(m, data, whole):
    if m == len(data):
        return [] if whole else [mth(data)]
    k = largest_power_below(len(data))
    if m <= k:
        return [*subproof(m, data[:k], whole), mth(data[k:])]
    return [*subproof(m - k, data[k:], False), mth(data[:k])]


def largest_power_below(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


ROOTS = [mth(LEAVES[:size]) for size in range(len(LEAVES) + 1)]


class StoredNodes:
    """Complete subtrees as a store keeps them; a node that was never stored is an error."""

    def __init__(self, leaf_hashes=(), batches=None):
        self.nodes = {}
        self.size = 0
        self.read_count = 0
        for batch in [list(leaf_hashes)] if batches is None else batches:
            self.append(batch)

    def read(self, wanted):
        self.read_count += 1
        return [self.nodes[node] for node in wanted]

    def append(self, batch):
        grown = append_leaves(self.size, self.read, batch)
        for level, index, hashed in grown.nodes:
            assert (level, index) not in self.nodes
            if level:  # children stand before their parents
                assert hashed == node_hash(self.nodes[level - 1, 2 * index], self.nodes[level - 1, 2 * index + 1])
            self.nodes[level, index] = hashed
        assert grown.size == self.size + len(batch)
        self.size = grown.size
        return grown


STORED = StoredNodes(HASHES)


def refuses_inclusion(*arguments):
    with pytest.raises(VerificationError) as caught:
        verify_inclusion(*arguments)
    assert caught.value.step == "inclusion"
    return caught.value.reason


def refuses_consistency(*arguments):
    with pytest.raises(VerificationError) as caught:
        verify_consistency(*arguments)
    assert caught.value.step == "consistency"
    return caught.value.reason


def flipped(hashed, bit):
    changed = bytearray(hashed)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def swapped(proof):
    """Every proof that differs by two hashes standing in each other's place."""
    for one in range(len(proof)):
        for other in range(one):
            bent = list(proof)
            bent[one], bent[other] = bent[other], bent[one]
            yield bent


class TestPublishedVectors:
    def test_the_empty_tree(self):
        assert root_of([]) == tree_root(0, STORED.read) == EMPTY_ROOT == PUBLISHED_ROOTS[0]

    @pytest.mark.parametrize("size", range(9))
    def test_roots(self, size):
        assert root_of([leaf_hash(leaf) for leaf in PUBLISHED_LEAVES[:size]]) == PUBLISHED_ROOTS[size]

    def test_every_node(self):
        stored = StoredNodes([leaf_hash(leaf) for leaf in PUBLISHED_LEAVES])
        expected = {
            (level, index): bytes.fromhex(hashed)
            for level, row in enumerate(VECTORS["nodes"])
            for index, hashed in enumerate(row)
        }
        assert stored.nodes == expected

    @pytest.mark.parametrize("vector", VECTORS["inclusion"], ids=lambda vector: f"{vector['index']}-{vector['size']}")
    def test_inclusion(self, vector):
        stored = StoredNodes([leaf_hash(leaf) for leaf in PUBLISHED_LEAVES])
        index, size, proof = vector["index"], vector["size"], [bytes.fromhex(item) for item in vector["proof"]]
        assert inclusion_proof(index, size, stored.read) == proof
        verify_inclusion(leaf_hash(PUBLISHED_LEAVES[index]), index, size, proof, PUBLISHED_ROOTS[size])

    @pytest.mark.parametrize("vector", VECTORS["consistency"], ids=lambda vector: f"{vector['old']}-{vector['new']}")
    def test_consistency(self, vector):
        stored = StoredNodes([leaf_hash(leaf) for leaf in PUBLISHED_LEAVES])
        old, new, proof = vector["old"], vector["new"], [bytes.fromhex(item) for item in vector["proof"]]
        assert consistency_proof(old, new, stored.read) == proof
        verify_consistency(old, PUBLISHED_ROOTS[old], new, PUBLISHED_ROOTS[new], proof)


class TestGrowing:
    @settings(deadline=None)
    @given(st.lists(st.integers(0, 40), max_size=8))
    def test_however_the_leaves_come_the_tree_is_the_same(self, lengths):
        stored, start = StoredNodes(), 0
        for length in lengths:
            batch = HASHES[start : start + length]
            start += len(batch)
            grown = stored.append(batch)
            assert grown.root == ROOTS[start]
            assert tree_root(start, stored.read) == ROOTS[start]
        # Exactly the complete subtrees are stored: no ragged edge that would change later.
        assert stored.nodes == {
            (level, index): mth(LEAVES[index << level : (index + 1) << level])
            for level in range(start.bit_length())
            for index in range(start >> level)
        }

    def test_only_the_right_edge_is_read_and_at_once(self):
        stored = StoredNodes(HASHES[:127])
        stored.read_count, wanted = 0, []

        def read(nodes):
            wanted.extend(nodes)
            return stored.read(nodes)

        append_leaves(127, read, HASHES[127:])
        assert (stored.read_count, wanted) == (1, [(6, 0), (5, 2), (4, 6), (3, 14), (2, 30), (1, 62), (0, 126)])

    @pytest.mark.parametrize("hashed", [b"", b"x" * 31, b"x" * 33])
    def test_hashes_have_their_length(self, hashed):
        with pytest.raises(InvalidInputError):
            root_of([HASHES[0], hashed])

    def test_a_size_of_many_bits_needs_few_nodes(self):
        size = 2**40 + 12_345
        covered = 0
        for level, index in complete_subtrees(0, size):
            assert index << level == covered
            covered += 1 << level
        assert covered == size
        assert len(complete_subtrees(0, size)) == size.bit_count()


#: Where a tile fills, where two levels of tiles fill, and the example of c2sp.org/tlog-tiles.
BOUNDARIES = [255, 256, 257, 65_535, 65_536, 65_537, 70_000]


@pytest.fixture(scope="module")
def large():
    """A tree that grew to the largest boundary and stopped at every one, with the leaves it was made of."""
    leaves = [b"%d" % number for number in range(BOUNDARIES[-1])]
    stored = StoredNodes()
    roots = {}
    for size in BOUNDARIES:
        roots[size] = stored.append([leaf_hash(leaf) for leaf in leaves[stored.size : size]]).root
    return leaves, stored, roots


class TestBoundaries:
    @pytest.mark.parametrize("size", BOUNDARIES)
    def test_roots(self, large, size):
        leaves, stored, roots = large
        assert roots[size] == tree_root(size, stored.read) == mth(leaves[:size])

    @pytest.mark.parametrize("size", BOUNDARIES)
    def test_inclusion_at_both_edges_and_beside_every_boundary(self, large, size):
        leaves, stored, roots = large
        for index in sorted({0, 1, 254, 255, 256, 65_535, 65_536, size // 2, size - 2, size - 1} & {*range(size)}):
            proof = inclusion_proof(index, size, stored.read)
            verify_inclusion(leaf_hash(leaves[index]), index, size, proof, roots[size])
            refuses_inclusion(leaf_hash(leaves[index]), index - 1, size, proof, roots[size])
            for other in BOUNDARIES:
                if other != size:
                    refuses_inclusion(leaf_hash(leaves[index]), index, other, proof, roots[other])
        assert proof == path(size - 1, leaves[:size])

    def test_consistency_between_any_two(self, large):
        leaves, stored, roots = large
        for place, old in enumerate(BOUNDARIES):
            for new in BOUNDARIES[place:]:
                proof = consistency_proof(old, new, stored.read)
                verify_consistency(old, roots[old], new, roots[new], proof)
                if new > old:
                    refuses_consistency(old, roots[old], new, roots[old], proof)
                    refuses_consistency(old + 1, roots[old], new, roots[new], proof)
        assert consistency_proof(65_535, 70_000, stored.read) == subproof(65_535, leaves, True)

    @settings(deadline=None, max_examples=150)
    @given(st.data())
    def test_any_leaf_under_any_size(self, large, data):
        leaves, stored, _ = large
        size = data.draw(st.integers(1, len(leaves)))
        index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
        root = tree_root(size, stored.read)
        verify_inclusion(leaf_hash(leaves[index]), index, size, inclusion_proof(index, size, stored.read), root)
        proof = consistency_proof(old, size, stored.read)
        verify_consistency(old, tree_root(old, stored.read), size, root, proof)

    @settings(deadline=None, max_examples=25)
    @given(st.data())
    def test_any_proof_is_the_one_that_the_rfc_defines(self, large, data):
        leaves, stored, _ = large
        size = data.draw(st.integers(141, 3000))
        index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
        assert tree_root(size, stored.read) == mth(leaves[:size])
        assert inclusion_proof(index, size, stored.read) == path(index, leaves[:size])
        assert consistency_proof(old, size, stored.read) == subproof(old, leaves[:size], True)


class TestInclusion:
    @pytest.mark.parametrize("size", [*ALL_SIZES[1:], 127, 128, 129, 140])
    def test_every_leaf_is_proved_as_the_rfc_defines(self, size):
        for index in range(size):
            proof = inclusion_proof(index, size, STORED.read)
            assert proof == path(index, LEAVES[:size])
            verify_inclusion(HASHES[index], index, size, proof, ROOTS[size])

    def test_one_read_is_enough(self):
        STORED.read_count = 0
        inclusion_proof(77, 139, STORED.read)
        assert STORED.read_count == 1

    @pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 5), (5, 5)])
    def test_there_is_no_proof_outside_the_tree(self, index, size):
        with pytest.raises(InvalidInputError):
            inclusion_proof(index, size, STORED.read)

    @pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 13, 16, 33])
    def test_no_falsified_proof_is_accepted(self, size):
        for index in range(size):
            hashed, root = HASHES[index], ROOTS[size]
            proof = inclusion_proof(index, size, STORED.read)
            # another leaf, another root
            refuses_inclusion(OTHER, index, size, proof, root)
            refuses_inclusion(flipped(hashed, 255), index, size, proof, root)
            refuses_inclusion(hashed, index, size, proof, flipped(root, 0))
            refuses_inclusion(hashed, index, size, proof, ROOTS[size + 1])
            refuses_inclusion(hashed, index, size, proof, EMPTY_ROOT)
            # another place
            for other in {*range(-2, 2 * size + 2)} - {index}:
                refuses_inclusion(hashed, other, size, proof, root)
            # cut, lengthened, reordered, with hashes of another length
            for cut in range(len(proof)):
                refuses_inclusion(hashed, index, size, proof[:cut], root)
                refuses_inclusion(hashed, index, size, proof[:cut] + proof[cut + 1 :], root)
                refuses_inclusion(hashed, index, size, [*proof[:cut], proof[cut][:-1], *proof[cut + 1 :]], root)
                refuses_inclusion(hashed, index, size, [*proof[:cut], proof[cut] + b"\0", *proof[cut + 1 :]], root)
            for extra in (OTHER, root, hashed):
                for place in range(len(proof) + 1):
                    refuses_inclusion(hashed, index, size, [*proof[:place], extra, *proof[place:]], root)
            if len(proof) > 1:
                refuses_inclusion(hashed, index, size, proof[::-1], root)
            for bent in swapped(proof):
                refuses_inclusion(hashed, index, size, bent, root)
            refuses_inclusion(hashed[:-1], index, size, proof, root)
            refuses_inclusion(hashed, index, size, proof, root + b"\0")

    def test_no_changed_bit_is_accepted(self):
        proof = inclusion_proof(9, 13, STORED.read)
        for place in range(len(proof)):
            for bit in range(256):
                changed = [*proof[:place], flipped(proof[place], bit), *proof[place + 1 :]]
                refuses_inclusion(HASHES[9], 9, 13, changed, ROOTS[13])

    def test_the_length_of_the_path_is_exact(self):
        proof = inclusion_proof(9, 13, STORED.read)
        assert "longer" in refuses_inclusion(HASHES[9], 9, 13, [*proof, OTHER], ROOTS[13])
        assert "shorter" in refuses_inclusion(HASHES[9], 9, 13, proof[:-1], ROOTS[13])
        assert "longer" in refuses_inclusion(HASHES[0], 0, 1, [OTHER], ROOTS[1])

    def test_the_border_between_two_hashes_cannot_be_shifted(self):
        # The same 64 bytes go into the node, parted elsewhere: another "leaf hash" would be proved.
        both = HASHES[0] + HASHES[1]
        for border in (0, 31, 33, 64):
            assert "32 bytes" in refuses_inclusion(both[:border], 0, 2, [both[border:]], ROOTS[2])

    def test_a_node_is_no_leaf(self):
        # The hash of an inner node, proved at a leaf's place of a smaller tree over nodes: the prefixes forbid it.
        inner = HASHES[0] + HASHES[1]
        refuses_inclusion(leaf_hash(inner), 0, 2, [STORED.nodes[1, 1]], ROOTS[4])

    def test_another_size_is_refused_wherever_the_path_differs(self):
        for size in range(1, 40):
            for index in range(size):
                proof = inclusion_proof(index, size, STORED.read)
                for other in range(40):
                    if other == size:
                        continue
                    # The same proof may fit a size of the same shape; it never fits that size's own root.
                    refuses_inclusion(HASHES[index], index, other, proof, ROOTS[other])

    @settings(deadline=None, max_examples=150)
    @given(st.data())
    def test_arbitrary_proofs_are_refused(self, data):
        size = data.draw(st.integers(0, 2**63))
        index = data.draw(st.integers(-1, 2**63))
        proof = data.draw(st.lists(st.sampled_from([*HASHES[:20], *ROOTS[:20], b"", b"x" * 31]), max_size=70))
        leaf, root = data.draw(st.sampled_from(HASHES[:20])), ROOTS[21]
        refuses_inclusion(leaf, index, size, proof, root)

    @settings(deadline=None, max_examples=150)
    @given(
        st.binary(max_size=40), st.integers(), st.integers(), st.lists(st.binary(max_size=40)), st.binary(max_size=40)
    )
    def test_arbitrary_bytes_are_refused(self, hashed, index, size, proof, root):
        if (index, size, proof) == (0, 1, []) and hashed == root and len(hashed) == 32:
            return
        refuses_inclusion(hashed, index, size, proof, root)


class TestConsistency:
    @pytest.mark.parametrize("new", [*ALL_SIZES, 127, 128, 129, 140])
    def test_every_earlier_tree_is_proved_as_the_rfc_defines(self, new):
        for old in range(new + 1):
            proof = consistency_proof(old, new, STORED.read)
            assert proof == (subproof(old, LEAVES[:new], True) if old else [])
            verify_consistency(old, ROOTS[old], new, ROOTS[new], proof)

    def test_one_read_is_enough(self):
        STORED.read_count = 0
        consistency_proof(77, 139, STORED.read)
        assert STORED.read_count == 1

    @pytest.mark.parametrize(("old", "new"), [(-1, 5), (6, 5), (1, 0)])
    def test_there_is_no_proof_from_a_larger_tree(self, old, new):
        with pytest.raises(InvalidInputError):
            consistency_proof(old, new, STORED.read)

    @pytest.mark.parametrize("new", [1, 2, 3, 5, 7, 8, 13, 16, 33])
    def test_no_falsified_proof_is_accepted(self, new):
        for old in range(1, new + 1):
            proof = consistency_proof(old, new, STORED.read)
            before, after = ROOTS[old], ROOTS[new]
            refuses_consistency(old, OTHER, new, after, proof)
            refuses_consistency(old, before, new, OTHER, proof)
            refuses_consistency(old, flipped(before, 7), new, after, proof)
            refuses_consistency(old, before, new, flipped(after, 7), proof)
            for other in {*range(-2, 2 * new + 2)} - {old}:
                refuses_consistency(other, before, new, after, proof)
            refuses_consistency(0, before, new, after, [])  # every tree extends the empty one, but this is not it
            for cut in range(len(proof)):
                refuses_consistency(old, before, new, after, proof[:cut])
                refuses_consistency(old, before, new, after, proof[:cut] + proof[cut + 1 :])
                refuses_consistency(old, before, new, after, [*proof[:cut], proof[cut][:-1], *proof[cut + 1 :]])
            for extra in (OTHER, before, after):
                for place in range(len(proof) + 1):
                    refuses_consistency(old, before, new, after, [*proof[:place], extra, *proof[place:]])
            for bent in swapped(proof):
                refuses_consistency(old, before, new, after, bent)
            refuses_consistency(old, before[:-1], new, after, proof)
            refuses_consistency(old, before, new, after[:-1], proof)

    def test_no_changed_bit_is_accepted(self):
        proof = consistency_proof(6, 13, STORED.read)
        for place in range(len(proof)):
            for bit in range(256):
                changed = [*proof[:place], flipped(proof[place], bit), *proof[place + 1 :]]
                refuses_consistency(6, ROOTS[6], 13, ROOTS[13], changed)

    def test_the_length_of_the_path_is_exact(self):
        proof = consistency_proof(6, 13, STORED.read)
        assert "longer" in refuses_consistency(6, ROOTS[6], 13, ROOTS[13], [*proof, OTHER])
        assert "shorter" in refuses_consistency(6, ROOTS[6], 13, ROOTS[13], proof[:-1])
        assert "empty" in refuses_consistency(6, ROOTS[6], 13, ROOTS[13], [])

    def test_the_border_between_two_hashes_cannot_be_shifted(self):
        both = HASHES[0] + HASHES[1]
        for border in (0, 31, 33, 64):
            assert "32 bytes" in refuses_consistency(1, both[:border], 2, ROOTS[2], [both[border:]])

    def test_a_rewritten_history_is_refused(self):
        rewritten = StoredNodes([*HASHES[:5], OTHER, *HASHES[6:13]])
        root = tree_root(13, rewritten.read)
        for old in range(6, 13):
            refuses_consistency(old, ROOTS[old], 13, root, consistency_proof(old, 13, rewritten.read))
            refuses_consistency(old, ROOTS[old], 13, root, consistency_proof(old, 13, STORED.read))

    def test_a_shorter_history_is_refused(self):
        for old in range(1, 20):
            for new in range(old):
                refuses_consistency(old, ROOTS[old], new, ROOTS[new], [])
                refuses_consistency(old, ROOTS[old], new, ROOTS[new], consistency_proof(new, old, STORED.read))

    def test_the_empty_and_the_equal_tree_have_their_own_rules(self):
        verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
        verify_consistency(0, EMPTY_ROOT, 7, ROOTS[7], [])
        verify_consistency(7, ROOTS[7], 7, ROOTS[7], [])
        refuses_consistency(0, OTHER, 7, ROOTS[7], [])
        refuses_consistency(0, OTHER, 0, OTHER, [])
        refuses_consistency(0, EMPTY_ROOT, 0, OTHER, [])
        refuses_consistency(0, EMPTY_ROOT, 7, ROOTS[7], [ROOTS[7]])
        refuses_consistency(7, ROOTS[7], 7, ROOTS[7], [ROOTS[7]])
        refuses_consistency(7, ROOTS[7], 7, ROOTS[8], [])

    @settings(deadline=None, max_examples=150)
    @given(st.data())
    def test_arbitrary_proofs_are_refused(self, data):
        old = data.draw(st.integers(-1, 2**63))
        new = data.draw(st.integers(0, 2**63))
        proof = data.draw(st.lists(st.sampled_from([*HASHES[:20], *ROOTS[:20], b"", b"x" * 31]), max_size=70))
        refuses_consistency(old, ROOTS[21], new, ROOTS[22], proof)

    @settings(deadline=None, max_examples=150)
    @given(st.integers(), st.integers(), st.lists(st.binary(max_size=40) | st.just(OTHER)), st.data())
    def test_arbitrary_bytes_are_refused(self, old, new, proof, data):
        before, after = data.draw(st.binary(max_size=40)), data.draw(st.binary(max_size=40) | st.just(ROOTS[5]))
        if (old == new or (old == 0 and before == EMPTY_ROOT)) and not proof:
            return
        refuses_consistency(old, before, new, after, proof)
