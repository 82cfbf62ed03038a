"""The inventory: which customer held which resource, and the look-ups that were made in it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifications.customer.inventory import (
    ConcernedCustomer,
    FailedPart,
    HeldResource,
    InventoryKind,
    ResourceLookup,
    ResourceSnapshot,
)
from notifications.ports.paging import Page


class ResourceRepository(Protocol):
    """The inventory. A record is identified by customer, kind, identifier and beginning."""

    def add(self, resources: Sequence[HeldResource]) -> None:
        """Store new records."""
        ...

    def replace(self, resources: Sequence[HeldResource]) -> None:
        """Replace the records with the same customer, kind, identifier and beginning."""
        ...

    def of_customer(self, customer_id: UUID) -> Sequence[HeldResource]:
        """Return every record of a customer, by kind, identifier and beginning."""
        ...

    def history(self, customer_id: UUID, kind: InventoryKind, identifier: str) -> Sequence[HeldResource]:
        """Return the records of one resource of a customer, oldest first."""
        ...

    def page(
        self, page: Page, *, customer_id: UUID | None = None, at: datetime | None = None
    ) -> tuple[list[HeldResource], str | None]:
        """Return records as recorded; of one customer, and those that hold at a time, if given."""
        ...

    def counts(self, at: datetime) -> tuple[int, int]:
        """Return how many customers hold how many resources at a time."""
        ...

    def concerned(self, failed: FailedPart) -> Sequence[ConcernedCustomer]:
        """Return the customers concerned, most resources first; as ``FailedPart.concerns`` decides."""
        ...

    def concerned_resources(self, failed: FailedPart, customer_id: UUID, limit: int) -> Sequence[HeldResource]:
        """Return the first resources concerned of one customer, by kind and identifier."""
        ...

    def add_snapshot(self, snapshot: ResourceSnapshot) -> None:
        """Record a full snapshot that was imported."""
        ...

    def latest_snapshot(self) -> ResourceSnapshot | None:
        """Return the snapshot with the latest time."""
        ...

    def add_lookup(self, lookup: ResourceLookup) -> None:
        """Store a look-up."""
        ...

    def lookup(self, lookup_id: UUID) -> ResourceLookup | None:
        """Return a look-up."""
        ...

    def confirm_lookup(self, lookup: ResourceLookup) -> None:
        """Record whom a person confirmed; raises StateConflictError where that is recorded already."""
        ...

    def drop_lookups(self, before: datetime) -> None:
        """Delete look-ups that were made before a time; the log keeps what they were."""
        ...
