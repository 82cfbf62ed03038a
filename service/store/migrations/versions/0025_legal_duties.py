"""Legal profiles of customers; assessments, drafts, submissions and timers of the provider's own duties."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_ID = sa.LargeBinary(length=16)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_APPEND_ONLY: dict[str, tuple[tuple[str, ...], ...]] = {
    "duty_assessments": (("position",), ("incident_id", "version")),
    "legal_profiles": (("position",), ("customer_id", "version")),
    "report_drafts": (("position",), ("incident_id", "duty_id", "version")),
    "report_submissions": (("position",), ("id",)),
}
#: The erasure of the customer has begun.
_BEGUN = "SELECT 1 FROM erasure_orders o WHERE o.begun_at IS NOT NULL AND o.customer_id = OLD.customer_id"


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _of(table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{column.removesuffix('_id')}s.id"], name=f"fk_{table}_{column}"
    )  # fmt: skip


def upgrade() -> None:
    """Make the change."""
    op.create_table(
        "legal_profiles",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        _number("version"),
        _text("member_state", nullable=True),
        _text("region", nullable=True),
        _text("sectors"),
        _text("lei", nullable=True),
        _number("recorded_at"),
        _text("recorded_by"),
        _of("legal_profiles", "customer_id"),
        sa.PrimaryKeyConstraint("position", name="pk_legal_profiles"),
    )
    op.create_index(
        "uq_legal_profiles_customer_id_version", "legal_profiles", ["customer_id", "version"], unique=True
    )  # fmt: skip
    op.create_table(
        "duty_assessments",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("incident_id", _ID, nullable=False),
        _number("version"),
        _text("answers"),
        _number("loss_eur", nullable=True),
        _text("apparent_cause", nullable=True),
        _number("high_risk_at", nullable=True),
        _number("fix_at", nullable=True),
        _number("handled_at", nullable=True),
        _text("note", nullable=True),
        _number("recorded_at"),
        _text("recorded_by"),
        _of("duty_assessments", "incident_id"),
        sa.PrimaryKeyConstraint("position", name="pk_duty_assessments"),
    )
    op.create_index("ix_duty_assessments_recorded_at", "duty_assessments", ["recorded_at"], unique=False)
    op.create_index(
        "uq_duty_assessments_incident_id_version", "duty_assessments", ["incident_id", "version"], unique=True
    )  # fmt: skip
    op.create_table(
        "report_submissions",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("incident_id", _ID, nullable=False),
        _text("duty_id"),
        _number("submitted_at"),
        _text("recipient"),
        _text("reference", nullable=True),
        _text("submitted_by"),
        _text("items"),
        sa.Column("corrects", _ID, nullable=True),
        _text("reason", nullable=True),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        _number("recorded_at"),
        _text("recorded_by"),
        _of("report_submissions", "incident_id"),
        sa.PrimaryKeyConstraint("position", name="pk_report_submissions"),
        sa.UniqueConstraint("id", name="uq_report_submissions_id"),
    )
    op.create_index("ix_report_submissions_incident_id", "report_submissions", ["incident_id"], unique=False)
    op.create_table(
        "report_drafts",
        sa.Column("position", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("incident_id", _ID, nullable=False),
        _text("duty_id"),
        _number("version"),
        _text("items"),
        _number("recorded_at"),
        _text("recorded_by"),
        _of("report_drafts", "incident_id"),
        sa.PrimaryKeyConstraint("position", name="pk_report_drafts"),
    )
    op.create_index(
        "uq_report_drafts_incident_id_duty_id_version",
        "report_drafts",
        ["incident_id", "duty_id", "version"],
        unique=True,
    )
    op.create_table(
        "duty_timers",
        sa.Column("incident_id", _ID, nullable=False),
        _number("look_at"),
        _of("duty_timers", "incident_id"),
        sa.PrimaryKeyConstraint("incident_id", name="pk_duty_timers"),
    )
    op.create_index("ix_duty_timers_look_at", "duty_timers", ["look_at"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()


def _guard_on_sqlite() -> None:
    for table, keys in _APPEND_ONLY.items():
        for event in ("DELETE", "UPDATE"):
            when = f"WHEN NOT EXISTS ({_BEGUN}) " if (table, event) == ("legal_profiles", "DELETE") else ""
            op.execute(
                f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} {when}"
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        taken = " OR ".join(
            f"EXISTS (SELECT 1 FROM {table} WHERE {' AND '.join(f'{column} = NEW.{column}' for column in key)})"  # noqa: S608 - the names are constants of this file
            for key in keys
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {taken} "
            f"BEGIN SELECT RAISE(ABORT, '{table}: exists already'); END"
        )


def _guard_on_postgresql() -> None:
    for table in _APPEND_ONLY:
        function = "refuse_unless_erasing" if table == "legal_profiles" else "refuse_change"
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )
    op.execute(
        "CREATE FUNCTION legal_profiles_no_other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF TG_OP = 'DELETE' THEN IF EXISTS ({_BEGUN}) THEN RETURN OLD; END IF; END IF;"
        " RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER legal_profiles_no_other BEFORE UPDATE OR DELETE ON legal_profiles"
        " FOR EACH ROW EXECUTE FUNCTION legal_profiles_no_other()"
    )
