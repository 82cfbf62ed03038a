"""An order to erase a customer may rest on a sealed notice; the guard waits for the moment that it announced."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_NAME, _SAID = "erasure_orders_no_change", "an erasure begins when the days of its notice are over"
_DAY_MICROSECONDS = 86_400_000_000
_REFUSED = (
    "(OLD.begun_at IS NULL AND NEW.customer_id = OLD.customer_id AND NEW.notice_days = OLD.notice_days AND "
    "COALESCE(NEW.announced_at, 0) = COALESCE(OLD.announced_at, 0) AND (OLD.noticed_at IS NULL AND "
    "NEW.begun_at IS NULL OR NEW.noticed_at = OLD.noticed_at AND "
    f"NEW.begun_at >= OLD.noticed_at + OLD.notice_days * {_DAY_MICROSECONDS} AND "
    "NEW.begun_at >= COALESCE(OLD.announced_at, 0))) IS NOT TRUE"
)


def upgrade() -> None:
    """Make the change. Orders of earlier releases rest on mails or a letter: they have no sealed notice."""
    op.add_column("erasure_orders", sa.Column("notice_id", sa.LargeBinary(), nullable=True))
    op.add_column("erasure_orders", sa.Column("announced_at", sa.BigInteger(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"DROP TRIGGER {_NAME}")
        op.execute(
            f"CREATE TRIGGER {_NAME} BEFORE UPDATE ON erasure_orders WHEN {_REFUSED} "
            f"BEGIN SELECT RAISE(ABORT, '{_SAID}'); END"
        )
        return
    op.execute(f"DROP TRIGGER {_NAME} ON erasure_orders")
    op.execute(
        f"CREATE TRIGGER {_NAME} BEFORE UPDATE ON erasure_orders FOR EACH ROW WHEN ({_REFUSED})"
        f" EXECUTE FUNCTION {_NAME}()"
    )
