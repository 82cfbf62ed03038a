"""A unit of work over the repositories."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from notifications.ports.announcements import AnnouncementRepository
from notifications.ports.audit import AuditRepository
from notifications.ports.customers import CustomerRepository
from notifications.ports.deliveries import DeliveryRepository
from notifications.ports.duties import DutyRepository
from notifications.ports.erasures import ErasureRepository
from notifications.ports.escalations import EscalationRepository
from notifications.ports.incidents import IncidentRepository
from notifications.ports.log import LogRepository
from notifications.ports.notices import NoticeRepository
from notifications.ports.questions import QuestionRepository
from notifications.ports.resources import ResourceRepository
from notifications.ports.responses import ResponseRepository
from notifications.ports.webhooks import WebhookRepository

ResultT = TypeVar("ResultT")


class Transaction(Protocol):
    """One unit of work: all of its changes become durable, or none of them.

    All its repositories read and write the same state. ``add`` and every ``add_*`` raise StateConflictError for an id
    that exists. A lookup returns None if it finds nothing; ``require`` raises NotFoundError. Lists have a stable order.
    A page comes with the cursor of the next page, or with None after the last one. Times are aware UTC and equal to the
    times that were written.

    The rule for versions: ``save`` and every ``save_*`` with ``expected_version`` raise VersionMismatchError unless the
    stored version is ``expected_version``. The version of the new record must be ``expected_version + 1``.
    """

    @property
    def incidents(self) -> IncidentRepository:
        """Incidents, the versions of their facts, and the decisions for each customer."""
        ...

    @property
    def announcements(self) -> AnnouncementRepository:
        """What became of announcements at each customer."""
        ...

    @property
    def customers(self) -> CustomerRepository:
        """Customers with their agreements, contacts, profiles and checks."""
        ...

    @property
    def notices(self) -> NoticeRepository:
        """Notices with their seals, openings and acknowledgements."""
        ...

    @property
    def questions(self) -> QuestionRepository:
        """Questions about notices with their answers, and feedback on notices."""
        ...

    @property
    def duties(self) -> DutyRepository:
        """What customers state of themselves, and the records of the provider's own legal duties."""
        ...

    @property
    def deliveries(self) -> DeliveryRepository:
        """The queue of deliveries, with their attempts and bounces."""
        ...

    @property
    def escalations(self) -> EscalationRepository:
        """The escalations of notices, and their calls."""
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
        """The stored responses to requests with an idempotency key."""
        ...


class ErasureTransaction(Transaction, Protocol):
    """One unit of work that can also erase a customer."""

    @property
    def erasures(self) -> ErasureRepository:
        """Orders to erase a customer, and completed erasures."""
        ...


class InventoryTransaction(Transaction, Protocol):
    """One unit of work that also reaches the inventory of resources."""

    @property
    def resources(self) -> ResourceRepository:
        """Which customer held which resource."""
        ...


class UnitOfWork(Protocol):
    """Runs functions against the store."""

    async def write(self, work: Callable[[Transaction], ResultT], *, concurrently: bool = False) -> ResultT:
        """Run ``work`` in a transaction and return its result once it is durable on disk.

        An exception from ``work`` undoes all of its changes and is raised here unchanged. ``work`` may be called more
        than once (a database may ask for a retry), so it must have no effect outside the transaction. Calls run one
        after the other. Several calls may share one commit, and the failure of one does not affect the others.

        ``concurrently`` states that ``work`` changes only records on which its caller holds a lease, and all others by
        compare-and-swap. A database with several writers may then run it at the same time as other such calls.
        """
        ...

    async def read(self, work: Callable[[Transaction], ResultT]) -> ResultT:
        """Run ``work`` against one consistent snapshot. It must not write, and does not wait for writers."""
        ...
