"""Erasure orders, and erasures that were done."""

from sqlmodel import SQLModel

from service.store.tables import columns


class ErasureOrderRow(SQLModel, table=True):
    """``notifications.customer.erasure.ErasureOrder``; no foreign key, because the customer is deleted before it."""

    __tablename__ = "erasure_orders"
    customer_id: bytes = columns.identifier(primary_key=True)
    ordered_at: int = columns.integer()
    ordered_by: str = columns.text()
    served_by: str = columns.text()
    reference: str | None = columns.text(nullable=True)
    mail_ids: str = columns.text()
    noticed_at: int | None = columns.integer(nullable=True)
    begun_at: int | None = columns.integer(nullable=True)
    notice_days: int = columns.integer()
    within_days: int = columns.integer()
    notice_id: bytes | None = columns.identifier(nullable=True)
    announced_at: int | None = columns.integer(nullable=True)


class ErasureRow(SQLModel, table=True):
    """``notifications.customer.erasure.Erasure``."""

    __tablename__ = "erasures"
    pseudonym: str = columns.text(primary_key=True)
    ordered_at: int = columns.integer()
    noticed_at: int = columns.integer()
    erased_at: int = columns.integer()
    erased_rows: int = columns.integer()
    compacted_at: int | None = columns.integer(nullable=True)
    document: bytes | None = columns.binary(nullable=True)
    signature: bytes | None = columns.binary(nullable=True)
    timestamp: bytes | None = columns.binary(nullable=True)
    certified_at: int | None = columns.integer(nullable=True)
    agreement_id: str | None = columns.text(nullable=True)
