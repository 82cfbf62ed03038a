"""Tiles as sources of hashes and as contents: what whoever serves a log and whoever reads one share. No I/O."""

from collections.abc import Callable, Sequence

from notifications.audit.merkle import NodeReader, node_hash
from notifications.audit.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    entry_bundle,
    split_hashes,
    tile_nodes,
    tile_of_node,
)
from notifications.errors import Fault, InvalidInputError, NotFoundError

#: Returns the contents of a tile.
TileReader = Callable[[Tile], bytes]
#: Returns so many leaves from an index on.
LeafReader = Callable[[int, int], Sequence[bytes]]


def width_in(size: int, level: int | None, number: int) -> int:
    """Return how many hashes or entries a tile has in a tree of ``size`` leaves; 0 where there is no such tile."""
    count = size >> (TILE_HEIGHT * (level or 0))
    return max(0, min(TILE_WIDTH, count - number * TILE_WIDTH))


def tile_contents(tile: Tile, size: int, nodes: NodeReader, leaves: LeafReader) -> bytes:
    """Return what a tile holds; raises NotFoundError for one that a tree of ``size`` leaves does not have.

    A partial tile that the tree outgrew is one still: whoever holds an older checkpoint asks for it.
    """
    if tile.width > width_in(size, tile.level, tile.number):
        raise NotFoundError("tile", f"{tile.level} {tile.number} of width {tile.width}")
    if tile.level is None:
        entries = leaves(tile.number * TILE_WIDTH, tile.width)
        if len(entries) != tile.width:
            # Some are not for whoever asks: a bundle with fewer would be another one.
            raise NotFoundError("tile", f"entries {tile.number}")
        return entry_bundle(entries)
    return b"".join(nodes(tile_nodes(tile)))


class TileNodes:
    """The hashes of complete subtrees, out of tiles: a ``NodeReader`` for proofs over a tree of one size.

    What the tiles say is not checked here: a proof made of wrong ones does not verify under the checkpoint.
    """

    def __init__(self, size: int, read: TileReader) -> None:
        self._size, self._read = size, read

    def __call__(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the hashes; raises InvalidInputError for a tile of another width, or a node beyond the tree."""
        tiles: dict[Tile, list[bytes]] = {}
        return [self._node(level, index, tiles) for level, index in wanted]

    def _node(self, level: int, index: int, tiles: dict[Tile, list[bytes]]) -> bytes:
        full, first = tile_of_node(level, index)
        width = width_in(self._size, full.level, full.number)
        end = first + (1 << level % TILE_HEIGHT)
        if end > width:
            raise InvalidInputError(Fault("node", f"{index} at level {level} is not complete in {self._size} leaves"))
        tile = Tile(full.level, full.number, width)
        if tile not in tiles:
            tiles[tile] = split_hashes(self._read(tile))
            if len(tiles[tile]) != width:
                raise InvalidInputError(Fault("tile", f"holds {len(tiles[tile])} hashes, not {width}"))
        hashes = tiles[tile][first:end]
        while len(hashes) > 1:
            hashes = list(map(node_hash, hashes[::2], hashes[1::2]))
        (hashed,) = hashes
        return hashed
