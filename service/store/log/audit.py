"""The audit log: the appended entries, and the tree that the sequencer builds over them.

An entry is pending from the commit of its change until the sequencer gives it an index. The order of positions is the
order of commits, because write jobs are serialised.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select

from notifications.audit.entry import AuditEntry, leaf_bytes
from notifications.errors import LogUnavailableError, StateConflictError
from notifications.ports import Page, SequencedEntry
from service.ports.log import PendingLeaf
from service.store.sql.paging import FIRST, paged, start_of
from service.store.sql.records import Records
from service.store.sql.statements import compiled, insert_of, limited
from service.store.tables import (
    AuditEntryRow,
    AuditOpeningRow,
    AuditSubjectRow,
    LogCheckpointRow,
    LogLeafRow,
    LogNodeRow,
    table,
)

_entries, _subjects, _openings = table(AuditEntryRow).c, table(AuditSubjectRow).c, table(AuditOpeningRow).c
_leaves, _nodes, _checkpoints = table(LogLeafRow).c, table(LogNodeRow).c, table(LogCheckpointRow).c

_LAST_POSITION = compiled(select(func.max(_entries.position)))
_INSERT_ENTRY = compiled(
    table(AuditEntryRow).insert().values({name: bindparam(name) for name in ("position", "id", "leaf")}),
    "position", "id", "leaf",
)  # fmt: skip
_INSERT_SUBJECT, _INSERT_OPENING = insert_of(AuditSubjectRow), insert_of(AuditOpeningRow)
_INSERT_LEAF, _INSERT_NODE, _INSERT_CHECKPOINT = (
    insert_of(LogLeafRow),
    insert_of(LogNodeRow),
    insert_of(LogCheckpointRow),
)

_LAST_SEQUENCED = limited(select(_leaves.position).order_by(_leaves.leaf_index.desc()))
_PENDING = limited(
    select(_entries.position, _entries.id, _entries.leaf)
    .where(_entries.position > bindparam("after"))
    .order_by(_entries.position),
    "after",
)
_HEAD_SIZE = compiled(select(func.max(_checkpoints.size)))
_HEAD = limited(select(_checkpoints.note).order_by(_checkpoints.size.desc()))
#: Greatest number of nodes that a proof reads.
_NODES_AT_ONCE = 64


@lru_cache(maxsize=128)
def _nodes_of(count: int) -> str:
    """Return the SELECT of ``count`` nodes; one statement for all costs as much as one for a single node."""
    places = ", ".join(["(?, ?)"] * count)
    # With the list first, each node is looked up by its key. With IN, SQLite reads the whole table.
    given = f"(VALUES {places}) AS given CROSS JOIN log_nodes"
    return f"SELECT level, node_index, hash FROM {given} WHERE level = column1 AND node_index = column2"  # noqa: S608


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
_ABOUT = limited(
    select(_subjects.position, *_SEQUENCED)
    .select_from(
        table(AuditSubjectRow)
        .join(table(LogLeafRow), _leaves.position == _subjects.position)
        .join(table(AuditEntryRow), _entries.position == _subjects.position)
    )
    .where(
        _subjects.kind == bindparam("kind"),
        _subjects.identifier == bindparam("identifier"),
        _subjects.position > bindparam("after"),
    )
    .order_by(_subjects.position),
    "kind",
    "identifier",
    "after",
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
    """The audit log."""

    def append_audit(self, entries: Iterable[AuditEntry]) -> None:
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

    def _number(self, statement: str) -> int:
        row = self._session.one(statement)
        return 0 if row is None or row[0] is None else int(row[0])

    # -- reading

    def log_size(self) -> int:
        """Return the number of sequenced entries under the latest checkpoint."""
        return self._number(_HEAD_SIZE)

    def log_checkpoint(self) -> bytes | None:
        """Return the latest signed checkpoint, or None before the first."""
        row = self._session.one(_HEAD, (1,))
        return None if row is None else row[0]

    def log_entries(self, start: int, limit: int) -> Sequence[SequencedEntry]:
        """Return at most ``limit`` sequenced entries, beginning at an index."""
        return [_entry_of_row(*row) for row in self._session.all(_FROM_INDEX, (start, limit))]

    def log_entries_about(self, kind: str, identifier: str, page: Page) -> tuple[list[SequencedEntry], str | None]:
        """Return sequenced entries whose subjects name ``identifier`` under ``kind``, oldest first."""
        after = start_of("entries", page, FIRST)
        rows = self._session.all(_ABOUT, (kind, identifier, after, page.limit + 1))
        return paged("entries", page, rows, _entry_of_row)

    def log_entry(self, entry_id: UUID) -> SequencedEntry | None:
        """Return an entry by id once it is sequenced."""
        row = self._session.one(_BY_ENTRY_ID, (entry_id.bytes,))
        return None if row is None else _entry_of_row(*row)

    def entry_openings(self, entry_id: UUID) -> dict[str, tuple[bytes, bytes]]:
        """Return commitment name to (salt, value) of an entry; erased ones are missing."""
        return {name: (salt, value) for name, salt, value in self._session.all(_OPENINGS, (entry_id.bytes,))}

    def log_node_hashes(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return hashes of complete subtrees; raises LogUnavailableError if one is missing."""
        found: dict[tuple[int, int], bytes] = {}
        for start in range(0, len(wanted), _NODES_AT_ONCE):
            some = wanted[start : start + _NODES_AT_ONCE]
            rows = self._session.all(_nodes_of(len(some)), [number for node in some for number in node])
            found |= {(level, index): hashed for level, index, hashed in rows}
        for level, index in wanted:
            if (level, index) not in found:
                raise LogUnavailableError(f"the tree has no node {index} at level {level}")
        return [found[node] for node in wanted]

    # -- what the sequencer needs beside (``service.ports.log.LogTransaction``)

    def is_appended(self, entry_id: UUID) -> bool:
        """Return whether the entry exists, pending or sequenced."""
        return self._session.one(_IS_APPENDED, (entry_id.bytes,)) is not None

    def pending_leaves(self, limit: int) -> list[PendingLeaf]:
        """Return entries that have no index yet, in the order they were committed."""
        row = self._session.one(_LAST_SEQUENCED, (1,))
        last = 0 if row is None else row[0]
        return [PendingLeaf(*row) for row in self._session.all(_PENDING, (last, limit))]

    def grow_tree(
        self,
        expected_size: int,
        leaves: Sequence[PendingLeaf],
        nodes: Sequence[tuple[int, int, bytes]],
        checkpoint: bytes,
    ) -> None:
        """Give the leaves the next indices, and store the new complete nodes and the new checkpoint.

        Raises StateConflictError unless the tree has ``expected_size`` leaves: another sequencer was faster.
        """
        size = self.log_size()
        if size != expected_size:
            raise StateConflictError(f"the tree has {size} leaves, not {expected_size}")
        self._session.execute_many(_INSERT_LEAF, [(size + offset, leaf.position) for offset, leaf in enumerate(leaves)])
        self._session.execute_many(_INSERT_NODE, nodes)
        self._session.execute(_INSERT_CHECKPOINT, (size + len(leaves), checkpoint))
        self._changed("log")
