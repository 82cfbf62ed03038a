"""The log as it is published: checkpoint with its cosignatures, timestamped heads, tiles, entries, the verifier key.

Served over HTTP and exported as files under the same names (C2SP tlog-tiles).
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from notifications.audit.tile_reading import tile_contents
from notifications.audit.tiles import Tile
from notifications.ports import Transaction

ResultT = TypeVar("ResultT")

CHECKPOINT, VERIFIER_KEY = "checkpoint", "log.vkey"
#: The folder of heads that a timestamp authority saw, and in it the list of their sizes, one a line, rising.
STAMPED, STAMPED_SIZES = "timestamped", "timestamped/sizes"


class Reads(Protocol):
    """Runs a work against one snapshot."""

    def __call__(self, work: Callable[[Transaction], ResultT]) -> Awaitable[ResultT]:
        """Return what the work returns."""
        ...


def published_checkpoint(tx: Transaction) -> bytes | None:
    """Return the latest checkpoint with the cosignatures that it has so far, or None before the first."""
    note = tx.log.checkpoint()
    return None if note is None else note + "".join(tx.log.cosignatures(tx.log.size())).encode()


def published_sizes(tx: Transaction) -> bytes:
    """Return the sizes of the timestamped heads, one a line, rising."""
    return "".join(f"{size}\n" for size in tx.log.timestamped_sizes()).encode()


def stamped_paths(size: int) -> tuple[str, str]:
    """Return where a timestamped head and its token stand: the token is over the exact bytes of the other file."""
    return f"{STAMPED}/{size}.checkpoint", f"{STAMPED}/{size}.tsr"


def published_tile(tx: Transaction, tile: Tile) -> bytes:
    """Return the contents of a tile; raises NotFoundError beyond the tree."""

    def leaves(start: int, count: int) -> list[bytes]:
        return [entry.leaf for entry in tx.audit.entries(start, count)]

    return tile_contents(tile, tx.log.size(), tx.log.node_hashes, leaves)
