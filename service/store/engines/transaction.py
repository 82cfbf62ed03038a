"""One unit of work on SQL: it combines all groups of records for the port ``notifications.ports.Transaction``."""

from service.store.accounts.accounts import AccountRecords
from service.store.accounts.credentials import CredentialRecords
from service.store.accounts.sessions import SessionRecords
from service.store.delivery.alerts import AlertingRecords
from service.store.delivery.bounces import ReturnRecords
from service.store.delivery.deliveries import DeliveryRecords
from service.store.delivery.escalations import EscalationRecords
from service.store.delivery.figures import FigureRecords
from service.store.delivery.leases import LeaseRecords
from service.store.delivery.outgoing_mails import MessageRecords
from service.store.delivery.webhooks import WebhookRecords
from service.store.incidents.contacts import ContactRecords
from service.store.incidents.customers import CustomerRecords
from service.store.incidents.decisions import DecisionRecords
from service.store.incidents.erasure import ErasureRecords
from service.store.incidents.idempotency import ResponseRecords
from service.store.incidents.incidents import IncidentRecords
from service.store.incidents.notices import NoticeRecords
from service.store.incidents.seals import SealRecords
from service.store.log.audit import AuditRecords
from service.store.log.checkpoint_timestamps import CheckpointTimestampRecords
from service.store.log.cosignatures import CosignatureRecords


class SqlTransaction(
    AuditRecords,
    CosignatureRecords,
    CheckpointTimestampRecords,
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
    """Implements ``service.ports.store.AccessTransaction`` and ``service.ports.log.LogTransaction`` on one session."""
