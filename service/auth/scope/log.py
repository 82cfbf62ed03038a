"""The audit log under a scope: hashes for everybody, entries that concern a customer for its side."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.notice import NoticeState
from notifications.ports import Page, SequencedEntry, TimestampedCheckpoint
from service.auth.scope.visibility import ScopedRepository

#: Entries read at a time while looking for one more that is within.
_LOOK_AHEAD = 100


class ScopedAudit(ScopedRepository):
    """The entries within; every change appends its own."""

    _name = "audit"

    def append(self, entries: Iterable[AuditEntry]) -> None:
        self._tx.audit.append(entries)

    def entries(self, start: int, limit: int) -> Sequence[SequencedEntry]:
        return [entry for entry in self._tx.audit.entries(start, limit) if self._shows_entry(entry)]

    def about(
        self, kind: str, identifier: str, page: Page, *, newest_first: bool = False
    ) -> tuple[list[SequencedEntry], str | None]:
        """Return a page of the entries within: full, and followed by another only where an entry is in it.

        Only the leaf of an entry says what it is about, so no statement can filter. The page is read until it is full,
        and then until one more entry within is found.
        """
        shown: list[SequencedEntry] = []
        cursor = page.cursor
        while len(shown) < page.limit:
            found, cursor = self._tx.audit.about(
                kind, identifier, Page(page.limit - len(shown), cursor), newest_first=newest_first
            )
            shown += filter(self._shows_entry, found)
            if cursor is None:
                return shown, None
        ahead: str | None = cursor
        while ahead is not None:
            found, ahead = self._tx.audit.about(kind, identifier, Page(_LOOK_AHEAD, ahead), newest_first=newest_first)
            if any(map(self._shows_entry, found)):
                return shown, cursor
        return shown, None

    def get(self, entry_id: UUID) -> SequencedEntry | None:
        entry = self._tx.audit.get(entry_id)
        return entry if entry is not None and self._shows_entry(entry) else None

    def openings(self, entry_id: UUID) -> dict[str, tuple[bytes, bytes]]:
        return {} if self.get(entry_id) is None else self._tx.audit.openings(entry_id)

    def _shows_entry(self, entry: SequencedEntry) -> bool:
        """Whether an entry is within: all of a period at the provider, else those that name a customer within."""
        leaf = json.loads(entry.leaf)
        at = datetime.fromisoformat(leaf["at"])
        if self._scope.covers(None, at, served=False):
            return True
        named = leaf["subjects"].get("customer")
        return any(
            named == self._tx.customers.pseudonym(customer_id)
            and self._scope.covers(customer_id, at)
            and self._was_served(customer_id, leaf["subjects"], at)
            for customer_id in self._scope.customer_ids or ()
        )

    def _was_served(self, customer_id: UUID, subjects: dict[str, str], at: datetime) -> bool:
        """Whether a customer was served what an entry of a moment is about.

        It sees no draft. Of an incident it sees what happened until the latest notice that it was served.
        """
        if "notice" in subjects:
            return self._notice(UUID(subjects["notice"])) is not None
        if "incident" not in subjects:
            return True
        return any(
            notice.state is NoticeState.SEALED and notice.sealed_at is not None and at <= notice.sealed_at
            for notice in self._tx.notices.of_incident(UUID(subjects["incident"]), customer_id)
        )


class ScopedLog(ScopedRepository):
    """The tree and its heads: they show nobody's data."""

    _name = "log"

    def size(self) -> int:
        return self._tx.log.size()

    def checkpoint(self) -> bytes | None:
        return self._tx.log.checkpoint()

    def cosignatures(self, size: int) -> Sequence[str]:
        return self._tx.log.cosignatures(size)

    def timestamped_checkpoint(self, size: int | None = None) -> TimestampedCheckpoint | None:
        return self._tx.log.timestamped_checkpoint(size)

    def timestamped_sizes(self) -> Sequence[int]:
        return self._tx.log.timestamped_sizes()

    def node_hashes(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        return self._tx.log.node_hashes(wanted)
