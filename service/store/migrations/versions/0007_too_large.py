"""Deliveries whose whole notice was refused for its size: their mails are summaries."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.add_column("deliveries", sa.Column("too_large_at", sa.BigInteger(), autoincrement=False, nullable=True))
    op.create_index(
        "ix_deliveries_too_large_notice_id",
        "deliveries",
        ["notice_id"],
        unique=False,
        sqlite_where=sa.text("too_large_at IS NOT NULL"),
        postgresql_where=sa.text("too_large_at IS NOT NULL"),
    )
