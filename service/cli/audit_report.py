"""The report of ``greffier audit``: as a table with lists of faults, or as JSON."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from notifications.agreement import DeadlineBinding
from notifications.canonical_json import timestamp_text
from notifications.evidence.notification_report import (
    AnnouncementLine,
    IncidentCount,
    NotificationReport,
    Override,
    OverrideKind,
    ReportLine,
    ReportStatus,
    SubjectReport,
)
from service.cli.audit_announcements import announcements_as_json, said_of_announcements, said_of_notices

_STYLES = {
    ReportStatus.NOTIFIED: "green", ReportStatus.NOT_OWED: "green", ReportStatus.AWAITED: "yellow",
    ReportStatus.PENDING: "yellow", ReportStatus.AFTER_AIM: "yellow", ReportStatus.LATE: "bold red",
    ReportStatus.MISSING: "bold red", ReportStatus.UNDECIDED: "bold red", ReportStatus.UNSTATED: "yellow",
}  # fmt: skip

#: How strictly a deadline binds, in words.
_DUE: Mapping[DeadlineBinding | None, str] = {
    None: "",
    DeadlineBinding.HARD: "limit",
    DeadlineBinding.SOFT: "where possible",
    DeadlineBinding.NO_NUMBER: "our own target",
}

#: Characters of a terminal in which moments have room for date and time of day in one line.
_MOMENTS_IN_ONE_LINE = 120


@dataclass(frozen=True, slots=True)
class ReportSource:
    """What a report is computed from: sentences for people, and members of the JSON object."""

    said: Sequence[str]
    stated: Mapping[str, Any]


def print_report(made: NotificationReport, rests: ReportSource, names: Mapping[str, str]) -> None:
    """Print the report: every line; then lists of what needs attention, with the entries that show it."""
    console = Console()
    table = _table(console, "incident", "customer", "", "verdict", "due", "binding", "told", "entries")
    for line in made.lines:
        status = Text(line.status.value + (" (override)" if line.overridden else ""), _STYLES[line.status])
        table.add_row(
            Text(line.ticket or line.incident), Text(_named(line, names)), status, Text(line.verdict),
            _time(line.due_at), Text(_DUE[line.binding]), _time(line.notified_at), Text(_spans(line.indices)),
        )  # fmt: skip
    console.print(table)
    _print_lists(console, _lists(made, names))
    console.print(f"{_counted(made) or 'no incident yet'}; as of {_time(made.as_of)}")
    if made.exercises:
        console.print(f"{made.exercises} exercises, in none of these numbers")
    _print_alone(console, made)
    if made.announcements.incidents or made.announcements.lines:
        _print_announcements(console, made, names)
    for sentence in rests.said:
        console.print(sentence, soft_wrap=True, highlight=False)


def _table(console: Console, subject: str, *others: str) -> Table:
    """Return a table that cuts nothing off: a ticket stays in one line, all else is folded where room is short.

    A moment is folded between its date and its time of day only. In a narrow terminal one blank parts the columns, so
    that an ordinary line has room there.
    """
    is_narrow = console.width < _MOMENTS_IN_ONE_LINE
    moment_width = len("2026-01-05") if is_narrow else None
    columns = [
        Column(each, overflow="fold", width=moment_width if each in {"due", "told"} else None) for each in others
    ]
    padding = (0, 1, 0, 0) if is_narrow else (0, 1)
    return Table(Column(subject, no_wrap=True), *columns, box=None, pad_edge=False, padding=padding)


def _print_announcements(console: Console, made: NotificationReport, names: Mapping[str, str]) -> None:
    """Print what was announced and what became of it, a line for each customer and each notice, and the lists."""
    found = made.announcements
    _print_lists(console, [("announcements", said_of_announcements(found))])
    table = _table(console, "announcement", "customer", "", "why", "due", "binding", "clause", "told", "entries")
    for line in found.lines:
        table.add_row(
            Text(line.ticket or line.incident), Text(_named(line, names)),
            Text(line.status.value + (" (override)" if line.overridden else ""), _STYLES[line.status]),
            Text(", ".join(line.reasons)), _time(line.due_at), Text(_binding(line)),
            Text(line.due_clause or line.clause or ""), _time(line.notified_at), Text(_spans(line.indices)),
        )  # fmt: skip
    console.print(table)
    notices = [said for line in found.lines for said in said_of_notices(line, _named(line, names))]
    changed = [
        f"{line.incident} {_named(line, names)}: told of version {line.notified_version}, decided on {line.version}"
        for line in found.lines
        if line.lacks_last_version
    ]
    lists = [("notices", notices), *_lists(found, names), ("not told of the last change or cancellation", changed)]
    _print_lists(console, lists)
    console.print(f"announcements: {_counted(found) or 'nobody decided'}; as of {_time(made.as_of)}")
    _print_alone(console, found)


def _print_lists(console: Console, lists: Sequence[tuple[str, list[str]]]) -> None:
    for title, found in lists:
        if found:
            console.print(Text(f"{title}:", "bold" if title in {"announcements", "notices"} else "bold red"))
            for said in found:
                console.print(Text(f"  {said}"), soft_wrap=True)


def _print_alone(console: Console, made: SubjectReport) -> None:
    if alone := [item.index for item in made.overrides if item.kind is OverrideKind.ONE_PERSON]:
        console.print(
            f"{len(alone)} released by the person who wrote them last; no rule required a second person:"
            f" entries {_spans(tuple(alone))}",
            soft_wrap=True,
        )


def _counted(made: SubjectReport) -> str:
    counted = Counter(line.status for line in made.lines)
    return ", ".join(f"{counted[status]} {status.value}" for status in ReportStatus if counted[status])


def _binding(line: ReportLine) -> str:
    """Return how strictly the deadline binds. Of an announcement it is never a target of the provider."""
    if isinstance(line, AnnouncementLine) and line.binding is DeadlineBinding.NO_NUMBER:
        return "without a number"
    return _DUE[line.binding]


def _clause(line: ReportLine) -> str:
    return f" by clause {line.due_clause}" if isinstance(line, AnnouncementLine) and line.due_clause else ""


def _lists(made: SubjectReport, names: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Return the lists for an auditor, each with its title; what breaches the agreement comes first."""
    overridden = [item for item in made.overrides if item.kind is not OverrideKind.ONE_PERSON]
    return [
        ("late", [_late(line, names, "late") for line in made.with_status(ReportStatus.LATE)]),
        ("missing", [_missing(line, names) for line in made.with_status(ReportStatus.MISSING)]),
        (
            "passed over",
            [
                f"{line.incident} {_named(line, names)}: no decision"
                for line in made.with_status(ReportStatus.UNDECIDED)
            ],
        ),
        (
            "after the time aimed at",
            [_late(line, names, "after it") for line in made.with_status(ReportStatus.AFTER_AIM)],
        ),
        ("overridden", [_overridden(item, names) for item in overridden]),
        (
            "decided about fewer than stated",
            [
                f"{item.incident}: {item.stated} customers stated, decisions about {item.decided}"
                for item in made.incidents
                if item.lacking
            ],
        ),
    ]


def _late(line: ReportLine, names: Mapping[str, str], past: str) -> str:
    cause = "" if line.cause is None else line.cause.value.replace("_", " ")
    return (
        f"{line.incident} {_named(line, names)}: {cause}, told {_time(line.notified_at)} (entry {line.notified_index}),"
        f" due {_time(line.due_at)}{_clause(line)}, {_binding(line)} (entry {line.decided_index}), {line.delay} {past};"
        f" released {_time(line.released_at) or 'never'}{_entry(line.released_index)}"
    )


def _missing(line: ReportLine, names: Mapping[str, str]) -> str:
    cause = "" if line.cause is None else line.cause.value.replace("_", " ")
    webhook = "; its system took it by webhook, which tells nobody" if "webhook" in dict(line.channels) else ""
    return (
        f"{line.incident} {_named(line, names)}: {cause},"
        f" due {_time(line.due_at)}{_clause(line)}, {_binding(line)} (entry {line.decided_index})"
        f"{_entry(line.released_index, 'release')}{webhook}"
    )


def _overridden(item: Override, names: Mapping[str, str]) -> str:
    who = names.get(item.customer, item.customer[:16])
    if item.kind is OverrideKind.TAKEN_BACK:
        return (
            f"{item.incident} {who}: a decision to tell (entry {item.other_index}) was taken back {_time(item.at)}"
            f" (entry {item.index}) before the customer was told"
        )
    reviewed = "not reviewed" if item.other_index is None else f"reviewed (entry {item.other_index})"
    asked = "no rule required a second person" if item.rule is None else f"four eyes required by the {item.rule}"
    return (
        f"{item.incident} {who}: released in an emergency {_time(item.at)} by {item.actor} (entry {item.index}),"
        f" {asked}, {reviewed}"
    )


def _entry(index: int | None, what: str = "") -> str:
    return "" if index is None else f" ({what}{' ' if what else ''}entry {index})"


def _named(line: ReportLine, names: Mapping[str, str]) -> str:
    """Return the customer's name, or its pseudonym if the name is not known; and the date of its erasure."""
    name = names.get(line.customer, line.customer[:16])
    return name if line.erased_at is None else f"{name} (erased on {line.erased_at:%Y-%m-%d})"


def print_report_as_json(made: NotificationReport, rests: ReportSource, names: Mapping[str, str]) -> None:
    """Print the report as one JSON object."""
    whole: dict[str, Any] = {
        **rests.stated,
        "as_of": timestamp_text(made.as_of),
        "complete": made.complete,
        "exercises": made.exercises,
        "lines": [_as_json(line, names) for line in made.lines],
        "overridden": [_override_as_json(item, names) for item in made.overrides],
        "incidents": [_count_as_json(item) for item in made.incidents],
        **announcements_as_json(
            made.announcements,
            [_as_json(line, names) for line in made.announcements.lines],
            [_override_as_json(item, names) for item in made.announcements.overrides],
            [_count_as_json(item) for item in made.announcements.incidents],
        ),
    }
    click.echo(json.dumps(whole, indent=2, ensure_ascii=False))


def _as_json(line: ReportLine, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "incident": line.incident,
        "customer": line.customer,
        "name": names.get(line.customer),
        "standing": line.status.value,
        "cause": None if line.cause is None else line.cause.value,
        "verdict": line.verdict or None,
        "reasons": list(line.reasons),
        "duties": list(line.duties),
        "due_at": _stated(line.due_at),
        "due_kind": line.due_kind,
        "binding": None if line.binding is None else line.binding.value,
        "target_at": _stated(line.target_at),
        "released_at": _stated(line.released_at),
        "told_at": _stated(line.notified_at),
        "delay_seconds": None if line.delay is None else line.delay.total_seconds(),
        "past_target_seconds": None if line.past_target is None else line.past_target.total_seconds(),
        "channels": {channel: timestamp_text(at) for channel, at in line.channels},
        "overridden": line.overridden,
        "erased_at": _stated(line.erased_at),
        "decided_index": line.decided_index,
        "released_index": line.released_index,
        "told_index": line.notified_index,
        "indices": list(line.indices),
    }


def _override_as_json(item: Override, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "kind": item.kind.value,
        "incident": item.incident,
        "customer": item.customer,
        "name": names.get(item.customer),
        "notice": item.notice or None,
        "at": timestamp_text(item.at),
        "actor": item.actor,
        "rule": item.rule,
        "index": item.index,
        "other_index": item.other_index,
    }


def _count_as_json(item: IncidentCount) -> dict[str, Any]:
    return {
        "incident": item.incident,
        "ticket": item.ticket,
        "declared_index": item.declared_index,
        "customers_stated": item.stated,
        "customers_decided": item.decided,
    }


def _stated(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp_text(moment)


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}Z"


def _spans(indices: tuple[int, ...]) -> str:
    """Return numbers with consecutive ones as a range: ``3, 5-8``."""
    spans: list[list[int]] = []
    for index in indices:
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
