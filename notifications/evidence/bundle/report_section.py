"""The section of the report on who was notified. Every statement links to the proof of its entry."""

import html
from collections.abc import Iterator, Mapping
from string import Template

from notifications.canonical_json import timestamp_text
from notifications.evidence.bundle.announcement_section import announcement_section
from notifications.evidence.bundle.report import BundleReportBuilder
from notifications.evidence.bundle.report_statements import (
    customers_counted,
    entry_link,
    first_lists,
    lines_table,
    span_text,
    stated,
    who_is,
)
from notifications.evidence.bundle.texts import words_of
from notifications.evidence.notification_report import NotificationReport, ReportLine

_COLUMNS = ("incident_name", "customer_name", "status_name", "duty", "due", "released", "notified", "delay")


def report_section(builder: BundleReportBuilder) -> Iterator[bytes]:
    """Yield the section in the bundle's language: its limits, then the lists for an auditor, then every line."""
    words, found = words_of(builder.header.language), builder.findings()
    as_of, basis = builder.as_of()
    yield f"<h2>{html.escape(words['account'])}</h2>\n".encode()
    if found.exercises:
        counted = Template(words["exercises_counted"]).substitute(number=found.exercises)
        yield f"<p>{html.escape(counted)}</p>\n".encode()
    if not (found.lines or found.announcements.lines):
        yield f"<p>{html.escape(words['account_none'])}</p>\n".encode()
        return
    moment = Template(words["as_of"]).substitute(moment=timestamp_text(as_of), basis=words[f"basis_{basis.value}"])
    for text in (moment, words["account_shows"], words["account_limits"]):
        yield f"<p>{html.escape(text)}</p>\n".encode()
    if found.lines:
        yield from _incidents(words, found)
    if found.announcements.lines:
        yield from announcement_section(words, found.announcements)


def _incidents(words: Mapping[str, str], found: NotificationReport) -> Iterator[bytes]:
    for item in found.incidents:
        yield from customers_counted(words, item)
    yield from first_lists(words, found)
    yield from lines_table(words, _COLUMNS, (_row(words, line) for line in found.lines))


def _row(words: Mapping[str, str], line: ReportLine) -> bytes:
    status = html.escape(words[f"status_{line.status.value}"])
    if line.cause is not None:
        status += f"<br>{html.escape(words[f'cause_{line.cause.value}'])}"
    if line.overridden:
        status += f"<br>{html.escape(words['overridden'])}"
    decided = "" if line.decided_index is None else f"<br>{entry_link(words, line.decided_index)}"
    due = "" if line.due_at is None else f"{timestamp_text(line.due_at)} ({html.escape(words[f'due_{line.binding}'])})"
    if line.target_at is not None and line.target_at != line.due_at:
        due += f"<br>{html.escape(words['target'])} {timestamp_text(line.target_at)}"
    cells = (
        html.escape(line.ticket or line.incident),
        who_is(words, line),
        status + decided,
        "<br>".join(html.escape(duty) for duty in line.duties),
        due,
        stated(words, line.released_at, line.released_index),
        stated(words, line.notified_at, line.notified_index),
        "" if line.delay is None else span_text(line.delay),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n".encode()
