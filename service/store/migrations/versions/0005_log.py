"""What others said of the log's heads: timestamps of an authority, cosignatures of witnesses."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_APPEND_ONLY: dict[str, tuple[str, ...]] = {
    "checkpoint_cosignatures": ("size", "witness"),
    "checkpoint_timestamps": ("size",),
}


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "checkpoint_timestamps",
        sa.Column("size", _ROW_NUMBER, autoincrement=False, nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_checkpoint_timestamps"),
    )
    op.create_table(
        "checkpoint_cosignatures",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("witness", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("cosigned_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size", "witness", name="pk_checkpoint_cosignatures"),
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table, key in _APPEND_ONLY.items():
        if is_sqlite:
            _make_append_only_on_sqlite(table, key)
        else:
            op.execute(
                f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )


def _make_append_only_on_sqlite(table: str, key: tuple[str, ...]) -> None:
    for event in ("delete", "update"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    equal = " AND ".join(f"{column} = NEW.{column}" for column in key)
    taken = f"EXISTS (SELECT 1 FROM {table} WHERE {equal})"  # noqa: S608 - the names are constants of this file
    op.execute(
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {taken} "
        f"BEGIN SELECT RAISE(ABORT, '{table}: exists already'); END"
    )
