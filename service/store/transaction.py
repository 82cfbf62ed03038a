"""One unit of work on SQL: every group of records behind the one port ``notifications.ports.Transaction``."""

from service.store.accounts import AccountRecords
from service.store.alerting import AlertingRecords
from service.store.audit import AuditRecords
from service.store.contacts import ContactRecords
from service.store.credentials import CredentialRecords
from service.store.customers import CustomerRecords
from service.store.decisions import DecisionRecords
from service.store.deliveries import DeliveryRecords
from service.store.erasing import ErasureRecords
from service.store.escalations import EscalationRecords
from service.store.figures import FigureRecords
from service.store.idempotency import ResponseRecords
from service.store.incidents import IncidentRecords
from service.store.leases import LeaseRecords
from service.store.messages import MessageRecords
from service.store.notices import NoticeRecords
from service.store.returns import ReturnRecords
from service.store.seals import SealRecords
from service.store.sessions import SessionRecords
from service.store.stamped import StampRecords
from service.store.webhooks import WebhookRecords
from service.store.witnessed import CosignatureRecords


class SqlTransaction(
    AuditRecords,
    CosignatureRecords,
    StampRecords,
    CustomerRecords,
    ContactRecords,
    IncidentRecords,
    DecisionRecords,
    NoticeRecords,
    SealRecords,
    DeliveryRecords,
    LeaseRecords,
    WebhookRecords,
    ReturnRecords,
    EscalationRecords,
    ResponseRecords,
    AccountRecords,
    CredentialRecords,
    SessionRecords,
    MessageRecords,
    AlertingRecords,
    FigureRecords,
    ErasureRecords,
):
    """Implements ``service.access.ports.AccessTransaction`` and ``service.log_store.LogTransaction`` on one session."""
