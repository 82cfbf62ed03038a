"""The tree made again from its leaves, a range at a time: what a check of a whole log compares the stored one with.

A *range* is ``RANGE_LEAVES`` leaves, a complete subtree; the last one may be shorter. Ranges are made independently of
one another, in any order and by any number of processes. The ``RightEdge`` over them is made from left to right; it
holds one hash per level.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from notifications.audit.merkle import EMPTY_ROOT, HASH_BYTES, complete_subtrees, node_hash

#: A range is one node of this level: two levels of tiles.
RANGE_LEVEL = 16
RANGE_LEAVES = 1 << RANGE_LEVEL


@dataclass(frozen=True, slots=True)
class Range:
    """The complete subtrees over some leaves that follow one another."""

    #: index of the first leaf, a multiple of ``RANGE_LEAVES``
    start: int
    #: by level, the hashes of all complete subtrees, one after the other
    levels: tuple[bytes, ...]

    @property
    def leaves(self) -> int:
        """How many leaves the range has."""
        return len(self.levels[0]) // HASH_BYTES

    def node(self, level: int, number: int) -> bytes:
        """Return the hash of the ``number``-th subtree of a level."""
        return self.levels[level][number * HASH_BYTES : (number + 1) * HASH_BYTES]

    def part_of_root(self, size: int) -> bytes:
        """Return what the range's leaves below ``size`` bring to the root of the tree of that size.

        It is the root where the range is the first; else ``Spine.root`` makes it one.
        """
        hashes = [self.node(level, number) for level, number in complete_subtrees(0, size - self.start)]
        root = hashes[-1]
        for left in reversed(hashes[:-1]):
            root = node_hash(left, root)
        return root


def rebuild_range(start: int, leaf_hashes: Sequence[bytes]) -> Range:
    """Return the range of at least one leaf that begins at ``start``."""
    if start % RANGE_LEAVES or not 1 <= len(leaf_hashes) <= RANGE_LEAVES:
        raise ValueError(f"no range: {len(leaf_hashes)} leaves from {start}")
    # The hashes of ``node_hash``, without a call for each: a check of a large log is little else.
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
        #: (level, hash) of the complete subtrees so far, from left to right, their levels falling
        self._edge: list[tuple[int, bytes]] = []
        self.ranges = 0

    def add(self, whole: bytes) -> list[tuple[int, int, bytes]]:
        """Add the next range by its own root; return the nodes above it that became complete: level, index, hash."""
        level, made = RANGE_LEVEL, []
        while self._edge and self._edge[-1][0] == level:
            whole = node_hash(self._edge.pop()[1], whole)
            level += 1
            made.append((level, self.ranges >> (level - RANGE_LEVEL), whole))
        self._edge.append((level, whole))
        self.ranges += 1
        return made

    def root(self, part: bytes | None = None) -> bytes:
        """Return the root over the ranges added, and the part of one more where it is given."""
        hashes = [hashed for _, hashed in self._edge] + ([] if part is None else [part])
        if not hashes:
            return EMPTY_ROOT
        root = hashes[-1]
        for left in reversed(hashes[:-1]):
            root = node_hash(left, root)
        return root
