"""One thing that waits for a person."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

AttentionKind = Literal[
    "decision_pending",
    "draft_unreleased",
    "notice_held",
    "notice_undated",
    "delivery_failing",
    "delivery_failed",
    "override_unreviewed",
    "alert",
    "customer_unreachable",
    "contact_certificate_expiring",
    "service_mail_failed",
    "contact_check_failed",
    "customer_check_failed",
    "channel_paused",
    "operating",
    "call_due",
    "letter_due",
    "question_waiting",
]


@dataclass(frozen=True, slots=True)
class AttentionItem:
    """One thing that waits for a person."""

    kind: AttentionKind
    #: the deadline, or the earliest possible one; None if nothing is owed yet
    due_at: datetime | None
    overdue: bool
    #: the obstacle, in one line
    what: str
    incident_id: UUID | None = None
    ticket: str | None = None
    #: None where it concerns several
    customer_id: UUID | None = None
    notice_id: UUID | None = None
    delivery_id: UUID | None = None
    call_task_id: UUID | None = None
    alert_id: UUID | None = None
    #: how strictly ``due_at`` binds, a ``DeadlineBinding`` value; None where it is no deadline of a notice
    binding: str | None = None
