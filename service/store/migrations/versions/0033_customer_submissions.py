"""What customers submitted to their own authorities; words on the provider's duties that go with an erased customer."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLE = "customer_submissions"
_BEGUN = "SELECT 1 FROM erasure_orders o WHERE o.begun_at IS NOT NULL"
_OF_CUSTOMER = f"{_BEGUN} AND o.customer_id = OLD.customer_id"
_SAME_VERSION = (
    f"{_BEGUN} AND OLD.position = NEW.position AND OLD.incident_id = NEW.incident_id AND OLD.version = NEW.version"
)
_SAME_RECORD = " AND OLD.recorded_at = NEW.recorded_at AND OLD.recorded_by = NEW.recorded_by"
#: table: what an erasure lets change
_BLANKED = {
    "duty_assessments": f"{_SAME_VERSION} AND OLD.answers = NEW.answers{_SAME_RECORD}",
    "report_drafts": f"{_SAME_VERSION} AND OLD.duty_id = NEW.duty_id{_SAME_RECORD}",
}


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        _TABLE,
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        *(sa.Column(name, _ID, nullable=False) for name in ("id", "customer_id", "notice_id")),
        sa.Column("duty_id", sa.Text(), nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("corrects", _ID, nullable=True),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=f"fk_{_TABLE}_customer_id"),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name=f"fk_{_TABLE}_notice_id"),
        sa.PrimaryKeyConstraint("position", name=f"pk_{_TABLE}"),
        sa.UniqueConstraint("id", name=f"uq_{_TABLE}_id"),
    )
    for column in ("customer_id", "notice_id"):
        op.create_index(f"ix_{_TABLE}_{column}", _TABLE, [column])
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()


def _guard_on_sqlite() -> None:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only'); END"
    op.execute(f"CREATE TRIGGER {_TABLE}_no_delete BEFORE DELETE ON {_TABLE} WHEN NOT EXISTS ({_OF_CUSTOMER}) {refuse}")
    op.execute(f"CREATE TRIGGER {_TABLE}_no_update BEFORE UPDATE ON {_TABLE} {refuse}")
    taken = " OR ".join(
        f"EXISTS (SELECT 1 FROM {_TABLE} WHERE {column} = NEW.{column})"  # noqa: S608 - constants of this file
        for column in ("position", "id")
    )
    op.execute(
        f"CREATE TRIGGER {_TABLE}_no_replace BEFORE INSERT ON {_TABLE} WHEN {taken} "
        f"BEGIN SELECT RAISE(ABORT, '{_TABLE}: exists already'); END"
    )
    for table, let in _BLANKED.items():
        op.execute(f"DROP TRIGGER {table}_no_update")
        op.execute(
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} WHEN NOT EXISTS ({let}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _guard_on_postgresql() -> None:
    for table in _BLANKED:
        op.execute(f"DROP TRIGGER {table}_no_change ON {table}")
    blanked = ((name, "UPDATE", let) for name, let in _BLANKED.items())
    for table, event, let in ((_TABLE, "DELETE", _OF_CUSTOMER), *blanked):
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_unless_erasing()"
        )
        op.execute(
            f"CREATE FUNCTION {table}_no_other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF TG_OP = '{event}' THEN IF EXISTS ({let}) THEN RETURN {'OLD' if event == 'DELETE' else 'NEW'};"
            " END IF; END IF;"
            " RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_other BEFORE UPDATE OR DELETE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION {table}_no_other()"
        )
