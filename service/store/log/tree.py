"""The tree that the sequencer grows over the entries of the audit log, and its signed heads."""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import func, select

from notifications.errors import LogUnavailableError, StateConflictError
from service.ports.log import PendingLeaf
from service.store.sql.records import Records
from service.store.sql.statements import compiled, insert_of, limited
from service.store.tables import LogCheckpointRow, LogLeafRow, LogNodeRow, table

_checkpoints = table(LogCheckpointRow).c

_INSERT_LEAF, _INSERT_NODE, _INSERT_CHECKPOINT = (
    insert_of(LogLeafRow),
    insert_of(LogNodeRow),
    insert_of(LogCheckpointRow),
)

_HEAD_SIZE = compiled(select(func.max(_checkpoints.size)))
_HEAD = limited(select(_checkpoints.note).order_by(_checkpoints.size.desc()))
#: a proof takes as many at most
_NODES_AT_ONCE = 64


@lru_cache(maxsize=128)
def _nodes_of(count: int) -> str:
    """Return the SELECT of so many nodes: one statement costs what one node does by itself."""
    places = ", ".join(["(?, ?)"] * count)
    # The list comes first, so that each node is looked up by its key. IN makes SQLite read the whole table.
    given = f"(VALUES {places}) AS given CROSS JOIN log_nodes"
    return f"SELECT level, node_index, hash FROM {given} WHERE level = column1 AND node_index = column2"  # noqa: S608


class TreeRecords(Records):
    """The tree and its heads, for ``service.ports.log.SequencedLogRepository``."""

    def size(self) -> int:
        """Return the number of sequenced entries under the latest checkpoint."""
        return self._number(_HEAD_SIZE)

    def checkpoint(self) -> bytes | None:
        """Return the latest signed checkpoint, or None before the first."""
        row = self._session.one(_HEAD, (1,))
        return None if row is None else row[0]

    def node_hashes(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return hashes of complete subtrees; raises LogUnavailableError where one is not there."""
        found: dict[tuple[int, int], bytes] = {}
        for start in range(0, len(wanted), _NODES_AT_ONCE):
            some = wanted[start : start + _NODES_AT_ONCE]
            rows = self._session.all(_nodes_of(len(some)), [number for node in some for number in node])
            found |= {(level, index): hashed for level, index, hashed in rows}
        for level, index in wanted:
            if (level, index) not in found:
                raise LogUnavailableError(f"the tree has no node {index} at level {level}")
        return [found[node] for node in wanted]

    def grow(
        self,
        expected_size: int,
        leaves: Sequence[PendingLeaf],
        nodes: Sequence[tuple[int, int, bytes]],
        checkpoint: bytes,
    ) -> None:
        """Give the leaves the next indices, store the new complete nodes and the checkpoint over them all.

        Raises StateConflictError unless the tree has ``expected_size`` leaves: another sequencer was quicker.
        """
        size = self.size()
        if size != expected_size:
            raise StateConflictError(f"the tree has {size} leaves, not {expected_size}")
        self._session.execute_many(_INSERT_LEAF, [(size + offset, leaf.position) for offset, leaf in enumerate(leaves)])
        self._session.execute_many(_INSERT_NODE, nodes)
        self._session.execute(_INSERT_CHECKPOINT, (size + len(leaves), checkpoint))
        self._changed("log")
