"""Proofs out of tiles are those out of the tree, at the sizes where tiles begin and end."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.audit.merkle import (
    append_leaves,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from notifications.audit.tile_reading import TileNodes, tile_contents, width_in
from notifications.audit.tiles import Tile, parse_entry_bundle
from notifications.errors import NotFoundError
from support.refusals import refused

SIZES = (1, 2, 255, 256, 257, 513, 65_535, 65_536, 65_537, 70_000)
LEAVES = [hashlib.sha256(str(number).encode()).digest() for number in range(70_000)]


class Tree:
    """A tree of leaves, and its tiles."""

    def __init__(self, size):
        self.size = size
        growth = append_leaves(0, lambda _wanted: [], [leaf_hash(leaf) for leaf in LEAVES[:size]])
        self.nodes = {(level, index): hashed for level, index, hashed in growth.nodes}
        self.root = growth.root

    def read(self, wanted):
        return [self.nodes[node] for node in wanted]

    def tile(self, tile):
        return tile_contents(tile, self.size, self.read, lambda start, count: LEAVES[start : start + count])


@pytest.fixture(scope="module")
def trees():
    return {size: Tree(size) for size in SIZES}


@pytest.mark.parametrize("size", SIZES)
def test_a_tree_out_of_its_tiles_proves_what_the_tree_proves(trees, size):
    tree = trees[size]
    nodes = TileNodes(size, tree.tile)
    assert tree_root(size, nodes) == tree.root
    for index in {0, size // 3, size - 1}:
        proof = inclusion_proof(index, size, nodes)
        assert proof == inclusion_proof(index, size, tree.read)
        bundle, offset = divmod(index, 256)
        leaf = parse_entry_bundle(tree.tile(Tile(None, bundle, width_in(size, None, bundle))))[offset]
        verify_inclusion(leaf_hash(leaf), index, size, proof, tree.root)
    for old in (item for item in SIZES if item < size):
        proof = consistency_proof(old, size, nodes)
        verify_consistency(old, trees[old].root, size, tree.root, proof)


@given(size=st.integers(1, 600), data=st.data())
def test_what_a_smaller_tree_has_a_larger_one_still_serves(size, data):
    tree = Tree(600)
    level = data.draw(st.sampled_from((0, 1, None)))
    number = data.draw(st.integers(0, 3))
    width = width_in(size, level, number)
    if width:
        assert tree.tile(Tile(level, number, width)) == Tree(size).tile(Tile(level, number, width))
    if width < 256:
        with pytest.raises(NotFoundError):
            Tree(size).tile(Tile(level, number, width + 1))


def test_what_is_not_whole_is_refused(trees):
    tree = trees[257]
    assert refused(TileNodes(257, tree.tile), [(1, 128)]) == "node: 128 at level 1 is not complete in 257 leaves"
    lacking = TileNodes(257, lambda _tile: bytes(32))
    assert refused(lacking, [(0, 0)]) == "tile: holds 1 hashes, not 256"
    for tile, leaves in ((Tile(None, 0, 2), LEAVES[:1]), (Tile(None, 0, 3), LEAVES[:3]), (Tile(0, 0, 3), LEAVES[:3])):
        with pytest.raises(NotFoundError) as caught:
            tile_contents(tile, 2, tree.read, lambda start, count, leaves=leaves: leaves)
        assert caught.value.kind == "tile"


def test_a_wrong_tile_gives_a_proof_that_does_not_hold(trees):
    tree = trees[513]

    def wrong(tile):
        content = tree.tile(tile)
        return content[:-1] + bytes([content[-1] ^ 1])

    assert tree_root(513, TileNodes(513, wrong)) != root_of([leaf_hash(leaf) for leaf in LEAVES[:513]])
