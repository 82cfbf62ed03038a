"""What ``greffier audit`` says of announcements beside what it says of incidents: their notices, letters and ends."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from notifications.canonical_json import timestamp_text
from notifications.evidence.notification_report import (
    AnnouncementLine,
    AnnouncementReport,
    ReportedLetter,
    ReportedNotice,
)


def said_of_announcements(made: AnnouncementReport) -> list[str]:
    """Return a sentence for each announcement: what was declared, and what became of it."""
    return [
        f"{item.ticket or ''} {item.incident}: {item.kind or 'kind not stated'},"
        f" {item.versions} version{'' if item.versions == 1 else 's'}, announced for {_moment(item.occurs_at) or '?'};"
        f" {(item.outcome or 'end not stated').replace('_', ' ')}{_entry(item.outcome_index)}"
        + ("" if item.stated is None else f"; {item.stated} customers stated, decisions about {item.decided}")
        for item in made.incidents
    ]


def said_of_notices(line: AnnouncementLine, who: str) -> Iterator[str]:
    """Yield a sentence for each notice to a customer: how it was released, sealed, sent and received."""
    for notice in line.notices:
        facts = [
            f"{name} {_moment(at)}{_entry(index)}"
            for name, at, index in (
                ("released", notice.released_at, notice.released_index),
                ("sealed", notice.sealed_at, notice.sealed_index),
                ("own timestamp", notice.timestamped_at, notice.timestamped_index),
            )
            if at is not None
        ]
        facts += _sent(notice)
        if notice.acknowledged_at is not None:
            facts.append(f"acknowledged {_moment(notice.acknowledged_at)}{_entry(notice.acknowledged_index)}")
        what = "draft" if notice.kind is None else f"{notice.kind} notice of version {notice.version}"
        yield f"{line.incident} {who}: {what}{': ' if facts else ''}{', '.join(facts)}"


def _sent(notice: ReportedNotice) -> Iterator[str]:
    for item in notice.deliveries:
        to = "" if item.contact is None else f" to contact {item.contact}"
        when = (
            "not accepted" if item.accepted_at is None else f"{_moment(item.accepted_at)}{_entry(item.accepted_index)}"
        )
        yield f"{item.channel}{to} {when}"
    if (letter := notice.letter) is None:
        return
    if letter.posted_on is None:
        yield f"registered letter not posted{_entry(letter.opened_index)}"
    else:
        yield f"registered letter posted on {letter.posted_on}{_entry(letter.posted_index)}"
    if letter.slip_index is not None:
        yield f"return slip{_entry(letter.slip_index)}"
    if letter.outcome is not None:
        served = "does not count as served" if letter.served_on is None else f"served on {letter.served_on}"
        outcome = letter.outcome.replace("_", " ")
        yield f"{outcome} on {letter.outcome_on}{_entry(letter.outcome_index)}, {served}"


def announcements_as_json(
    made: AnnouncementReport,
    lines: Sequence[Mapping[str, Any]],
    overrides: Sequence[Mapping[str, Any]],
    counts: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the members of the JSON object on announcements.

    ``lines``, ``overrides``, ``counts``: the members that are as for incidents, in the order of the report.
    """
    return {
        "announcements": [
            _renamed(stated)
            | {
                "kind": item.kind,
                "occurs_at": _stated(item.occurs_at),
                "versions": item.versions,
                "outcome": item.outcome,
                "outcome_index": item.outcome_index,
            }
            for item, stated in zip(made.incidents, counts, strict=True)
        ],
        "announcement_lines": [_renamed(stated) | _line(line) for line, stated in zip(made.lines, lines, strict=True)],
        "announcements_overridden": [_renamed(stated) for stated in overrides],
    }


def _renamed(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {"announcement" if name == "incident" else name: value for name, value in stated.items()}


def _line(line: AnnouncementLine) -> dict[str, Any]:
    return {
        "ticket": line.ticket,
        "kind": line.kind,
        "agreement": line.agreement,
        "clause": line.clause,
        "due_clause": line.due_clause,
        "ways": list(line.ways) or None,
        "consent": line.consent,
        "version": line.version,
        "told_version": line.notified_version,
        "lacks_last_version": line.lacks_last_version,
        "notices": [_notice(item) for item in line.notices],
    }


def _notice(notice: ReportedNotice) -> dict[str, Any]:
    return {
        "notice": notice.notice,
        "kind": notice.kind,
        "version": notice.version,
        "released_at": _stated(notice.released_at),
        "released_index": notice.released_index,
        "sealed_at": _stated(notice.sealed_at),
        "sealed_index": notice.sealed_index,
        "timestamped_at": _stated(notice.timestamped_at),
        "timestamped_index": notice.timestamped_index,
        "told_at": _stated(notice.notified_at),
        "told_index": notice.notified_index,
        "acknowledged_at": _stated(notice.acknowledged_at),
        "acknowledged_index": notice.acknowledged_index,
        "deliveries": [
            {
                "delivery": item.delivery,
                "channel": item.channel,
                "contact": item.contact,
                "accepted_at": _stated(item.accepted_at),
                "accepted_index": item.accepted_index,
            }
            for item in notice.deliveries
        ],
        "letter": None if notice.letter is None else _letter(notice.letter),
    }


def _letter(letter: ReportedLetter) -> dict[str, Any]:
    return {
        "opened_index": letter.opened_index,
        "posted_on": _day(letter.posted_on),
        "posted_index": letter.posted_index,
        "slip_index": letter.slip_index,
        "outcome": letter.outcome,
        "outcome_on": _day(letter.outcome_on),
        "served_on": _day(letter.served_on),
        "outcome_index": letter.outcome_index,
    }


def _stated(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp_text(moment)


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}Z"


def _entry(index: int | None) -> str:
    return "" if index is None else f" (entry {index})"
