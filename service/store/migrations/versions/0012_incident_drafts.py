"""Drafts of incidents: what is typed and not declared yet, and what alerts fill in."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "incident_drafts",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("owner_id", _ID, nullable=True),
        sa.Column("alert_key", sa.Text(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("changed_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("is_touched", sa.Boolean(), nullable=False),
        sa.Column("resolved_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("fired_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("closed_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_incident_drafts"),
        sa.UniqueConstraint("id", name="uq_incident_drafts_id"),
        sa.UniqueConstraint("alert_key", name="uq_incident_drafts_alert_key"),
    )
    op.create_index("ix_incident_drafts_owner_id", "incident_drafts", ["owner_id"], unique=False)
    op.create_index("ix_incident_drafts_changed_at", "incident_drafts", ["changed_at"], unique=False)
