"""Erasure of a customer: orders, erasures, and append-only rows that are deleted only with their customer."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)

_BEGUN = "SELECT 1 FROM erasure_orders o WHERE o.begun_at IS NOT NULL"
_OF_CUSTOMER = f"{_BEGUN} AND o.customer_id = OLD.customer_id"
_OF_NOTICE = f"{_BEGUN} AND o.customer_id = (SELECT n.customer_id FROM notices n WHERE n.id = OLD.notice_id)"  # noqa: S608 - this file's own words
_OF_DELIVERY = f"{_BEGUN} AND o.customer_id = (SELECT d.customer_id FROM deliveries d WHERE d.id = OLD.delivery_id)"  # noqa: S608 - this file's own words
_OF_TASK = f"{_BEGUN} AND o.customer_id = (SELECT t.customer_id FROM call_tasks t WHERE t.id = OLD.task_id)"  # noqa: S608 - this file's own words

#: table: the event that an erasure may cause, and the erasure that lets it
_LET: dict[str, tuple[str, str]] = {
    "acknowledgements": ("DELETE", _OF_CUSTOMER),
    "agreement_bindings": ("DELETE", _OF_CUSTOMER),
    "call_records": ("DELETE", _OF_TASK),
    "decisions": ("DELETE", _OF_CUSTOMER),
    "delivery_attempts": ("DELETE", _OF_DELIVERY),
    "inbox_items": ("DELETE", _OF_CUSTOMER),
    "incident_facts": ("UPDATE", f"{_BEGUN} AND OLD.incident_id = NEW.incident_id AND OLD.version = NEW.version"),
    "notice_openings": ("DELETE", _OF_CUSTOMER),
    "profiles": ("DELETE", _OF_CUSTOMER),
    "reachability_checks": ("DELETE", _OF_CUSTOMER),
    "returned_messages": ("DELETE", f"{_OF_DELIVERY} UNION ALL {_BEGUN} AND OLD.delivery_id IS NULL"),
    "seal_proofs": ("DELETE", _OF_NOTICE),
    "seal_timestamps": ("DELETE", _OF_NOTICE),
    "sealed_notices": ("DELETE", _OF_NOTICE),
    "sent_messages": ("DELETE", _OF_DELIVERY),
}
_ORDER_MAY_CHANGE = (
    "OLD.begun_at IS NULL AND NEW.customer_id = OLD.customer_id AND (OLD.noticed_at IS NULL AND NEW.begun_at IS NULL "
    "OR NEW.noticed_at = OLD.noticed_at AND NEW.begun_at >= OLD.noticed_at + 1814400000000)"
)
_ERASURE_KEEPS = (
    "pseudonym", "ordered_at", "noticed_at", "erased_at", "erased_rows", "compacted_at", "document", "signature",
    "timestamp", "certified_at",
)  # fmt: skip


def upgrade() -> None:
    """Make the change."""
    _create_tables()
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()


def _create_tables() -> None:
    op.create_table(
        "erasure_orders",
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("ordered_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ordered_by", sa.Text(), nullable=False),
        sa.Column("served_by", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("mail_ids", sa.Text(), nullable=False),
        sa.Column("noticed_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("begun_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("customer_id", name="pk_erasure_orders"),
    )
    op.create_table(
        "erasures",
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("ordered_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("noticed_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("erased_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("erased_rows", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("compacted_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.Column("timestamp", sa.LargeBinary(), nullable=True),
        sa.Column("certified_at", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("pseudonym", name="pk_erasures"),
    )


def _rules(unequal: str) -> tuple[tuple[str, str, str, str, str], ...]:
    """Return (name, table, event, condition that refuses, what is said)."""
    changed = " OR ".join(f"OLD.{name} IS NOT NULL AND NEW.{name} {unequal} OLD.{name}" for name in _ERASURE_KEEPS)
    return (
        (
            "erasure_orders_no_begin", "erasure_orders", "INSERT", "NEW.begun_at IS NOT NULL",
            "an erasure begins after its notice",
        ),
        (
            "erasure_orders_no_change", "erasure_orders", "UPDATE", f"({_ORDER_MAY_CHANGE}) IS NOT TRUE",
            "an erasure begins 21 days after its notice",
        ),
        (
            "erasure_orders_no_end", "erasure_orders", "DELETE",
            "OLD.begun_at IS NOT NULL AND EXISTS (SELECT 1 FROM customers c WHERE c.id = OLD.customer_id)",
            "an erasure ends with its customer",
        ),
        ("erasures_no_delete", "erasures", "DELETE", "1 = 1", "erasures is append-only"),
        ("erasures_no_change", "erasures", "UPDATE", changed, "what is said of an erasure stands"),
    )  # fmt: skip


def _guard_on_sqlite() -> None:
    for table, (event, let) in _LET.items():
        name = f"{table}_no_{event.lower()}"
        op.execute(f"DROP TRIGGER {name}")
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN NOT EXISTS ({let}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    for name, table, event, refuses, said in _rules("IS NOT"):
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {refuses} BEGIN SELECT RAISE(ABORT, '{said}'); END"
        )


def _guard_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_unless_erasing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF TG_OP <> 'TRUNCATE' AND EXISTS ({_BEGUN}) THEN RETURN NULL; END IF;"
        " RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$"
    )
    for table, (event, let) in _LET.items():
        op.execute(f"DROP TRIGGER {table}_no_change ON {table}")
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_unless_erasing()"
        )
        op.execute(
            f"CREATE FUNCTION {table}_no_other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF TG_OP = '{event}' THEN IF EXISTS ({let}) THEN RETURN {'OLD' if event == 'DELETE' else 'NEW'};"
            " END IF; END IF;"
            " RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_other BEFORE UPDATE OR DELETE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION {table}_no_other()"
        )
    for name, table, event, refuses, said in _rules("IS DISTINCT FROM"):
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" RAISE EXCEPTION '{said}' USING ERRCODE = 'restrict_violation'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN ({refuses}) EXECUTE FUNCTION {name}()"
            # A condition of a trigger on this engine may not look into another table.
            if "SELECT" not in refuses
            else f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
        )
    op.execute(
        "CREATE OR REPLACE FUNCTION erasure_orders_no_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF OLD.begun_at IS NOT NULL AND EXISTS (SELECT 1 FROM customers c WHERE c.id = OLD.customer_id) THEN"
        " RAISE EXCEPTION 'an erasure ends with its customer' USING ERRCODE = 'restrict_violation'; END IF;"
        " RETURN OLD; END $$"
    )
    op.execute(
        "CREATE TRIGGER erasures_no_truncate BEFORE TRUNCATE ON erasures"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
