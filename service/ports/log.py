"""What the sequencer needs of the store, beside ``notifications.ports``."""

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
    """What the sequencer needs of a unit of work."""

    def log_size(self) -> int:
        """Return the number of leaves under the latest checkpoint."""
        ...

    def log_checkpoint(self) -> bytes | None:
        """Return the latest signed checkpoint, or None before the first."""
        ...

    def log_node_hashes(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return hashes of complete subtrees; raises LogUnavailableError where one is not there."""
        ...

    def log_entry(self, entry_id: UUID) -> SequencedEntry | None:
        """Return an entry by id once it is sequenced."""
        ...

    def is_appended(self, entry_id: UUID) -> bool:
        """Whether the entry exists, pending or sequenced."""
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
        """Give the leaves the next indices, store the new complete nodes (level, index, hash) and the checkpoint.

        Raises StateConflictError unless the tree has ``expected_size`` leaves.
        """
        ...


class LogStore(Protocol):
    """Where the log is kept."""

    #: hooks after commit, given the kinds of things that changed; ``audit`` is what wakes the sequencer
    on_commit: list[Callable[[set[str]], None]]

    async def write(self, work: Callable[[LogTransaction], ResultT]) -> ResultT:
        """Run in a transaction; durable when it returns."""
        ...

    async def read(self, work: Callable[[LogTransaction], ResultT]) -> ResultT:
        """Run against one snapshot."""
        ...


class CosignatureTransaction(LogTransaction, Protocol):
    """What having heads cosigned needs of a unit of work."""

    def add_cosignature(self, size: int, witness: str, line: str, cosigned_at: datetime) -> None:
        """Keep a witness's line under the checkpoint of a size; one that it gave before stays as it is."""
        ...

    def cosignatures(self, size: int) -> list[str]:
        """Return the lines that witnesses gave under the checkpoint of a size, by the witness's name."""
        ...

    def last_cosigned(self, witness: str) -> tuple[int, datetime] | None:
        """Return the largest size that a witness cosigned, and when, or None."""
        ...


class CosignatureStore(Protocol):
    """Where cosignatures are kept."""

    async def write(self, work: Callable[[CosignatureTransaction], ResultT]) -> ResultT:
        """Run in a transaction; durable when it returns."""
        ...

    async def read(self, work: Callable[[CosignatureTransaction], ResultT]) -> ResultT:
        """Run against one snapshot."""
        ...


class CheckpointTimestampTransaction(Protocol):
    """What having heads timestamped needs of a unit of work."""

    def log_size(self) -> int:
        """Return the number of leaves under the latest checkpoint."""
        ...

    def log_checkpoint(self) -> bytes | None:
        """Return the latest signed checkpoint, or None before the first."""
        ...

    def stamped_checkpoint(self, size: int | None = None) -> TimestampedCheckpoint | None:
        """Return the checkpoint of a size, or (None) the newest one, that has a timestamp, or None."""
        ...

    def add_checkpoint_timestamp(self, size: int, token: bytes, made_at: datetime) -> None:
        """Keep a token over the checkpoint of a size; one that is there stays as it is."""
        ...


class CheckpointTimestampStore(Protocol):
    """Where timestamps over heads are kept."""

    async def write(self, work: Callable[[CheckpointTimestampTransaction], ResultT]) -> ResultT:
        """Run in a transaction; durable when it returns."""
        ...

    async def read(self, work: Callable[[CheckpointTimestampTransaction], ResultT]) -> ResultT:
        """Run against one snapshot."""
        ...
