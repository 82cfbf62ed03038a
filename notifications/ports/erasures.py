"""Orders to erase a customer, and the erasures that were done."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifications.customer.erasure import ErasedRows, Erasure, ErasureOrder


class ErasureRepository(Protocol):
    """Orders to erase a customer, and the erasures that were done."""

    def add_order(self, order: ErasureOrder) -> None:
        """Store an order; raises StateConflictError if the customer already has one."""
        ...

    def order(self, customer_id: UUID) -> ErasureOrder | None:
        """Return the order in force for a customer."""
        ...

    def orders(self, limit: int) -> Sequence[ErasureOrder]:
        """Return the orders in force, oldest first."""
        ...

    def set_noticed(self, customer_id: UUID, noticed_at: datetime) -> None:
        """Record when the formal notice was served. It can be recorded only once."""
        ...

    def drop_order(self, customer_id: UUID) -> None:
        """Remove an order that was withdrawn."""
        ...

    def obstacles(self, customer_id: UUID) -> dict[str, int]:
        """Return what blocks it, and how often: what the customer is owed, ``later_notices`` and ``returned_notices``.

        The former are sealed notices of the same announcement after the one that the order rests on. The latter is that
        one, if the mail with which its days began was returned.
        """
        ...

    def erase(self, customer_id: UUID, pseudonym: str, begun_at: datetime) -> ErasedRows:
        """Erase all data of a customer, with its order, except the leaves, the tree and the subjects of the log.

        The store itself refuses this unless an order exists whose notice was served its days before ``begun_at``.
        """
        ...

    def add(self, erasure: Erasure) -> None:
        """Record a completed erasure."""
        ...

    def get(self, pseudonym: str) -> Erasure | None:
        """Return the erasure of the customer with this pseudonym."""
        ...

    def after(self, after: str, limit: int) -> Sequence[Erasure]:
        """Return the erasures whose pseudonym is greater than ``after``, sorted by pseudonym."""
        ...

    def unfinished(self, limit: int) -> Sequence[Erasure]:
        """Return the erasures that have no certificate yet, oldest first."""
        ...

    def save(self, erasure: Erasure) -> None:
        """Store the fields that the stored erasure does not have yet. Fields that it has are not changed."""
        ...
