"""What binds a customer: beside the agreement, the version of the DPA and the products ordered."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change. A binding that exists has the DPA and all products of its agreement."""
    for column in ("dpa_id", "products"):
        op.add_column("agreement_bindings", sa.Column(column, sa.Text(), nullable=True))
