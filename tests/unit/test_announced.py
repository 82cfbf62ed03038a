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


DPA_DAYS = NoticeTime(30, None, DayCount.CALENDAR, DeadlineBinding.HARD, "D")


@pytest.mark.parametrize(
    ("own", "due", "clause"),
    [
        # Without a number the DPA's number counts.
        (NoticeTime(None, None, DayCount.CALENDAR, DeadlineBinding.NO_NUMBER, "A"), (30, "hard"), "D"),
        (NoticeTime(45, None, DayCount.CALENDAR, DeadlineBinding.SOFT, "A"), (45, "soft"), "A"),
        (NoticeTime(20, None, DayCount.CALENDAR, DeadlineBinding.HARD, "A"), (30, "hard"), "D"),
        # At the same moment the stricter counts, and of equal ones both are named.
        (NoticeTime(30, None, DayCount.CALENDAR, DeadlineBinding.SOFT, "A"), (30, "hard"), "D"),
        (NoticeTime(30, None, DayCount.CALENDAR, DeadlineBinding.HARD, "A"), (30, "hard"), "A, D"),
        (None, (30, "hard"), "D"),
    ],
)
def test_of_two_times_the_stricter_counts_and_its_clause_is_named(own, due, clause):
    kind = replace(WORK, lead=own or DPA_DAYS, dpa_time=DPA_DAYS if own else None)
    occurs = at("2027-02-20T10:00")
    found = announced_due(V2, kind, occurs, AWARE)
    assert (found.at, found.binding.value) == (occurs - timedelta(days=due[0]), due[1])
    assert found.clause == clause


def test_working_days_and_calendar_days_are_compared_by_the_moment():
    # Twenty-one working days over Christmas are more than thirty calendar days; in October they are fewer.
    kind = replace(lead(21), dpa_time=DPA_DAYS, clause="A")
    assert announced_due(V2, kind, at("2027-01-08T10:00"), AWARE).clause == "A"
    assert announced_due(V2, kind, at("2027-10-29T10:00"), AWARE).clause == "D"


def test_of_two_times_after_an_event_the_earlier_counts():
    month, days = (
        NoticeTime(None, 1, DayCount.CALENDAR, DeadlineBinding.HARD, "A"),
        NoticeTime(10, None, DayCount.CALENDAR, DeadlineBinding.HARD, "D"),
    )
    kind = replace(WORK, lead=None, after=month, dpa_time=days)
    found = announced_due(V2, kind, AWARE, AWARE)
    assert (found.at, found.clause, found.time) == (AWARE + timedelta(days=10), "D", days)


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
