"""Evidence events: the names of ETSI EN 319 522, and no claim beyond what is known."""

import pytest

from notifications.delivery.delivery import ChannelKind, Outcome, OutcomeKind
from notifications.errors import InvalidInputError
from notifications.evidence.evidence import (
    EVENT_OF_ACT,
    EvidenceEvent,
    EvidenceRecord,
    evidence_event,
)

FAILURES = [kind for kind in OutcomeKind if kind is not OutcomeKind.ACCEPTED]


def outcome(kind, code=None, text=""):
    return Outcome(kind, code, None, text, None, None, None, None)


def test_the_names_are_those_of_the_standard():
    names = """SubmissionAcceptance, SubmissionRejection, RelayAcceptance, RelayRejection, RelayFailure,
    NotificationForAcceptance, NotificationForAcceptanceFailure, ConsignmentAcceptance, ConsignmentRejection,
    AcceptanceRejectionExpiry, ContentConsignment, ContentConsignmentFailure, ConsignmentNotification,
    ConsignmentNotificationFailure, NotificationDelivered, NotificationAccessTracking, ContentHandover,
    ContentHandoverFailure, ContentAccessTracking, RelayToNonERDS, RelayToNonERDSFailure, ReceivedFromNonERDS"""
    assert [event.value for event in EvidenceEvent] == names.replace("\n", " ").replace(" ", "").split(",")
    assert len(EvidenceEvent) == 22


def test_every_event_has_its_uri():
    assert EvidenceEvent.RELAY_TO_NON_ERDS.uri == "http://uri.etsi.org/19522/Event/RelayToNonERDS"
    assert len({event.uri for event in EvidenceEvent}) == 22


def test_the_negative_events_are_told_from_the_others():
    assert {event.value for event in EvidenceEvent if event.is_negative} == {
        "SubmissionRejection",
        "RelayRejection",
        "RelayFailure",
        "NotificationForAcceptanceFailure",
        "ConsignmentRejection",
        "AcceptanceRejectionExpiry",
        "ContentConsignmentFailure",
        "ConsignmentNotificationFailure",
        "ContentHandoverFailure",
        "RelayToNonERDSFailure",
    }


def test_a_mail_server_that_accepted_is_a_relay_and_never_a_delivery():
    event = evidence_event(ChannelKind.EMAIL, outcome(OutcomeKind.ACCEPTED, 250))
    assert event is EvidenceEvent.RELAY_TO_NON_ERDS


def test_the_console_inbox_consigns():
    assert evidence_event(ChannelKind.CONSOLE, outcome(OutcomeKind.ACCEPTED)) is EvidenceEvent.CONTENT_CONSIGNMENT


@pytest.mark.parametrize("channel", ChannelKind)
@pytest.mark.parametrize("kind", OutcomeKind)
def test_no_attempt_claims_that_anybody_has_the_notice(channel, kind):
    event = evidence_event(channel, outcome(kind))
    assert event not in {
        EvidenceEvent.NOTIFICATION_DELIVERED,
        EvidenceEvent.CONTENT_HANDOVER,
        EvidenceEvent.CONTENT_ACCESS_TRACKING,
    }
    assert event.is_negative is (kind is not OutcomeKind.ACCEPTED)


@pytest.mark.parametrize("event", [event for event in EvidenceEvent if event.is_negative])
@pytest.mark.parametrize("reason", [None, "", " "])
def test_a_negative_record_without_a_reason_cannot_be_made(event, reason):
    with pytest.raises(InvalidInputError, match="reason"):
        EvidenceRecord(event, reason)


def test_acts_of_people_are_named_no_higher_than_they_are():
    assert EVENT_OF_ACT["notice.released"] is EvidenceEvent.SUBMISSION_ACCEPTANCE
    assert EVENT_OF_ACT["notice.opened"] is EvidenceEvent.CONTENT_ACCESS_TRACKING
    assert EVENT_OF_ACT["notice.acknowledged"] is EvidenceEvent.CONTENT_HANDOVER
    assert "notice.withdrawn" not in EVENT_OF_ACT
