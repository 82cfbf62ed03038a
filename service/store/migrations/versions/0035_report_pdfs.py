"""The signed PDF of an issued report, kept with the digest of which the log has an entry."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLE = "report_pdfs"
_KEYS = (("position",), ("period", "customer", "number", "language"))
_BEGUN = "SELECT 1 FROM erasure_orders o WHERE o.begun_at IS NOT NULL"


def upgrade() -> None:
    """Make the change. The rows are append-only; only an erasure deletes those that name its customer."""
    op.create_table(
        _TABLE,
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("period", "customer")),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        *(sa.Column(name, sa.LargeBinary(), nullable=False) for name in ("content", "entry_id")),
        sa.PrimaryKeyConstraint("position", name=f"pk_{_TABLE}"),
    )
    op.create_index(f"uq_{_TABLE}_period_customer_number_language", _TABLE, list(_KEYS[1]), unique=True)
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()


def _guard_on_sqlite() -> None:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only'); END"
    op.execute(f"CREATE TRIGGER {_TABLE}_no_delete BEFORE DELETE ON {_TABLE} WHEN NOT EXISTS ({_BEGUN}) {refuse}")
    op.execute(f"CREATE TRIGGER {_TABLE}_no_update BEFORE UPDATE ON {_TABLE} {refuse}")
    taken = " OR ".join(
        f"EXISTS (SELECT 1 FROM {_TABLE} WHERE {' AND '.join(f'{column} = NEW.{column}' for column in key)})"  # noqa: S608 - this file's own words
        for key in _KEYS
    )
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
