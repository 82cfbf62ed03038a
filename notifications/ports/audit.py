"""The entries of the audit log."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.ports.paging import Extent, Page


@dataclass(frozen=True, slots=True)
class SequencedEntry:
    """An entry of the log that has a place in the tree."""

    index: int
    entry_id: UUID
    #: the exact leaf bytes
    leaf: bytes


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries of the log are wanted. None, or no subject, means any; all conditions must hold."""

    #: ``noun.verb_past``
    type: str | None = None
    actor: str | None = None
    #: kind and identifier of subjects, as in the entry
    subjects: tuple[tuple[str, str], ...] = ()
    #: the period of the entries' own moments: start inclusive, end exclusive
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    #: the first and the last index, both inclusive
    first_index: int | None = None
    last_index: int | None = None


class AuditRepository(Protocol):
    """The entries of the audit log. Every change is committed together with its entry.

    An extent (``within``, None for every entry) covers an entry by the entry's own moment; one of a customer covers the
    entries that name the customer; one of what was served covers no entry about a notice that was not sealed, and of an
    incident what happened until the latest notice that the customer got.
    """

    def append(self, entries: Iterable[AuditEntry]) -> None:
        """Append entries in this order. They are pending until the sequencer has added them to the tree."""
        ...

    def get(self, entry_id: UUID, *, within: tuple[Extent, ...] | None = None) -> SequencedEntry | None:
        """Return an entry by id, or None while it is not sequenced."""
        ...

    def some(self, entry_ids: Sequence[UUID]) -> dict[UUID, SequencedEntry]:
        """Return the entries with these ids, in one statement; one that is not sequenced is missing."""
        ...

    def at(self, index: int, *, within: tuple[Extent, ...] | None = None) -> SequencedEntry | None:
        """Return the entry at an index of the tree, or None."""
        ...

    def entries(self, start: int, limit: int, *, within: tuple[Extent, ...] | None = None) -> Sequence[SequencedEntry]:
        """Return the first ``limit`` sequenced entries from an index upwards; fewer only at the end of the log."""
        ...

    def about(
        self, kind: str, identifier: str, page: Page, *, newest_first: bool = False
    ) -> tuple[list[SequencedEntry], str | None]:
        """Return sequenced entries whose subjects name ``identifier`` under ``kind``, oldest first unless asked."""
        ...

    def matching(
        self, wanted: EntryFilter, page: Page, *, newest_first: bool = False
    ) -> tuple[list[SequencedEntry], str | None]:
        """Return sequenced entries that meet a filter, oldest first unless asked.

        Finding a page costs what the most selective of subject, actor and kind has, not what the log has.
        """
        ...

    def openings(self, entry_id: UUID) -> dict[str, tuple[bytes, bytes]]:
        """Return commitment name to (salt, value) of an entry, without those that were erased."""
        ...

    def openings_of(self, entry_ids: Sequence[UUID]) -> dict[UUID, dict[str, tuple[bytes, bytes]]]:
        """Return ``openings`` of several entries, in one statement; an entry without any is missing."""
        ...
