"""What a changed fact owes a customer that was notified: an update when it is news, a correction when it is not so."""

from datetime import timedelta

import pytest

from notifications.classification import classify
from notifications.customer.records import Customer
from notifications.decision import decide
from notifications.incident import (
    NO_HARM,
    AffectedCustomer,
    Cause,
    Harm,
    Intent,
    LocalizedText,
    PersonalData,
    PersonalDataBreach,
    Resource,
    ResourceKind,
)
from notifications.notice import NoticeKind
from notifications.use_cases.incidents.follow_up import change_kind
from support.domain_facts import AGREEMENT, ALICE, AWARE_AT, NO, UNKNOWN, YES, known_facts, text

CUSTOMER = Customer(ALICE, "Alice", "fr", "Europe/Paris", (), (), (), AWARE_AT)


def facts(entry=None, **stated):
    entry = AffectedCustomer(ALICE, data_harm=NO_HARM, **({"personal_data": BREACH} | (entry or {})))
    return known_facts(
        **{"intent": Intent.MALICIOUS, "cause": Cause.ATTACK, "impact": "I1"} | stated, affected_customers=(entry,)
    )


def kind_of(then, now):
    decisions = [decide(item, classify(item, AGREEMENT), AGREEMENT, CUSTOMER, None) for item in (then, now)]
    return change_kind(then, now, *decisions)


BREACH = PersonalData(breach=PersonalDataBreach.NO)
NEWS = [
    ("an unknown becomes known", facts(criticality="unknown"), facts(criticality="C1")),
    ("an open harm is settled", facts(service_harm=Harm()), facts(service_harm=NO_HARM)),
    ("measures are taken", facts(), facts(measures_taken=text("Coupé."))),
    ("a text is reworded", facts(), facts(summary=text("Autrement dit."))),
    ("a translation is added", facts(title=text("a")), facts(title=LocalizedText.of({"fr": "a", "en": "b"}))),
    ("it ended", facts(), facts(ended_at=AWARE_AT + timedelta(hours=1))),
    ("another service is affected too", facts(services=("dns",)), facts(services=("dns", "cdn"))),
    (
        "one more machine is affected",
        facts({"resources": (Resource(ResourceKind.MACHINE, "vm-1"),)}),
        facts({"resources": (Resource(ResourceKind.MACHINE, "vm-1"), Resource(ResourceKind.MACHINE, "vm-2"))}),
    ),
    (
        "a suspicion is confirmed",
        facts({"personal_data": PersonalData(breach=PersonalDataBreach.SUSPECTED)}),
        facts({"personal_data": PersonalData(breach=PersonalDataBreach.CONFIRMED)}),
    ),
    (
        "a count becomes known",
        facts({"personal_data": PersonalData(breach=PersonalDataBreach.CONFIRMED)}),
        facts({"personal_data": PersonalData(breach=PersonalDataBreach.CONFIRMED, data_subjects_approx=500)}),
    ),
]
NOT_SO = [
    ("another impact", facts(impact="I1"), facts(impact="I2")),
    ("what was known is unknown again", facts(criticality="C1"), facts(criticality="unknown")),
    ("it was an accident", facts(), facts(intent=Intent.ACCIDENTAL, cause=Cause.BUG, security_measures_harmed=YES)),
    ("the duty stands no more", facts(), facts(intent=Intent.ACCIDENTAL, cause=Cause.BUG)),
    ("another moment of awareness", facts(), facts(aware_at=AWARE_AT - timedelta(hours=1))),
    ("a service was not affected", facts(services=("dns", "cdn")), facts(services=("cdn",))),
    (
        "another machine",
        facts({"resources": (Resource(ResourceKind.MACHINE, "vm-1"),)}),
        facts({"resources": (Resource(ResourceKind.MACHINE, "vm-2"),)}),
    ),
    ("no harm after all", facts({"affected": YES}), facts({"affected": NO})),
    ("not sure any more", facts({"affected": YES}), facts({"affected": UNKNOWN})),
    (
        "another count",
        facts({"personal_data": PersonalData(breach=PersonalDataBreach.CONFIRMED, data_subjects_approx=500)}),
        facts({"personal_data": PersonalData(breach=PersonalDataBreach.CONFIRMED, data_subjects_approx=9000)}),
    ),
    (
        "a confirmed breach was none",
        facts({"personal_data": PersonalData(breach=PersonalDataBreach.CONFIRMED)}),
        facts({"personal_data": BREACH}),
    ),
]


@pytest.mark.parametrize(("then", "now"), [case[1:] for case in NEWS], ids=[case[0] for case in NEWS])
def test_news_is_an_update(then, now):
    assert kind_of(then, now) is NoticeKind.UPDATE


@pytest.mark.parametrize(("then", "now"), [case[1:] for case in NOT_SO], ids=[case[0] for case in NOT_SO])
def test_what_is_not_so_is_corrected(then, now):
    assert kind_of(then, now) is NoticeKind.CORRECTION
