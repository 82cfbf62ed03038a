"""The audit log under a scope: hashes for everybody, entries that concern a customer for its side."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.ports import (
    EntryFilter,
    Extent,
    LoggedHead,
    Page,
    SequencedEntry,
    TimestampedCheckpoint,
    intersected,
)
from service.auth.scope.visibility import ScopedRepository


class ScopedAudit(ScopedRepository):
    """The entries within; every change appends its own."""

    _name = "audit"

    def append(self, entries: Iterable[AuditEntry]) -> None:
        self._tx.audit.append(entries)

    def get(self, entry_id: UUID, *, within: tuple[Extent, ...] | None = None) -> SequencedEntry | None:
        return self._tx.audit.get(entry_id, within=self._limited(within))

    def at(self, index: int, *, within: tuple[Extent, ...] | None = None) -> SequencedEntry | None:
        return self._tx.audit.at(index, within=self._limited(within))

    def entries(self, start: int, limit: int, *, within: tuple[Extent, ...] | None = None) -> Sequence[SequencedEntry]:
        return self._tx.audit.entries(start, limit, within=self._limited(within))

    def about(
        self, kind: str, identifier: str, page: Page, *, newest_first: bool = False
    ) -> tuple[list[SequencedEntry], str | None]:
        limited = replace(page, within=self._limited(page.within))
        return self._tx.audit.about(kind, identifier, limited, newest_first=newest_first)

    def matching(
        self, wanted: EntryFilter, page: Page, *, newest_first: bool = False
    ) -> tuple[list[SequencedEntry], str | None]:
        limited = replace(page, within=self._limited(page.within))
        return self._tx.audit.matching(wanted, limited, newest_first=newest_first)

    def openings(self, entry_id: UUID) -> dict[str, tuple[bytes, bytes]]:
        return {} if self.get(entry_id) is None else self._tx.audit.openings(entry_id)

    def _limited(self, within: tuple[Extent, ...] | None) -> tuple[Extent, ...]:
        """Return the extents of the scope: all of a period at the provider, else what a customer was served."""
        extents = (
            Extent(
                reach.customer_id,
                reach.starts_at,
                reach.ends_at,
                served_only=not reach.at_provider,
                pseudonym=None if reach.customer_id is None else self._tx.customers.pseudonym(reach.customer_id),
            )
            for reach in self._scope.reaches
            if reach.at_provider or reach.customer_id is not None
        )
        return intersected(within, tuple(dict.fromkeys(extents)))


class ScopedLog(ScopedRepository):
    """The tree and its heads: they show nobody's data."""

    _name = "log"

    def size(self) -> int:
        return self._tx.log.size()

    def checkpoint(self) -> bytes | None:
        return self._tx.log.checkpoint()

    def heads(self, page: Page, *, confirmed: bool = False) -> tuple[list[LoggedHead], str | None]:
        return self._tx.log.heads(page, confirmed=confirmed)

    def head(self, size: int) -> LoggedHead | None:
        return self._tx.log.head(size)

    def cosignatures(self, size: int) -> Sequence[str]:
        return self._tx.log.cosignatures(size)

    def timestamped_checkpoint(self, size: int | None = None) -> TimestampedCheckpoint | None:
        return self._tx.log.timestamped_checkpoint(size)

    def timestamped_sizes(self) -> Sequence[int]:
        return self._tx.log.timestamped_sizes()

    def node_hashes(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        return self._tx.log.node_hashes(wanted)
