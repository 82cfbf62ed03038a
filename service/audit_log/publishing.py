"""The published log: checkpoint with its cosignatures, timestamped heads, tiles, entries, the verifier key.

It is served over HTTP and exported as files under the same names (C2SP tlog-tiles).
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from notifications.audit.note import VerifierKey, parse_verifier_key
from notifications.audit.tile_reading import tile_contents
from notifications.audit.tiles import Tile
from notifications.errors import Fault, InvalidInputError
from notifications.ports import SequencedEntry, TimestampedCheckpoint

ResultT = TypeVar("ResultT")

CHECKPOINT, VERIFIER_KEY = "checkpoint", "log.vkey"
#: The folder of timestamped heads, and the file in it with their sizes, one per line, in increasing order.
STAMPED, STAMPED_SIZES = "timestamped", "timestamped/sizes"


class PublishedTransaction(Protocol):
    """The unit of work of publishing."""

    def log_size(self) -> int:
        """Return the number of leaves under the latest checkpoint."""
        ...

    def log_checkpoint(self) -> bytes | None:
        """Return the latest signed checkpoint, or None before the first."""
        ...

    def log_node_hashes(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return hashes of complete subtrees."""
        ...

    def log_entries(self, start: int, limit: int) -> Sequence[SequencedEntry]:
        """Return at most ``limit`` sequenced entries, beginning at an index."""
        ...

    def cosignatures(self, size: int) -> Sequence[str]:
        """Return the cosignature lines of the checkpoint of a size."""
        ...

    def stamped_checkpoint(self, size: int | None = None) -> TimestampedCheckpoint | None:
        """Return the timestamped checkpoint of a size (None: the newest one), or None if there is none."""
        ...

    def stamped_sizes(self) -> Sequence[int]:
        """Return the sizes of the timestamped checkpoints, in increasing order."""
        ...


class Reads(Protocol):
    """Runs a function against one snapshot."""

    def __call__(self, work: Callable[[PublishedTransaction], ResultT]) -> Awaitable[ResultT]:
        """Return the result of ``work``."""
        ...


def published_checkpoint(tx: PublishedTransaction) -> bytes | None:
    """Return the latest checkpoint with its cosignatures so far, or None for an empty log."""
    note = tx.log_checkpoint()
    return None if note is None else note + "".join(tx.cosignatures(tx.log_size())).encode()


def published_sizes(tx: PublishedTransaction) -> bytes:
    """Return the sizes of the timestamped heads, one per line, in increasing order."""
    return "".join(f"{size}\n" for size in tx.stamped_sizes()).encode()


def stamped_paths(size: int) -> tuple[str, str]:
    """Return the paths of a timestamped head and of its token; the token is over the exact bytes of the first file."""
    return f"{STAMPED}/{size}.checkpoint", f"{STAMPED}/{size}.tsr"


def published_tile(tx: PublishedTransaction, tile: Tile) -> bytes:
    """Return the contents of a tile; raises NotFoundError if it is outside the tree."""

    def leaves(start: int, count: int) -> list[bytes]:
        return [entry.leaf for entry in tx.log_entries(start, count)]

    return tile_contents(tile, tx.log_size(), tx.log_node_hashes, leaves)


def read_verifier_keys(trust: Path) -> list[VerifierKey]:
    """Return the keys that the log is verified by, of a trust folder as customers have it; raises InvalidInputError."""
    path = trust / VERIFIER_KEY
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InvalidInputError(Fault("trust", f"{path} cannot be read: {error.strerror}")) from None
    return [parse_verifier_key(line) for line in lines if line.strip()]
