"""The inventory of resources, and the look-ups that were made in it."""

from sqlalchemy import Index
from sqlmodel import SQLModel

from service.store.tables import columns

_WHEN = ("customer_id", "held_from", "held_until")


class ResourceRow(SQLModel, table=True):
    """``notifications.customer.inventory.HeldResource``; ``held_until`` is ``OPEN`` while the customer holds it.

    There is an index for each field of a look-up. A look-up starts at the narrowest field that it is given, in this
    order, and the index also has the wider fields: the answer is counted in the index.
    """

    __tablename__ = "resources"
    __table_args__ = (
        Index("uq_resources_identity", "customer_id", "kind", "identifier", "held_from", unique=True),
        Index("ix_resources_identifier", "identifier", *_WHEN),
        Index("ix_resources_host", "host", *_WHEN, "availability_zone", "region", "service", "kind"),
        Index("ix_resources_availability_zone", "availability_zone", *_WHEN, "region", "service", "kind"),
        Index("ix_resources_region", "region", *_WHEN, "service", "kind"),
        Index("ix_resources_service", "service", *_WHEN, "kind"),
        Index("ix_resources_kind", "kind", *_WHEN),
    )
    position: int | None = columns.position()
    customer_id: bytes = columns.identifier("customers.id")
    kind: str = columns.text()
    identifier: str = columns.text()
    name: str | None = columns.text(nullable=True)
    service: str | None = columns.text(nullable=True)
    region: str | None = columns.text(nullable=True)
    availability_zone: str | None = columns.text(nullable=True)
    host: str | None = columns.text(nullable=True)
    held_from: int = columns.integer()
    held_until: int = columns.integer()
    recorded_at: int = columns.integer()


class ResourceSnapshotRow(SQLModel, table=True):
    """``notifications.customer.inventory.ResourceSnapshot``."""

    __tablename__ = "resource_snapshots"
    position: int | None = columns.position()
    snapshot_at: int = columns.integer(index=True)
    imported_at: int = columns.integer()
    imported_by: str = columns.text()
    resources: int = columns.integer()


class ResourceLookupRow(SQLModel, table=True):
    """``notifications.customer.inventory.ResourceLookup``."""

    __tablename__ = "resource_lookups"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    made_at: int = columns.integer(index=True)
    made_by: str = columns.text()
    failed: str = columns.text()
    proposed: str = columns.text()
    confirmed: str | None = columns.text(nullable=True)
    confirmed_at: int | None = columns.integer(nullable=True)
    confirmed_by: str | None = columns.text(nullable=True)
