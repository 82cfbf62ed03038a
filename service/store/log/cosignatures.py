"""The cosignatures of witnesses under the log's checkpoints."""

from datetime import datetime

from sqlalchemy import bindparam, select

from service.store.sql.encoding import from_microseconds, to_microseconds
from service.store.sql.records import Records
from service.store.sql.statements import compiled, insert_of, limited
from service.store.tables import CheckpointCosignatureRow, table

_cosignatures = table(CheckpointCosignatureRow).c

_INSERT = insert_of(CheckpointCosignatureRow)
_LINES = compiled(
    select(_cosignatures.witness, _cosignatures.line).where(_cosignatures.size == bindparam("size")), "size"
)
_LAST = limited(
    select(_cosignatures.size, _cosignatures.cosigned_at)
    .where(_cosignatures.witness == bindparam("witness"))
    .order_by(_cosignatures.size.desc()),
    "witness",
)


class CosignatureRecords(Records):
    """Cosignatures of checkpoints."""

    def add_cosignature(self, size: int, witness: str, line: str, cosigned_at: datetime) -> None:
        """Store a witness's cosignature of the checkpoint of a size; an existing one of this witness is kept."""
        if not any(name == witness for name, _ in self._session.all(_LINES, (size,))):
            self._session.execute(_INSERT, (size, witness, line, to_microseconds(cosigned_at)))
            self._changed("cosignatures")

    def cosignatures(self, size: int) -> list[str]:
        """Return the cosignature lines of the checkpoint of a size, in the order of the witnesses' names."""
        return [line for _, line in sorted(self._session.all(_LINES, (size,)))]

    def last_cosigned(self, witness: str) -> tuple[int, datetime] | None:
        """Return the largest size that a witness cosigned, and the time of that, or None."""
        row = self._session.one(_LAST, (witness, 1))
        return None if row is None else (row[0], from_microseconds(row[1]))
