"""The section of the report on who was notified. Every statement links to the proof of its entry."""

import html
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from string import Template

from notifications.canonical_json import timestamp_text
from notifications.evidence.bundle.contents import PROOF, entry_folder
from notifications.evidence.bundle.report import BundleReportBuilder
from notifications.evidence.bundle.texts import words_of
from notifications.evidence.notification_report import (
    NotificationReport,
    Override,
    OverrideKind,
    ReportLine,
    ReportStatus,
)

#: Statuses that an auditor reads first.
_FIRST = (ReportStatus.LATE, ReportStatus.MISSING, ReportStatus.UNDECIDED, ReportStatus.AFTER_AIM)
_COLUMNS = ("incident_name", "customer_name", "status_name", "duty", "due", "released", "notified", "delay")


def report_section(builder: BundleReportBuilder) -> Iterator[bytes]:
    """Yield the section in the bundle's language: its limits, then the lists for an auditor, then every line."""
    words, found = words_of(builder.header.language), builder.findings()
    as_of, basis = builder.as_of()
    yield f"<h2>{html.escape(words['account'])}</h2>\n".encode()
    if found.exercises:
        counted = Template(words["exercises_counted"]).substitute(number=found.exercises)
        yield f"<p>{html.escape(counted)}</p>\n".encode()
    if not found.lines:
        yield f"<p>{html.escape(words['account_none'])}</p>\n".encode()
        return
    moment = Template(words["as_of"]).substitute(moment=timestamp_text(as_of), basis=words[f"basis_{basis.value}"])
    for text in (moment, words["account_shows"], words["account_limits"]):
        yield f"<p>{html.escape(text)}</p>\n".encode()
    for item in found.incidents:
        if item.stated is not None and item.declared_index is not None:
            counted = Template(words["customers_counted"]).substitute(
                incident=item.ticket or item.incident, stated=item.stated, decided=item.decided
            )
            yield f"<p>{html.escape(counted)} {_entry(words, item.declared_index)}</p>\n".encode()
    yield from _first(words, found)
    heads = "".join(f"<th>{html.escape(words[name])}</th>" for name in _COLUMNS)
    title = html.escape(words["account_lines"])
    yield f"<h3>{title}</h3>\n<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n".encode()
    for line in found.lines:
        yield _row(words, line)
    yield b"</tbody>\n</table>\n"


def _first(words: Mapping[str, str], found: NotificationReport) -> Iterator[bytes]:
    for status in _FIRST:
        lines = found.with_status(status)
        if status is ReportStatus.UNDECIDED and not lines:
            continue
        yield from _list(words, f"status_{status.value}", (_statement(words, line) for line in lines))
    special = [item for item in found.overrides if item.kind is not OverrideKind.ONE_PERSON]
    yield from _list(words, "overridden", (_overridden(words, item) for item in special))
    by_one_person = [item for item in found.overrides if item.kind is OverrideKind.ONE_PERSON]
    if by_one_person:
        yield from _list(words, "override_one_person", (_overridden(words, item) for item in by_one_person))


def _list(words: Mapping[str, str], title: str, items: Iterator[str]) -> Iterator[bytes]:
    yield f"<h3>{html.escape(words[title])}</h3>\n".encode()
    first = next(items, None)
    if first is None:
        yield f"<p>{html.escape(words['none'])}</p>\n".encode()
        return
    yield f"<ul>\n<li>{first}</li>\n".encode()
    for item in items:
        yield f"<li>{item}</li>\n".encode()
    yield b"</ul>\n"


def _statement(words: Mapping[str, str], line: ReportLine) -> str:
    cause = "" if line.cause is None else f": {html.escape(words[f'cause_{line.cause.value}'])}"
    facts = [
        _fact(words, "due", line.due_at, line.decided_index),
        _fact(words, "released", line.released_at, line.released_index),
        _fact(words, "notified", line.notified_at, line.notified_index),
    ]
    if line.delay is not None:
        facts.append(f"{html.escape(words['delay'])} {_span(line.delay)}")
    webhook = f"; {html.escape(words['by_webhook'])}" if "webhook" in dict(line.channels) else ""
    return f"{_who(words, line)}{cause} ({'; '.join(fact for fact in facts if fact)}){webhook}"


def _overridden(words: Mapping[str, str], item: Override) -> str:
    other = (
        "" if item.other_index is None else f"; {html.escape(words['other_entry'])} {_entry(words, item.other_index)}"
    )
    rule = "" if item.rule is None else f"; {html.escape(words[f'rule_{item.rule}'])}"
    return (
        f"{html.escape(item.customer[:16])}…: {html.escape(words[f'override_{item.kind.value}'])}, "
        f"{timestamp_text(item.at)}, {html.escape(item.actor)} {_entry(words, item.index)}{rule}{other}"
    )


def _row(words: Mapping[str, str], line: ReportLine) -> bytes:
    status = html.escape(words[f"status_{line.status.value}"])
    if line.cause is not None:
        status += f"<br>{html.escape(words[f'cause_{line.cause.value}'])}"
    if line.overridden:
        status += f"<br>{html.escape(words['overridden'])}"
    decided = "" if line.decided_index is None else f"<br>{_entry(words, line.decided_index)}"
    due = "" if line.due_at is None else f"{timestamp_text(line.due_at)} ({html.escape(words[f'due_{line.binding}'])})"
    if line.target_at is not None and line.target_at != line.due_at:
        due += f"<br>{html.escape(words['target'])} {timestamp_text(line.target_at)}"
    cells = (
        html.escape(line.ticket or line.incident),
        _who_is(words, line),
        status + decided,
        "<br>".join(html.escape(duty) for duty in line.duties),
        due,
        _stated(words, line.released_at, line.released_index),
        _stated(words, line.notified_at, line.notified_index),
        "" if line.delay is None else _span(line.delay),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n".encode()


def _who(words: Mapping[str, str], line: ReportLine) -> str:
    return f"{html.escape(line.ticket or line.incident)}, {_who_is(words, line)}"


def _who_is(words: Mapping[str, str], line: ReportLine) -> str:
    erased = ""
    if line.erased_at is not None:
        erased = f" ({html.escape(Template(words['erased']).substitute(day=f'{line.erased_at:%Y-%m-%d}'))})"
    return f"{html.escape(line.customer[:16])}…{erased}"


def _fact(words: Mapping[str, str], name: str, moment: datetime | None, index: int | None) -> str:
    return "" if moment is None else f"{html.escape(words[name])} {_stated(words, moment, index)}"


def _stated(words: Mapping[str, str], moment: datetime | None, index: int | None) -> str:
    if moment is None:
        return ""
    return timestamp_text(moment) if index is None else f"{timestamp_text(moment)} {_entry(words, index)}"


def _entry(words: Mapping[str, str], index: int) -> str:
    return f'<a href="{entry_folder(index)}{PROOF}">[{html.escape(words["proof"])} {index}]</a>'


def _span(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min {seconds:02} s"
