"""The monthly report against a naive calculation and against SQL over the same leaves."""

import hashlib
import json
import math
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.audit.entry import AuditEntry, leaf_bytes, parse_leaf
from notifications.audit.merkle import leaf_hash, root_of
from notifications.canonical_json import canonicalize, timestamp_text
from notifications.errors import InvalidInputError
from notifications.evidence.completeness import completeness_report
from notifications.reporting.corrections import corrections_of, figures_of
from notifications.reporting.figures import NoticeOutcome, nearest_rank
from notifications.reporting.measuring import REPORT_VERSION, PeriodReader
from notifications.reporting.period import month_of, parse_period
from notifications.reporting.recomputing import recomputed_reports
from notifications.reporting.report import customer_reports, report_json, report_of
from notifications.reporting.service_level import ServiceLevel, parse_service_level

PERIOD = parse_period("2026-03", "Europe/Paris", timedelta(days=10))
GTI = {"P1": (1800, 95), "P2": (7200, 90), "P3": (14400, 90), "P6": (None, None), None: (None, None)}
AGREEMENTS = ("secnumcloud_2026", "secnumcloud_iaas_3_0")
CUSTOMERS = tuple(hashlib.sha256(name.encode()).hexdigest() for name in ("a", "b", "c"))


def moment(text):
    return datetime.fromisoformat(text).astimezone(UTC)


class Log:
    """Leaves in the order of the log."""

    def __init__(self):
        self.leaves, self._ids = [], count(1)

    def add(self, kind, at, subjects=None, /, **detail):
        entry = AuditEntry(UUID(int=next(self._ids)), kind, at, "system:test", subjects or {}, detail)
        self.leaves.append(leaf_bytes(entry))

    def declare(self, number, at, priority="P1", *, old=False, exercise=False, detected_at=None, levels=None, **more):
        self.facts(
            "incident.declared",
            number,
            at,
            priority,
            old=old,
            detected_at=detected_at,
            levels=levels,
            **({"exercise": True} if exercise else {}),
            **more,
        )

    def facts(self, kind, number, at, priority, *, old=False, detected_at=None, levels=None, **more):
        stated = {
            "ticket": f"INC-2026-{number:06d}",
            "aware_at": timestamp_text(at - timedelta(minutes=7)),
            "agreement": AGREEMENTS[1],
            "priority": priority,
            "nature": "incident",
        }
        if not old:
            stated["detected_at"] = None if detected_at is None else timestamp_text(detected_at)
            stated["service_levels"] = [
                str(ServiceLevel(name, level, *GTI[level]))
                for name, level in (levels or {AGREEMENTS[1]: priority}).items()
            ]
        self.add(kind, at, {"incident": incident_id(number)}, **stated, **more)

    def intervene(self, number, at, started_at, *, corrected=False, **more):
        kind = "intervention.corrected" if corrected else "intervention.recorded"
        self.add(kind, at, {"incident": incident_id(number)}, started_at=timestamp_text(started_at), **more)

    def assess(self, number, at, significant=None, **more):
        stated = {} if significant is None else {"significant": significant}
        self.add("duty.assessed", at, {"incident": incident_id(number)}, version=1, **stated, **more)

    def decide(self, number, customer, at, due_at, verdict="notify", **more):
        self.add(
            "decision.recorded",
            at,
            {"incident": incident_id(number), "customer": customer},
            verdict=verdict,
            agreement=AGREEMENTS[1],
            priority="P1",
            due_at=timestamp_text(due_at) if due_at else None,
            **more,
        )

    def serve(self, number, customer, at, channel="console"):
        event = "ContentConsignment" if channel == "console" else "RelayToNonERDS"
        self.add(
            "delivery.attempted",
            at,
            {"incident": incident_id(number), "customer": customer, "delivery": f"{number}-{customer[:8]}-{channel}"},
            event=event,
            channel=channel,
        )

    def announce(self, number, at, what="declared", **more):
        stated = {"ticket": f"ANN-2026-{number:06d}", "kind": "planned_work", "version": 1, "customers": 1}
        self.add(f"announcement.{what}", at, {"announcement": announcement_id(number)}, **stated | more)

    def owe(self, number, customer, at, due_at, binding="hard", **more):
        subjects = {"announcement": announcement_id(number), "customer": customer}
        due = None if due_at is None else timestamp_text(due_at)
        stated = {"concern": "concerned", "kind": "planned_work", "version": 1, "due_at": due, "binding": binding}
        self.add("announcement.decided", at, subjects, **{"channels": ["console"], "cancelled": False} | stated | more)

    def tell(self, number, customer, at):
        subjects = {"announcement": announcement_id(number), "customer": customer}
        subjects |= {"notice": f"{number}-{customer[:8]}", "delivery": f"{number}-{customer[:8]}"}
        self.add("delivery.attempted", at, subjects, event="ContentConsignment", channel="console")

    def measured(self, period=PERIOD, as_of=None, size=None, version=REPORT_VERSION):
        size = len(self.leaves) if size is None else size
        reader = PeriodReader(period, version)
        for index, leaf in enumerate(self.leaves[:size]):
            reader.take(index, parse_leaf(leaf))
        return reader.measured(as_of or period.cut_at, size)

    def report(self, **options):
        return report_json(report_of(self.measured(**options)))


def incident_id(number):
    return str(UUID(int=10_000 + number))


def announcement_id(number):
    return str(UUID(int=20_000 + number))


def level(report, priority, agreement=AGREEMENTS[1]):
    (row,) = [
        row
        for row in report["figures"]["service_levels"]
        if (row["agreement"], row["priority"]) == (agreement, priority)
    ]
    return row


OPENED = moment("2026-03-10T03:00:00+00:00")


def minutes(number):
    return timedelta(minutes=number)


# -- the period


@pytest.mark.parametrize(
    ("name", "zone", "starts", "ends", "hours"),
    [
        ("2026-03", "Europe/Paris", "2026-02-28T23:00Z", "2026-03-31T22:00Z", 31 * 24 - 1),
        ("2026-10", "Europe/Paris", "2026-09-30T22:00Z", "2026-10-31T23:00Z", 31 * 24 + 1),
        ("2026-12", "Europe/Paris", "2026-11-30T23:00Z", "2026-12-31T23:00Z", 31 * 24),
        ("2028-02", "Pacific/Auckland", "2028-01-31T11:00Z", "2028-02-29T11:00Z", 29 * 24),
        ("2026", "Europe/Berlin", "2025-12-31T23:00Z", "2026-12-31T23:00Z", 365 * 24),
    ],
)
def test_a_period_is_of_the_calendar_of_its_zone(name, zone, starts, ends, hours):
    period = parse_period(name, zone, timedelta(days=10))
    assert (period.starts_at, period.ends_at) == (moment(starts), moment(ends))
    assert period.ends_at - period.starts_at == timedelta(hours=hours)
    assert period.cut_at - period.ends_at == timedelta(days=10)
    assert period.covers(period.starts_at)
    assert not period.covers(period.ends_at)
    assert period.is_year == ("-" not in name)


def test_the_last_moment_of_a_month_is_in_it_and_the_next_is_not():
    assert month_of(moment("2026-03-31T21:59:59.999999Z"), "Europe/Paris") == "2026-03"
    assert month_of(moment("2026-03-31T22:00:00Z"), "Europe/Paris") == "2026-04"


@pytest.mark.parametrize("name", ["", "2026-13", "2026-00", "26-01", "2026-1", "2026-11-01", "x", "1999", "2026-11 "])
def test_another_name_is_no_period(name):
    with pytest.raises(InvalidInputError, match="month such as"):
        parse_period(name, "UTC", timedelta(0))


def test_the_end_of_time_is_too_far_away():
    with pytest.raises(InvalidInputError, match="too far"):
        parse_period("9999-12", "UTC", timedelta(days=10))


# -- the service level in an entry


@pytest.mark.parametrize("code", ["secnumcloud_iaas_3_0:P1:1800:95", "a:b:P6::", "a:::"])
def test_a_service_level_survives_its_code(code):
    assert str(parse_service_level(code)) == code


@pytest.mark.parametrize("code", ["", "a:P1", "a:P1:x:95", "a:P1:1800:-1", "a:P1:1800:٩"])
def test_what_is_no_service_level_is_none(code):
    assert parse_service_level(code) is None


# -- the first intervention


@pytest.mark.parametrize(
    ("after", "outcome"),
    [(timedelta(0), "in_time"), (minutes(30), "in_time"), (minutes(30) + timedelta(microseconds=1), "late")],
)
def test_the_guaranteed_time_ends_exactly(after, outcome):
    log = Log()
    log.declare(1, OPENED)
    log.intervene(1, OPENED + after, OPENED + after)
    row = level(log.report(), "P1")
    assert row[outcome] == row["opened"] == row["measured"] == 1
    assert row["target_met"] is (outcome == "in_time")


def test_without_an_intervention_the_time_runs_and_then_counts_as_not_in_time():
    log = Log()
    log.declare(1, OPENED)
    running = level(log.report(as_of=OPENED + minutes(30)), "P1")
    assert (running["running"], running["measured"], running["share_permille"]) == (1, 0, None)
    over = level(log.report(as_of=OPENED + minutes(31)), "P1")
    assert (over["missing"], over["measured"], over["share_permille"]) == (1, 1, 0)


def test_an_intervention_before_the_ticket_takes_no_time():
    log = Log()
    log.declare(1, OPENED)
    log.intervene(1, OPENED + minutes(9), OPENED - minutes(5))
    (incident,) = log.report()["incidents"]
    assert incident["service_levels"][0]["elapsed_seconds"] == 0
    assert incident["service_levels"][0]["outcome"] == "in_time"


def test_the_priority_at_the_intervention_counts_and_a_change_is_shown():
    log = Log()
    log.declare(1, OPENED, "P1")
    log.facts("incident.facts_changed", 1, OPENED + minutes(20), "P3")
    log.intervene(1, OPENED + minutes(40), OPENED + minutes(40))
    log.facts("incident.facts_changed", 1, OPENED + minutes(60), "P2")
    report = log.report()
    (row,) = report["figures"]["service_levels"]
    assert (row["priority"], row["in_time"], row["changed"]) == ("P3", 1, 1)
    assert report["incidents"][0]["service_levels"][0]["opened_priority"] == "P1"


def test_a_priority_that_becomes_known_after_the_intervention_counts_and_is_no_change():
    log = Log()
    log.declare(1, OPENED, None)
    log.intervene(1, OPENED + minutes(5), OPENED + minutes(5))
    log.facts("incident.facts_changed", 1, OPENED + minutes(30), "P2")
    log.facts("incident.facts_changed", 1, OPENED + minutes(90), "P1")
    (row,) = log.report()["figures"]["service_levels"]
    assert (row["priority"], row["in_time"], row["changed"]) == ("P2", 1, 0)


def test_the_last_record_of_an_intervention_counts_and_the_correction_is_shown():
    log = Log()
    log.declare(1, OPENED)
    log.intervene(1, OPENED + minutes(10), OPENED + minutes(10))
    assert log.report()["incidents"][0]["corrected"] is False
    log.intervene(1, OPENED + minutes(99), OPENED + minutes(45), corrected=True)
    report = log.report()
    assert level(report, "P1")["late"] == 1
    assert report["incidents"][0]["corrected"] is True


def test_a_priority_without_guaranteed_time_has_no_target_and_is_in_no_share():
    log = Log()
    log.declare(1, OPENED, "P6")
    log.intervene(1, OPENED + minutes(10), OPENED + minutes(10))
    row = level(log.report(), "P6")
    assert (row["without_gti"], row["opened"], row["measured"]) == (1, 1, 0)
    assert (row["share_permille"], row["target_percent"], row["target_met"]) == (None, None, None)


def test_old_entries_are_counted_as_not_recorded():
    log = Log()
    log.declare(1, OPENED, old=True)
    log.decide(1, CUSTOMERS[0], OPENED, OPENED + minutes(60))
    log.serve(1, CUSTOMERS[0], OPENED + minutes(10))
    report = log.report()
    row = level(report, "P1")
    assert (row["not_recorded"], row["opened"], row["measured"]) == (1, 1, 0)
    detection = report["figures"]["from_detection"]
    assert (detection["notices"], detection["not_recorded"]) == (0, 1)
    assert report["figures"]["from_awareness"]["notices"] == 1


def test_each_agreement_has_its_own_rows():
    log = Log()
    log.declare(1, OPENED, "P1", levels={AGREEMENTS[0]: "P3", AGREEMENTS[1]: "P1"})
    log.intervene(1, OPENED + minutes(45), OPENED + minutes(45))
    report = log.report()
    assert level(report, "P1")["late"] == 1
    assert level(report, "P3", AGREEMENTS[0])["in_time"] == 1


# -- notices


def test_a_notice_after_a_soft_time_is_after_and_how_a_deadline_binds_is_kept_apart():
    log = Log()
    log.declare(1, OPENED)
    for customer, more in zip(
        CUSTOMERS, ({"binding": "hard"}, {"due_kind": "contractual"}, {"due_kind": "internal_target"}), strict=True
    ):
        log.decide(1, customer, OPENED, OPENED + minutes(30), **more)
        log.serve(1, customer, OPENED + minutes(31))
    rows = {row["binding"]: row for row in log.report()["figures"]["timeliness"]}
    assert {name: row["after"] for name, row in rows.items()} == {"hard": 1, "soft": 1, "no_number": 1}


def test_a_customer_that_was_not_notified_by_its_deadline_is_missing_and_one_in_time_yet_is_in_no_number():
    log = Log()
    log.declare(1, OPENED)
    log.decide(1, CUSTOMERS[0], OPENED, OPENED + minutes(30), due_kind="contractual")
    log.decide(1, CUSTOMERS[1], OPENED, OPENED + minutes(90), due_kind="contractual")
    log.decide(1, CUSTOMERS[2], OPENED, None, verdict="do_not_notify")
    measured = log.measured(as_of=OPENED + minutes(60))
    rows = {row["binding"]: row for row in report_json(report_of(measured))["figures"]["timeliness"]}
    assert (rows["soft"]["due"], rows["soft"]["missing"]) == (1, 1)
    assert list(customer_reports(measured)) == [CUSTOMERS[0]]


def test_a_report_on_a_customer_says_nothing_of_another():
    log = Log()
    for number, customer in ((1, CUSTOMERS[0]), (2, CUSTOMERS[1]), (3, CUSTOMERS[0])):
        at = OPENED + timedelta(hours=number)
        log.declare(number, at, rsit_class="fraud", personal_data_breach="confirmed")
        log.decide(number, customer, at, at + minutes(60), due_kind="contractual")
        log.serve(number, customer, at + minutes(number))
    measured = log.measured()
    mine = report_json(customer_reports(measured)[CUSTOMERS[0]])
    text = json.dumps(mine)
    assert [item["ticket"] for item in mine["incidents"]] == ["INC-2026-000001", "INC-2026-000003"]
    assert CUSTOMERS[1] not in text
    assert "INC-2026-000002" not in text
    assert "fraud" not in text
    assert "confirmed" not in text
    assert "exercises" not in mine
    # The same figures are in the report on all customers, under the pseudonym.
    whole = report_json(report_of(measured))
    assert {item["customer"]: item["figures"] for item in whole["customers"]}[CUSTOMERS[0]] == mine["figures"]


def test_exercises_and_other_months_are_in_no_number():
    log = Log()
    log.declare(1, OPENED)
    log.declare(2, OPENED, exercise=True)
    log.intervene(2, OPENED, OPENED, exercise=True)
    log.declare(3, PERIOD.ends_at)
    log.declare(4, PERIOD.starts_at - timedelta(microseconds=1))
    report = log.report()
    assert (report["statistics"]["incidents"], report["exercises"]) == (1, 1)
    assert [item["ticket"] for item in report["incidents"]] == ["INC-2026-000001"]


# -- corrections


def test_a_later_record_changes_nothing_before_its_entry_and_is_a_correction_after_it():
    log = Log()
    log.declare(1, OPENED)
    log.decide(1, CUSTOMERS[0], OPENED, OPENED + minutes(60), due_kind="contractual")
    log.serve(1, CUSTOMERS[0], OPENED + minutes(10))
    size, issued = len(log.leaves), canonicalize(log.report())
    log.intervene(1, PERIOD.cut_at + timedelta(days=3), OPENED + minutes(12))
    assert canonicalize(log.report(size=size)) == issued
    changes = corrections_of(json.loads(issued), log.report())
    found = {
        (each.figure.table, each.figure.customer, each.figure.measure): (each.before, each.after) for each in changes
    }
    assert found["service_levels", "", "in_time"] == (0, 1)
    assert found["service_levels", "", "missing"] == (1, 0)
    assert found["service_levels", CUSTOMERS[0], "share_permille"] == (0, 1000)
    assert found["incidents", "", "elapsed_seconds"] == (None, 720)
    assert all(each.figure.table in {"service_levels", "incidents"} for each in changes)
    assert corrections_of(log.report(), log.report()) == ()


def test_a_moment_that_was_corrected_within_the_guaranteed_time_is_a_correction_too():
    log = Log()
    log.declare(1, OPENED)
    log.intervene(1, OPENED + minutes(1), OPENED + minutes(1))
    before = log.report()
    log.intervene(1, OPENED + minutes(9), OPENED + minutes(2), corrected=True)
    (first, second) = corrections_of(before, log.report())
    assert {first.figure.measure, second.figure.measure} == {"intervened_at", "elapsed_seconds"}


def test_every_number_of_a_report_is_a_figure_with_its_own_place():
    log = Log()
    log.declare(1, OPENED, levels={AGREEMENTS[0]: "P3", AGREEMENTS[1]: "P1"})
    for customer in CUSTOMERS:
        log.decide(1, customer, OPENED, OPENED + minutes(60), due_kind="contractual")
    found = list(figures_of(log.report()))
    places = [(each.table, each.customer, each.row, each.measure) for each in found]
    assert len(places) == len(set(places)) > 100


def issue(log, content, *, customer=None, number=1, size=None):
    """Add the entry of an issued document."""
    log.add(
        "report.issued" if number == 1 else "report.corrected",
        PERIOD.cut_at,
        {} if customer is None else {"customer": customer},
        report=json.loads(content).get("schema", "greffier.monthly_report/2"),
        period=PERIOD.name,
        number=number,
        time_zone=PERIOD.time_zone,
        starts_at=timestamp_text(PERIOD.starts_at),
        ends_at=timestamp_text(PERIOD.ends_at),
        as_of=timestamp_text(PERIOD.cut_at),
        tree_size=len(log.leaves) if size is None else size,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def test_an_issued_report_is_computed_again_from_the_log_and_another_one_is_found_out():
    log = Log()
    log.declare(1, OPENED)
    log.decide(1, CUSTOMERS[0], OPENED, OPENED + minutes(60), due_kind="contractual")
    log.serve(1, CUSTOMERS[0], OPENED + minutes(10))
    size, measured = len(log.leaves), log.measured()
    content = canonicalize(report_json(report_of(measured)))
    issue(log, canonicalize(report_json(customer_reports(measured)[CUSTOMERS[0]])), customer=CUSTOMERS[0], size=size)
    issue(log, content, size=size)
    log.intervene(1, PERIOD.cut_at + timedelta(days=3), OPENED + minutes(12))
    issue(log, content, number=2)
    issue(log, b"{}", customer=CUSTOMERS[1], size=size)
    found = recomputed_reports(lambda: iter(log.leaves), PERIOD.name)
    # The correction claims the old numbers, and the last document is about a customer that has none.
    assert [each.is_same for each in found] == [True, True, False, False]
    assert found[1].content == content
    assert recomputed_reports(lambda: iter(log.leaves), "2026-04") == []


def announced(log, **options):
    return {row["kind"]: row for row in log.report(**options)["figures"]["announcements"]}


def test_announcements_are_counted_by_kind_and_by_what_became_of_each_customer():
    log, due = Log(), OPENED + timedelta(days=5)
    after, a_day = due + minutes(1), timedelta(days=1)
    log.announce(1, OPENED)
    log.owe(1, CUSTOMERS[0], OPENED, due)
    log.tell(1, CUSTOMERS[0], due)
    log.owe(1, CUSTOMERS[1], OPENED, due)
    log.tell(1, CUSTOMERS[1], after)
    log.owe(1, CUSTOMERS[2], OPENED, due)
    log.announce(2, OPENED, kind="loss_of_qualification")
    log.owe(2, CUSTOMERS[0], OPENED, due, "soft", kind="loss_of_qualification")
    log.tell(2, CUSTOMERS[0], after)
    log.owe(2, CUSTOMERS[1], OPENED, due, "no_number", kind="loss_of_qualification")
    log.tell(2, CUSTOMERS[1], after)
    # Not owed, not due before the cut, an exercise, and the month before.
    log.owe(2, CUSTOMERS[2], OPENED, None, None, concern="not_concerned", kind="loss_of_qualification")
    for number, at, due_at, more in (
        (3, OPENED, PERIOD.cut_at + a_day, {}),
        (4, OPENED, due, {"exercise": True}),
        (5, PERIOD.starts_at - a_day, due, {}),
    ):
        log.announce(number, at, **more)
        for customer in CUSTOMERS[:2]:
            log.owe(number, customer, at, due_at, **more)
    counted = {"due": 3, "in_time": 1, "after_aim": 0, "late": 1, "missing": 1, "share_permille": 333}
    aimed = {"due": 2, "in_time": 0, "after_aim": 2, "late": 0, "missing": 0, "share_permille": 0}
    assert announced(log) == {
        "planned_work": {"kind": "planned_work"} | counted,
        "loss_of_qualification": {"kind": "loss_of_qualification"} | aimed,
    }
    # Once their time is over without a notice, the two that were awaited are missing.
    assert announced(log, as_of=PERIOD.cut_at + 2 * a_day)["planned_work"]["missing"] == 3
    whole, own = log.report(), customer_reports(log.measured())
    assert [item["customer"] for item in whole["customers"]] == sorted(CUSTOMERS) == list(own)
    for item in whole["customers"]:
        assert report_json(own[item["customer"]])["figures"] == item["figures"]
    (mine,) = report_json(own[CUSTOMERS[2]])["figures"]["announcements"]
    assert (mine["kind"], mine["due"], mine["missing"]) == ("planned_work", 1, 1)
    places = [(each.table, each.customer, each.row, each.measure) for each in figures_of(whole)]
    assert len(places) == len(set(places))


def test_the_account_of_the_audit_and_the_report_count_the_same():
    log = Log()
    log.announce(1, OPENED)
    for number, customer in enumerate(CUSTOMERS):
        log.owe(1, customer, OPENED, OPENED + minutes(10))
        log.tell(1, customer, OPENED + minutes(9 + number))
    root = root_of([leaf_hash(leaf) for leaf in log.leaves])
    account = completeness_report(log.leaves, len(log.leaves), root, PERIOD.cut_at)
    found = Counter(line.status.value for line in account.announcements.lines)
    (row,) = announced(log).values()
    assert found == {"told": row["in_time"], "late": row["late"]}


def test_what_was_issued_before_announcements_were_counted_stays_and_is_corrected_in_its_own_form():
    log = Log()
    log.declare(1, OPENED)
    log.decide(1, CUSTOMERS[0], OPENED, OPENED + minutes(60), due_kind="contractual")
    log.announce(1, OPENED)
    log.owe(1, CUSTOMERS[1], OPENED, OPENED + minutes(60))
    before = log.measured(version=1)
    stated = report_json(report_of(before))
    assert stated["schema"] == "greffier.monthly_report/1"
    assert "announcements" not in stated["figures"]
    assert list(customer_reports(before)) == [CUSTOMERS[0]]
    size = len(log.leaves)
    issue(log, canonicalize(stated))
    log.serve(1, CUSTOMERS[0], OPENED + minutes(10))
    corrected = report_json(report_of(log.measured(version=1)))
    assert {each.figure.table for each in corrections_of(stated, corrected)} <= {
        "timeliness", "statistics", "from_awareness", "from_detection",
    }  # fmt: skip
    issue(log, canonicalize(corrected), number=2)
    # The same period in today's form is another document of the same entries.
    issue(log, canonicalize(log.report(size=size)), number=3, size=size)
    found = recomputed_reports(lambda: iter(log.leaves), PERIOD.name)
    assert [each.is_same for each in found] == [True, True, True]
    assert found[0].content != found[2].content


def test_what_the_first_release_judged_otherwise_is_computed_again_as_it_was_issued():
    log, at = Log(), OPENED + minutes(20)
    about = {"incident": incident_id(1), "customer": CUSTOMERS[0], "delivery": "d-1"}
    log.declare(1, OPENED)
    log.decide(1, CUSTOMERS[0], OPENED, OPENED + minutes(60), due_kind="contractual")
    for number in (1, 2):
        log.add("delivery.attempted", at, about, event="RelayToNonERDS", channel="email", number=number)
    # The first sending bounces after the second was accepted: the first release forgot the second.
    log.add("delivery.returned", at, about, event="RelayToNonERDSFailure", attempt=1, state="sent")
    first, today = (log.measured(version=version) for version in (1, REPORT_VERSION))
    outcomes = [[notice.outcome for each in made.incidents for notice in each.notices] for made in (first, today)]
    assert outcomes == [[NoticeOutcome.MISSING], [NoticeOutcome.IN_TIME]]
    size = len(log.leaves)
    for number, measured in enumerate((first, today), 1):
        issue(log, canonicalize(report_json(report_of(measured))), number=number, size=size)
    assert [each.is_same for each in recomputed_reports(lambda: iter(log.leaves), PERIOD.name)] == [True, True]


def test_an_entry_that_states_no_basis_is_refused():
    log = Log()
    issue(log, b"{}", size=99)
    with pytest.raises(InvalidInputError, match="entry 0 does not state"):
        recomputed_reports(lambda: iter(log.leaves), PERIOD.name)


# -- against a naive calculation, and against SQL


@given(st.lists(st.integers(0, 10**6), min_size=1), st.integers(1, 100))
def test_the_percentile_is_the_smallest_value_that_enough_values_do_not_exceed(values, percent):
    ordered = sorted(values)
    enough = [value for value in ordered if 100 * sum(each <= value for each in ordered) >= percent * len(ordered)]
    assert nearest_rank(ordered, percent) == enough[0]


_SPAN = st.integers(-10, 60 * 60 * 60)


@st.composite
def logs(draw):
    """Draw a log: incidents in and around the month, interventions and corrections, notices with every binding."""
    log, events = Log(), []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        opened = PERIOD.starts_at + timedelta(seconds=draw(st.integers(-3600, 31 * 86_400)), microseconds=number)
        detected = draw(st.none() | st.integers(0, 7200))
        options = {
            "old": draw(st.booleans()),
            "exercise": draw(st.integers(0, 5)) == 0,
            "detected_at": None if detected is None else opened - timedelta(seconds=detected),
        }
        priorities = draw(st.lists(st.sampled_from(list(GTI)), min_size=1, max_size=3))
        events.append((opened, lambda at, n=number, o=options, p=priorities[0]: log.declare(n, at, p, **o)))
        for place, priority in enumerate(priorities[1:], 1):
            changed = opened + timedelta(seconds=place * draw(st.integers(1, 9000)))
            events.append(
                (
                    changed,
                    lambda at, n=number, o=options, p=priority: log.facts(
                        "incident.facts_changed",
                        n,
                        at,
                        p,
                        old=o["old"],
                        detected_at=o["detected_at"],
                        **({"exercise": True} if o["exercise"] else {}),
                    ),
                )
            )
        for place in range(draw(st.integers(0, 2))):
            started = opened + timedelta(seconds=draw(_SPAN))
            at = max(started, opened) + timedelta(seconds=place + 1)
            events.append((at, lambda at, n=number, s=started, c=bool(place): log.intervene(n, at, s, corrected=c)))
        for customer in CUSTOMERS[: draw(st.integers(0, 3))]:
            due = opened + timedelta(seconds=draw(st.integers(60, 200_000)))
            more = draw(
                st.sampled_from(
                    [
                        {"binding": "hard"},
                        {"binding": "soft"},
                        {"due_kind": "contractual"},
                        {"due_kind": "internal_target"},
                    ]
                )
            )
            events.append((opened, lambda at, n=number, c=customer, d=due, m=more: log.decide(n, c, at, d, **m)))
            if draw(st.booleans()):
                served = opened + timedelta(seconds=draw(st.integers(0, 300_000)))
                events.append((served, lambda at, n=number, c=customer: log.serve(n, c, at)))
    for at, act in sorted(events, key=lambda event: event[0]):
        act(at)
    return log


MICROSECONDS = "(unixepoch(substr({0}, 1, 19)) * 1000000 + CAST(substr({0}, 21, 6) AS INTEGER))"
#: Written from the definitions of the report, in another language than the report.
SQL_SERVICE_LEVELS = f"""
WITH opened AS (
  SELECT incident, at AS opened_at, detail ->> 'service_levels' IS NOT NULL AS is_new FROM entry
  WHERE type = 'incident.declared' AND at >= :starts AND at < :ends AND coalesce(detail ->> 'exercise', 0) = 0
), intervention AS (
  SELECT incident, {MICROSECONDS.format("(detail ->> 'started_at')")} AS started_at FROM entry e
  WHERE place = (SELECT max(place) FROM entry l WHERE l.incident = e.incident
                 AND l.type IN ('intervention.recorded', 'intervention.corrected'))
), level AS (
  SELECT e.incident, e.place, e.at, e.detail ->> 'priority' AS priority,
    CASE WHEN e.detail ->> 'service_levels' IS NULL THEN NULL ELSE (
      SELECT CASE s.priority WHEN 'P1' THEN 1800 WHEN 'P2' THEN 7200 WHEN 'P3' THEN 14400 END
      FROM (SELECT e.detail ->> 'priority' AS priority) s
    ) END AS seconds
  FROM entry e JOIN opened USING (incident) WHERE e.type IN ('incident.declared', 'incident.facts_changed')
), counted AS (
  SELECT o.incident, o.opened_at, o.is_new, i.started_at,
    CASE WHEN i.started_at IS NULL THEN (SELECT max(place) FROM level l WHERE l.incident = o.incident)
    ELSE coalesce(
      (SELECT l.place FROM level l WHERE l.priority IS NOT NULL AND l.place =
        (SELECT max(m.place) FROM level m WHERE m.incident = o.incident AND m.at <= i.started_at)),
      (SELECT min(l.place) FROM level l WHERE l.incident = o.incident AND l.at > i.started_at
        AND l.priority IS NOT NULL),
      (SELECT max(l.place) FROM level l WHERE l.incident = o.incident AND l.priority IS NOT NULL),
      (SELECT max(l.place) FROM level l WHERE l.incident = o.incident)
    ) END AS place
  FROM opened o LEFT JOIN intervention i ON i.incident = o.incident
), outcome AS (
  SELECT l.priority, l.seconds, CASE
    WHEN NOT c.is_new AND (c.started_at IS NULL OR l.seconds IS NULL) THEN 'not_recorded'
    WHEN l.seconds IS NULL THEN 'without_gti'
    WHEN c.started_at IS NOT NULL AND c.started_at <= c.opened_at + l.seconds * 1000000 THEN 'in_time'
    WHEN c.started_at IS NOT NULL THEN 'late'
    WHEN :as_of <= c.opened_at + l.seconds * 1000000 THEN 'running'
    ELSE 'missing' END AS outcome
  FROM counted c JOIN level l ON l.place = c.place
)
SELECT priority, seconds, outcome, count(*) FROM outcome GROUP BY 1, 2, 3
"""
SQL_NOTICES = f"""
WITH opened AS (
  SELECT incident FROM entry WHERE type = 'incident.declared' AND at >= :starts AND at < :ends
  AND coalesce(detail ->> 'exercise', 0) = 0
), facts AS (
  SELECT incident, {MICROSECONDS.format("(detail ->> 'aware_at')")} AS aware_at,
    {MICROSECONDS.format("(detail ->> 'detected_at')")} AS detected_at
  FROM entry e WHERE place = (SELECT max(place) FROM entry l WHERE l.incident = e.incident
    AND l.type IN ('incident.declared', 'incident.facts_changed'))
), owed AS (
  SELECT d.incident, d.customer, {MICROSECONDS.format("(d.detail ->> 'due_at')")} AS due_at,
    coalesce(d.detail ->> 'binding', CASE d.detail ->> 'due_kind' WHEN 'contractual' THEN 'soft' ELSE 'no_number' END)
      AS binding,
    (SELECT min(at) FROM entry s WHERE s.incident = d.incident AND s.customer = d.customer
     AND s.type = 'delivery.attempted') AS notified_at
  FROM entry d JOIN opened USING (incident) WHERE d.type = 'decision.recorded'
)
SELECT customer, binding, CASE WHEN notified_at <= due_at THEN 'in_time' WHEN notified_at IS NOT NULL THEN 'after'
    WHEN :as_of > due_at THEN 'missing' ELSE 'awaited' END,
  max(0, notified_at - aware_at) / 1000000, max(0, notified_at - detected_at) / 1000000
FROM owed JOIN facts USING (incident)
"""


def microseconds(at):
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def queried(log, statement):
    with closing(sqlite3.connect(":memory:")) as base:
        base.execute(
            "CREATE TABLE entry"
            " (place INTEGER PRIMARY KEY, type TEXT, at INTEGER, incident TEXT, customer TEXT, detail TEXT)"
        )
        for place, leaf in enumerate(map(json.loads, log.leaves)):
            at = microseconds(datetime.fromisoformat(leaf["at"]))
            subjects = leaf["subjects"]
            row = (place, leaf["type"], at, subjects.get("incident"), subjects.get("customer"))
            base.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", (*row, json.dumps(leaf["detail"])))
        bounds = {"starts": PERIOD.starts_at, "ends": PERIOD.ends_at, "as_of": PERIOD.cut_at}
        return base.execute(statement, {name: microseconds(at) for name, at in bounds.items()}).fetchall()


def spread(values):
    if not values:
        return (0, None, None, None, None)
    ordered = sorted(values)
    return (
        len(ordered),
        ordered[0],
        sum(ordered) // len(ordered),
        ordered[math.ceil(len(ordered) * 0.95 - 1e-9) - 1],
        ordered[-1],
    )


@settings(max_examples=80, deadline=None)
@given(logs())
def test_the_report_equals_a_calculation_by_sql(log):
    report = log.report()
    counted = {}
    for row in report["figures"]["service_levels"]:
        for outcome in ("in_time", "late", "missing", "running", "not_recorded", "without_gti"):
            if row[outcome]:
                counted[row["priority"], row["gti_seconds"], outcome] = row[outcome]
    assert counted == {tuple(row[:3]): row[3] for row in queried(log, SQL_SERVICE_LEVELS)}
    notices = queried(log, SQL_NOTICES)
    for figures, mine in [
        (report["figures"], notices),
        *((item["figures"], [row for row in notices if row[0] == item["customer"]]) for item in report["customers"]),
    ]:
        for row in figures["timeliness"]:
            for outcome in ("in_time", "after", "missing"):
                expected = sum(each[1:3] == (row["binding"], outcome) for each in mine)
                assert row[outcome] == expected
        for start, place in (("from_awareness", 3), ("from_detection", 4)):
            found = figures[start]
            taken = [row[place] for row in mine if row[place] is not None]
            assert spread(taken) == tuple(
                found[name]
                for name in ("notices", "minimum_seconds", "mean_seconds", "percentile_95_seconds", "maximum_seconds")
            )
    assert canonicalize(report) == canonicalize(log.report())


def test_significant_incidents_are_counted_by_the_last_assessment_and_old_entries_are_unknown():
    log, at = Log(), moment("2026-03-03T10:00:00+01:00")
    for number in range(1, 6):
        log.declare(number, at)
    log.assess(1, at, "unknown")
    log.assess(1, at, "yes")
    log.assess(2, at, "yes")
    log.assess(3, at, "no")
    # An entry of an earlier release has no result, and nobody assessed the last one.
    log.assess(4, at)
    report = log.report()
    assert report["statistics"]["by_significance"] == [
        {"code": "no", "incidents": 1},
        {"code": "yes", "incidents": 2},
        {"code": None, "incidents": 2},
    ]
    other = Log()
    other.leaves = list(log.leaves)
    other.assess(4, at, "yes")
    (more, fewer) = sorted(corrections_of(report, other.report()), key=lambda change: change.after > change.before)[
        ::-1
    ]
    assert (more.figure.row, more.before, more.after) == (("by_significance", "yes"), 2, 3)
    assert (fewer.figure.row, fewer.before, fewer.after) == (("by_significance", ""), 2, 1)


def test_a_report_on_one_customer_says_nothing_of_significance():
    log, at = Log(), moment("2026-03-03T10:00:00+01:00")
    log.declare(1, at)
    log.decide(1, CUSTOMERS[0], at, at + timedelta(hours=4))
    log.serve(1, CUSTOMERS[0], at + timedelta(hours=1))
    log.assess(1, at, "yes")
    (of_one,) = customer_reports(log.measured()).values()
    assert report_json(of_one)["statistics"]["by_significance"] == []
