"""When an entry of the log was recorded and what it is about, beside its leaf: lists are limited by these columns."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ROWS_AT_ONCE = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GUARD = (
    "CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries "
    "BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END"
)
_COPY = sa.text(
    "UPDATE audit_entries SET recorded_at = :recorded_at, incident_id = :incident_id, notice_id = :notice_id"
    " WHERE position = :position"
)
_NEXT = sa.text("SELECT position, leaf FROM audit_entries WHERE position > :after ORDER BY position LIMIT :limit")


def upgrade() -> None:
    """Make the change. No leaf is touched: the new columns repeat what it says."""
    op.add_column(
        "audit_entries",
        sa.Column("recorded_at", sa.BigInteger(), autoincrement=False, nullable=False, server_default="0"),
    )
    op.add_column("audit_entries", sa.Column("incident_id", sa.LargeBinary(length=16), nullable=True))
    op.add_column("audit_entries", sa.Column("notice_id", sa.LargeBinary(length=16), nullable=True))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    # The table is append-only; this one change is made by its owner, in the transaction of the migration.
    op.execute(
        "DROP TRIGGER audit_entries_no_update" if is_sqlite else "ALTER TABLE audit_entries DISABLE TRIGGER USER"
    )
    _fill()
    op.execute(_GUARD if is_sqlite else "ALTER TABLE audit_entries ENABLE TRIGGER USER")


def _fill() -> None:
    connection, after = op.get_bind(), 0
    while rows := connection.execute(_NEXT, {"after": after, "limit": _ROWS_AT_ONCE}).fetchall():
        after = rows[-1][0]
        connection.execute(_COPY, [{"position": position} | _columns(bytes(leaf)) for position, leaf in rows])


def _columns(leaf: bytes) -> dict[str, object]:
    said = json.loads(leaf)
    subjects = said["subjects"]
    named = {name: subjects.get(name) for name in ("incident", "notice")}
    return {
        "recorded_at": (datetime.fromisoformat(said["at"]) - _EPOCH) // timedelta(microseconds=1),
        **{f"{name}_id": None if value is None else UUID(value).bytes for name, value in named.items()},
    }
