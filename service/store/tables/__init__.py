"""Tables of the store. Shapes only: what a row means stands with the domain type that it holds.

Conventions: ``position`` is the order in which rows were stored and the sort key of lists; ``*_at``, ``*_until`` are
microseconds since the epoch, UTC; identifiers are 16 bytes; columns that hold nested values are JSON text. Which
tables refuse UPDATE and DELETE stands in ``service.store.triggers``.
"""

from service.store.tables.columns import metadata, table
from service.store.tables.customers import (
    AgreementBindingRow,
    ContactRow,
    CustomerRow,
    CustomerSaltRow,
    DirectoryVersionRow,
    ProfileRow,
)
from service.store.tables.incidents import (
    DecisionRow,
    IncidentFactsRow,
    IncidentRow,
    StoredResponseRow,
    TicketCounterRow,
)
from service.store.tables.log import (
    AuditEntryRow,
    AuditOpeningRow,
    AuditSubjectRow,
    LogCheckpointRow,
    LogLeafRow,
    LogNodeRow,
)
from service.store.tables.notices import (
    DeliveryAttemptRow,
    DeliveryRow,
    InboxItemRow,
    NoticeRow,
    OwedEvidenceRow,
    SealedNoticeRow,
    SealProofRow,
    SealTimestampRow,
    SentMessageRow,
)

__all__ = [
    "AgreementBindingRow",
    "AuditEntryRow",
    "AuditOpeningRow",
    "AuditSubjectRow",
    "ContactRow",
    "CustomerRow",
    "CustomerSaltRow",
    "DecisionRow",
    "DeliveryAttemptRow",
    "DeliveryRow",
    "DirectoryVersionRow",
    "InboxItemRow",
    "IncidentFactsRow",
    "IncidentRow",
    "LogCheckpointRow",
    "LogLeafRow",
    "LogNodeRow",
    "NoticeRow",
    "OwedEvidenceRow",
    "ProfileRow",
    "SealProofRow",
    "SealTimestampRow",
    "SealedNoticeRow",
    "SentMessageRow",
    "StoredResponseRow",
    "TicketCounterRow",
    "metadata",
    "table",
]
