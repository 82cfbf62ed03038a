"""What a check of a customer's contacts found before it was needed."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class CheckSubject(StrEnum):
    """What was checked."""

    CONTACT = "contact"
    CERTIFICATE = "certificate"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class ReachabilityCheck:
    """One check of one contact, its certificate or one webhook endpoint. The latest one counts."""

    id: UUID
    customer_id: UUID
    subject: CheckSubject
    #: the contact's or the endpoint's id
    subject_id: UUID
    checked_at: datetime
    ok: bool
    #: SMTP reply code or HTTP status, or None
    code: int | None = None
    #: what is wrong, in one line; None when nothing is
    reason: str | None = None
