"""The log as files, for any web server or object store: ``checkpoint``, ``log.vkey``, ``tile/…``, ``timestamped/…``.

Each file is whole or not there, and on disk before the next step. A checkpoint appears after every tile that it needs,
so that a reader who comes in the middle of an export finds the log as it was before. Run again, it writes what is new.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from notifications.audit.checkpoint import Checkpoint, parse_checkpoint_note, verify_checkpoint
from notifications.audit.merkle import tree_root
from notifications.audit.note import parse_verifier_key
from notifications.audit.tiles import TILE_WIDTH, Tile, tile_path, tiles_of
from notifications.errors import Fault, InvalidInputError, NotFoundError, VerificationError
from notifications.ports import TimestampedCheckpoint, Transaction
from service.audit_log.publishing import (
    CHECKPOINT,
    STAMPED_SIZES,
    VERIFIER_KEY,
    Reads,
    published_checkpoint,
    published_tile,
    stamped_paths,
)

#: Tiles read from one snapshot: what a tile holds at its width never changes, so that they need not be from one.
_TILES_AT_ONCE = 16


async def export_log(
    read: Reads, folder: Path, verifier_keys: str, progress: Callable[[int], None] = lambda _tiles: None
) -> Checkpoint | None:
    """Write the log into a folder; returns the checkpoint exported, or None for a log without entries.

    Raises InvalidInputError for a folder that holds another log, or a later state of this one; OSError.

    1. Take the latest checkpoint. What the folder holds must be an earlier state of the same tree.
    2. Write the tiles and bundles that are not there, the verifier keys, and bring them to disk.
    3. Write the checkpoint.
    4. Write the heads of before that were timestamped, each with its token, and then the list of them.
    """
    # 1.
    note = await read(published_checkpoint)
    if note is None:
        return None
    checkpoint = parse_checkpoint_note(note)
    before = _read(folder / CHECKPOINT)
    if before is not None:
        await read(lambda tx: _verify_grown(tx, before, checkpoint, verifier_keys))
    # 2.
    wanted = [tile for tile in _tiles(checkpoint.size) if not (folder / tile_path(tile)).exists()]
    for start in range(0, len(wanted), _TILES_AT_ONCE):
        some = wanted[start : start + _TILES_AT_ONCE]
        contents = await read(partial(_contents, tiles=some))
        for tile, content in zip(some, contents, strict=True):
            write_whole(folder / tile_path(tile), content)
        progress(len(some))
    write_whole(folder / VERIFIER_KEY, verifier_keys.encode())
    # 3.
    write_whole(folder / CHECKPOINT, note)
    # 4.
    await _export_stamped(read, folder, checkpoint.size)
    return checkpoint


async def _export_stamped(read: Reads, folder: Path, size: int) -> None:
    """Write the timestamped heads up to a size: what is listed is there, whole."""
    sizes = [stamped for stamped in await read(lambda tx: tx.log.timestamped_sizes()) if stamped <= size]
    for stamped in sizes:
        checkpoint_path, token_path = (folder / path for path in stamped_paths(stamped))
        if token_path.exists() and checkpoint_path.exists():
            continue
        found = await read(partial(_stamped, size=stamped))
        write_whole(checkpoint_path, found.note)
        write_whole(token_path, found.token)
    write_whole(folder / STAMPED_SIZES, "".join(f"{stamped}\n" for stamped in sizes).encode())


def _stamped(tx: Transaction, size: int) -> TimestampedCheckpoint:
    found = tx.log.timestamped_checkpoint(size)
    if found is None:
        raise NotFoundError("timestamped checkpoint", size)
    return found


def tile_count(size: int) -> int:
    """Return how many tiles and bundles a tree of so many leaves has."""
    return len(_tiles(size))


def _tiles(size: int) -> list[Tile]:
    tiles, level = tiles_of(size, None), 0
    while size >> (8 * level):
        tiles += tiles_of(size, level)
        level += 1
    return tiles


def _contents(tx: Transaction, tiles: list[Tile]) -> list[bytes]:
    return [published_tile(tx, tile) for tile in tiles]


def _verify_grown(tx: Transaction, before: bytes, now: Checkpoint, verifier_keys: str) -> None:
    keys = [parse_verifier_key(line) for line in verifier_keys.splitlines() if line]
    try:
        earlier = verify_checkpoint(before, *keys)
    except (InvalidInputError, VerificationError) as error:
        raise InvalidInputError(Fault("folder", f"holds a checkpoint that is not of this log: {error}")) from None
    if earlier.size > now.size:
        raise InvalidInputError(Fault("folder", f"holds {earlier.size} entries, the log {now.size}: it went back"))
    if tree_root(earlier.size, tx.log.node_hashes) != earlier.root:
        raise InvalidInputError(Fault("folder", f"holds other entries than the first {earlier.size} of this log"))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there as a whole, on disk, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


class ExportedLog:
    """An exported folder, read back; what it says is verified by whoever verifies the proofs made of it."""

    def __init__(self, folder: Path) -> None:
        note = _read(folder / CHECKPOINT)
        if note is None:
            raise InvalidInputError(Fault("log", f"{folder} holds no checkpoint"))
        self.folder, self.note = folder, note
        self.checkpoint = parse_checkpoint_note(note)

    def tile(self, tile: Tile) -> bytes:
        """Return the contents of a tile; where the exact width is gone, of a wider one. Raises NotFoundError."""
        exact = _read(self.folder / tile_path(tile))
        if exact is not None:
            return exact
        whole = _read(self.folder / tile_path(Tile(tile.level, tile.number, TILE_WIDTH)))
        if whole is None or tile.level is None:
            raise NotFoundError("tile", tile_path(tile))
        return whole[: 32 * tile.width]
