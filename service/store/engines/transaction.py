"""One unit of work on SQL: the repositories of ``service.ports.store.AccessTransaction`` over one session."""

from functools import cached_property
from typing import TypeVar

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
from service.store.incidents.contacts import ContactRecords
from service.store.incidents.customers import CustomerRecords
from service.store.incidents.decisions import DecisionRecords
from service.store.incidents.erasure import ErasureRecords
from service.store.incidents.idempotency import ResponseRecords
from service.store.incidents.incidents import IncidentRecords
from service.store.incidents.notices import NoticeRecords
from service.store.incidents.reachability import ReachabilityRecords
from service.store.incidents.seals import SealRecords
from service.store.log.audit import AuditRecords
from service.store.log.checkpoint_timestamps import CheckpointTimestampRecords
from service.store.log.cosignatures import CosignatureRecords
from service.store.log.tree import TreeRecords
from service.store.sql.records import Records
from service.store.sql.session import Session

RecordsT = TypeVar("RecordsT", bound=Records)


class _Incidents(IncidentRecords, DecisionRecords):
    """Implements ``notifications.ports.IncidentRepository``."""


class _Customers(CustomerRecords, ContactRecords, ReachabilityRecords):
    """Implements ``notifications.ports.CustomerRepository``."""


class _Notices(NoticeRecords, SealRecords, AcknowledgementRecords):
    """Implements ``notifications.ports.NoticeRepository``."""


class _Deliveries(DeliveryRecords, LeaseRecords, BounceRecords, ChannelPauseRecords):
    """Implements ``notifications.ports.DeliveryRepository``."""


class _Log(TreeRecords, CosignatureRecords, CheckpointTimestampRecords):
    """Implements ``service.ports.log.SequencedLogRepository``."""


def repository(records: type[RecordsT]) -> cached_property[RecordsT]:
    """Return a property that makes the repository when it is first used: most units of work use few of them."""
    return cached_property(lambda tx: records(tx._session))  # noqa: SLF001 - a property of the transaction itself


class SqlTransaction:
    """Implements ``service.ports.store.AccessTransaction`` and ``service.ports.log.LogTransaction`` on one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    incidents = repository(_Incidents)
    customers = repository(_Customers)
    notices = repository(_Notices)
    deliveries = repository(_Deliveries)
    escalations = repository(EscalationRecords)
    webhooks = repository(WebhookRecords)
    audit = repository(AuditRecords)
    log = repository(_Log)
    responses = repository(ResponseRecords)
    erasures = repository(ErasureRecords)
    accounts = repository(AccountRecords)
    credentials = repository(CredentialRecords)
    sessions = repository(SessionRecords)
    tokens = repository(TokenRecords)
    mails = repository(MailRecords)
    alerts = repository(AlertRecords)
    figures = repository(FigureRecords)
