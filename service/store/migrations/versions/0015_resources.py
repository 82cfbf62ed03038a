"""The inventory: which customer held which resource, from and until when."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WHEN = ("customer_id", "held_from", "held_until")
_INDEXES = (
    ("identifier", *_WHEN),
    ("host", *_WHEN, "availability_zone", "region", "service", "kind"),
    ("availability_zone", *_WHEN, "region", "service", "kind"),
    ("region", *_WHEN, "service", "kind"),
    ("service", *_WHEN, "kind"),
    ("kind", *_WHEN),
)


def _time(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=nullable)


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "resources",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("customer_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=True)
            for name in ("name", "service", "region", "availability_zone", "host")
        ),
        *map(_time, ("held_from", "held_until", "recorded_at")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_resources_customer_id"),
        sa.PrimaryKeyConstraint("position", name="pk_resources"),
    )
    op.create_index(
        "uq_resources_identity", "resources", ["customer_id", "kind", "identifier", "held_from"], unique=True
    )
    for columns in _INDEXES:
        op.create_index(f"ix_resources_{columns[0]}", "resources", list(columns), unique=False)
    op.create_table(
        "resource_snapshots",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        *map(_time, ("snapshot_at", "imported_at")),
        sa.Column("imported_by", sa.Text(), nullable=False),
        _time("resources"),
        sa.PrimaryKeyConstraint("position", name="pk_resource_snapshots"),
    )
    op.create_table(
        "resource_lookups",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        _time("made_at"),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("made_by", "failed", "proposed")),
        sa.Column("confirmed", sa.Text(), nullable=True),
        _time("confirmed_at", nullable=True),
        sa.Column("confirmed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("position", name="pk_resource_lookups"),
        sa.UniqueConstraint("id", name="uq_resource_lookups_id"),
    )
