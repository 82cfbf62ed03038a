"""Make the contents of tiles, and read hashes from tiles: shared by the server and the reader of a log. No I/O."""

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
#: (index, count) to the ``count`` leaves that begin at ``index``.
LeafReader = Callable[[int, int], Sequence[bytes]]


def width_in(size: int, level: int | None, number: int) -> int:
    """Return how many hashes or entries a tile has in a tree of ``size`` leaves; 0 if there is no such tile."""
    count = size >> (TILE_HEIGHT * (level or 0))
    return max(0, min(TILE_WIDTH, count - number * TILE_WIDTH))


def tile_contents(tile: Tile, size: int, nodes: NodeReader, leaves: LeafReader) -> bytes:
    """Return the contents of a tile; raises NotFoundError if a tree of ``size`` leaves does not have it.

    A partial tile stays available after the tree has grown, because holders of an older checkpoint ask for it.
    """
    if tile.width > width_in(size, tile.level, tile.number):
        raise NotFoundError("tile", f"{tile.level} {tile.number} of width {tile.width}")
    if tile.level is None:
        entries = leaves(tile.number * TILE_WIDTH, tile.width)
        if len(entries) != tile.width:
            # The reader may not see some of the leaves. A bundle with fewer leaves would be a different bundle.
            raise NotFoundError("tile", f"entries {tile.number}")
        return entry_bundle(entries)
    return b"".join(nodes(tile_nodes(tile)))


class TileNodes:
    """A ``NodeReader`` that reads the hashes of complete subtrees from tiles, for proofs over a tree of one size.

    The hashes in the tiles are not checked: a proof made from wrong hashes does not verify under the checkpoint.
    """

    def __init__(self, size: int, read: TileReader) -> None:
        self._size, self._read = size, read

    def __call__(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the hashes; raises InvalidInputError for a tile of wrong width, or a node outside the tree."""
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
