"""Tables of the store. Shapes only: what a row means stands with the domain type that it holds.

Conventions: ``position`` is the order in which rows were stored and the sort key of lists; ``*_at``, ``*_until`` are
microseconds since the epoch, UTC; identifiers are 16 bytes; columns that hold nested values are JSON text. Which
tables refuse UPDATE and DELETE stands in ``service.store.triggers``.
"""

from service.store.tables.access import (
    AccountRow,
    ApiTokenRow,
    ExternalIdentityRow,
    GrantRow,
    LinkRow,
    PasskeyRow,
    PasswordRow,
    PendingSignInRow,
    RecoveryCodeRow,
    SessionRow,
    ThrottleRow,
    TotpRow,
)
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
from service.store.tables.messages import AlertRow, ServiceMailRow
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
from service.store.tables.serving import (
    AcknowledgementRow,
    CallRecordRow,
    CallTaskRow,
    ChannelPauseRow,
    EscalationRow,
    NoticeOpeningRow,
    ReachabilityCheckRow,
    ReturnedMessageRow,
    WebhookEndpointRow,
    WebhookSecretRow,
)

__all__ = [
    "AccountRow",
    "AcknowledgementRow",
    "AgreementBindingRow",
    "AlertRow",
    "ApiTokenRow",
    "AuditEntryRow",
    "AuditOpeningRow",
    "AuditSubjectRow",
    "CallRecordRow",
    "CallTaskRow",
    "ChannelPauseRow",
    "ContactRow",
    "CustomerRow",
    "CustomerSaltRow",
    "DecisionRow",
    "DeliveryAttemptRow",
    "DeliveryRow",
    "DirectoryVersionRow",
    "EscalationRow",
    "ExternalIdentityRow",
    "GrantRow",
    "InboxItemRow",
    "IncidentFactsRow",
    "IncidentRow",
    "LinkRow",
    "LogCheckpointRow",
    "LogLeafRow",
    "LogNodeRow",
    "NoticeOpeningRow",
    "NoticeRow",
    "OwedEvidenceRow",
    "PasskeyRow",
    "PasswordRow",
    "PendingSignInRow",
    "ProfileRow",
    "ReachabilityCheckRow",
    "RecoveryCodeRow",
    "ReturnedMessageRow",
    "SealProofRow",
    "SealTimestampRow",
    "SealedNoticeRow",
    "SentMessageRow",
    "ServiceMailRow",
    "SessionRow",
    "StoredResponseRow",
    "ThrottleRow",
    "TicketCounterRow",
    "TotpRow",
    "WebhookEndpointRow",
    "WebhookSecretRow",
    "metadata",
    "table",
]
