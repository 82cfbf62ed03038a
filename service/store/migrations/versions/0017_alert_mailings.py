"""Alerts name the mails about them."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)
_MAILING = sa.text("mailing_id IS NOT NULL")


def upgrade() -> None:
    """Make the change. Alerts and mails of before belong to no mailing: which mail was about which was not recorded."""
    op.add_column("alerts", sa.Column("mailing_id", _ID, nullable=True))
    op.add_column("service_mails", sa.Column("mailing_id", _ID, nullable=True))
    op.create_index(
        "ix_service_mails_mailing_id",
        "service_mails",
        ["mailing_id"],
        unique=False,
        sqlite_where=_MAILING,
        postgresql_where=_MAILING,
    )
