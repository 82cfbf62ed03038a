"""Evidence events in the names of ETSI EN 319 522, and what may honestly be claimed of an attempt."""

from enum import StrEnum

from notifications.delivery import ChannelKind, Outcome, OutcomeKind


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


#: channel -> (event when the next hop took it, event when it did not)
_EVENTS = {
    ChannelKind.EMAIL: (EvidenceEvent.RELAY_TO_NON_ERDS, EvidenceEvent.RELAY_TO_NON_ERDS_FAILURE),
    ChannelKind.WEBHOOK: (EvidenceEvent.RELAY_TO_NON_ERDS, EvidenceEvent.RELAY_TO_NON_ERDS_FAILURE),
    ChannelKind.CONSOLE: (EvidenceEvent.CONTENT_CONSIGNMENT, EvidenceEvent.CONTENT_CONSIGNMENT_FAILURE),
}


def evidence_event(channel: ChannelKind, outcome: Outcome) -> EvidenceEvent:
    """Return the event of an attempt. A mail server's 250 is a relay to somebody who is no registered delivery service,
    never a delivery; a notice in the console inbox is consigned, not read.
    """
    taken, failed = _EVENTS[channel]
    return taken if outcome.kind is OutcomeKind.ACCEPTED else failed
