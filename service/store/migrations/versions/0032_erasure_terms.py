"""The days of an erasure's formal notice are data of an agreement, kept in each order; the guard reads them there."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0029"
branch_labels = None
depends_on = None

_DAY_MICROSECONDS = 86_400_000_000
_MAY_CHANGE = (
    "OLD.begun_at IS NULL AND NEW.customer_id = OLD.customer_id AND NEW.notice_days = OLD.notice_days AND "
    "(OLD.noticed_at IS NULL AND NEW.begun_at IS NULL OR NEW.noticed_at = OLD.noticed_at AND "
    f"NEW.begun_at >= OLD.noticed_at + OLD.notice_days * {_DAY_MICROSECONDS})"
)
#: name of the guard: (event, what it refuses, what it says)
_GUARDS = {
    "erasure_orders_no_begin": (
        "INSERT", "NEW.begun_at IS NOT NULL OR NEW.notice_days < 1", "an erasure begins after its notice",
    ),
    "erasure_orders_no_change": (
        "UPDATE", f"({_MAY_CHANGE}) IS NOT TRUE", "an erasure begins when the days of its notice are over",
    ),
}  # fmt: skip


def upgrade() -> None:
    """Make the change. Open orders are of the only number of days that earlier releases knew."""
    op.add_column("erasure_orders", sa.Column("notice_days", sa.BigInteger(), nullable=False, server_default="21"))
    op.add_column("erasure_orders", sa.Column("within_days", sa.BigInteger(), nullable=False, server_default="30"))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for name, (event, refused, said) in _GUARDS.items():
        op.execute(f"DROP TRIGGER {name}" if is_sqlite else f"DROP TRIGGER {name} ON erasure_orders")
        if is_sqlite:
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {event} ON erasure_orders WHEN {refused} "
                f"BEGIN SELECT RAISE(ABORT, '{said}'); END"
            )
            continue
        op.execute(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" RAISE EXCEPTION '{said}' USING ERRCODE = 'restrict_violation'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON erasure_orders FOR EACH ROW WHEN ({refused})"
            f" EXECUTE FUNCTION {name}()"
        )
