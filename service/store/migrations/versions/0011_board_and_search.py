"""Overviews of incidents for lists and filters."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)


def upgrade() -> None:
    """Make the change. The service fills the overviews at its next start, for they need the agreements."""
    op.create_table(
        "incident_overviews",
        sa.Column("incident_id", _ID, nullable=False),
        sa.Column("nature", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=True),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("to_notify", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pending", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pending_due_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("missing", sa.Text(), nullable=False),
        sa.Column("services", sa.Text(), nullable=False),
        sa.Column("regions", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_incident_overviews_incident_id"),
        sa.PrimaryKeyConstraint("incident_id", name="pk_incident_overviews"),
    )
    op.create_index(
        "ix_incident_overviews_pending",
        "incident_overviews",
        ["incident_id"],
        unique=False,
        sqlite_where=sa.text("pending > 0"),
        postgresql_where=sa.text("pending > 0"),
    )
