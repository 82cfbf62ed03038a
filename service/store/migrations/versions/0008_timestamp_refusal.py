"""Why the timestamp authority gives no token: kept beside the evidence that is owed."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.add_column("owed_evidence", sa.Column("reason", sa.Text(), nullable=True))
