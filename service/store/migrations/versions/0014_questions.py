"""Questions and feedback of customers, and the subject lines by which an inbox is searched."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ROWS_AT_ONCE = 200


def upgrade() -> None:
    """Make the change. Seals of earlier releases get their subject lines."""
    op.create_table(
        "questions",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("answering_notice_id", _ID, nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["answering_notice_id"], ["notices.id"], name="fk_questions_answering_notice_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_questions_customer_id"),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_questions_notice_id"),
        sa.PrimaryKeyConstraint("position", name="pk_questions"),
        sa.UniqueConstraint("id", name="uq_questions_id"),
    )
    op.create_index("ix_questions_customer_id", "questions", ["customer_id"], unique=False)
    op.create_index("ix_questions_notice_id", "questions", ["notice_id"], unique=False)
    unanswered = sa.text("answered_at IS NULL")
    op.create_index(
        "ix_questions_unanswered_position",
        "questions",
        ["position"],
        unique=False,
        sqlite_where=unanswered,
        postgresql_where=unanswered,
    )
    op.create_table(
        "feedback",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("helped", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("given_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_feedback_customer_id"),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_feedback_notice_id"),
        sa.PrimaryKeyConstraint("position", name="pk_feedback"),
    )
    op.create_index("ix_feedback_customer_id", "feedback", ["customer_id"], unique=False)
    op.create_index("uq_feedback_notice_id_by", "feedback", ["notice_id", "by"], unique=True)
    op.create_table(
        "notice_subjects",
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["sealed_notices.notice_id"], name="fk_notice_subjects_notice_id"),
        sa.PrimaryKeyConstraint("notice_id", name="pk_notice_subjects"),
    )
    _fill_subjects()


def _fill_subjects() -> None:
    after = 0
    sealed = sa.text(
        "SELECT position, notice_id, renderings FROM sealed_notices WHERE position > :after ORDER BY position LIMIT :n"
    )
    add = sa.text("INSERT INTO notice_subjects (notice_id, lines) VALUES (:notice_id, :lines)")
    while rows := op.get_bind().execute(sealed, {"after": after, "n": _ROWS_AT_ONCE}).all():
        for position, notice_id, renderings in rows:
            lines = "\n".join(item["subject"].casefold() for item in json.loads(renderings))
            op.get_bind().execute(add, {"notice_id": notice_id, "lines": lines})
            after = position
