"""Notices may share a timestamp over a checkpoint of the log: which do, and which checkpoint it is."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

_TABLE = "shared_timestamps"
_OF_NOTICE = (
    "SELECT 1 FROM erasure_orders o WHERE o.begun_at IS NOT NULL AND o.customer_id = "
    "(SELECT n.customer_id FROM notices n WHERE n.id = OLD.notice_id)"
)


def upgrade() -> None:
    """Make the change. Every notice of an earlier release has its own timestamp. The rows are append-only."""
    op.add_column(
        "sealed_notices", sa.Column("shares_timestamp", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_table(
        _TABLE,
        sa.Column("notice_id", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("independent", sa.Boolean(), nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["notice_id"], ["sealed_notices.notice_id"], name=f"fk_{_TABLE}_notice_id"),
        sa.ForeignKeyConstraint(["size"], ["checkpoint_timestamps.size"], name=f"fk_{_TABLE}_size"),
        sa.PrimaryKeyConstraint("notice_id", name=f"pk_{_TABLE}"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()


def _guard_on_sqlite() -> None:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only'); END"
    op.execute(f"CREATE TRIGGER {_TABLE}_no_delete BEFORE DELETE ON {_TABLE} WHEN NOT EXISTS ({_OF_NOTICE}) {refuse}")
    op.execute(f"CREATE TRIGGER {_TABLE}_no_update BEFORE UPDATE ON {_TABLE} {refuse}")
    taken = f"EXISTS (SELECT 1 FROM {_TABLE} WHERE notice_id = NEW.notice_id)"  # noqa: S608 - this file's own words
    op.execute(
        f"CREATE TRIGGER {_TABLE}_no_replace BEFORE INSERT ON {_TABLE} WHEN {taken} "
        f"BEGIN SELECT RAISE(ABORT, '{_TABLE}: exists already'); END"
    )


def _guard_on_postgresql() -> None:
    op.execute(
        f"CREATE TRIGGER {_TABLE}_no_change BEFORE DELETE ON {_TABLE}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_unless_erasing()"
    )
    op.execute(
        f"CREATE TRIGGER {_TABLE}_no_other BEFORE UPDATE OR TRUNCATE ON {_TABLE}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
