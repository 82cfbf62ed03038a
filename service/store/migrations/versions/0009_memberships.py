"""Offered memberships: an account acts for a customer only after it accepted."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the change. Memberships that exist already stay accepted."""
    op.create_table(
        "membership_offers",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("offered_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("offered_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_membership_offers_account_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_membership_offers_customer_id"),
        sa.PrimaryKeyConstraint("position", name="pk_membership_offers"),
        sa.UniqueConstraint("id", name="uq_membership_offers_id"),
    )
    op.create_index("ix_membership_offers_customer_id", "membership_offers", ["customer_id"], unique=False)
    op.create_index(
        "uq_membership_offers_account_id_customer_id", "membership_offers", ["account_id", "customer_id"], unique=True
    )
