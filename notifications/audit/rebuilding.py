"""Rebuild the tree from its leaves, range by range. A check of a whole log compares the result with the stored tree.

A *range* is a complete subtree of ``RANGE_LEAVES`` leaves; the last range may be shorter. Ranges can be rebuilt
independently, in any order and by any number of processes. The ``RightEdge`` over them is built from left to right and
holds one hash per level.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from notifications.audit.merkle import EMPTY_ROOT, HASH_BYTES, complete_subtrees, node_hash

#: Level of the node that a range is: two levels of tiles.
RANGE_LEVEL = 16
RANGE_LEAVES = 1 << RANGE_LEVEL


@dataclass(frozen=True, slots=True)
class Range:
    """The complete subtrees over consecutive leaves."""

    #: index of the first leaf, a multiple of ``RANGE_LEAVES``
    start: int
    #: by level, the concatenated hashes of all complete subtrees
    levels: tuple[bytes, ...]

    @property
    def leaves(self) -> int:
        """Number of leaves of the range."""
        return len(self.levels[0]) // HASH_BYTES

    def node(self, level: int, number: int) -> bytes:
        """Return the hash of the ``number``-th subtree of a level."""
        return self.levels[level][number * HASH_BYTES : (number + 1) * HASH_BYTES]

    def part_of_root(self, size: int) -> bytes:
        """Return the hash that the range's leaves below ``size`` contribute to the root of the tree of that size.

        For the first range it is the root itself; otherwise ``RightEdge.root`` computes the root from it.
        """
        hashes = [self.node(level, number) for level, number in complete_subtrees(0, size - self.start)]
        root = hashes[-1]
        for left in reversed(hashes[:-1]):
            root = node_hash(left, root)
        return root


def rebuild_range(start: int, leaf_hashes: Sequence[bytes]) -> Range:
    """Return the range of one leaf or more that begins at ``start``."""
    if start % RANGE_LEAVES or not 1 <= len(leaf_hashes) <= RANGE_LEAVES:
        raise ValueError(f"no range: {len(leaf_hashes)} leaves from {start}")
    # Same hashes as ``node_hash``, inlined: a check of a large log spends most of its time here.
    sha256, pair = hashlib.sha256, 2 * HASH_BYTES
    levels = [b"".join(leaf_hashes)]
    while len(levels[-1]) >= pair:
        below = levels[-1]
        ends = range(pair, len(below) + 1, pair)
        levels.append(b"".join([sha256(b"\x01" + below[end - pair : end]).digest() for end in ends]))
    return Range(start, tuple(levels))


class RightEdge:
    """The tree over whole ranges, added from left to right."""

    def __init__(self) -> None:
        #: (level, hash) of the complete subtrees so far, from left to right, in decreasing level
        self._edge: list[tuple[int, bytes]] = []
        self.ranges = 0

    def add(self, whole: bytes) -> list[tuple[int, int, bytes]]:
        """Add the root of the next range; return (level, index, hash) of each node above it that became complete."""
        level, made = RANGE_LEVEL, []
        while self._edge and self._edge[-1][0] == level:
            whole = node_hash(self._edge.pop()[1], whole)
            level += 1
            made.append((level, self.ranges >> (level - RANGE_LEVEL), whole))
        self._edge.append((level, whole))
        self.ranges += 1
        return made

    def root(self, part: bytes | None = None) -> bytes:
        """Return the root over the ranges that were added, and over ``part`` of one more range if it is given."""
        hashes = [hashed for _, hashed in self._edge] + ([] if part is None else [part])
        if not hashes:
            return EMPTY_ROOT
        root = hashes[-1]
        for left in reversed(hashes[:-1]):
            root = node_hash(left, root)
        return root
