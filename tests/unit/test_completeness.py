"""The account of who was told: each way to stand, and a list that is not the whole log."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from notifications.audit.entry import AuditEntry, leaf_bytes
from notifications.audit.merkle import leaf_hash, root_of
from notifications.canonical_json import timestamp_text
from notifications.errors import VerificationError
from notifications.evidence.completeness import completeness_report
from notifications.evidence.notification_report import LateCause, OverrideKind, ReportStatus
from service.cli.audit_report import ReportSource, print_report, print_report_as_json

_T = datetime(2026, 1, 5, 8, tzinfo=UTC)
_DUE = _T + timedelta(hours=48)
_INCIDENT, _CUSTOMER = "i-1", "ab" * 32


def _log(*entries):
    return [
        leaf_bytes(AuditEntry(UUID(int=n), kind, at, "system:worker", subjects, detail))
        for n, (kind, at, subjects, detail) in enumerate(entries)
    ]


_BOTH = {"incident": _INCIDENT, "customer": _CUSTOMER}
_REGISTERED = ("customer.registered", _T, {"customer": _CUSTOMER}, {})
_DECLARED = ("incident.declared", _T, {"incident": _INCIDENT}, {})


def _decided(verdict, due=_DUE, kind="contractual", **stated):
    stated = {"binding": "hard"} if not stated and kind == "contractual" else stated
    return (
        "decision.recorded",
        _T,
        _BOTH,
        {"verdict": verdict, "due_at": timestamp_text(due), "due_kind": kind} | stated,
    )


def _soft(verdict="notify", due=_DUE):
    return _decided(verdict, due, binding="soft")


def _before_bindings(kind, due=_DUE):
    """Return a decision as earlier releases recorded it."""
    kept = _decided("notify", due, kind)
    return (*kept[:3], {name: value for name, value in kept[3].items() if name != "binding"})


def _attempted(at, event="RelayToNonERDS", delivery="d-1"):
    return ("delivery.attempted", at, _BOTH | {"delivery": delivery}, {"event": event})


_LATER = _DUE + timedelta(hours=1)
_RETURNED = ("delivery.returned", _LATER, _BOTH | {"delivery": "d-1"}, {"event": "RelayToNonERDSFailure"})


def _made(leaves, as_of=_LATER):
    return completeness_report(leaves, len(leaves), root_of([leaf_hash(leaf) for leaf in leaves]), as_of)


@pytest.mark.parametrize(
    ("entries", "as_of", "status"),
    [
        ((_decided("notify"), _attempted(_T)), _LATER, ReportStatus.NOTIFIED),
        ((_decided("notify"), _attempted(_LATER)), _LATER, ReportStatus.LATE),
        ((_decided("notify"), _decided("notify", _LATER), _attempted(_LATER)), _LATER, ReportStatus.LATE),
        ((_soft(), _attempted(_T)), _LATER, ReportStatus.NOTIFIED),
        ((_soft(), _attempted(_LATER)), _LATER, ReportStatus.AFTER_AIM),
        ((_soft(),), _LATER, ReportStatus.MISSING),
        ((_before_bindings("contractual"), _attempted(_LATER)), _LATER, ReportStatus.AFTER_AIM),
        ((_before_bindings("internal_target"), _attempted(_LATER)), _LATER, ReportStatus.AFTER_AIM),
        ((_decided("notify", binding="of_a_later_release"), _attempted(_LATER)), _LATER, ReportStatus.LATE),
        # A limit that comes after an earlier soft time, and was missed too.
        ((_soft(due=_T), _decided("notify"), _attempted(_LATER)), _LATER, ReportStatus.LATE),
        ((_soft(due=_T), _decided("notify"), _attempted(_DUE)), _LATER, ReportStatus.AFTER_AIM),
        ((_decided("notify"), _attempted(_T), _RETURNED), _LATER, ReportStatus.MISSING),
        ((_decided("notify"), _attempted(_T, "RelayToNonERDSFailure")), _LATER, ReportStatus.MISSING),
        ((_decided("notify"),), _T, ReportStatus.AWAITED),
        ((_decided("notify"),), _LATER, ReportStatus.MISSING),
        ((_decided("pending"),), _LATER, ReportStatus.PENDING),
        ((_decided("do_not_notify"),), _LATER, ReportStatus.NOT_OWED),
        ((), _LATER, ReportStatus.UNDECIDED),
    ],
)
def test_the_status_of_a_customer(entries, as_of, status) -> None:
    made = _made(_log(_REGISTERED, _DECLARED, *entries), as_of)
    (line,) = made.lines
    assert line.status is status
    assert line.indices == tuple(range(2, 2 + len(entries)))
    assert made.complete == (status not in {ReportStatus.LATE, ReportStatus.MISSING, ReportStatus.UNDECIDED})


def _released(at, **detail):
    return ("notice.released", at, _BOTH | {"notice": "n-1"}, {"override": False} | detail)


_EMERGENCY = (
    _released(_T, override=True, drafted_by="system:worker"),
    ("notice.released_by_override", _T, _BOTH | {"notice": "n-1"}, {"rule": "customer", "own_draft": True}),
)
_REVIEWED = ("override.reviewed", _LATER, _BOTH | {"notice": "n-1"}, {})


@pytest.mark.parametrize(
    ("entries", "status", "cause"),
    [
        ((_released(_T), _attempted(_LATER)), ReportStatus.LATE, LateCause.DELIVERED_LATE),
        ((_released(_LATER), _attempted(_LATER)), ReportStatus.LATE, LateCause.RELEASED_LATE),
        ((_released(_T),), ReportStatus.MISSING, LateCause.NOT_DELIVERED),
        ((), ReportStatus.MISSING, LateCause.NOT_RELEASED),
        ((_released(_T), _attempted(_T)), ReportStatus.NOTIFIED, None),
    ],
)
def test_where_the_time_was_lost(entries, status, cause) -> None:
    (line,) = _made(_log(_REGISTERED, _DECLARED, _decided("notify"), *entries)).lines
    assert (line.status, line.cause) == (status, cause)
    assert line.decided_index == 2
    assert line.released_index == (3 if entries else None)
    assert line.notified_index == (4 if len(entries) == 2 else None)


@pytest.mark.parametrize(
    ("released_at", "cause"), [(_T, LateCause.DELIVERED_AFTER), (_LATER, LateCause.RELEASED_AFTER)]
)
def test_after_the_time_aimed_at_nothing_is_called_late(released_at, cause) -> None:
    made = _made(_log(_REGISTERED, _DECLARED, _soft(), _released(released_at), _attempted(_LATER)))
    (line,) = made.lines
    assert (line.status, line.cause, line.binding, line.delay) == (
        ReportStatus.AFTER_AIM, cause, "soft", timedelta(hours=1),
    )  # fmt: skip
    assert made.complete


def _nth(number, at):
    kind, _, subjects, detail = _attempted(at)
    return kind, at, subjects, detail | {"number": number}


def _bounced(attempt, state):
    kind, at, subjects, detail = _RETURNED
    return kind, at, subjects, detail | {"attempt": attempt, "state": state}


@pytest.mark.parametrize(
    ("entries", "status", "notified_at"),
    [
        ((_nth(1, _T), _nth(2, _LATER), _bounced(1, "sent")), ReportStatus.LATE, _LATER),
        ((_nth(1, _T), _nth(2, _LATER), _bounced(2, "failed")), ReportStatus.MISSING, None),
        ((_nth(1, _T), _bounced(1, "queued"), _nth(2, _LATER)), ReportStatus.LATE, _LATER),
        ((_nth(1, _T), _bounced(1, "failed")), ReportStatus.MISSING, None),
    ],
)
def test_a_bounce_takes_back_its_own_attempt_and_none_that_followed(entries, status, notified_at) -> None:
    """A mail that is sent again after the first sending bounced told the customer then, neither before nor never."""
    (line,) = _made(_log(_REGISTERED, _DECLARED, _decided("notify"), *entries)).lines
    assert (line.status, line.notified_at) == (status, notified_at)


def test_what_a_system_took_by_webhook_tells_nobody() -> None:
    taken = ("delivery.attempted", _T, _BOTH | {"delivery": "d-9"}, {"event": "RelayToNonERDS", "channel": "webhook"})
    (line,) = _made(_log(_REGISTERED, _DECLARED, _decided("notify"), _released(_T), taken)).lines
    assert line.status is ReportStatus.MISSING
    assert line.channels == (("webhook", _T),)
    mailed = ("delivery.attempted", _T, _BOTH | {"delivery": "d-1"}, {"event": "RelayToNonERDS", "channel": "email"})
    (line,) = _made(_log(_REGISTERED, _DECLARED, _decided("notify"), _released(_T), taken, mailed)).lines
    assert line.status is ReportStatus.NOTIFIED
    assert line.notified_index == 5


@pytest.mark.parametrize(
    ("entries", "found", "complete"),
    [
        (_EMERGENCY, (OverrideKind.UNREVIEWED, 4, None), False),
        ((*_EMERGENCY, _REVIEWED), (OverrideKind.REVIEWED, 4, 5), True),
        ((_released(_T, drafted_by="system:worker"),), (OverrideKind.ONE_PERSON, 3, None), True),
        ((_decided("do_not_notify"),), (OverrideKind.TAKEN_BACK, 3, 2), True),
        ((_decided("pending"),), (OverrideKind.TAKEN_BACK, 3, 2), True),
        # An emergency whose own entry is not there is one all the same.
        (_EMERGENCY[:1], (OverrideKind.UNREVIEWED, 3, None), False),
    ],
)
def test_what_went_past_a_second_person_or_a_decision(entries, found, complete) -> None:
    made = _made(_log(_REGISTERED, _DECLARED, _decided("notify"), *entries), as_of=_T)
    (item,) = made.overrides
    assert (item.kind, item.index, item.other_index) == found
    assert made.complete == complete


def test_a_decision_that_changes_after_the_customer_was_told_takes_nothing_back() -> None:
    entries = (_decided("notify"), _released(_T, drafted_by="account:a"), _attempted(_T), _decided("do_not_notify"))
    assert _made(_log(_REGISTERED, _DECLARED, *entries)).overrides == ()


def _declaring(customers):
    return ("incident.declared", _T, {"incident": _INCIDENT}, {"ticket": "INC-1", "customers": customers})


def test_everyone_was_decided_about_or_the_count_says_so() -> None:
    one = _made(_log(_REGISTERED, _declaring(1), _decided("do_not_notify")))
    two = _made(_log(_REGISTERED, _declaring(2), _decided("do_not_notify")))
    assert [(item.stated, item.decided, item.lacking) for item in (*one.incidents, *two.incidents)] == [
        (1, 1, 0), (2, 1, 1),
    ]  # fmt: skip
    assert (one.complete, two.complete) == (True, False)
    (old,) = _made(_log(_REGISTERED, _DECLARED, _decided("do_not_notify"))).incidents
    assert (old.stated, old.lacking) == (None, 0)


_ERASED = ("customer.erased", _LATER, {"customer": _CUSTOMER}, {})


def test_who_was_erased_before_the_facts_changed_stands_in_for_nobody() -> None:
    other = _BOTH | {"customer": "cd" * 32}
    decided = ("decision.recorded", _T, other, {"verdict": "do_not_notify"})
    changed = ("incident.facts_changed", _LATER, {"incident": _INCIDENT}, {"customers": 2})
    entries = (_declaring(2), _decided("do_not_notify"), decided)
    (before,) = _made(_log(_REGISTERED, *entries, changed, _ERASED)).incidents
    (after,) = _made(_log(_REGISTERED, *entries, _ERASED, changed)).incidents
    assert ((before.decided, before.lacking), (after.decided, after.lacking)) == ((2, 0), (1, 1))


def test_who_was_erased_keeps_its_lines_and_is_missed_by_no_later_incident() -> None:
    (line,) = _made(_log(_REGISTERED, _DECLARED, _decided("notify"), _attempted(_T), _ERASED)).lines
    assert (line.status, line.erased_at) == (ReportStatus.NOTIFIED, _LATER)
    assert _made(_log(_REGISTERED, _ERASED, _DECLARED)).lines == ()


def test_the_internal_target_stands_beside_the_deadline() -> None:
    kind, at, subjects, detail = _decided("notify")
    aimed = (kind, at, subjects, detail | {"target_at": timestamp_text(_T + timedelta(hours=1))})
    (line,) = _made(_log(_REGISTERED, _DECLARED, aimed, _attempted(_T + timedelta(hours=3)))).lines
    assert (line.status, line.past_target) == (ReportStatus.NOTIFIED, timedelta(hours=2))
    (line,) = _made(_log(_REGISTERED, _DECLARED, _decided("notify"), _attempted(_T))).lines
    assert (line.target_at, line.past_target) == (None, None)


def test_delay_and_override_are_stated() -> None:
    released = ("notice.released", _T, _BOTH, {"override": True})
    (line,) = _made(_log(_REGISTERED, _DECLARED, _decided("notify"), released, _attempted(_LATER))).lines
    assert line.overridden
    assert line.delay == timedelta(hours=1)


def test_a_customer_of_later_is_not_passed_over() -> None:
    assert _made(_log(_DECLARED, _REGISTERED)).lines == ()


def test_a_bundle_about_a_customer_of_later_owes_it_no_decision() -> None:
    made = ("bundle.made", _LATER, _BOTH, {"reader": "provider"})
    report = _made(_log(_DECLARED, _REGISTERED, made))
    assert (report.lines, report.complete) == ((), True)
    (line,) = _made(_log(_REGISTERED, _DECLARED, made)).lines
    assert line.status is ReportStatus.UNDECIDED


def test_every_entry_left_out_swapped_or_added_is_found() -> None:
    leaves = _log(_REGISTERED, _DECLARED, _decided("notify"), _attempted(_T), _RETURNED)
    root = root_of([leaf_hash(leaf) for leaf in leaves])
    for at in range(len(leaves)):
        with pytest.raises(VerificationError, match="covers 5 entries, 4 are here"):
            completeness_report(leaves[:at] + leaves[at + 1 :], 5, root, _LATER)
    for at in range(len(leaves) - 1):
        swapped = [*leaves[:at], leaves[at + 1], leaves[at], *leaves[at + 2 :]]
        with pytest.raises(VerificationError, match="do not make the checkpoint's root"):
            completeness_report(swapped, 5, root, _LATER)
    with pytest.raises(VerificationError, match="6 are here"):
        completeness_report([*leaves, leaves[0]], 5, root, _LATER)


def test_an_empty_log() -> None:
    assert _made([]).lines == ()


def test_the_command_tells_a_missed_limit_from_a_missed_aim(capsys) -> None:
    entries = (_REGISTERED, _DECLARED, _soft(), _released(_LATER), _attempted(_LATER))
    print_report(_made(_log(*entries)), ReportSource((), {}), {})
    said = capsys.readouterr().out
    assert "after the time aimed at:" in said
    assert "where possible" in said
    assert "late" not in said
    print_report_as_json(_made(_log(*entries)), ReportSource((), {}), {})
    found = json.loads(capsys.readouterr().out)
    (line,) = found["lines"]
    assert (found["complete"], line["standing"], line["cause"], line["binding"]) == (
        True, "after_aim", "released_after", "soft",
    )  # fmt: skip
    print_report(_made(_log(_REGISTERED, _DECLARED, _decided("notify"), _attempted(_LATER))), ReportSource((), {}), {})
    said = capsys.readouterr().out
    assert "late:" in said
    assert "limit" in said


def test_the_table_names_an_incident_by_its_ticket_and_without_one_by_its_id(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    incident = "019a3c5e-7b1f-7c3a-9d52-3f6f0c1b2a4d"
    numbered = ("incident.declared", _T, {"incident": incident}, {"ticket": "INC-2026-000007"})
    decided = ("decision.recorded", _T, _BOTH | {"incident": incident}, {"verdict": "pending"})
    print_report(_made(_log(_REGISTERED, numbered, decided)), ReportSource((), {}), {_CUSTOMER: "Valmont"})
    table = capsys.readouterr().out
    assert "INC-2026-000007" in table
    assert incident not in table
    print_report(_made(_log(_REGISTERED, _DECLARED, _decided("pending"))), ReportSource((), {}), {})
    assert _INCIDENT in capsys.readouterr().out


def test_a_narrow_table_folds_and_cuts_nothing_off(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ticketed = ("incident.declared", _T, {"incident": _INCIDENT}, {"ticket": "INC-2026-000007"})
    told = _log(_REGISTERED, ticketed, _decided("notify"), _attempted(_LATER))
    name = "Centre hospitalier intercommunal de Valmont et du plateau de Lindenau"
    print_report(_made(told), ReportSource((), {}), {_CUSTOMER: name})
    table = capsys.readouterr().out
    assert "INC-2026-000007" in table, "a ticket is in one line"
    assert "…" not in table
    assert all(word[:6] in table for word in name.split())
    assert all(f"{moment:%Y-%m-%d}" in table for moment in (_DUE, _LATER)), "a date is in one line"
    assert table.count(f"{_LATER:%H:%M:%S}Z") > 1, "a time of day is in one line"


@pytest.mark.parametrize("columns", [80, 100, 119, 120, 160])
def test_a_date_is_never_folded_in_its_middle(capsys, monkeypatch, columns) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    ticketed = ("incident.declared", _T, {"incident": _INCIDENT}, {"ticket": "INC-2026-000007"})
    gaps = [_REGISTERED, _decided("notify")] * 40
    told = _log(_REGISTERED, ticketed, *gaps, _attempted(_LATER))
    print_report(_made(told), ReportSource((), {}), {_CUSTOMER: "Centre hospitalier " * 4})
    lines = capsys.readouterr().out.split("late:")[0].splitlines()
    assert any(f"{_DUE:%Y-%m-%d}" in line and f"{_LATER:%Y-%m-%d}" in line for line in lines)
    assert all(len(line) <= columns for line in lines)


def test_an_ordinary_line_has_room_in_eighty_columns(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ticketed = ("incident.declared", _T, {"incident": _INCIDENT}, {"ticket": "INC-2026-000007"})
    made = _made(_log(_REGISTERED, ticketed, _decided("notify"), _attempted(_T)))
    print_report(made, ReportSource((), {}), {_CUSTOMER: "Hôpital de Valmont"})
    heads, *lines = capsys.readouterr().out.splitlines()
    assert heads.split() == ["incident", "customer", "verdict", "due", "binding", "told", "entries"]
    assert lines[0].startswith("INC-2026-000007 Hôpital")
