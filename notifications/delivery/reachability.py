"""Results of the regular checks whether a customer's contacts can be reached."""

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
    """One check of one contact, of its certificate or of one webhook endpoint. Only the latest check counts."""

    id: UUID
    customer_id: UUID
    subject: CheckSubject
    #: the contact's or the endpoint's id
    subject_id: UUID
    checked_at: datetime
    ok: bool
    #: SMTP reply code or HTTP status, or None
    code: int | None = None
    #: the fault in one line; None if there is none
    reason: str | None = None
