"""The audit log as a tree: its size, its signed heads, their cosignatures and timestamps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class TimestampedCheckpoint:
    """A head of the log that a timestamp authority saw."""

    size: int
    #: the signed note that the token is over, without the lines of witnesses
    note: bytes
    #: the authority's response (RFC 3161, DER)
    token: bytes
    #: when it was obtained, by this service's clock; the authority's own time is in the token
    made_at: datetime


class LogRepository(Protocol):
    """The tree over the entries of the audit log, and its signed heads."""

    def size(self) -> int:
        """Return the number of sequenced entries under the latest checkpoint."""
        ...

    def checkpoint(self) -> bytes | None:
        """Return the latest signed checkpoint, or None before the first."""
        ...

    def node_hashes(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return hashes of complete subtrees: (level, index) with level 0 the leaf hashes.

        Raises LogUnavailableError where a hash is not there.
        """
        ...

    def cosignatures(self, size: int) -> Sequence[str]:
        """Return the lines that witnesses gave under the checkpoint of a size, by the witness's name."""
        ...

    def timestamped_checkpoint(self, size: int | None = None) -> TimestampedCheckpoint | None:
        """Return the checkpoint of a size, or (None) the newest one, that has a timestamp, or None."""
        ...

    def timestamped_sizes(self) -> Sequence[int]:
        """Return the sizes of the checkpoints that have a timestamp, rising."""
        ...


class Log(Protocol):
    """The sequenced audit log, as use cases wait for it."""

    async def included(self, entry_id: UUID) -> int:
        """Return the entry's index once a signed checkpoint covers it.

        Raises LogUnavailableError when the sequencer has stopped or refuses to sign. The entry stays pending.
        """
        ...
