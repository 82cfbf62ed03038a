"""A unit of work that also reaches accounts and the service's own records."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from notifications.ports.transaction import ErasureTransaction, InventoryTransaction
from service.ports.accounts import AccountRepository
from service.ports.alerts import AlertRepository
from service.ports.board import BoardRepository
from service.ports.credentials import CredentialRepository
from service.ports.drafts import DraftRepository
from service.ports.events import EventRepository
from service.ports.figures import FigureRepository
from service.ports.mails import MailRepository
from service.ports.notice_lists import NoticeListRepository
from service.ports.reports import ReportRepository
from service.ports.search import SearchRepository
from service.ports.sessions import SessionRepository
from service.ports.tokens import TokenRepository

ResultT = TypeVar("ResultT")


class AccessTransaction(ErasureTransaction, InventoryTransaction, Protocol):
    """One unit of work that also reaches accounts, credentials, the service's own mails and alerts.

    As in ``Transaction``. These repositories write no audit entry: the caller that changes something appends its own.
    """

    @property
    def notices(self) -> NoticeListRepository:
        """Notices, their seals, the lists of an incident, and the inboxes that they are in."""
        ...

    @property
    def accounts(self) -> AccountRepository:
        """Accounts, their grants and external identities."""
        ...

    @property
    def credentials(self) -> CredentialRepository:
        """Passwords, one-time codes, passkeys and recovery codes."""
        ...

    @property
    def sessions(self) -> SessionRepository:
        """Sessions, links, pending sign-ins and throttles."""
        ...

    @property
    def tokens(self) -> TokenRepository:
        """API tokens."""
        ...

    @property
    def mails(self) -> MailRepository:
        """The queue of the service's own mails."""
        ...

    @property
    def alerts(self) -> AlertRepository:
        """Alerts, and the questions whose answers raise them."""
        ...

    @property
    def drafts(self) -> DraftRepository:
        """Drafts of incidents and announcements."""
        ...

    @property
    def figures(self) -> FigureRepository:
        """Numbers about the store."""
        ...

    @property
    def events(self) -> EventRepository:
        """What happened to incidents, in the order of commits."""
        ...

    @property
    def search(self) -> SearchRepository:
        """The full-text index."""
        ...

    @property
    def board(self) -> BoardRepository:
        """Incidents by filters and by deadline."""
        ...

    @property
    def reports(self) -> ReportRepository:
        """Issued reports."""
        ...


class AccessStore(Protocol):
    """Runs work against the store, like ``notifications.ports.UnitOfWork`` but with ``AccessTransaction``."""

    #: hooks after commit; they get the kinds of things that changed. ``access`` means accounts, grants, sessions and
    #: tokens; ``messages`` means mails and alerts
    on_commit: list[Callable[[set[str]], None]]

    async def write(self, work: Callable[[AccessTransaction], ResultT]) -> ResultT:
        """Run in a transaction; durable when it returns."""
        ...

    async def read(self, work: Callable[[AccessTransaction], ResultT]) -> ResultT:
        """Run against one snapshot."""
        ...
