"""Webhooks, bounces, acknowledgements, escalation and calls, checks of contacts, paused channels, leases."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_APPEND_ONLY: dict[str, tuple[tuple[str, ...], ...]] = {
    "acknowledgements": (("position",), ("id",), ("notice_id", "by")),
    "call_records": (("position",), ("id",)),
    "notice_openings": (("position",), ("notice_id", "by")),
    "reachability_checks": (("position",), ("id",)),
    "returned_messages": (("position",), ("id",)),
}


def upgrade() -> None:
    """Make the change."""
    _create_tables()
    _add_columns()
    if op.get_bind().dialect.name == "sqlite":
        for table, keys in _APPEND_ONLY.items():
            _make_append_only_on_sqlite(table, keys)


def _make_append_only_on_sqlite(table: str, keys: tuple[tuple[str, ...], ...]) -> None:
    for event in ("delete", "update"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    taken = " OR ".join(_exists(table, key) for key in keys)
    op.execute(
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {taken} "
        f"BEGIN SELECT RAISE(ABORT, '{table}: exists already'); END"
    )


def _exists(table: str, key: tuple[str, ...]) -> str:
    # The one name among them that SQL keeps for itself.
    names = ('"by"' if column == "by" else column for column in key)
    equal = " AND ".join(f"{name} = NEW.{name}" for name in names)
    return f"EXISTS (SELECT 1 FROM {table} WHERE {equal})"  # noqa: S608 - the names are constants of this file


def _add_columns() -> None:
    op.add_column("contacts", sa.Column("phone", sa.Text(), nullable=True))
    op.add_column(
        "customers", sa.Column("acknowledge_within_seconds", sa.BigInteger(), autoincrement=False, nullable=True)
    )
    op.add_column("notices", sa.Column("leased_until", sa.BigInteger(), autoincrement=False, nullable=True))
    # In SQL, because the tool adds no column that refers to another table on SQLite.
    kind = "BLOB" if op.get_bind().dialect.name == "sqlite" else "BYTEA"
    op.execute(
        f"ALTER TABLE deliveries ADD COLUMN endpoint_id {kind}"
        " CONSTRAINT fk_deliveries_endpoint_id REFERENCES webhook_endpoints (id)"
    )
    op.add_column("deliveries", sa.Column("cause", sa.Text(), nullable=False, server_default="first"))
    op.add_column("deliveries", sa.Column("sent_at", sa.BigInteger(), autoincrement=False, nullable=True))
    # Deliveries of earlier releases share one destination without a limit.
    op.add_column("deliveries", sa.Column("lane", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "deliveries", sa.Column("turn", sa.BigInteger(), autoincrement=False, nullable=False, server_default="0")
    )
    op.execute(
        "UPDATE deliveries SET sent_at ="
        " (SELECT max(ended_at) FROM delivery_attempts WHERE delivery_attempts.delivery_id = deliveries.id)"
        " WHERE state = 'sent'"
    )
    op.drop_index("ix_deliveries_queued_due_at", table_name="deliveries")
    op.create_index(
        "ix_deliveries_queued_due_at",
        "deliveries",
        ["due_at", "turn", "position"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )


def _create_tables() -> None:
    op.create_table(
        "channel_pauses",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("paused_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("paused_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("channel", name="pk_channel_pauses"),
    )
    op.create_table(
        "reachability_checks",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("subject_id", _ID, nullable=False),
        sa.Column("checked_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("code", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_reachability_checks_customer_id"),
        sa.PrimaryKeyConstraint("position", name="pk_reachability_checks"),
        sa.UniqueConstraint("id", name="uq_reachability_checks_id"),
    )
    op.create_index(
        "ix_reachability_checks_customer_id_subject_id",
        "reachability_checks",
        ["customer_id", "subject", "subject_id", "position"],
        unique=False,
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("last_success_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_webhook_endpoints_customer_id"),
        sa.PrimaryKeyConstraint("position", name="pk_webhook_endpoints"),
        sa.UniqueConstraint("id", name="uq_webhook_endpoints_id"),
    )
    op.create_index("ix_webhook_endpoints_customer_id", "webhook_endpoints", ["customer_id"], unique=False)
    op.create_table(
        "acknowledgements",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("contact_id", _ID, nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name="fk_acknowledgements_contact_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_acknowledgements_customer_id"),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_acknowledgements_notice_id"),
        sa.PrimaryKeyConstraint("position", name="pk_acknowledgements"),
        sa.UniqueConstraint("id", name="uq_acknowledgements_id"),
    )
    op.create_index("uq_acknowledgements_notice_id_by", "acknowledgements", ["notice_id", "by"], unique=True)
    op.create_table(
        "call_tasks",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_call_tasks_customer_id"),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_call_tasks_notice_id"),
        sa.PrimaryKeyConstraint("position", name="pk_call_tasks"),
        sa.UniqueConstraint("id", name="uq_call_tasks_id"),
    )
    op.create_index("ix_call_tasks_notice_id", "call_tasks", ["notice_id"], unique=False)
    op.create_index("ix_call_tasks_state_position", "call_tasks", ["state", "position"], unique=False)
    op.create_index(
        "uq_call_tasks_open",
        "call_tasks",
        ["notice_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "escalations",
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("due_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("acknowledge_by", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("next_look_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_escalations_customer_id"),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_escalations_notice_id"),
        sa.PrimaryKeyConstraint("notice_id", name="pk_escalations"),
    )
    op.create_index(
        "ix_escalations_next_look_at",
        "escalations",
        ["next_look_at"],
        unique=False,
        sqlite_where=sa.text("next_look_at IS NOT NULL"),
        postgresql_where=sa.text("next_look_at IS NOT NULL"),
    )
    op.create_table(
        "notice_openings",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_notice_openings_customer_id"),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_notice_openings_notice_id"),
        sa.PrimaryKeyConstraint("position", name="pk_notice_openings"),
    )
    op.create_index("uq_notice_openings_notice_id_by", "notice_openings", ["notice_id", "by"], unique=True)
    op.create_table(
        "webhook_secrets",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("endpoint_id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoints.id"], name="fk_webhook_secrets_endpoint_id"),
        sa.PrimaryKeyConstraint("position", name="pk_webhook_secrets"),
        sa.UniqueConstraint("id", name="uq_webhook_secrets_id"),
    )
    op.create_index("ix_webhook_secrets_endpoint_id", "webhook_secrets", ["endpoint_id"], unique=False)
    op.create_table(
        "call_records",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("task_id", _ID, nullable=False),
        sa.Column("contact_id", _ID, nullable=True),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("called_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("called_by", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("spoke_to", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name="fk_call_records_contact_id"),
        sa.ForeignKeyConstraint(["task_id"], ["call_tasks.id"], name="fk_call_records_task_id"),
        sa.PrimaryKeyConstraint("position", name="pk_call_records"),
        sa.UniqueConstraint("id", name="uq_call_records_id"),
    )
    op.create_index("ix_call_records_task_id", "call_records", ["task_id"], unique=False)
    op.create_table(
        "returned_messages",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("delivery_id", _ID, nullable=True),
        sa.Column("received_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("diagnostic", sa.Text(), nullable=True),
        sa.Column("reporting_mta", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name="fk_returned_messages_delivery_id"),
        sa.PrimaryKeyConstraint("position", name="pk_returned_messages"),
        sa.UniqueConstraint("id", name="uq_returned_messages_id"),
    )
    op.create_index("ix_returned_messages_delivery_id", "returned_messages", ["delivery_id"], unique=False)
