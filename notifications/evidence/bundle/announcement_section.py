"""The part of the report on announcements: what each came to, who was notified, and how each notice went."""

import html
from collections.abc import Iterator, Mapping
from string import Template

from notifications.canonical_json import timestamp_text
from notifications.evidence.bundle.report_statements import (
    customers_counted,
    entry_link,
    first_lists,
    lines_table,
    span_text,
    stated,
    who_is,
)
from notifications.evidence.notification_report import (
    AnnouncementCount,
    AnnouncementLine,
    AnnouncementReport,
    ReportedNotice,
)

_COLUMNS = (
    "announcement_name", "customer_name", "status_name", "duty", "due", "released", "notified", "delay", "notices_name",
)  # fmt: skip


def announcement_section(words: Mapping[str, str], found: AnnouncementReport) -> Iterator[bytes]:
    """Yield the part: each announcement, then the lists for an auditor, then every line with its notices."""
    yield f"<h2>{html.escape(words['account_announcements'])}</h2>\n".encode()
    yield f"<p>{html.escape(words['announcements_show'])}</p>\n".encode()
    for item in found.incidents:
        yield f"<p>{_announced(words, item)}</p>\n".encode()
        yield from customers_counted(words, item)
    yield from first_lists(words, found)
    yield from lines_table(words, _COLUMNS, (_row(words, line) for line in found.lines))


def _announced(words: Mapping[str, str], item: AnnouncementCount) -> str:
    facts = [item.ticket or item.incident, item.kind or ""]
    if item.occurs_at is not None:
        facts.append(f"{words['occurs_at']} {timestamp_text(item.occurs_at)}")
    facts.append(Template(words["versions"]).substitute(number=item.versions))
    if item.outcome is not None:
        facts.append(words[f"outcome_{item.outcome}"])
    said = html.escape(", ".join(fact for fact in facts if fact))
    return said if item.outcome_index is None else f"{said} {entry_link(words, item.outcome_index)}"


def _row(words: Mapping[str, str], line: AnnouncementLine) -> bytes:
    said = [words[f"status_{line.status.value}"]]
    if line.cause is not None:
        said.append(words[f"cause_{line.cause.value}"])
    said += [words.get(f"concern_{reason}", reason) for reason in line.reasons]
    if line.overridden:
        said.append(words["overridden"])
    if line.lacks_last_version:
        said.append(words["lacks_last_version"])
    status = "<br>".join(html.escape(text) for text in said)
    decided = "" if line.decided_index is None else f"<br>{entry_link(words, line.decided_index)}"
    duty = [line.kind, line.agreement, line.clause]
    cells = (
        html.escape(line.ticket or line.incident),
        who_is(words, line),
        status + decided,
        "<br>".join(html.escape(text) for text in duty if text),
        _due(words, line),
        stated(words, line.released_at, line.released_index),
        stated(words, line.notified_at, line.notified_index),
        "" if line.delay is None else span_text(line.delay),
        "<br>".join(_notice(words, item) for item in line.notices),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n".encode()


def _due(words: Mapping[str, str], line: AnnouncementLine) -> str:
    if line.due_at is None or line.binding is None:
        return ""
    due = f"{timestamp_text(line.due_at)} ({html.escape(words[f'announced_due_{line.binding.value}'])})"
    if line.due_clause:
        due += f"<br>{html.escape(Template(words['by_clause']).substitute(clause=line.due_clause))}"
    return due


def _notice(words: Mapping[str, str], notice: ReportedNotice) -> str:
    kind = words["notice_draft"] if notice.kind is None else words.get(f"notice_{notice.kind}", notice.kind)
    facts = [html.escape(kind)]
    if notice.version is not None:
        facts.append(html.escape(Template(words["of_version"]).substitute(number=notice.version)))
    facts += [
        f"{html.escape(words[name])} {stated(words, at, index)}"
        for name, at, index in (
            ("sealed", notice.sealed_at, notice.sealed_index),
            ("own_timestamp", notice.timestamped_at, notice.timestamped_index),
        )
        if at is not None
    ]
    for item in notice.deliveries:
        to = "" if item.contact is None else f" ({html.escape(words['contact'])} {html.escape(item.contact)})"
        taken = stated(words, item.accepted_at, item.accepted_index) or html.escape(words["not_taken"])
        facts.append(f"{html.escape(words.get(f'channel_{item.channel}', item.channel))}{to} {taken}")
    facts += _letter(words, notice)
    if notice.acknowledged_at is not None:
        moment = stated(words, notice.acknowledged_at, notice.acknowledged_index)
        facts.append(f"{html.escape(words['acknowledged'])} {moment}")
    return "<br>".join(facts)


def _letter(words: Mapping[str, str], notice: ReportedNotice) -> Iterator[str]:
    if (letter := notice.letter) is None:
        return
    index = letter.opened_index if letter.posted_index is None else letter.posted_index
    posted = words["letter_not_posted"] if letter.posted_on is None else f"{words['letter_posted']} {letter.posted_on}"
    yield f"{html.escape(posted)} {entry_link(words, index)}"
    if letter.slip_index is not None:
        yield f"{html.escape(words['return_slip'])} {entry_link(words, letter.slip_index)}"
    if letter.outcome is not None and letter.outcome_index is not None:
        said = f"{words.get(f'letter_{letter.outcome}', letter.outcome)} {letter.outcome_on}"
        if letter.served_on is None:
            said += f", {words['letter_not_served']}"
        yield f"{html.escape(said)} {entry_link(words, letter.outcome_index)}"
