"""The Merkle tree of RFC 9162 section 2.1: roots, inclusion and consistency proofs, and growing the tree.

A *node* is identified by (level, index). It is the root of the complete subtree over the leaves
``[index << level, (index + 1) << level)``. Only complete subtrees are stored; every root and proof is computed from
them.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from notifications.errors import Fault, InvalidInputError, VerificationError

HASH_BYTES = 32
#: Root of the tree without leaves (RFC 9162, 2.1.1).
EMPTY_ROOT = hashlib.sha256(b"").digest()

#: Reads the hashes of complete subtrees, in the order of the request; raises if one is missing.
NodeReader = Callable[[Sequence[tuple[int, int]]], list[bytes]]


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def complete_subtrees(start: int, end: int) -> list[tuple[int, int]]:
    """Return the complete subtrees that cover the leaves ``[start, end)`` of the tree, from left to right.

    A subtree of this span must be able to begin at ``start``, as in every recursion of RFC 9162. The levels then
    decrease from left to right.
    """
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root over complete subtrees given from left to right, in decreasing size."""
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def tree_root(size: int, read: NodeReader) -> bytes:
    """Return the root of the tree's first ``size`` leaves."""
    return _fold(read(complete_subtrees(0, size))) if size else EMPTY_ROOT


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    return append_leaves(0, lambda _none_wanted: [], leaf_hashes).root


@dataclass(frozen=True, slots=True)
class TreeGrowth:
    """The result of appending leaves."""

    #: every new complete subtree, leaves included: (level, index, hash), level by level
    nodes: tuple[tuple[int, int, bytes], ...]
    size: int
    root: bytes


def append_leaves(size: int, read: NodeReader, leaf_hashes: Iterable[bytes]) -> TreeGrowth:
    """Append leaves to the tree of ``size`` leaves; reads only the right edge of the old tree."""
    old_edge = complete_subtrees(0, size)
    #: level to hash of the complete subtrees that the root is computed from
    edge = dict(zip((level for level, _ in old_edge), read(old_edge), strict=True))
    grown = list(leaf_hashes)
    if any(len(hashed) != HASH_BYTES for hashed in grown):
        raise InvalidInputError(Fault("leaf_hashes", f"must have {HASH_BYTES} bytes each"))
    nodes: list[tuple[int, int, bytes]] = []
    level, first, new_size = 0, size, size + len(grown)
    while grown:
        nodes += [(level, index, hashed) for index, hashed in enumerate(grown, first)]
        if first & 1:
            # The edge's node is the left sibling of the first new one.
            grown.insert(0, edge.pop(level))
        if len(grown) & 1:
            edge[level] = grown[-1]
        grown = list(map(node_hash, grown[::2], grown[1::2]))
        level, first = level + 1, first >> 1
    root = _fold([edge[level] for level in sorted(edge, reverse=True)]) if edge else EMPTY_ROOT
    return TreeGrowth(tuple(nodes), new_size, root)


def _split(span: int) -> int:
    """Return the largest power of two below ``span`` (RFC 9162: k)."""
    return 1 << ((span - 1).bit_length() - 1)


def _read_spans(spans: Sequence[tuple[int, int]], read: NodeReader) -> list[bytes]:
    """Return the root of each span of leaves; reads all nodes in one call."""
    parts = [complete_subtrees(start, end) for start, end in spans]
    hashes = read([node for part in parts for node in part])
    roots, position = [], 0
    for part in parts:
        roots.append(_fold(hashes[position : position + len(part)]))
        position += len(part)
    return roots


def inclusion_proof(index: int, size: int, read: NodeReader) -> list[bytes]:
    """Return PATH(index, D_size) of RFC 9162 section 2.1.3.1: the siblings from the leaf to the root."""
    if not 0 <= index < size:
        raise InvalidInputError(Fault("index", f"must be from 0 to {size - 1}"))
    spans = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    return _read_spans(spans[::-1], read)


def consistency_proof(old_size: int, new_size: int, read: NodeReader) -> list[bytes]:
    """Return PROOF(old_size, D_new_size) of RFC 9162 section 2.1.4.1; empty for old size 0 and for equal sizes."""
    if not 0 <= old_size <= new_size:
        raise InvalidInputError(Fault("old_size", f"must be from 0 to {new_size}"))
    if old_size == 0:
        return []
    spans = []
    start, end, whole = 0, new_size, True
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start, whole = middle, False
    if not whole:
        spans.append((start, end))
    return _read_spans(spans[::-1], read)


def verify_inclusion(hashed: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise VerificationError unless the leaf hash is at ``index`` in the tree of ``root`` (RFC 9162, 2.1.3.2)."""
    _verify_lengths("inclusion", [hashed, root, *proof])
    # 1. The index lies in the tree.
    if not 0 <= index < size:
        raise VerificationError("inclusion", f"index {index} is not in a tree of {size}")
    # 2. and 3.
    first, last, result = index, size - 1, hashed
    # 4. Climb.
    for sibling in proof:
        if last == 0:
            raise VerificationError("inclusion", "the proof is longer than the path")
        if first & 1 or first == last:
            result = node_hash(sibling, result)
            while first and not first & 1:
                first >>= 1
                last >>= 1
        else:
            result = node_hash(result, sibling)
        first >>= 1
        last >>= 1
    # 5. The root is reached, and it is the one given.
    if last != 0:
        raise VerificationError("inclusion", "the proof is shorter than the path")
    if not hmac.compare_digest(result, root):
        raise VerificationError("inclusion", "the proof leads to another root")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise VerificationError unless the new tree extends the old one (RFC 9162, 2.1.4.2).

    Every tree extends the empty tree, whose root must be the empty root. Equal sizes need equal roots and no proof.
    """
    _verify_lengths("consistency", [old_root, new_root, *proof])
    if not 0 <= old_size <= new_size:
        raise VerificationError("consistency", f"size {new_size} does not extend size {old_size}")
    if old_size in {0, new_size}:
        if proof:
            raise VerificationError("consistency", "the proof must be empty")
        expected = EMPTY_ROOT if old_size == 0 else new_root
        if not hmac.compare_digest(old_root, expected):
            raise VerificationError("consistency", "the roots differ")
        if new_size == 0 and not hmac.compare_digest(new_root, EMPTY_ROOT):
            raise VerificationError("consistency", "the empty tree has another root")
        return
    # 1. and 2. If the old tree is complete, its root is the first node of the path.
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        raise VerificationError("consistency", "the proof is empty")
    # 3. and 4.
    first, last = old_size - 1, new_size - 1
    while first & 1:
        first >>= 1
        last >>= 1
    # 5.
    old_result = new_result = path[0]
    # 6.
    for node in path[1:]:
        if last == 0:
            raise VerificationError("consistency", "the proof is longer than the path")
        if first & 1 or first == last:
            old_result = node_hash(node, old_result)
            new_result = node_hash(node, new_result)
            while first and not first & 1:
                first >>= 1
                last >>= 1
        else:
            new_result = node_hash(new_result, node)
        first >>= 1
        last >>= 1
    # 7.
    if last != 0:
        raise VerificationError("consistency", "the proof is shorter than the path")
    if not hmac.compare_digest(old_result, old_root):
        raise VerificationError("consistency", "the proof leads to another old root")
    if not hmac.compare_digest(new_result, new_root):
        raise VerificationError("consistency", "the proof leads to another new root")


def _verify_lengths(step: str, hashes: Iterable[bytes]) -> None:
    if any(len(hashed) != HASH_BYTES for hashed in hashes):
        raise VerificationError(step, f"a hash has not {HASH_BYTES} bytes")
