"""Statements of the report on who was notified, in HTML; each links to the proof of its entry."""

import html
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from string import Template

from notifications.canonical_json import timestamp_text
from notifications.evidence.bundle.contents import PROOF, entry_folder
from notifications.evidence.notification_report import (
    IncidentCount,
    Override,
    OverrideKind,
    ReportLine,
    ReportStatus,
    SubjectReport,
)

#: Statuses that an auditor reads first.
_FIRST = (ReportStatus.LATE, ReportStatus.MISSING, ReportStatus.UNDECIDED, ReportStatus.AFTER_AIM)


def first_lists(words: Mapping[str, str], found: SubjectReport) -> Iterator[bytes]:
    """Yield the lists for an auditor: who was not notified in time, and what was overridden."""
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


def customers_counted(words: Mapping[str, str], item: IncidentCount) -> Iterator[bytes]:
    """Yield how many customers were decided, as the entry states it and as found here; nothing if it is not stated."""
    if item.stated is not None and item.declared_index is not None:
        counted = Template(words["customers_counted"]).substitute(
            incident=item.ticket or item.incident, stated=item.stated, decided=item.decided
        )
        yield f"<p>{html.escape(counted)} {entry_link(words, item.declared_index)}</p>\n".encode()


def lines_table(words: Mapping[str, str], columns: Iterable[str], rows: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the table of all lines; ``columns`` are the names of the words at its head."""
    heads = "".join(f"<th>{html.escape(words[name])}</th>" for name in columns)
    title = html.escape(words["account_lines"])
    yield f"<h3>{title}</h3>\n<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n".encode()
    yield from rows
    yield b"</tbody>\n</table>\n"


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
        facts.append(f"{html.escape(words['delay'])} {span_text(line.delay)}")
    webhook = f"; {html.escape(words['by_webhook'])}" if "webhook" in dict(line.channels) else ""
    return f"{_who(words, line)}{cause} ({'; '.join(fact for fact in facts if fact)}){webhook}"


def _overridden(words: Mapping[str, str], item: Override) -> str:
    other = (
        ""
        if item.other_index is None
        else f"; {html.escape(words['other_entry'])} {entry_link(words, item.other_index)}"
    )
    rule = "" if item.rule is None else f"; {html.escape(words[f'rule_{item.rule}'])}"
    return (
        f"{html.escape(item.customer[:16])}…: {html.escape(words[f'override_{item.kind.value}'])}, "
        f"{timestamp_text(item.at)}, {html.escape(item.actor)} {entry_link(words, item.index)}{rule}{other}"
    )


def _who(words: Mapping[str, str], line: ReportLine) -> str:
    return f"{html.escape(line.ticket or line.incident)}, {who_is(words, line)}"


def who_is(words: Mapping[str, str], line: ReportLine) -> str:
    """Return the beginning of a customer's pseudonym, and the day of its erasure."""
    erased = ""
    if line.erased_at is not None:
        erased = f" ({html.escape(Template(words['erased']).substitute(day=f'{line.erased_at:%Y-%m-%d}'))})"
    return f"{html.escape(line.customer[:16])}…{erased}"


def _fact(words: Mapping[str, str], name: str, moment: datetime | None, index: int | None) -> str:
    return "" if moment is None else f"{html.escape(words[name])} {stated(words, moment, index)}"


def stated(words: Mapping[str, str], moment: datetime | None, index: int | None) -> str:
    """Return a moment with the link to the proof of its entry; empty without a moment."""
    if moment is None:
        return ""
    return timestamp_text(moment) if index is None else f"{timestamp_text(moment)} {entry_link(words, index)}"


def entry_link(words: Mapping[str, str], index: int) -> str:
    """Return the link to the proof of an entry."""
    return f'<a href="{entry_folder(index)}{PROOF}">[{html.escape(words["proof"])} {index}]</a>'


def span_text(span: timedelta) -> str:
    """Return a span in hours, minutes and seconds."""
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min {seconds:02} s"
