"""What the sequencer and those who witness or timestamp the log need of the store."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

from notifications.ports.audit import AuditRepository
from notifications.ports.log import LogRepository

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


class SequencedAuditRepository(AuditRepository, Protocol):
    """The entries of the audit log, with those that the tree does not have yet."""

    def is_appended(self, entry_id: UUID) -> bool:
        """Return whether the entry exists, pending or sequenced."""
        ...

    def pending(self, limit: int) -> list[PendingLeaf]:
        """Return entries that have no index yet, in the order they were committed."""
        ...


class SequencedLogRepository(LogRepository, Protocol):
    """The tree over the entries, as it grows and as others confirm it."""

    def grow(
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

    def add_cosignature(self, size: int, witness: str, line: str, cosigned_at: datetime) -> None:
        """Keep a witness's line under the checkpoint of a size; one that it gave before stays as it is."""
        ...

    def last_cosigned(self, witness: str) -> tuple[int, datetime] | None:
        """Return the largest size that a witness cosigned, and when, or None."""
        ...

    def add_timestamp(self, size: int, token: bytes, made_at: datetime) -> None:
        """Keep a token over the checkpoint of a size; one that is there stays as it is."""
        ...


class LogTransaction(Protocol):
    """What keeping the log needs of a unit of work."""

    @property
    def audit(self) -> SequencedAuditRepository:
        """The entries of the audit log."""
        ...

    @property
    def log(self) -> SequencedLogRepository:
        """The tree over the entries, and its signed heads."""
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
