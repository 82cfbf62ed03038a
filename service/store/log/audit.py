"""The entries of the audit log, as they are appended.

An entry is pending from the commit of its change until the sequencer gives it an index. The order of positions is the
order of commits, because write jobs are serialised.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select

from notifications.audit.entry import AuditEntry, leaf_bytes
from notifications.ports import Page, SequencedEntry
from service.ports.log import PendingLeaf
from service.store.sql.paging import FIRST, LAST, paged, start_of
from service.store.sql.records import Records
from service.store.sql.statements import compiled, insert_of, limited
from service.store.tables import (
    AuditEntryRow,
    AuditOpeningRow,
    AuditSubjectRow,
    LogLeafRow,
    table,
)

_entries, _subjects, _openings = table(AuditEntryRow).c, table(AuditSubjectRow).c, table(AuditOpeningRow).c
_leaves = table(LogLeafRow).c

_LAST_POSITION = compiled(select(func.max(_entries.position)))
_INSERT_ENTRY = compiled(
    table(AuditEntryRow).insert().values({name: bindparam(name) for name in ("position", "id", "leaf")}),
    "position", "id", "leaf",
)  # fmt: skip
_INSERT_SUBJECT, _INSERT_OPENING = insert_of(AuditSubjectRow), insert_of(AuditOpeningRow)
_LAST_SEQUENCED = limited(select(_leaves.position).order_by(_leaves.leaf_index.desc()))
_PENDING = limited(
    select(_entries.position, _entries.id, _entries.leaf)
    .where(_entries.position > bindparam("after"))
    .order_by(_entries.position),
    "after",
)
_SEQUENCED = (_leaves.leaf_index, _entries.id, _entries.leaf)
_sequenced = table(LogLeafRow).join(table(AuditEntryRow), _entries.position == _leaves.position)
_FROM_INDEX = limited(
    select(*_SEQUENCED)
    .select_from(_sequenced)
    .where(_leaves.leaf_index >= bindparam("start"))
    .order_by(_leaves.leaf_index),
    "start",
)
_BY_ENTRY_ID = compiled(select(*_SEQUENCED).select_from(_sequenced).where(_entries.id == bindparam("id")), "id")
# Ordered by position, which increases with the index. So the key of the subjects finds a page without earlier rows.
_about = (
    select(_subjects.position, *_SEQUENCED)
    .select_from(
        table(AuditSubjectRow)
        .join(table(LogLeafRow), _leaves.position == _subjects.position)
        .join(table(AuditEntryRow), _entries.position == _subjects.position)
    )
    .where(_subjects.kind == bindparam("kind"), _subjects.identifier == bindparam("identifier"))
)
_ABOUT = limited(
    _about.where(_subjects.position > bindparam("after")).order_by(_subjects.position), "kind", "identifier", "after"
)
_ABOUT_NEWEST_FIRST = limited(
    _about.where(_subjects.position < bindparam("before")).order_by(_subjects.position.desc()),
    "kind",
    "identifier",
    "before",
)
_OPENINGS = compiled(
    select(_openings.name, _openings.salt, _openings.value)
    .select_from(table(AuditOpeningRow).join(table(AuditEntryRow), _entries.position == _openings.position))
    .where(_entries.id == bindparam("id")),
    "id",
)
_IS_APPENDED = compiled(select(_entries.position).where(_entries.id == bindparam("id")), "id")


def _entry_of_row(*row: Any) -> SequencedEntry:
    index, entry_id, leaf = row
    return SequencedEntry(index, UUID(bytes=entry_id), leaf)


class AuditRecords(Records):
    """Implements ``service.ports.log.SequencedAuditRepository``."""

    def append(self, entries: Iterable[AuditEntry]) -> None:
        """Append entries, pending, in the order given."""
        position = self._number(_LAST_POSITION)
        leaves: list[tuple[int, bytes, bytes]] = []
        subjects: list[tuple[str, str, int]] = []
        openings: list[tuple[int, str, bytes, bytes]] = []
        for entry in entries:
            position += 1
            leaves.append((position, entry.id.bytes, leaf_bytes(entry)))
            subjects += [(kind, identifier, position) for kind, identifier in entry.subjects.items()]
            openings += [(position, opening.name, opening.salt, opening.value) for opening in entry.openings]
        if leaves:
            self._session.execute_many(_INSERT_ENTRY, leaves)
            # In the order of their key, so that the engine walks its tree once and in one direction.
            self._session.execute_many(_INSERT_SUBJECT, sorted(subjects))
            self._session.execute_many(_INSERT_OPENING, openings)
            self._changed("audit")

    def entries(self, start: int, limit: int) -> Sequence[SequencedEntry]:
        """Return sequenced entries from an index on."""
        return [_entry_of_row(*row) for row in self._session.all(_FROM_INDEX, (start, limit))]

    def about(
        self, kind: str, identifier: str, page: Page, *, newest_first: bool = False
    ) -> tuple[list[SequencedEntry], str | None]:
        """Return sequenced entries whose subjects name ``identifier`` under ``kind``, oldest first unless asked."""
        listing, first, statement = (
            ("newest", LAST, _ABOUT_NEWEST_FIRST) if newest_first else ("entries", FIRST, _ABOUT)
        )
        start = start_of(listing, page, first)
        rows = self._session.all(statement, (kind, identifier, start, page.limit + 1))
        return paged(listing, page, rows, _entry_of_row)

    def get(self, entry_id: UUID) -> SequencedEntry | None:
        """Return an entry by id once it is sequenced."""
        row = self._session.one(_BY_ENTRY_ID, (entry_id.bytes,))
        return None if row is None else _entry_of_row(*row)

    def openings(self, entry_id: UUID) -> dict[str, tuple[bytes, bytes]]:
        """Return commitment name to (salt, value) of an entry; erased ones are missing."""
        return {name: (salt, value) for name, salt, value in self._session.all(_OPENINGS, (entry_id.bytes,))}

    def is_appended(self, entry_id: UUID) -> bool:
        """Return whether the entry exists, pending or sequenced."""
        return self._session.one(_IS_APPENDED, (entry_id.bytes,)) is not None

    def pending(self, limit: int) -> list[PendingLeaf]:
        """Return entries that have no index yet, in the order they were committed."""
        row = self._session.one(_LAST_SEQUENCED, (1,))
        last = 0 if row is None else row[0]
        return [PendingLeaf(*row) for row in self._session.all(_PENDING, (last, limit))]
