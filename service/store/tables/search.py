"""The full-text index."""

from sqlalchemy import Index
from sqlmodel import SQLModel

from service.store.tables import columns


class SearchDocumentRow(SQLModel, table=True):
    """One thing that can be found: ``shown`` is JSON, ``terms`` are separated by spaces.

    SQLite indexes the terms in the FTS5 table ``search_index``, PostgreSQL in a GIN index; see the migration.
    """

    __tablename__ = "search_documents"
    __table_args__ = (
        Index("ix_search_documents_subject_id_kind", "subject_id", "kind"),
        Index("ix_search_documents_customer_id_kind_position", "customer_id", "kind", "position"),
    )
    position: int | None = columns.position()
    kind: str = columns.text()
    subject_id: bytes = columns.identifier()
    customer_id: bytes | None = columns.identifier("customers.id", nullable=True)
    at: int = columns.integer()
    shown: str = columns.text()
    terms: str = columns.text()
