"""C2SP tlog-tiles: which tile holds which hash, the names of tiles, and their contents. Only arithmetic, no I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from notifications.audit.merkle import HASH_BYTES
from notifications.errors import Fault, InvalidInputError

#: A tile is a subtree of this height, and contains the 256 hashes of its lowest level.
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_ENTRY_BYTES = 65_535
_WRONG_COUNT = Fault("bundle", f"must hold 1 to {TILE_WIDTH} entries")
_MAX_LEVEL = 63
#: Seven groups of three digits name every tile of a tree of 2^63 leaves; ``tile_path`` says which is canonical.
_PATH = re.compile(
    r"tile/(?:(?P<level>[0-9]{1,2})|entries)/(?P<number>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[0-9]{1,3}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """The name of a tile."""

    #: level of tiles: its hashes are nodes of tree level ``8 * level``; None for a bundle of entries
    level: int | None
    number: int
    #: number of hashes or entries in it: 256 in a full tile
    width: int = TILE_WIDTH


def tiles_of(size: int, level: int | None) -> list[Tile]:
    """Return every tile of one level of a tree; the partial tile is last."""
    count = size >> (TILE_HEIGHT * (level or 0))
    full, width = divmod(count, TILE_WIDTH)
    return [Tile(level, number) for number in range(full)] + ([Tile(level, full, width)] if width else [])


def tile_path(tile: Tile) -> str:
    """Return the path of a tile, such as ``tile/0/x001/x234/067``; a partial tile ends in ``.p/<width>``."""
    if not 1 <= tile.width <= TILE_WIDTH or tile.number < 0:
        raise InvalidInputError(Fault("tile", f"must have a number from 0 and a width from 1 to {TILE_WIDTH}"))
    if tile.level is not None and not 0 <= tile.level <= _MAX_LEVEL:
        raise InvalidInputError(Fault("tile", f"must have a level from 0 to {_MAX_LEVEL}"))
    groups = [f"{tile.number % 1000:03d}"]
    rest = tile.number // 1000
    while rest:
        groups.insert(0, f"x{rest % 1000:03d}")
        rest //= 1000
    level = "entries" if tile.level is None else str(tile.level)
    suffix = "" if tile.width == TILE_WIDTH else f".p/{tile.width}"
    return f"tile/{level}/{'/'.join(groups)}{suffix}"


def parse_tile_path(path: str) -> Tile:
    """Return the tile of a path; raises InvalidInputError unless the path is the canonical one."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise InvalidInputError(Fault("path", "is no path of a tile"))
    level = None if match["level"] is None else int(match["level"])
    tile = Tile(level, int(match["number"].replace("x", "").replace("/", "")), int(match["width"] or TILE_WIDTH))
    if tile_path(tile) != path:
        raise InvalidInputError(Fault("path", "is no path of a tile"))
    return tile


def tile_nodes(tile: Tile) -> list[tuple[int, int]]:
    """Return the nodes (level, index) whose concatenated hashes are the contents of a tile of hashes."""
    if tile.level is None:
        raise InvalidInputError(Fault("tile", "holds entries, not hashes"))
    first = tile.number * TILE_WIDTH
    return [(TILE_HEIGHT * tile.level, index) for index in range(first, first + tile.width)]


def tile_of_node(level: int, index: int) -> tuple[Tile, int]:
    """Return the full tile that a node is in or is computed from, and the position of the node's first hash in it.

    A node whose level is not a multiple of 8 is not stored in a tile. It is the root over the ``2 ** (level % 8)``
    hashes of the returned tile that begin at the returned position.
    """
    tile_level, rise = divmod(level, TILE_HEIGHT)
    first = index << rise
    return Tile(tile_level, first >> TILE_HEIGHT), first % TILE_WIDTH


def split_hashes(data: bytes) -> list[bytes]:
    """Return the hashes of a tile; raises InvalidInputError unless there are 1 to 256 complete hashes."""
    if not data or len(data) % HASH_BYTES or len(data) > TILE_WIDTH * HASH_BYTES:
        raise InvalidInputError(Fault("tile", "does not hold whole hashes"))
    return [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)]


def entry_bundle(entries: Sequence[bytes]) -> bytes:
    """Return a bundle of 1 to 256 entries; the length of each precedes it, as big-endian uint16."""
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise InvalidInputError(_WRONG_COUNT)
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise InvalidInputError(Fault("entry", f"may have at most {MAX_ENTRY_BYTES} bytes"))
        parts.append(len(entry).to_bytes(2, "big") + entry)
    return b"".join(parts)


def parse_entry_bundle(data: bytes) -> list[bytes]:
    """Return the entries of a bundle; raises InvalidInputError if one is cut off, or unless there are 1 to 256."""
    entries: list[bytes] = []
    position = 0
    while position < len(data):
        if len(entries) == TILE_WIDTH:
            raise InvalidInputError(_WRONG_COUNT)
        length = int.from_bytes(data[position : position + 2], "big")
        entry = data[position + 2 : position + 2 + length]
        if position + 2 > len(data) or len(entry) != length:
            raise InvalidInputError(Fault("bundle", "is cut off"))
        entries.append(entry)
        position += 2 + length
    if not entries:
        raise InvalidInputError(_WRONG_COUNT)
    return entries
