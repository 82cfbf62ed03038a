"""The tables of the first release, and the triggers that make records append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_APPEND_ONLY: dict[str, tuple[tuple[str, ...], ...]] = {
    "agreement_bindings": (("position",),),
    "audit_entries": (("position",), ("id",)),
    "audit_subjects": (),
    "decisions": (("position",), ("id",)),
    "delivery_attempts": (("position",), ("id",), ("delivery_id", "number")),
    "inbox_items": (("position",), ("notice_id",)),
    "incident_facts": (("incident_id", "version"),),
    "log_checkpoints": (("size",),),
    "log_leaves": (("leaf_index",), ("position",)),
    "log_nodes": (("level", "node_index"),),
    "profiles": (("position",), ("id",), ("customer_id", "version")),
    "seal_proofs": (("notice_id",),),
    "seal_timestamps": (("notice_id",),),
    "sealed_notices": (("position",), ("notice_id",)),
    "sent_messages": (("delivery_id", "number"),),
}


def upgrade() -> None:
    """Make the change."""
    _create_tables()
    if op.get_bind().dialect.name == "sqlite":
        for table, keys in _APPEND_ONLY.items():
            _make_append_only_on_sqlite(table, keys)


def _make_append_only_on_sqlite(table: str, keys: tuple[tuple[str, ...], ...]) -> None:
    for event in ("delete", "update"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    if keys:
        taken = " OR ".join(_exists(table, key) for key in keys)
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {taken} "
            f"BEGIN SELECT RAISE(ABORT, '{table}: exists already'); END"
        )


def _exists(table: str, key: tuple[str, ...]) -> str:
    equal = " AND ".join(f"{column} = NEW.{column}" for column in key)
    return f"EXISTS (SELECT 1 FROM {table} WHERE {equal})"  # noqa: S608 - the names are constants of this file


def _create_tables() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_audit_entries"),
        sa.UniqueConstraint("id", name="uq_audit_entries_id"),
    )
    op.create_table(
        "customers",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("services", sa.Text(), nullable=False),
        sa.Column("regions", sa.Text(), nullable=False),
        sa.Column("availability_zones", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_customers"),
        sa.UniqueConstraint("id", name="uq_customers_id"),
    )
    op.create_table(
        "directory_version",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_directory_version"),
    )
    op.create_table(
        "incidents",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("opened_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("position", name="pk_incidents"),
        sa.UniqueConstraint("id", name="uq_incidents_id"),
        sa.UniqueConstraint("ticket", name="uq_incidents_ticket"),
    )
    op.create_index("ix_incidents_state_position", "incidents", ["state", "position"], unique=False)
    op.create_table(
        "log_checkpoints",
        sa.Column("size", _ROW_NUMBER, autoincrement=False, nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_log_checkpoints"),
    )
    op.create_table(
        "log_nodes",
        sa.Column("level", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("node_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "node_index", name="pk_log_nodes"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "stored_responses",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_stored_responses"),
    )
    op.create_table(
        "ticket_counters",
        sa.Column("year", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("year", name="pk_ticket_counters"),
    )
    op.create_table(
        "agreement_bindings",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("agreement_id", sa.Text(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_agreement_bindings_customer_id"),
        sa.PrimaryKeyConstraint("position", name="pk_agreement_bindings"),
    )
    op.create_index("ix_agreement_bindings_customer_id", "agreement_bindings", ["customer_id"], unique=False)
    op.create_table(
        "audit_openings",
        sa.Column("position", _ROW_NUMBER, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["position"], ["audit_entries.position"], name="fk_audit_openings_position"),
        sa.PrimaryKeyConstraint("position", "name", name="pk_audit_openings"),
    )
    op.create_table(
        "audit_subjects",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("position", _ROW_NUMBER, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["position"], ["audit_entries.position"], name="fk_audit_subjects_position"),
        sa.PrimaryKeyConstraint("kind", "identifier", "position", name="pk_audit_subjects"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "contacts",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("order", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_contacts_customer_id"),
        sa.PrimaryKeyConstraint("position", name="pk_contacts"),
        sa.UniqueConstraint("id", name="uq_contacts_id"),
    )
    op.create_index("ix_contacts_customer_id", "contacts", ["customer_id"], unique=False)
    op.create_table(
        "customer_salts",
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_customer_salts_customer_id"),
        sa.PrimaryKeyConstraint("customer_id", name="pk_customer_salts"),
    )
    op.create_table(
        "decisions",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("incident_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("facts_version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_decisions_customer_id"),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_decisions_incident_id"),
        sa.PrimaryKeyConstraint("position", name="pk_decisions"),
        sa.UniqueConstraint("id", name="uq_decisions_id"),
    )
    op.create_index(
        "ix_decisions_incident_id_customer_id_position",
        "decisions",
        ["incident_id", "customer_id", "position"],
        unique=False,
    )
    op.create_table(
        "incident_facts",
        sa.Column("incident_id", _ID, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_incident_facts_incident_id"),
        sa.PrimaryKeyConstraint("incident_id", "version", name="pk_incident_facts"),
    )
    op.create_table(
        "log_leaves",
        sa.Column("leaf_index", _ROW_NUMBER, autoincrement=False, nullable=False),
        sa.Column("position", _ROW_NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["position"], ["audit_entries.position"], name="fk_log_leaves_position"),
        sa.PrimaryKeyConstraint("leaf_index", name="pk_log_leaves"),
        sa.UniqueConstraint("position", name="uq_log_leaves_position"),
    )
    op.create_table(
        "notices",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("incident_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("facts_version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due_kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.Column("sealed_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("hold_reason", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_notices_customer_id"),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_notices_incident_id"),
        sa.PrimaryKeyConstraint("position", name="pk_notices"),
        sa.UniqueConstraint("id", name="uq_notices_id"),
    )
    op.create_index("ix_notices_customer_id_position", "notices", ["customer_id", "position"], unique=False)
    op.create_index(
        "ix_notices_incident_id_customer_id_sequence",
        "notices",
        ["incident_id", "customer_id", "sequence"],
        unique=False,
    )
    op.create_index("ix_notices_state_due_at_position", "notices", ["state", "due_at", "position"], unique=False)
    op.create_index("ix_notices_state_position", "notices", ["state", "position"], unique=False)
    op.create_index(
        "uq_notices_standing",
        "notices",
        ["incident_id", "customer_id", "sequence"],
        unique=True,
        sqlite_where=sa.text("state <> 'withdrawn'"),
        postgresql_where=sa.text("state <> 'withdrawn'"),
    )
    op.create_table(
        "profiles",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("choices", sa.Text(), nullable=True),
        sa.Column("effective_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_profiles_customer_id"),
        sa.PrimaryKeyConstraint("position", name="pk_profiles"),
        sa.UniqueConstraint("id", name="uq_profiles_id"),
    )
    op.create_index("uq_profiles_customer_id_version", "profiles", ["customer_id", "version"], unique=True)
    op.create_table(
        "deliveries",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("contact_id", _ID, nullable=True),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leased_until", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name="fk_deliveries_contact_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_deliveries_customer_id"),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_deliveries_notice_id"),
        sa.PrimaryKeyConstraint("position", name="pk_deliveries"),
        sa.UniqueConstraint("id", name="uq_deliveries_id"),
    )
    op.create_index("ix_deliveries_notice_id", "deliveries", ["notice_id"], unique=False)
    op.create_index(
        "ix_deliveries_queued_due_at",
        "deliveries",
        ["due_at", "position"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_deliveries_troubled_due_at",
        "deliveries",
        ["due_at", "position"],
        unique=False,
        sqlite_where=sa.text("last_error IS NOT NULL"),
        postgresql_where=sa.text("last_error IS NOT NULL"),
    )
    op.create_table(
        "inbox_items",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("placed_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_inbox_items_customer_id"),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_inbox_items_notice_id"),
        sa.PrimaryKeyConstraint("position", name="pk_inbox_items"),
        sa.UniqueConstraint("notice_id", name="uq_inbox_items_notice_id"),
    )
    op.create_index("ix_inbox_items_customer_id_position", "inbox_items", ["customer_id", "position"], unique=False)
    op.create_table(
        "sealed_notices",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("entry_id", _ID, nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("timestamp_independent", sa.Boolean(), nullable=False),
        sa.Column("resources_csv", sa.LargeBinary(), nullable=True),
        sa.Column("renderings", sa.Text(), nullable=False),
        sa.Column("sealed_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_sealed_notices_notice_id"),
        sa.PrimaryKeyConstraint("position", name="pk_sealed_notices"),
        sa.UniqueConstraint("notice_id", name="uq_sealed_notices_notice_id"),
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("delivery_id", _ID, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ended_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("evidence_event", sa.Text(), nullable=False),
        sa.Column("message_sha256", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name="fk_delivery_attempts_delivery_id"),
        sa.PrimaryKeyConstraint("position", name="pk_delivery_attempts"),
        sa.UniqueConstraint("id", name="uq_delivery_attempts_id"),
    )
    op.create_index(
        "uq_delivery_attempts_delivery_id_number", "delivery_attempts", ["delivery_id", "number"], unique=True
    )
    op.create_table(
        "owed_evidence",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("notice_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["sealed_notices.notice_id"], name="fk_owed_evidence_notice_id"),
        sa.PrimaryKeyConstraint("position", name="pk_owed_evidence"),
    )
    op.create_index("ix_owed_evidence_kind_position", "owed_evidence", ["kind", "position"], unique=False)
    op.create_index("uq_owed_evidence_notice_id_kind", "owed_evidence", ["notice_id", "kind"], unique=True)
    op.create_table(
        "seal_proofs",
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["sealed_notices.notice_id"], name="fk_seal_proofs_notice_id"),
        sa.PrimaryKeyConstraint("notice_id", name="pk_seal_proofs"),
    )
    op.create_table(
        "seal_timestamps",
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("independent", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["sealed_notices.notice_id"], name="fk_seal_timestamps_notice_id"),
        sa.PrimaryKeyConstraint("notice_id", name="pk_seal_timestamps"),
    )
    op.create_table(
        "sent_messages",
        sa.Column("delivery_id", _ID, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name="fk_sent_messages_delivery_id"),
        sa.PrimaryKeyConstraint("delivery_id", "number", name="pk_sent_messages"),
    )
