"""The signed heads of the log with what others said of them, newest first."""

from functools import lru_cache

from sqlalchemy import bindparam, exists, literal_column, or_, select

from notifications.ports import CosignedBy, LoggedHead, Page
from service.store.sql.encoding import from_microseconds
from service.store.sql.paging import LAST, paged, start_of
from service.store.sql.records import Records
from service.store.sql.session import Row
from service.store.sql.statements import compiled, limited
from service.store.tables import (
    AuditEntryRow,
    CheckpointCosignatureRow,
    CheckpointTimestampRow,
    LogCheckpointRow,
    LogLeafRow,
    table,
)

_checkpoints, _leaves, _entries = table(LogCheckpointRow).c, table(LogLeafRow).c, table(AuditEntryRow).c
_cosignatures, _stamps = table(CheckpointCosignatureRow).c, table(CheckpointTimestampRow).c

#: A head of size n has the entry n - 1 as its newest.
_heads = (
    select(_checkpoints.size, _checkpoints.note, _entries.recorded_at, _stamps.token)
    .select_from(
        table(LogCheckpointRow)
        .outerjoin(table(LogLeafRow), _leaves.leaf_index == _checkpoints.size - literal_column("1"))
        .outerjoin(table(AuditEntryRow), _entries.position == _leaves.position)
        .outerjoin(table(CheckpointTimestampRow), _stamps.size == _checkpoints.size)
    )
    .order_by(_checkpoints.size.desc())
)
_COSIGNED = compiled(
    select(_cosignatures.size, _cosignatures.witness, _cosignatures.cosigned_at, _cosignatures.line)
    .where(_cosignatures.size >= bindparam("first"), _cosignatures.size <= bindparam("last"))
    .order_by(_cosignatures.size, _cosignatures.witness),
    "first",
    "last",
)
_HEAD = limited(_heads.where(_checkpoints.size == bindparam("size")), "size")


@lru_cache(maxsize=2)
def _page_of_heads(*, confirmed: bool) -> str:
    statement = _heads.where(_checkpoints.size < bindparam("before"))
    if confirmed:
        is_cosigned = exists().where(_cosignatures.size == _checkpoints.size)
        statement = statement.where(or_(_stamps.size.is_not(None), is_cosigned))
    return limited(statement, "before")


class HeadRecords(Records):
    """Heads with their cosignatures and timestamps."""

    def heads(self, page: Page, *, confirmed: bool = False) -> tuple[list[LoggedHead], str | None]:
        """Return a page of heads, newest first; ``confirmed``: only those with a cosignature or a timestamp."""
        before = start_of("heads", page, LAST)
        rows = self._session.all(_page_of_heads(confirmed=confirmed), (before, page.limit + 1))
        cosigned = self._cosigned(rows[-1][0], rows[0][0]) if rows else {}
        return paged("heads", page, [(row[0], row, cosigned) for row in rows], _head_of_row)

    def head(self, size: int) -> LoggedHead | None:
        """Return the head of a size, or None."""
        row = self._session.one(_HEAD, (size, 1))
        return None if row is None else _head_of_row(row, self._cosigned(size, size))

    def _cosigned(self, first: int, last: int) -> dict[int, list[CosignedBy]]:
        found: dict[int, list[CosignedBy]] = {}
        for size, witness, at, line in self._session.all(_COSIGNED, (first, last)):
            found.setdefault(size, []).append(CosignedBy(witness, from_microseconds(at), line))
        return found


def _head_of_row(row: Row, cosigned: dict[int, list[CosignedBy]]) -> LoggedHead:
    size, note, recorded_at, token = row
    return LoggedHead(
        size,
        note,
        None if recorded_at is None else from_microseconds(recorded_at),
        tuple(cosigned.get(size, ())),
        token,
    )
