"""The tokens of a timestamp authority over the log's checkpoints."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, select

from notifications.ports import TimestampedCheckpoint
from service.store.sql.encoding import from_microseconds, to_microseconds
from service.store.sql.records import Records
from service.store.sql.statements import compiled, insert_of, limited
from service.store.tables import CheckpointTimestampRow, LogCheckpointRow, table

_stamps, _checkpoints = table(CheckpointTimestampRow).c, table(LogCheckpointRow).c

_INSERT = insert_of(CheckpointTimestampRow)
_IS_THERE = compiled(select(_stamps.size).where(_stamps.size == bindparam("size")), "size")
_of_heads = table(CheckpointTimestampRow).join(table(LogCheckpointRow), _checkpoints.size == _stamps.size)
_stamped = select(_stamps.size, _checkpoints.note, _stamps.token, _stamps.made_at).select_from(_of_heads)
_STAMPED_SIZES = compiled(select(_stamps.size).select_from(_of_heads).order_by(_stamps.size))
_OF_SIZE = compiled(_stamped.where(_stamps.size == bindparam("size")), "size")
_NEWEST_STAMPED = limited(_stamped.order_by(_stamps.size.desc()))


class CheckpointTimestampRecords(Records):
    """Timestamps over checkpoints."""

    def add_timestamp(self, size: int, token: bytes, made_at: datetime) -> None:
        """Keep a token over the checkpoint of a size; one that is there stays as it is."""
        if self._session.one(_IS_THERE, (size,)) is None:
            self._session.execute(_INSERT, (size, token, to_microseconds(made_at)))
            self._changed("timestamps")

    def timestamped_checkpoint(self, size: int | None = None) -> TimestampedCheckpoint | None:
        """Return the checkpoint of a size, or (None) the newest one, that has a timestamp, or None."""
        row = self._session.one(_NEWEST_STAMPED, (1,)) if size is None else self._session.one(_OF_SIZE, (size,))
        return None if row is None else TimestampedCheckpoint(row[0], row[1], row[2], from_microseconds(row[3]))

    def timestamped_sizes(self) -> Sequence[int]:
        """Return the sizes of the checkpoints that have a timestamp, rising."""
        return [size for (size,) in self._session.all(_STAMPED_SIZES)]
