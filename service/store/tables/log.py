"""The audit log and its tree."""

from sqlalchemy import Column, ForeignKey, Index
from sqlmodel import Field, SQLModel

from service.store.tables import columns


class AuditEntryRow(SQLModel, table=True):
    """An entry of the log: the exact leaf bytes, written with the change and never computed again.

    The columns after the leaf repeat what it says, so that a statement can limit a list of entries to a scope and to
    what a reader looks for.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (Index(None, "type", "position"), Index(None, "actor", "position"))
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    leaf: bytes = columns.binary()
    recorded_at: int = columns.integer(index=True)
    incident_id: bytes | None = columns.identifier(nullable=True)
    notice_id: bytes | None = columns.identifier(nullable=True)
    type: str = columns.text()
    actor: str = columns.text()


class AuditSubjectRow(SQLModel, table=True):
    """A subject of an entry; used to find the entries about one thing."""

    __tablename__ = "audit_subjects"
    __table_args__ = {"sqlite_with_rowid": False}
    kind: str = columns.text(primary_key=True)
    identifier: str = columns.text(primary_key=True)
    position: int = Field(
        sa_column=Column(
            columns.ROW_NUMBER, ForeignKey("audit_entries.position"), primary_key=True, autoincrement=False
        )
    )


class AuditOpeningRow(SQLModel, table=True):
    """Salt and value of a commitment. It can be erased; the leaf contains only the digest."""

    __tablename__ = "audit_openings"
    position: int = Field(
        sa_column=Column(
            columns.ROW_NUMBER, ForeignKey("audit_entries.position"), primary_key=True, autoincrement=False
        )
    )
    name: str = columns.text(primary_key=True)
    salt: bytes = columns.binary()
    value: bytes = columns.binary()


class IssuedReportRow(SQLModel, table=True):
    """``service.ports.reports.IssuedReport``: the report of a period, as it was issued; its digest is in the log.

    ``customer`` is a pseudonym, or empty for the report on all customers.
    """

    __tablename__ = "issued_reports"
    __table_args__ = (Index("uq_issued_reports_period_customer_number", "period", "customer", "number", unique=True),)
    position: int | None = columns.position()
    period: str = columns.text()
    customer: str = columns.text()
    number: int = columns.integer()
    starts_at: int = columns.integer()
    ends_at: int = columns.integer()
    content: bytes = columns.binary()
    entry_id: bytes = columns.identifier()
    issued_at: int = columns.integer()


class ReportPdfRow(SQLModel, table=True):
    """``service.ports.reports.ReportPdf``. It names customers, so that an erasure deletes it."""

    __tablename__ = "report_pdfs"
    __table_args__ = (
        Index(
            "uq_report_pdfs_period_customer_number_language", "period", "customer", "number", "language", unique=True
        ),
    )
    position: int | None = columns.position()
    period: str = columns.text()
    customer: str = columns.text()
    number: int = columns.integer()
    language: str = columns.text()
    content: bytes = columns.binary()
    entry_id: bytes = columns.identifier()


class LogLeafRow(SQLModel, table=True):
    """The index of an entry in the tree."""

    __tablename__ = "log_leaves"
    leaf_index: int = Field(sa_column=Column(columns.ROW_NUMBER, primary_key=True, autoincrement=False))
    position: int = Field(
        sa_column=Column(columns.ROW_NUMBER, ForeignKey("audit_entries.position"), nullable=False, unique=True)
    )


class LogNodeRow(SQLModel, table=True):
    """Hash of a complete subtree of 2^level leaves; levels 0, 8, 16 read in order are the C2SP tiles."""

    __tablename__ = "log_nodes"
    __table_args__ = {"sqlite_with_rowid": False}
    level: int = columns.integer(primary_key=True)
    node_index: int = columns.integer(primary_key=True)
    hash: bytes = columns.binary()


class LogCheckpointRow(SQLModel, table=True):
    """Every signed checkpoint; the checkpoint with the greatest size is the head."""

    __tablename__ = "log_checkpoints"
    size: int = Field(sa_column=Column(columns.ROW_NUMBER, primary_key=True, autoincrement=False))
    note: bytes = columns.binary()


class CheckpointTimestampRow(SQLModel, table=True):
    """The token of a timestamp authority over the exact bytes of a signed checkpoint."""

    __tablename__ = "checkpoint_timestamps"
    size: int = Field(sa_column=Column(columns.ROW_NUMBER, primary_key=True, autoincrement=False))
    token: bytes = columns.binary()
    made_at: int = columns.integer()


class CheckpointCosignatureRow(SQLModel, table=True):
    """A witness's signature line under a checkpoint."""

    __tablename__ = "checkpoint_cosignatures"
    size: int = columns.integer(primary_key=True)
    witness: str = columns.text(primary_key=True)
    line: str = columns.text()
    cosigned_at: int = columns.integer()
