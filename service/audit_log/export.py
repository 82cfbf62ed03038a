"""The log as files, for any web server or object store.

They are ``checkpoint``, ``log.vkey``, ``log.policy``, ``tile/…`` and ``timestamped/…``.

Each file is either complete or absent, and is on disk before the next step. A checkpoint is written after every tile
that it needs. So a reader during an export finds the previous state of the log. A second run writes only new files.
"""

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
    POLICY,
    STAMPED_SIZES,
    VERIFIER_KEY,
    Reads,
    published_checkpoint,
    published_tile,
    stamped_paths,
)
from service.system.atomic_files import replace_file
from service.system.input_files import read_file

#: Number of tiles that are read from one snapshot. Different tiles may come from different snapshots, because the
#: contents of a tile of a given width never change.
_TILES_AT_ONCE = 16


async def export_log(
    read: Reads,
    folder: Path,
    verifier_keys: str,
    progress: Callable[[int], None] = lambda _tiles: None,
    *,
    policy: bytes | None = None,
) -> Checkpoint | None:
    """Write the log into a folder; returns the checkpoint exported, or None for a log without entries.

    Raises InvalidInputError if the folder contains another log, or a later state of this one; OSError.

    1. Read the latest checkpoint. The folder must be empty or contain an earlier state of the same tree.
    2. Write the missing tiles and bundles, the verifier keys and the ``policy`` to disk.
    3. Write the checkpoint.
    4. Write the earlier heads that were timestamped, each with its token, and then the list of them.
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
            _write(folder / tile_path(tile), content)
        progress(len(some))
    _write(folder / VERIFIER_KEY, verifier_keys.encode())
    if policy is not None:
        _write(folder / POLICY, policy)
    # 3.
    _write(folder / CHECKPOINT, note)
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
        _write(checkpoint_path, found.note)
        _write(token_path, found.token)
    _write(folder / STAMPED_SIZES, "".join(f"{stamped}\n" for stamped in sizes).encode())


def _stamped(tx: Transaction, size: int) -> TimestampedCheckpoint:
    found = tx.log.timestamped_checkpoint(size)
    if found is None:
        raise NotFoundError("timestamped checkpoint", size)
    return found


def tile_count(size: int) -> int:
    """Return the number of tiles and bundles of a tree with ``size`` leaves."""
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


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content, 0o644)


def _read(path: Path) -> bytes | None:
    return read_file(path) if path.exists() else None


class ExportedLog:
    """Reads an exported folder. Not checked: its contents; proofs made from wrong contents do not verify."""

    def __init__(self, folder: Path) -> None:
        note = _read(folder / CHECKPOINT)
        if note is None:
            raise InvalidInputError(
                Fault("log", f"{folder} holds no checkpoint: name a folder that greffier log export made")
            )
        self.folder, self.note = folder, note
        self.checkpoint = parse_checkpoint_note(note)

    def tile(self, tile: Tile) -> bytes:
        """Return the contents of a tile, taken from a wider tile if this width is missing; raises NotFoundError."""
        exact = _read(self.folder / tile_path(tile))
        if exact is not None:
            return exact
        whole = _read(self.folder / tile_path(Tile(tile.level, tile.number, TILE_WIDTH)))
        if whole is None or tile.level is None:
            raise NotFoundError("tile", tile_path(tile))
        return whole[: 32 * tile.width]
