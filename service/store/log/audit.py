"""The entries of the audit log, as they are appended.

An entry is pending from the commit of its change until the sequencer gives it an index. The order of positions is the
order of commits, because write jobs are serialised.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, func, select

from notifications.audit.entry import AuditEntry, leaf_bytes
from notifications.ports import EntryFilter, Extent, Page, SequencedEntry
from service.ports.log import PendingLeaf
from service.store.log.entry_extents import entries_within, entry_extent_values
from service.store.log.entry_filter import (
    FIRST_SINCE,
    LAST_BEFORE,
    OUT_OF_ORDER,
    POSITION_AT,
    statement_of,
    values_of,
)
from service.store.sql.encoding import to_microseconds
from service.store.sql.paging import FIRST, LAST, Shape, paged, shapes_of, start_of
from service.store.sql.records import Records
from service.store.sql.statements import among, compiled, insert_of, limited
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
_ENTRY_COLUMNS = ("position", "id", "leaf", "recorded_at", "incident_id", "notice_id", "type", "actor")
INSERT_ENTRY = compiled(
    table(AuditEntryRow).insert().values({name: bindparam(name) for name in _ENTRY_COLUMNS}), *_ENTRY_COLUMNS
)
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
_any = select(*_SEQUENCED).select_from(_sequenced)
_from_index = (
    select(*_SEQUENCED)
    .select_from(_sequenced)
    .where(_leaves.leaf_index >= bindparam("start"))
    .order_by(_leaves.leaf_index)
)
_at_index = select(*_SEQUENCED).select_from(_sequenced).where(_leaves.leaf_index == bindparam("index"))
_by_entry_id = select(*_SEQUENCED).select_from(_sequenced).where(_entries.id == bindparam("id"))
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
_about_after = _about.where(_subjects.position > bindparam("position")).order_by(_subjects.position)
_about_before = _about.where(_subjects.position < bindparam("position")).order_by(_subjects.position.desc())
_OPENINGS = compiled(
    select(_openings.name, _openings.salt, _openings.value)
    .select_from(table(AuditOpeningRow).join(table(AuditEntryRow), _entries.position == _openings.position))
    .where(_entries.id == bindparam("id")),
    "id",
)
_any_openings = select(_entries.id, _openings.name, _openings.salt, _openings.value).select_from(
    table(AuditOpeningRow).join(table(AuditEntryRow), _entries.position == _openings.position)
)
_IS_APPENDED = compiled(select(_entries.position).where(_entries.id == bindparam("id")), "id")


@lru_cache(maxsize=64)
def _within(statement: Select[Any], names: tuple[str, ...], shapes: tuple[Shape, ...] | None) -> str:
    """Return a statement limited to extents of these shapes, and to a number of rows."""
    if shapes is None:
        return limited(statement, *names)
    covered, more = entries_within(shapes)
    return limited(statement.where(covered), *names, *more)


def row_of_entry(position: int, entry: AuditEntry, leaf: bytes) -> tuple[object, ...]:
    """Return the row of an entry, for ``INSERT_ENTRY``."""
    # An announcement has the life of an incident: what was served of it is found in the same way.
    subject = entry.subjects.get("incident") or entry.subjects.get("announcement")
    about = (subject, entry.subjects.get("notice"))
    named = [None if identifier is None else UUID(identifier).bytes for identifier in about]
    return position, entry.id.bytes, leaf, to_microseconds(entry.at), *named, entry.type, entry.actor


def _entry_of_row(*row: Any) -> SequencedEntry:
    index, entry_id, leaf = row
    return SequencedEntry(index, UUID(bytes=entry_id), leaf)


class AuditRecords(Records):
    """Implements ``service.ports.log.SequencedAuditRepository``."""

    def append(self, entries: Iterable[AuditEntry]) -> None:
        """Append entries, pending, in the order given."""
        position = self._number(_LAST_POSITION)
        leaves: list[tuple[object, ...]] = []
        subjects: list[tuple[str, str, int]] = []
        openings: list[tuple[int, str, bytes, bytes]] = []
        for entry in entries:
            position += 1
            leaves.append(row_of_entry(position, entry, leaf_bytes(entry)))
            subjects += [(kind, identifier, position) for kind, identifier in entry.subjects.items()]
            openings += [(position, opening.name, opening.salt, opening.value) for opening in entry.openings]
        if leaves:
            self._session.execute_many(INSERT_ENTRY, leaves)
            # In the order of their key, so that the engine walks its tree once and in one direction.
            self._session.execute_many(_INSERT_SUBJECT, sorted(subjects))
            self._session.execute_many(_INSERT_OPENING, openings)
            self._changed("audit")

    def entries(self, start: int, limit: int, *, within: tuple[Extent, ...] | None = None) -> Sequence[SequencedEntry]:
        """Return the first ``limit`` sequenced entries from an index on.

        Entries before and after a period are read over once: their times are nearly in order, but not quite.
        """
        page = Page(limit, within=within)
        statement = _within(_from_index, ("start",), shapes_of(page))
        rows = self._session.all(statement, (start, *entry_extent_values(page), limit))
        return [_entry_of_row(*row) for row in rows]

    def about(
        self, kind: str, identifier: str, page: Page, *, newest_first: bool = False
    ) -> tuple[list[SequencedEntry], str | None]:
        """Return sequenced entries whose subjects name ``identifier`` under ``kind``, oldest first unless asked."""
        listing, first, about = ("newest", LAST, _about_before) if newest_first else ("entries", FIRST, _about_after)
        statement = _within(about, ("kind", "identifier", "position"), shapes_of(page))
        values = (kind, identifier, start_of(listing, page, first), *entry_extent_values(page), page.limit + 1)
        return paged(listing, page, self._session.all(statement, values), _entry_of_row)

    def matching(
        self, wanted: EntryFilter, page: Page, *, newest_first: bool = False
    ) -> tuple[list[SequencedEntry], str | None]:
        """Return sequenced entries that meet a filter, oldest first unless asked."""
        listing = "newest" if newest_first else "matching"
        start = start_of(listing, page, LAST if newest_first else FIRST)
        after, before = self._positions(wanted, page)
        after, before = (after, min(before, start)) if newest_first else (max(after, start), before)
        statement = statement_of(wanted, page, newest_first=newest_first)
        rows = self._session.all(statement, (*values_of(wanted, page, after, before), page.limit + 1))
        return paged(listing, page, rows, _entry_of_row)

    def _positions(self, wanted: EntryFilter, page: Page) -> tuple[int, int]:
        """Return two positions between which every entry is that a filter and the extents of a page cover."""
        after, before = FIRST, LAST
        extents = page.within or (Extent(),)
        starts = [each.starts_at for each in extents if each.starts_at is not None]
        ends = [each.ends_at for each in extents if each.ends_at is not None]
        of_all_starts = min(starts) if len(starts) == len(extents) else None
        of_all_ends = max(ends) if len(ends) == len(extents) else None
        starts_at = max((each for each in (wanted.starts_at, of_all_starts) if each is not None), default=None)
        ends_at = min((each for each in (wanted.ends_at, of_all_ends) if each is not None), default=None)
        if starts_at is not None:
            row = self._session.one(FIRST_SINCE, (to_microseconds(starts_at), 1))
            after = LAST if row is None else row[0] - OUT_OF_ORDER
        if ends_at is not None:
            row = self._session.one(LAST_BEFORE, (to_microseconds(ends_at), 1))
            before = FIRST if row is None else row[0] + OUT_OF_ORDER
        if wanted.first_index is not None:
            row = self._session.one(POSITION_AT, (wanted.first_index,))
            after = max(after, LAST if row is None else row[0] - 1)
        if wanted.last_index is not None:
            row = self._session.one(POSITION_AT, (wanted.last_index,))
            before = before if row is None else min(before, row[0] + 1)
        return after, before

    def get(self, entry_id: UUID, *, within: tuple[Extent, ...] | None = None) -> SequencedEntry | None:
        """Return an entry by id once it is sequenced."""
        return self._one(_by_entry_id, "id", entry_id.bytes, within)

    def some(self, entry_ids: Sequence[UUID]) -> dict[UUID, SequencedEntry]:
        """Return those of these entries that are sequenced, by id."""
        if not entry_ids:
            return {}
        rows = self._session.all(among(_any, _entries.id, len(entry_ids)), [each.bytes for each in entry_ids])
        return {entry.entry_id: entry for entry in (_entry_of_row(*row) for row in rows)}

    def at(self, index: int, *, within: tuple[Extent, ...] | None = None) -> SequencedEntry | None:
        """Return the entry at an index of the tree."""
        return self._one(_at_index, "index", index, within)

    def _one(
        self, statement: Select[Any], name: str, value: object, within: tuple[Extent, ...] | None
    ) -> SequencedEntry | None:
        page = Page(1, within=within)
        row = self._session.one(_within(statement, (name,), shapes_of(page)), (value, *entry_extent_values(page), 1))
        return None if row is None else _entry_of_row(*row)

    def openings(self, entry_id: UUID) -> dict[str, tuple[bytes, bytes]]:
        """Return commitment name to (salt, value) of an entry; erased ones are missing."""
        return {name: (salt, value) for name, salt, value in self._session.all(_OPENINGS, (entry_id.bytes,))}

    def openings_of(self, entry_ids: Sequence[UUID]) -> dict[UUID, dict[str, tuple[bytes, bytes]]]:
        """Return entry to commitment name to (salt, value); erased ones are missing."""
        if not entry_ids:
            return {}
        found: dict[UUID, dict[str, tuple[bytes, bytes]]] = {}
        statement = among(_any_openings, _entries.id, len(entry_ids))
        for entry_id, name, salt, value in self._session.all(statement, [each.bytes for each in entry_ids]):
            found.setdefault(UUID(bytes=entry_id), {})[name] = salt, value
        return found

    def is_appended(self, entry_id: UUID) -> bool:
        """Return whether the entry exists, pending or sequenced."""
        return self._session.one(_IS_APPENDED, (entry_id.bytes,)) is not None

    def pending(self, limit: int) -> list[PendingLeaf]:
        """Return entries that have no index yet, in the order they were committed."""
        row = self._session.one(_LAST_SEQUENCED, (1,))
        last = 0 if row is None else row[0]
        return [PendingLeaf(*row) for row in self._session.all(_PENDING, (last, limit))]
