"""The entries of the audit log."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.ports.paging import Page


@dataclass(frozen=True, slots=True)
class SequencedEntry:
    """An entry of the log that has a place in the tree."""

    index: int
    entry_id: UUID
    #: the exact leaf bytes
    leaf: bytes


class AuditRepository(Protocol):
    """The entries of the audit log. Every change is committed together with its entry."""

    def append(self, entries: Iterable[AuditEntry]) -> None:
        """Append entries in this order. They are pending until the sequencer has added them to the tree."""
        ...

    def get(self, entry_id: UUID) -> SequencedEntry | None:
        """Return an entry by id, or None while it is not sequenced."""
        ...

    def entries(self, start: int, limit: int) -> Sequence[SequencedEntry]:
        """Return at most ``limit`` sequenced entries, from an index upwards."""
        ...

    def about(
        self, kind: str, identifier: str, page: Page, *, newest_first: bool = False
    ) -> tuple[list[SequencedEntry], str | None]:
        """Return sequenced entries whose subjects name ``identifier`` under ``kind``, oldest first unless asked."""
        ...

    def openings(self, entry_id: UUID) -> dict[str, tuple[bytes, bytes]]:
        """Return commitment name to (salt, value) of an entry, without those that were erased."""
        ...
