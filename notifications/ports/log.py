"""The tree over the audit log: its size, and its signed heads with cosignatures and timestamps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifications.ports.paging import Page


@dataclass(frozen=True, slots=True)
class TimestampedCheckpoint:
    """A head of the log with an RFC 3161 timestamp."""

    size: int
    #: the signed note that the timestamp covers, without the lines of witnesses
    note: bytes
    #: the authority's response (RFC 3161, DER)
    token: bytes
    #: time by this service's clock; the authority's own time is in the token
    made_at: datetime


@dataclass(frozen=True, slots=True)
class CosignedBy:
    """A witness's cosignature of a head."""

    witness: str
    #: by the witness's own clock
    at: datetime
    #: the signature line of the note
    line: str


@dataclass(frozen=True, slots=True)
class LoggedHead:
    """A signed head of the log, with what others said of it."""

    size: int
    #: the signed note, without the lines of witnesses
    note: bytes
    #: when its newest entry was recorded; None for the empty log
    recorded_at: datetime | None
    cosigned: tuple[CosignedBy, ...]
    #: the timestamp authority's response (RFC 3161, DER) over the note, or None
    token: bytes | None

    @property
    def cosigned_note(self) -> bytes:
        """The note with the lines of the witnesses."""
        return self.note + "".join(item.line for item in self.cosigned).encode()


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

        Raises LogUnavailableError if a hash is missing.
        """
        ...

    def heads(self, page: Page, *, confirmed: bool = False) -> tuple[list[LoggedHead], str | None]:
        """Return a page of heads, newest first; ``confirmed``: only those with a cosignature or a timestamp."""
        ...

    def head(self, size: int) -> LoggedHead | None:
        """Return the head of a size, or None."""
        ...

    def cosignatures(self, size: int) -> Sequence[str]:
        """Return the cosignature lines under the checkpoint of a size, sorted by the witness's name."""
        ...

    def timestamped_checkpoint(self, size: int | None = None) -> TimestampedCheckpoint | None:
        """Return the timestamped checkpoint of a size, or (None) the newest one; None if there is none."""
        ...

    def timestamped_sizes(self) -> Sequence[int]:
        """Return the sizes of the checkpoints that have a timestamp, in ascending order."""
        ...


class CheckpointTimestamps(Protocol):
    """Timestamps over checkpoints of the log, which date all that the checkpoint covers."""

    async def covering(self, size: int) -> TimestampedCheckpoint:
        """Return a timestamped checkpoint of at least this size, durable; one that is there already, or a new one.

        A signed checkpoint of this size must exist. Requests to the authority are shared: many callers wait for one.
        Raises TimestampUnavailableError if the authority gives no valid token; the caller decides whether to ask again.
        """
        ...


class Log(Protocol):
    """The sequenced audit log. Use cases wait until it includes an entry."""

    async def included(self, entry_id: UUID) -> int:
        """Wait until a signed checkpoint covers the entry, and return its index.

        Raises LogUnavailableError if the sequencer has stopped or refuses to sign. The entry then stays pending.
        """
        ...

    async def all_included(self, entry_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Wait until a signed checkpoint covers all these entries, and return their indices; raises as ``included``."""
        ...
