"""A unit of work over the repositories."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from notifications.ports.audit import AuditRepository
from notifications.ports.customers import CustomerRepository
from notifications.ports.deliveries import DeliveryRepository
from notifications.ports.erasures import ErasureRepository
from notifications.ports.escalations import EscalationRepository
from notifications.ports.incidents import IncidentRepository
from notifications.ports.log import LogRepository
from notifications.ports.notices import NoticeRepository
from notifications.ports.responses import ResponseRepository
from notifications.ports.webhooks import WebhookRepository

ResultT = TypeVar("ResultT")


class Transaction(Protocol):
    """One unit of work: all of it becomes durable, or none.

    All its repositories read and write the same state. ``add`` and every ``add_*`` raise StateConflictError for an id
    that exists. Lookups return None where there is nothing, ``require`` raises NotFoundError. Lists have a stable
    order; a page comes with the cursor of the next page, or None. Times are aware UTC, equal to what was written.

    The rule for versions: ``save`` and every ``save_*`` with ``expected_version`` raise VersionMismatchError unless the
    stored version is ``expected_version``; the version of the new record must be ``expected_version + 1``.
    """

    @property
    def incidents(self) -> IncidentRepository:
        """Incidents, the versions of their facts, and the decisions for each customer."""
        ...

    @property
    def customers(self) -> CustomerRepository:
        """Customers with their agreements, contacts, profiles and checks."""
        ...

    @property
    def notices(self) -> NoticeRepository:
        """Notices with their seals, and who opened and acknowledged them."""
        ...

    @property
    def deliveries(self) -> DeliveryRepository:
        """The queue of deliveries, and what happened to them."""
        ...

    @property
    def escalations(self) -> EscalationRepository:
        """The escalation clocks of notices, and their calls."""
        ...

    @property
    def webhooks(self) -> WebhookRepository:
        """The webhook endpoints of customers, and their secrets."""
        ...

    @property
    def audit(self) -> AuditRepository:
        """The entries of the audit log."""
        ...

    @property
    def log(self) -> LogRepository:
        """The tree over the entries, and its signed heads."""
        ...

    @property
    def responses(self) -> ResponseRepository:
        """The answers kept under idempotency keys."""
        ...


class ErasureTransaction(Transaction, Protocol):
    """One unit of work that can also erase a customer."""

    @property
    def erasures(self) -> ErasureRepository:
        """Orders to erase a customer, and erasures."""
        ...


class UnitOfWork(Protocol):
    """Runs work against the store."""

    async def write(self, work: Callable[[Transaction], ResultT], *, concurrently: bool = False) -> ResultT:
        """Run ``work`` in a transaction and return its result once it is durable on disk.

        An exception from ``work`` undoes all of it and is raised here unchanged. ``work`` may be called more than
        once (an engine may ask for a retry), so it must have no effect but through the transaction. Works are
        serialised with one another; many may share one commit, and none sees another's failure.

        ``concurrently`` says of a work that it changes only what its caller holds a lease on, and else by
        compare-and-swap: an engine with several writers may run it beside others of the kind.
        """
        ...

    async def read(self, work: Callable[[Transaction], ResultT]) -> ResultT:
        """Run ``work`` against one consistent snapshot; it must not write. Does not wait for writers."""
        ...
