"""The published log: checkpoint with its cosignatures, timestamped heads, tiles, entries, the verifier key.

It is served over HTTP and exported as files under the same names (C2SP tlog-tiles).
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeVar

from notifications.audit.note import VerifierKey, parse_verifier_key
from notifications.audit.tile_reading import tile_contents
from notifications.audit.tiles import Tile
from notifications.errors import Fault, InvalidInputError
from notifications.ports import Transaction

ResultT = TypeVar("ResultT")

CHECKPOINT, VERIFIER_KEY = "checkpoint", "log.vkey"
#: The trust policy (c2sp.org/tlog-policy) that an export has beside the log; it is not served.
POLICY = "log.policy"
#: The folder of timestamped heads, and the file in it with their sizes, one per line, in increasing order.
STAMPED, STAMPED_SIZES = "timestamped", "timestamped/sizes"


class Reads(Protocol):
    """Runs a function against one snapshot."""

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
    """Return the paths of a timestamped head and of its token; the token is over the exact bytes of the first file."""
    return f"{STAMPED}/{size}.checkpoint", f"{STAMPED}/{size}.tsr"


def published_tile(tx: Transaction, tile: Tile) -> bytes:
    """Return the contents of a tile; raises NotFoundError beyond the tree."""

    def leaves(start: int, count: int) -> list[bytes]:
        # Under a limited view later entries take the places of those beyond it. Then the tile is not whole.
        return [entry.leaf for entry in tx.audit.entries(start, count) if entry.index < start + count]

    return tile_contents(tile, tx.log.size(), tx.log.node_hashes, leaves)


def read_verifier_keys(trust: Path) -> list[VerifierKey]:
    """Return the keys that the log is verified by, of a trust folder as customers have it; raises InvalidInputError."""
    path = trust / VERIFIER_KEY
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InvalidInputError(Fault("trust", f"{path} cannot be read: {error.strerror}")) from None
    return [parse_verifier_key(line) for line in lines if line.strip()]
