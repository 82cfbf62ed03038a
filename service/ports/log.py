"""The part of the store that the log needs, in addition to ``notifications.ports``."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

from notifications.ports import SequencedEntry, TimestampedCheckpoint

ResultT = TypeVar("ResultT")


class PendingLeaf(NamedTuple):
    """An entry that has no index yet."""

    #: order of commit
    position: int
    #: the entry's id, as its 16 bytes
    id: bytes
    #: the exact leaf bytes, as stored with the change
    leaf: bytes

    @property
    def entry_id(self) -> UUID:
        """The entry's id."""
        return UUID(bytes=self.id)


class LogTransaction(Protocol):
    """The unit of work of the sequencer."""

    def log_size(self) -> int:
        """Return the number of leaves under the latest checkpoint."""
        ...

    def log_checkpoint(self) -> bytes | None:
        """Return the latest signed checkpoint, or None before the first."""
        ...

    def log_node_hashes(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return hashes of complete subtrees; raises LogUnavailableError if one is missing."""
        ...

    def log_entry(self, entry_id: UUID) -> SequencedEntry | None:
        """Return an entry by id if it is sequenced, else None."""
        ...

    def is_appended(self, entry_id: UUID) -> bool:
        """Return whether the entry exists, pending or sequenced."""
        ...

    def pending_leaves(self, limit: int) -> list[PendingLeaf]:
        """Return entries that have no index yet, in the order they were committed."""
        ...

    def grow_tree(
        self,
        expected_size: int,
        leaves: Sequence[PendingLeaf],
        nodes: Sequence[tuple[int, int, bytes]],
        checkpoint: bytes,
    ) -> None:
        """Give the leaves the next indices, and store the new complete nodes (level, index, hash) and the checkpoint.

        Raises StateConflictError unless the tree has ``expected_size`` leaves.
        """
        ...


class LogStore(Protocol):
    """The store of the log."""

    #: hooks after commit; they get the kinds of things that changed. ``audit`` wakes the sequencer.
    on_commit: list[Callable[[set[str]], None]]

    async def write(self, work: Callable[[LogTransaction], ResultT]) -> ResultT:
        """Run in a transaction; durable when it returns."""
        ...

    async def read(self, work: Callable[[LogTransaction], ResultT]) -> ResultT:
        """Run against one snapshot."""
        ...


class CosignatureTransaction(LogTransaction, Protocol):
    """The unit of work for cosignatures."""

    def add_cosignature(self, size: int, witness: str, line: str, cosigned_at: datetime) -> None:
        """Store a witness's cosignature of the checkpoint of a size; an existing one of this witness is kept."""
        ...

    def cosignatures(self, size: int) -> list[str]:
        """Return the cosignature lines of the checkpoint of a size, in the order of the witnesses' names."""
        ...

    def last_cosigned(self, witness: str) -> tuple[int, datetime] | None:
        """Return the largest size that a witness cosigned, and the time of that, or None."""
        ...


class CosignatureStore(Protocol):
    """The store of cosignatures."""

    async def write(self, work: Callable[[CosignatureTransaction], ResultT]) -> ResultT:
        """Run in a transaction; durable when it returns."""
        ...

    async def read(self, work: Callable[[CosignatureTransaction], ResultT]) -> ResultT:
        """Run against one snapshot."""
        ...


class CheckpointTimestampTransaction(Protocol):
    """The unit of work for timestamps over checkpoints."""

    def log_size(self) -> int:
        """Return the number of leaves under the latest checkpoint."""
        ...

    def log_checkpoint(self) -> bytes | None:
        """Return the latest signed checkpoint, or None before the first."""
        ...

    def stamped_checkpoint(self, size: int | None = None) -> TimestampedCheckpoint | None:
        """Return the timestamped checkpoint of a size (None: the newest one), or None if there is none."""
        ...

    def add_checkpoint_timestamp(self, size: int, token: bytes, made_at: datetime) -> None:
        """Store a token over the checkpoint of a size; an existing token is kept."""
        ...


class CheckpointTimestampStore(Protocol):
    """The store of timestamps over checkpoints."""

    async def write(self, work: Callable[[CheckpointTimestampTransaction], ResultT]) -> ResultT:
        """Run in a transaction; durable when it returns."""
        ...

    async def read(self, work: Callable[[CheckpointTimestampTransaction], ResultT]) -> ResultT:
        """Run against one snapshot."""
        ...
