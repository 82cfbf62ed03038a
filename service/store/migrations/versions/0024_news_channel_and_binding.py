"""The channel of news, how strictly a notice's deadline binds, and the agreement that an erasure certificate cites."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change. News comes as before; earlier notices and erasures do not state the rest."""
    op.add_column("customers", sa.Column("news_channel", sa.Text(), nullable=False, server_default="same"))
    op.add_column("notices", sa.Column("binding", sa.Text(), nullable=True))
    op.add_column("incident_overviews", sa.Column("pending_binding", sa.Text(), nullable=True))
    op.add_column("erasures", sa.Column("agreement_id", sa.Text(), nullable=True))
