"""Announcements: notices of the agreement that are about no incident, and the tasks of their registered letters."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("state = 'open'")


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    """Make the change."""
    op.add_column("incidents", sa.Column("subject", sa.Text(), nullable=False, server_default="incident"))
    op.create_table(
        "announced_customers",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("announcement_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        _number("facts_version"),
        _text("concern"),
        _text("agreement_id", nullable=True),
        _text("clause", nullable=True),
        _number("due_at", nullable=True),
        _text("binding", nullable=True),
        _number("decided_at"),
        *(_text(name, nullable=True) for name in ("consent", "consent_name", "consent_reason", "consent_by")),
        _number("consent_at", nullable=True),
        _number("version"),
        sa.ForeignKeyConstraint(["announcement_id"], ["incidents.id"], name="fk_announced_customers_announcement_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_announced_customers_customer_id"),
        sa.PrimaryKeyConstraint("position", name="pk_announced_customers"),
        sa.UniqueConstraint("id", name="uq_announced_customers_id"),
    )
    op.create_index("ix_announced_customers_customer_id", "announced_customers", ["customer_id"])
    op.create_index(
        "uq_announced_customers_announcement_id_customer_id",
        "announced_customers",
        ["announcement_id", "customer_id"],
        unique=True,
    )
    op.create_table(
        "letter_tasks",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        *(sa.Column(name, _ID, nullable=False) for name in ("id", "notice_id", "customer_id")),
        _text("state"),
        _number("due_at"),
        _number("created_at"),
        *(
            _text(name, nullable=True)
            for name in ("posting_number", "posted_on", "posted_by", "slip_type", "slip_sha256")
        ),
        sa.Column("slip_entry_id", _ID, nullable=True),
        _number("closed_at", nullable=True),
        _text("closed_by", nullable=True),
        _number("version"),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_letter_tasks_notice_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_letter_tasks_customer_id"),
        sa.PrimaryKeyConstraint("position", name="pk_letter_tasks"),
        sa.UniqueConstraint("id", name="uq_letter_tasks_id"),
    )
    for column in ("notice_id", "customer_id"):
        op.create_index(f"ix_letter_tasks_{column}", "letter_tasks", [column])
    op.create_index(
        "ix_letter_tasks_open_due_at",
        "letter_tasks",
        ["due_at", "position"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
