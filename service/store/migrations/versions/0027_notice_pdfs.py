"""The PDF of a notice: which audit entry commits to it. The bytes are stored with the entry."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0019"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "notice_pdfs",
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("entry_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["sealed_notices.notice_id"], name="fk_notice_pdfs_notice_id"),
        sa.PrimaryKeyConstraint("notice_id", "language", "time_zone", name="pk_notice_pdfs"),
    )
