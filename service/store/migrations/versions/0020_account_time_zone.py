"""The time zone of an account."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change. Nobody has chosen a zone yet."""
    op.add_column("accounts", sa.Column("time_zone", sa.Text(), nullable=True))
