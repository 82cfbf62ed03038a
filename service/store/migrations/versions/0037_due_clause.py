"""The clause whose time makes the due moment of an announcement's notice; agreement and DPA may both set one."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change. What earlier releases decided has none: it had the time of the clause of the notice."""
    op.add_column("announced_customers", sa.Column("due_clause", sa.Text(), nullable=True))
