"""One unit of work on SQL: the repositories of ``service.ports.store.AccessTransaction`` over one session."""

from typing import Generic, TypeVar

from service.store.accounts.accounts import AccountRecords
from service.store.accounts.credentials import CredentialRecords
from service.store.accounts.sessions import SessionRecords
from service.store.accounts.tokens import TokenRecords
from service.store.delivery.alerts import AlertRecords
from service.store.delivery.bounces import BounceRecords
from service.store.delivery.channel_pauses import ChannelPauseRecords
from service.store.delivery.deliveries import DeliveryRecords
from service.store.delivery.escalations import EscalationRecords
from service.store.delivery.figures import FigureRecords
from service.store.delivery.leases import LeaseRecords
from service.store.delivery.outgoing_mails import MailRecords
from service.store.delivery.webhooks import WebhookRecords
from service.store.incidents.acknowledgements import AcknowledgementRecords
from service.store.incidents.announcements import AnnouncementRecords
from service.store.incidents.board import BoardRecords
from service.store.incidents.decisions import DecisionRecords
from service.store.incidents.drafts import DraftRecords
from service.store.incidents.duties import DutyRecords
from service.store.incidents.erasure import ErasureRecords
from service.store.incidents.idempotency import ResponseRecords
from service.store.incidents.inbox import InboxRecords
from service.store.incidents.incidents import IncidentRecords
from service.store.incidents.interventions import InterventionRecords
from service.store.incidents.loaded_customers import LoadedCustomers
from service.store.incidents.notice_lists import NoticeListRecords
from service.store.incidents.notices import NoticeRecords
from service.store.incidents.questions import QuestionRecords
from service.store.incidents.reachability import ReachabilityRecords
from service.store.incidents.resources import ResourceRecords
from service.store.incidents.seals import SealRecords
from service.store.log.audit import AuditRecords
from service.store.log.checkpoint_timestamps import CheckpointTimestampRecords
from service.store.log.cosignatures import CosignatureRecords
from service.store.log.events import EventRecords
from service.store.log.heads import HeadRecords
from service.store.log.issued_reports import IssuedReportRecords
from service.store.log.tree import TreeRecords
from service.store.search.finding import SearchRecords
from service.store.sql.records import Records
from service.store.sql.session import Session

RecordsT = TypeVar("RecordsT", bound=Records)


class _Incidents(IncidentRecords, DecisionRecords, InterventionRecords):
    """Implements ``notifications.ports.IncidentRepository``."""


class _Customers(LoadedCustomers, ReachabilityRecords):
    """Implements ``notifications.ports.CustomerRepository``."""


class _Notices(NoticeRecords, SealRecords, AcknowledgementRecords, InboxRecords, NoticeListRecords):
    """Implements ``notifications.ports.NoticeRepository``."""


class _Deliveries(DeliveryRecords, LeaseRecords, BounceRecords, ChannelPauseRecords):
    """Implements ``notifications.ports.DeliveryRepository``."""


class _Log(TreeRecords, HeadRecords, CosignatureRecords, CheckpointTimestampRecords):
    """Implements ``service.ports.log.SequencedLogRepository``."""


class Repository(Generic[RecordsT]):
    """Attribute of a transaction: the repository, made when it is first used. Most units of work use few of them.

    Not ``functools.cached_property``: in Python 3.11 its lock costs ten times what making a repository does.
    """

    def __init__(self, records: type[RecordsT]) -> None:
        self._records = records

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, tx: "SqlTransaction", _owner: type | None = None) -> RecordsT:
        made = self._records(tx._session)  # noqa: SLF001 - an attribute of the transaction itself
        # From now on the instance has the attribute, and this is not called again.
        tx.__dict__[self._name] = made
        return made


class SqlTransaction:
    """Implements ``service.ports.store.AccessTransaction`` and ``service.ports.log.LogTransaction`` on one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    incidents = Repository(_Incidents)
    announcements = Repository(AnnouncementRecords)
    customers = Repository(_Customers)
    notices = Repository(_Notices)
    questions = Repository(QuestionRecords)
    duties = Repository(DutyRecords)
    deliveries = Repository(_Deliveries)
    escalations = Repository(EscalationRecords)
    webhooks = Repository(WebhookRecords)
    audit = Repository(AuditRecords)
    log = Repository(_Log)
    responses = Repository(ResponseRecords)
    erasures = Repository(ErasureRecords)
    resources = Repository(ResourceRecords)
    accounts = Repository(AccountRecords)
    credentials = Repository(CredentialRecords)
    sessions = Repository(SessionRecords)
    tokens = Repository(TokenRecords)
    mails = Repository(MailRecords)
    alerts = Repository(AlertRecords)
    drafts = Repository(DraftRecords)
    figures = Repository(FigureRecords)
    board = Repository(BoardRecords)
    events = Repository(EventRecords)
    search = Repository(SearchRecords)
    reports = Repository(IssuedReportRecords)
