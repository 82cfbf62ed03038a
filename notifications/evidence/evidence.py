"""Evidence events in the names of ETSI EN 319 522, and what may honestly be claimed of an act or an attempt."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from notifications.delivery.call_task import CallOutcome
from notifications.delivery.delivery import ChannelKind, Outcome, OutcomeKind
from notifications.errors import Fault, InvalidInputError
from notifications.mail.bounce_parser import BounceReport
from notifications.mail.bounce_record import BounceKind


class EvidenceEvent(StrEnum):
    """Events of ETSI EN 319 522-2."""

    SUBMISSION_ACCEPTANCE = "SubmissionAcceptance"
    SUBMISSION_REJECTION = "SubmissionRejection"
    RELAY_ACCEPTANCE = "RelayAcceptance"
    RELAY_REJECTION = "RelayRejection"
    RELAY_FAILURE = "RelayFailure"
    NOTIFICATION_FOR_ACCEPTANCE = "NotificationForAcceptance"
    NOTIFICATION_FOR_ACCEPTANCE_FAILURE = "NotificationForAcceptanceFailure"
    CONSIGNMENT_ACCEPTANCE = "ConsignmentAcceptance"
    CONSIGNMENT_REJECTION = "ConsignmentRejection"
    ACCEPTANCE_REJECTION_EXPIRY = "AcceptanceRejectionExpiry"
    CONTENT_CONSIGNMENT = "ContentConsignment"
    CONTENT_CONSIGNMENT_FAILURE = "ContentConsignmentFailure"
    CONSIGNMENT_NOTIFICATION = "ConsignmentNotification"
    CONSIGNMENT_NOTIFICATION_FAILURE = "ConsignmentNotificationFailure"
    NOTIFICATION_DELIVERED = "NotificationDelivered"
    NOTIFICATION_ACCESS_TRACKING = "NotificationAccessTracking"
    CONTENT_HANDOVER = "ContentHandover"
    CONTENT_HANDOVER_FAILURE = "ContentHandoverFailure"
    CONTENT_ACCESS_TRACKING = "ContentAccessTracking"
    RELAY_TO_NON_ERDS = "RelayToNonERDS"
    RELAY_TO_NON_ERDS_FAILURE = "RelayToNonERDSFailure"
    RECEIVED_FROM_NON_ERDS = "ReceivedFromNonERDS"

    @property
    def uri(self) -> str:
        """The URI that ETSI gives the event."""
        return f"http://uri.etsi.org/19522/Event/{self.value}"

    @property
    def is_negative(self) -> bool:
        """Whether the event says that something did not happen; its record must carry a reason."""
        return self.value.endswith(("Failure", "Rejection", "Expiry"))


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """What is claimed, and for a negative event why; raises InvalidInputError where the reason is missing."""

    event: EvidenceEvent
    #: one line; None for what went well
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.event.is_negative and not (self.reason and self.reason.strip()):
            raise InvalidInputError(Fault("reason", f"{self.event} needs one"))


#: channel -> (event when the next hop took it, event when it did not)
_EVENTS = {
    ChannelKind.EMAIL: (EvidenceEvent.RELAY_TO_NON_ERDS, EvidenceEvent.RELAY_TO_NON_ERDS_FAILURE),
    ChannelKind.WEBHOOK: (EvidenceEvent.RELAY_TO_NON_ERDS, EvidenceEvent.RELAY_TO_NON_ERDS_FAILURE),
    ChannelKind.CONSOLE: (EvidenceEvent.CONTENT_CONSIGNMENT, EvidenceEvent.CONTENT_CONSIGNMENT_FAILURE),
}

#: Events of what people do with a notice, by the audit entry that records the act: a released notice is submitted for
#: delivery (a draft that is withdrawn never was, so nothing is claimed of it); opened in the console by an
#: authenticated customer is access, and only an acknowledgement is a handover.
EVENT_OF_ACT: Mapping[str, EvidenceEvent] = MappingProxyType(
    {
        "notice.released": EvidenceEvent.SUBMISSION_ACCEPTANCE,
        "notice.opened": EvidenceEvent.CONTENT_ACCESS_TRACKING,
        "notice.acknowledged": EvidenceEvent.CONTENT_HANDOVER,
    }
)


def evidence_event(channel: ChannelKind, outcome: Outcome) -> EvidenceEvent:
    """Return the event of an attempt. A mail server's 250 is a relay to somebody who is no registered delivery service,
    never a delivery; a notice in the console inbox is consigned, not read.
    """
    taken, failed = _EVENTS[channel]
    return taken if outcome.kind is OutcomeKind.ACCEPTED else failed


def call_evidence(outcome: CallOutcome, *, consigned: bool) -> EvidenceRecord | None:
    """Return what may be claimed of a telephone call, or None where ETSI has no event for it.

    A call tells somebody that a notice lies in the console (``consigned``): EN 319 522-1 calls that the notification of
    a consignment, and it is one only where a person was reached. A message on a machine is none: nobody knows who
    hears it. A call is never a handover of the content. Where the notice was read out and confirmed, the
    acknowledgement that is recorded beside the call claims that, in the name of the contact, and not the call.
    """
    if not consigned:
        return None
    if outcome is CallOutcome.REACHED:
        return EvidenceRecord(EvidenceEvent.CONSIGNMENT_NOTIFICATION)
    return EvidenceRecord(EvidenceEvent.CONSIGNMENT_NOTIFICATION_FAILURE, f"call: {outcome.value}")


def bounce_evidence(report: BounceReport) -> EvidenceRecord | None:
    """Return what is claimed of a message that came back: that it failed, and why. Of anything else nothing is claimed.

    A server that reports success says that a mailbox of its own took the mail: its statement, not ours.
    """
    if report.kind is not BounceKind.FAILED:
        return None
    said = " ".join(filter(None, (report.status, report.diagnostic)))
    return EvidenceRecord(EvidenceEvent.RELAY_TO_NON_ERDS_FAILURE, f"{report.kind.value}: {said}".strip(": "))
