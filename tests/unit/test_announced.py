"""When the notice of an announcement is due, which items are missing, and whom it concerns."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.agreement import DeadlineBinding, bundled_agreements
from notifications.agreement.commitments import DayCount, NoticeTime
from notifications.decision.announced import announced_due, item_faults, kind_of
from notifications.duties.working_days import day_off
from notifications.incident import AnnouncedItem, Announcement, LocalizedText

PARIS = ZoneInfo("Europe/Paris")
V2 = bundled_agreements()["secnumcloud_2026"]
WORK = kind_of(V2, "planned_work")
AWARE = datetime(2026, 11, 29, 12, tzinfo=UTC)


def lead(days=None, months=None, count=DayCount.WORKING, binding=DeadlineBinding.HARD):
    return replace(WORK, lead=NoticeTime(days, months, count, binding))


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


@pytest.mark.parametrize(
    ("kind", "occurs", "due"),
    [
        # Christmas Day 2026 is a Friday: Monday back to Thursday.
        (lead(1), "2026-12-28T10:00", "2026-12-24T10:00"),
        # 14 July 2027 is a Wednesday; the weekend of 10 and 11 July does not count either.
        (lead(5), "2027-07-16T08:30", "2027-07-08T08:30"),
        # Easter Monday, 29 March 2027.
        (lead(2), "2027-03-30T22:00", "2027-03-25T22:00"),
        # A Sunday is announced: one working day before it is Friday.
        (lead(1), "2027-01-10T00:00", "2027-01-08T00:00"),
        # The clocks go forward on 28 March 2027: the hour of the day stays.
        (lead(30, count=DayCount.CALENDAR), "2027-04-10T10:00", "2027-03-11T10:00"),
        # No 31 February.
        (lead(months=1), "2027-03-31T10:00", "2027-02-28T10:00"),
    ],
)
def test_a_lead_counts_back_at_the_same_hour(kind, occurs, due):
    found = announced_due(V2, kind, at(occurs), AWARE)
    assert (found.at, found.binding) == (at(due), DeadlineBinding.HARD)


@given(st.integers(1, 40), st.dates(date(2026, 1, 1), date(2030, 12, 31)))
def test_so_many_working_days_lie_between(days, occurs):
    occurs = datetime(occurs.year, occurs.month, occurs.day, 12, tzinfo=PARIS)
    due = announced_due(V2, lead(days), occurs, AWARE).at.astimezone(PARIS)
    between = [due.date() + timedelta(days=n) for n in range((occurs.date() - due.date()).days)]
    assert sum(day_off(day, "FR", None) is None for day in between) == days
    assert day_off(due.date(), "FR", None) is None
    assert due.hour == 12


def test_without_a_number_it_is_due_before_the_event_or_at_once():
    occurs = AWARE + timedelta(days=9)
    assert announced_due(V2, WORK, occurs, AWARE).at == occurs
    assert announced_due(V2, WORK, AWARE - timedelta(days=9), AWARE).at == AWARE
    untimed = replace(WORK, lead=None)
    assert announced_due(V2, untimed, occurs, AWARE).at == AWARE
    assert announced_due(V2, untimed, occurs, AWARE).binding is DeadlineBinding.NO_NUMBER


def test_after_counts_from_the_event():
    kind = kind_of(V2, "non_european_law_protection")
    found = announced_due(V2, kind, datetime(2027, 1, 31, 9, tzinfo=UTC), AWARE)
    assert found.at.date() == date(2027, 2, 28)


def test_each_missing_item_is_named_once():
    said = Announcement("planned_work", (AnnouncedItem("nature", LocalizedText.of({"en": "x"})),), AWARE)
    faults = list(item_faults(said, [(V2, WORK), (V2, WORK)]))
    assert [fault.field for fault in faults] == [
        "items.planned_times",
        "items.impact_and_residual_risk",
        "items.mitigation",
        "items.responsible_contact",
    ]
    assert UUID(int=0) not in said.customers
