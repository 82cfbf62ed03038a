"""First interventions, and issued reports."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: Append-only tables, with every unique key of each.
_APPEND_ONLY = {
    "interventions": (("position",), ("incident_id", "number")),
    "issued_reports": (("position",), ("period", "customer", "number")),
}


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "interventions",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("incident_id", _ID, nullable=False),
        *map(_number, ("number", "started_at", "recorded_at")),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_interventions_incident_id"),
        sa.PrimaryKeyConstraint("position", name="pk_interventions"),
    )
    op.create_index("uq_interventions_incident_id_number", "interventions", ["incident_id", "number"], unique=True)
    op.create_table(
        "issued_reports",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        *map(_number, ("number", "starts_at", "ends_at")),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("entry_id", _ID, nullable=False),
        _number("issued_at"),
        sa.PrimaryKeyConstraint("position", name="pk_issued_reports"),
    )
    op.create_index(
        "uq_issued_reports_period_customer_number", "issued_reports", ["period", "customer", "number"], unique=True
    )
    guard = _guard_on_postgresql if op.get_bind().dialect.name == "postgresql" else _guard_on_sqlite
    for table, keys in _APPEND_ONLY.items():
        guard(table, keys)


def _guard_on_sqlite(table: str, keys: tuple[tuple[str, ...], ...]) -> None:
    for event in ("delete", "update"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    taken = " OR ".join(
        f"EXISTS (SELECT 1 FROM {table} WHERE {' AND '.join(f'{column} = NEW.{column}' for column in key)})"  # noqa: S608 - this file's own words
        for key in keys
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {taken} "
        f"BEGIN SELECT RAISE(ABORT, '{table}: exists already'); END"
    )


def _guard_on_postgresql(table: str, _keys: tuple[tuple[str, ...], ...]) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
