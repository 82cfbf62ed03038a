"""The words of reports in fr, en and de, and cells of tables as text."""

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from notifications.canonical_json import parse_timestamp
from notifications.time_zones import time_zone
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.wording.formats import number, set_in_french
from service.reports.report_table import Cell, Duration, Moment, Share, TableWords
from service.reports.shown_report import ShownReport

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_DECIMAL = {"en": ".", "fr": ",", "de": ","}


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _read() -> dict[str, dict[str, str]]:
    stated = tomllib.loads((files(__package__) / "report_words.toml").read_text(encoding="utf-8"))
    words = {language: dict(_flat(table)) for language, table in stated.items()}
    words["fr"] = {key: set_in_french(text) for key, text in words["fr"].items()}
    return words


REPORT_WORDS: Mapping[str, Mapping[str, str]] = _read()


def report_text(key: str, language: str, **values: object) -> str:
    """Return the words for a key; raises KeyError for a key that there is not."""
    text = REPORT_WORDS[language][key]
    return text.format_map(values) if values else text


def table_words(language: str, agreements: Agreements, shown: ShownReport) -> TableWords:
    """Return what the tables of a report are written with."""
    return TableWords(
        say=lambda key, /, **values: report_text(key, language, **values),
        has=lambda key: key in REPORT_WORDS[language],
        agreements={each.id: each.title.in_language(language)[1] for each in agreements.by_id.values()},
        notice_kinds={each.id: each.title.in_language(language)[1] for each in reversed(agreements.notice_kinds)},
        names=shown.names,
    )


def cell_text(cell: Cell, language: str, zone: str) -> str:
    """Return a cell as text: ``1 h 05 min``, ``94.9 %``, ``2026-11-29 02:40``; what is not there is a dash."""
    match cell:
        case None:
            return "–"
        case str():
            return cell
        case int():
            return number(cell, language)
        case Share(permille):
            whole, part = divmod(permille, 10)
            return f"{whole}{_DECIMAL[language] + str(part) if part else ''}\u202f%"
        case Moment(text):
            return f"{parse_timestamp(text).astimezone(time_zone(zone)):%Y-%m-%d %H:%M:%S}"
        case Duration(seconds):
            return _duration_text(seconds, language)


def _duration_text(seconds: int, language: str) -> str:
    if seconds >= 2 * _DAY:
        days, rest = divmod(seconds, _DAY)
        return report_text("report.duration", language, days=days, hours=rest // _HOUR)
    if seconds >= _HOUR:
        hours, rest = divmod(seconds, _HOUR)
        if rest < _MINUTE:
            return report_text("report.whole_hours", language, hours=hours)
        return report_text("report.hours", language, hours=hours, minutes=f"{rest // _MINUTE:02d}")
    minutes, rest = divmod(seconds, _MINUTE)
    if minutes and not rest:
        return report_text("report.whole_minutes", language, minutes=minutes)
    return report_text("report.minutes", language, minutes=minutes, seconds=f"{rest:02d}")


def about_lines(
    shown: ShownReport, words: TableWords, language: str, provider: str, *, index: int | None = None
) -> list[tuple[str, str]]:
    """Return what a report says of itself, as (label, value); the first line is its title.

    ``index``: the entry of the log, or None.
    """
    stated, say = shown.stated, words.say
    zone = str(stated["time_zone"])
    starts, ends, as_of = (
        cell_text(Moment(stated[name]), language, zone) for name in ("starts_at", "ends_at", "as_of")
    )
    title = say("report.monthly" if "-" in stated["period"] else "report.yearly")
    lines = [
        ("report", f"{title} {stated['period']}"),
        ("provider", provider),
        ("period", f"{starts} – {ends} ({zone})"),
        ("customer", words.customer(shown.customer) if shown.customer else say("report.all.customers")),
        ("state", say(f"report.state.{shown.state.value}")),
        ("as_of", f"{as_of} ({zone})"),
        ("tree_size", str(stated["tree_size"])),
        ("sha256", shown.sha256),
        ("percentile", say("report.all.nearest_rank")),
    ]
    if index is not None:
        lines.append(("entry", str(index)))
    if "exercises" in stated:
        lines.append(("exercises", str(stated["exercises"])))
    return [(say(f"report.about_line.{name}"), value) for name, value in lines]
