"""Exercises: incidents and notices that are one, contacts and webhook endpoints that agreed to get their notices."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change. What exists is no exercise, and nobody has agreed to one."""
    for table, column in (
        ("incidents", "exercise"),
        ("notices", "exercise"),
        ("contacts", "takes_exercises"),
        ("webhook_endpoints", "takes_exercises"),
    ):
        op.add_column(table, sa.Column(column, sa.Boolean(), nullable=False, server_default=sa.false()))
