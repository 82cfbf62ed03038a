"""Indexes for drafts of alerts that wait, the latest snapshot of the inventory, and look-ups by age."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_WAITING = sa.text("alert_key IS NOT NULL AND closed_at IS NULL")


def upgrade() -> None:
    """Make the change."""
    op.create_index(
        "ix_incident_drafts_waiting_changed_at",
        "incident_drafts",
        ["changed_at", "position"],
        unique=False,
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_index("ix_resource_snapshots_snapshot_at", "resource_snapshots", ["snapshot_at"], unique=False)
    op.create_index("ix_resource_lookups_made_at", "resource_lookups", ["made_at"], unique=False)
