"""The charts of a report as numbers: the page draws them as SVG, the PDF as bars. Each has its numbers beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.reports.report_table import Share, TableWords
from service.reports.shown_report import ShownReport
from service.reports.wording import cell_text

_HUNDREDTH, _MINUTE, _HOUR = 10, 60, 3_600
_SPREAD = ("minimum", "mean", "percentile_95", "maximum")


@dataclass(frozen=True, slots=True)
class ReportBar:
    """One value of a chart."""

    #: a short label, and the same in full for the table beside the chart
    label: str
    name: str
    value: float
    #: the value in words, and with what belongs to it
    shown: str
    detail: str


@dataclass(frozen=True, slots=True)
class ReportChart:
    """One chart."""

    name: str
    caption: str
    described: str
    bars: tuple[ReportBar, ...]
    #: the highest number of its axis; None for the highest value
    top: int | None = None


def charts_of(shown: ShownReport, words: TableWords, language: str) -> list[ReportChart]:
    """Return the charts: the GTI by priority for each agreement, times to notice, notices in time, announcements."""
    figures = shown.stated["figures"]
    found = [
        *_service_levels(figures["service_levels"], words, language),
        _times(figures["from_awareness"], words, language),
        _timeliness(figures["timeliness"], words, language),
        _announcements(figures.get("announcements", ()), words, language),
    ]
    return [chart for chart in found if chart.bars]


def _service_levels(rows: Sequence[Any], words: TableWords, language: str) -> list[ReportChart]:
    by_agreement: dict[str, list[ReportBar]] = {}
    for row in rows:
        if row["share_permille"] is not None:
            share, target = _share(row["share_permille"], language), words.say("report.target.none")
            if row["target_percent"] is not None:
                target = f"{words.say('report.column.target')} {_share(10 * row['target_percent'], language)}"
            priority = words.code("priority", row["priority"])
            bar = ReportBar(priority, priority, row["share_permille"] / _HUNDREDTH, share, f"{share} ({target})")
            by_agreement.setdefault(row["agreement"], []).append(bar)
    return [
        ReportChart(
            f"gti-{number}",
            f"{words.say('report.table.service_levels')} – {words.agreement(agreement)}",
            words.say("report.note.service_levels"),
            tuple(bars),
            100,
        )
        for number, (agreement, bars) in enumerate(by_agreement.items())
    ]


def _times(spread: Any, words: TableWords, language: str) -> ReportChart:
    bars = []
    unit, name_of_unit = (_HOUR, "h") if (spread["maximum_seconds"] or 0) > 2 * _HOUR else (_MINUTE, "min")
    for name in _SPREAD if spread["notices"] else ():
        label, value = words.say(f"report.column.{name}"), spread[f"{name}_seconds"] / unit
        shown = f"{value:.1f}".replace(".", "." if language == "en" else ",") + f" {name_of_unit}"
        bars.append(ReportBar(label, label, value, shown, shown))
    caption = f"{words.say('report.table.times')} ({words.say('report.start.from_awareness')})"
    return ReportChart("times", caption, words.say("report.note.times"), tuple(bars))


def _timeliness(rows: Sequence[Any], words: TableWords, language: str) -> ReportChart:
    bars = []
    for row in rows:
        if row["due"]:
            share = _share(row["share_permille"], language)
            short, name = (words.say(f"report.{area}.{row['binding']}") for area in ("binding_short", "binding"))
            detail = f"{share} ({row['in_time']}/{row['due']})"
            bars.append(ReportBar(short, name, row["share_permille"] / _HUNDREDTH, share, detail))
    return ReportChart(
        "timeliness", words.say("report.table.timeliness"), words.say("report.note.timeliness"), tuple(bars), 100
    )


def _announcements(rows: Sequence[Any], words: TableWords, language: str) -> ReportChart:
    bars = []
    for number, row in enumerate(rows, 1):
        share, kind = _share(row["share_permille"], language), words.notice_kind(row["kind"])
        detail = f"{share} ({row['in_time']}/{row['due']})"
        # Titles of kinds are too long to be side by side.
        label, name = (str(number), f"{number}. {kind}") if len(rows) > 1 else (kind, kind)
        bars.append(ReportBar(label, name, row["share_permille"] / _HUNDREDTH, share, detail))
    title, note = (words.say(f"report.{area}.announcements") for area in ("table", "note"))
    return ReportChart("announcements", title, note, tuple(bars), 100)


def _share(permille: int, language: str) -> str:
    return cell_text(Share(permille), language, "UTC")
