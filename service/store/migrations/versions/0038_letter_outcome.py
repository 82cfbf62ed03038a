"""What became of a registered letter, and the day from which it counts as served."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change. It was not recorded for letters of earlier releases."""
    for name in ("outcome", "outcome_on", "served_on"):
        op.add_column("letter_tasks", sa.Column(name, sa.Text(), nullable=True))
