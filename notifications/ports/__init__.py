"""Ports: the interfaces that the use cases need. Each docstring is a contract that the tests of every adapter check.

Other packages import every name from here, not from the modules. Contains contracts and plain records: no I/O, no rule.
"""

from notifications.ports.announcements import AnnouncedCustomer as AnnouncedCustomer
from notifications.ports.announcements import AnnouncementRepository as AnnouncementRepository
from notifications.ports.announcements import Consent as Consent
from notifications.ports.announcements import LetterOutcome as LetterOutcome
from notifications.ports.announcements import LetterState as LetterState
from notifications.ports.announcements import LetterTask as LetterTask
from notifications.ports.audit import AuditRepository as AuditRepository
from notifications.ports.audit import EntryFilter as EntryFilter
from notifications.ports.audit import SequencedEntry as SequencedEntry
from notifications.ports.channels import Channel as Channel
from notifications.ports.channels import WebhookChannel as WebhookChannel
from notifications.ports.clock import Clock as Clock
from notifications.ports.clock import Identifiers as Identifiers
from notifications.ports.customers import CustomerRepository as CustomerRepository
from notifications.ports.deliveries import DeliveryRepository as DeliveryRepository
from notifications.ports.deliveries import DueDelivery as DueDelivery
from notifications.ports.deliveries import InboxItem as InboxItem
from notifications.ports.duties import DutyRepository as DutyRepository
from notifications.ports.erasures import ErasureRepository as ErasureRepository
from notifications.ports.escalations import EscalationRepository as EscalationRepository
from notifications.ports.incidents import IncidentOverview as IncidentOverview
from notifications.ports.incidents import IncidentRepository as IncidentRepository
from notifications.ports.incidents import StoredDecision as StoredDecision
from notifications.ports.log import CheckpointTimestamps as CheckpointTimestamps
from notifications.ports.log import CosignedBy as CosignedBy
from notifications.ports.log import Log as Log
from notifications.ports.log import LoggedHead as LoggedHead
from notifications.ports.log import LogRepository as LogRepository
from notifications.ports.log import TimestampedCheckpoint as TimestampedCheckpoint
from notifications.ports.notices import NoticeRepository as NoticeRepository
from notifications.ports.paging import Extent as Extent
from notifications.ports.paging import Page as Page
from notifications.ports.paging import intersected as intersected
from notifications.ports.pdf import PdfFile as PdfFile
from notifications.ports.pdf import PdfMaker as PdfMaker
from notifications.ports.questions import QuestionRepository as QuestionRepository
from notifications.ports.resources import ResourceRepository as ResourceRepository
from notifications.ports.responses import ResponseRepository as ResponseRepository
from notifications.ports.responses import StoredResponse as StoredResponse
from notifications.ports.signing import Signer as Signer
from notifications.ports.signing import TimestampAuthority as TimestampAuthority
from notifications.ports.transaction import ErasureTransaction as ErasureTransaction
from notifications.ports.transaction import InventoryTransaction as InventoryTransaction
from notifications.ports.transaction import Transaction as Transaction
from notifications.ports.transaction import UnitOfWork as UnitOfWork
from notifications.ports.webhooks import WebhookRepository as WebhookRepository
