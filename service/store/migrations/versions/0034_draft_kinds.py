"""A draft says what it is of; the drafts that are there are drafts of incidents."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.add_column("incident_drafts", sa.Column("kind", sa.Text(), nullable=False, server_default="incident"))
