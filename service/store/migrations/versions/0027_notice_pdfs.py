"""The PDF of a notice: which audit entry commits to it. The bytes are stored with the entry."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0025"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)
_TABLE = "notice_pdfs"
_SAME = (
    "SELECT 1 FROM notice_pdfs WHERE notice_id = NEW.notice_id AND language = NEW.language "
    "AND time_zone = NEW.time_zone"
)
_ERASING = (
    "SELECT 1 FROM erasure_orders o WHERE o.begun_at IS NOT NULL "
    "AND o.customer_id = (SELECT n.customer_id FROM notices n WHERE n.id = OLD.notice_id)"
)


def upgrade() -> None:
    """Make the change. The rows are append-only; only an erasure deletes those of its customer."""
    op.create_table(
        _TABLE,
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("entry_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["sealed_notices.notice_id"], name="fk_notice_pdfs_notice_id"),
        sa.PrimaryKeyConstraint("notice_id", "language", "time_zone", name="pk_notice_pdfs"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()


def _guard_on_sqlite() -> None:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only'); END"
    op.execute(f"CREATE TRIGGER {_TABLE}_no_delete BEFORE DELETE ON {_TABLE} WHEN NOT EXISTS ({_ERASING}) {refuse}")
    op.execute(f"CREATE TRIGGER {_TABLE}_no_update BEFORE UPDATE ON {_TABLE} {refuse}")
    op.execute(
        f"CREATE TRIGGER {_TABLE}_no_replace BEFORE INSERT ON {_TABLE} WHEN EXISTS ({_SAME}) "
        f"BEGIN SELECT RAISE(ABORT, '{_TABLE}: exists already'); END"
    )


def _guard_on_postgresql() -> None:
    op.execute(
        f"CREATE TRIGGER {_TABLE}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {_TABLE}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_unless_erasing()"
    )
    op.execute(
        f"CREATE FUNCTION {_TABLE}_no_other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF TG_OP = 'DELETE' THEN IF EXISTS ({_ERASING}) THEN RETURN OLD; END IF; END IF;"
        " RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {_TABLE}_no_other BEFORE UPDATE OR DELETE ON {_TABLE}"
        f" FOR EACH ROW EXECUTE FUNCTION {_TABLE}_no_other()"
    )
