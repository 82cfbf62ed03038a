"""The inventory under a scope at the provider that is limited in time: a resource belongs to no moment of a scope."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from notifications.customer.inventory import (
    ConcernedCustomer,
    FailedPart,
    HeldResource,
    InventoryKind,
    ResourceLookup,
    ResourceSnapshot,
)
from notifications.ports import Page
from service.auth.scope.visibility import ScopedRepository


class ScopedResources(ScopedRepository):
    """The whole inventory for the provider's readers; nothing of it for a customer. Only an unlimited scope changes it.

    A look-up is the reader's own act, so it may be recorded.
    """

    _name = "resources"

    def history(self, customer_id: UUID, kind: InventoryKind, identifier: str) -> Sequence[HeldResource]:
        self._verify_at_provider("history")
        return self._tx.resources.history(customer_id, kind, identifier)

    def page(
        self, page: Page, *, customer_id: UUID | None = None, at: datetime | None = None
    ) -> tuple[list[HeldResource], str | None]:
        self._verify_at_provider("page")
        return self._tx.resources.page(page, customer_id=customer_id, at=at)

    def counts(self, at: datetime) -> tuple[int, int]:
        self._verify_at_provider("counts")
        return self._tx.resources.counts(at)

    def concerned(self, failed: FailedPart) -> Sequence[ConcernedCustomer]:
        self._verify_at_provider("concerned")
        return self._tx.resources.concerned(failed)

    def concerned_resources(self, failed: FailedPart, customer_id: UUID, limit: int) -> Sequence[HeldResource]:
        self._verify_at_provider("concerned_resources")
        return self._tx.resources.concerned_resources(failed, customer_id, limit)

    def latest_snapshot(self) -> ResourceSnapshot | None:
        self._verify_at_provider("latest_snapshot")
        return self._tx.resources.latest_snapshot()

    def add_lookup(self, lookup: ResourceLookup) -> None:
        self._verify_at_provider("add_lookup")
        self._tx.resources.add_lookup(lookup)

    def lookup(self, lookup_id: UUID) -> ResourceLookup | None:
        self._verify_at_provider("lookup")
        return self._tx.resources.lookup(lookup_id)

    def drop_lookups(self, before: datetime) -> None:
        self._verify_at_provider("drop_lookups")
        self._tx.resources.drop_lookups(before)
