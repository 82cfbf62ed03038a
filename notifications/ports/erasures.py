"""Orders to erase a customer, and the erasures that were done."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifications.customer.erasure import ErasedRows, Erasure, ErasureOrder


class ErasureRepository(Protocol):
    """Orders to erase a customer, and the erasures that were done."""

    def add_order(self, order: ErasureOrder) -> None:
        """Store an order; a second one for the same customer raises StateConflictError."""
        ...

    def order(self, customer_id: UUID) -> ErasureOrder | None:
        """Return the order in force for a customer."""
        ...

    def orders(self, limit: int) -> Sequence[ErasureOrder]:
        """Return the orders in force, oldest first."""
        ...

    def set_noticed(self, customer_id: UUID, noticed_at: datetime) -> None:
        """Record when the formal notice was served, once."""
        ...

    def drop_order(self, customer_id: UUID) -> None:
        """Take an order back."""
        ...

    def obstacles(self, customer_id: UUID) -> dict[str, int]:
        """Return what the customer is still owed (``unserved_notices``, ``queued_deliveries``, ``open_call_tasks``)."""
        ...

    def erase(self, customer_id: UUID, pseudonym: str, begun_at: datetime) -> ErasedRows:
        """Erase everything of a customer except leaves, tree and subjects of the log; its order is removed too.

        The store itself refuses unless there is an order whose notice was served 21 days before ``begun_at``.
        """
        ...

    def add(self, erasure: Erasure) -> None:
        """Record an erasure that was done."""
        ...

    def get(self, pseudonym: str) -> Erasure | None:
        """Return the erasure of the customer of a pseudonym."""
        ...

    def after(self, after: str, limit: int) -> Sequence[Erasure]:
        """Return the erasures whose pseudonym is greater than ``after``, in the order of pseudonyms."""
        ...

    def unfinished(self, limit: int) -> Sequence[Erasure]:
        """Return erasures that are not certified yet, oldest first."""
        ...

    def save(self, erasure: Erasure) -> None:
        """Add what an erasure did not have yet; what it has is not changed."""
        ...
