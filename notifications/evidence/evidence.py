"""Evidence events as named by ETSI EN 319 522, and the events that an act or an attempt may claim."""

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
        """Whether the event states that something did not happen. Its record must contain a reason."""
        return self.value.endswith(("Failure", "Rejection", "Expiry"))


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """A claimed event. A negative event needs a reason; raises InvalidInputError without one."""

    event: EvidenceEvent
    #: in one line; None for a positive event
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.event.is_negative and not (self.reason and self.reason.strip()):
            raise InvalidInputError(Fault("reason", f"the event {self.event} needs a reason"))


#: channel -> (event if the next hop accepted the message, event if it did not)
_EVENTS = {
    ChannelKind.EMAIL: (EvidenceEvent.RELAY_TO_NON_ERDS, EvidenceEvent.RELAY_TO_NON_ERDS_FAILURE),
    ChannelKind.WEBHOOK: (EvidenceEvent.RELAY_TO_NON_ERDS, EvidenceEvent.RELAY_TO_NON_ERDS_FAILURE),
    ChannelKind.CONSOLE: (EvidenceEvent.CONTENT_CONSIGNMENT, EvidenceEvent.CONTENT_CONSIGNMENT_FAILURE),
}

#: Events of what people do with a notice, by the type of the audit entry. A released notice is submitted for delivery.
#: A withdrawn draft was never submitted and has no event. A notice that an authenticated customer opened was accessed.
#: Only an acknowledged notice was handed over.
EVENT_OF_ACT: Mapping[str, EvidenceEvent] = MappingProxyType(
    {
        "notice.released": EvidenceEvent.SUBMISSION_ACCEPTANCE,
        "notice.opened": EvidenceEvent.CONTENT_ACCESS_TRACKING,
        "notice.acknowledged": EvidenceEvent.CONTENT_HANDOVER,
    }
)


def evidence_event(channel: ChannelKind, outcome: Outcome) -> EvidenceEvent:
    """Return the event of an attempt.

    A mail server's reply 250 is a relay to a system that is no registered delivery service; it is never a delivery. A
    notice in the console inbox is consigned; nobody has read it yet.
    """
    accepted, failed = _EVENTS[channel]
    return accepted if outcome.kind is OutcomeKind.ACCEPTED else failed


def call_evidence(outcome: CallOutcome, *, consigned: bool) -> EvidenceRecord | None:
    """Return the event that a telephone call may claim, or None if ETSI has no event for it.

    A call informs a person that a notice is in the console (``consigned``). EN 319 522-1 names this the notification of
    a consignment. The call claims it only if a person was reached: nobody knows who hears a message on a machine. A
    call is never a handover of the content. If the notice was read out and confirmed, the acknowledgement that is
    recorded with the call claims the handover, in the name of the contact.
    """
    if not consigned:
        return None
    if outcome is CallOutcome.REACHED:
        return EvidenceRecord(EvidenceEvent.CONSIGNMENT_NOTIFICATION)
    return EvidenceRecord(EvidenceEvent.CONSIGNMENT_NOTIFICATION_FAILURE, f"call: {outcome.value}")


def bounce_evidence(report: BounceReport) -> EvidenceRecord | None:
    """Return the event of a bounce that reports a failure, with the reason; None for every other bounce.

    A report of success claims nothing: it is only the statement of a server about its own mailbox.
    """
    if report.kind is not BounceKind.FAILED:
        return None
    reason = " ".join(filter(None, (report.status, report.diagnostic)))
    return EvidenceRecord(EvidenceEvent.RELAY_TO_NON_ERDS_FAILURE, f"{report.kind.value}: {reason}".strip(": "))
