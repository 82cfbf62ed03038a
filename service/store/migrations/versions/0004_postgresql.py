"""On PostgreSQL: append-only by trigger, and a function that SQLite has."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_APPEND_ONLY = (
    "acknowledgements", "agreement_bindings", "audit_entries", "audit_subjects", "call_records", "decisions",
    "delivery_attempts", "inbox_items", "incident_facts", "log_checkpoints", "log_leaves", "log_nodes",
    "notice_openings", "profiles", "reachability_checks", "returned_messages", "seal_proofs", "seal_timestamps",
    "sealed_notices", "sent_messages",
)  # fmt: skip


def upgrade() -> None:
    """Make the change."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        "CREATE FUNCTION hex(bytes bytea) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE"
        " RETURN upper(encode(bytes, 'hex'))"
    )
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$"
    )
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
