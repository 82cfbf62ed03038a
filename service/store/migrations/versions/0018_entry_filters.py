"""Kind and actor of an entry of the log beside its leaf, with indexes, so that finding entries reads only these."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_ROWS_AT_ONCE = 1000
_GUARD = (
    "CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries "
    "BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END"
)
_COPY = sa.text("UPDATE audit_entries SET type = :type, actor = :actor WHERE position = :position")
_NEXT = sa.text("SELECT position, leaf FROM audit_entries WHERE position > :after ORDER BY position LIMIT :limit")


def upgrade() -> None:
    """Make the change. No leaf is touched: the new columns repeat what it says."""
    for name in ("type", "actor"):
        op.add_column("audit_entries", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    # The table is append-only; this one change is made by its owner, in the transaction of the migration.
    op.execute(
        "DROP TRIGGER audit_entries_no_update" if is_sqlite else "ALTER TABLE audit_entries DISABLE TRIGGER USER"
    )
    _fill()
    op.execute(_GUARD if is_sqlite else "ALTER TABLE audit_entries ENABLE TRIGGER USER")
    op.create_index("ix_audit_entries_type_position", "audit_entries", ["type", "position"], unique=False)
    op.create_index("ix_audit_entries_actor_position", "audit_entries", ["actor", "position"], unique=False)
    op.create_index("ix_audit_entries_recorded_at", "audit_entries", ["recorded_at"], unique=False)


def _fill() -> None:
    connection, after = op.get_bind(), 0
    while rows := connection.execute(_NEXT, {"after": after, "limit": _ROWS_AT_ONCE}).fetchall():
        after = rows[-1][0]
        connection.execute(_COPY, [{"position": position} | _columns(bytes(leaf)) for position, leaf in rows])


def _columns(leaf: bytes) -> dict[str, object]:
    said = json.loads(leaf)
    return {"type": said["type"], "actor": said["actor"]}
