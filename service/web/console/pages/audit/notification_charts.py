"""The numbers of the notification report: time from awareness to notice, and the share in time by month."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifications.evidence.notification_report import NotificationReport, ReportStatus
from service.web.console.charts import Bar, Chart, bar_chart

#: Ends of the spans of the distribution; a last span has no end. 4, 24 and 72 hours are deadlines of agreements.
_SPAN_ENDS = tuple(timedelta(hours=hours) for hours in (1, 4, 12, 24, 48, 72))
_PERCENT = 100
#: Newest months that are drawn and listed.
_MONTHS_MAX = 24
#: Statuses of customers that had to be notified by now.
_COUNTED = (ReportStatus.NOTIFIED, ReportStatus.AFTER_AIM, ReportStatus.LATE, ReportStatus.MISSING)


@dataclass(frozen=True, slots=True)
class Span:
    """One span of the distribution, in hours; the last one has no end."""

    from_hours: int
    to_hours: int | None
    notices: int


@dataclass(frozen=True, slots=True)
class Month:
    """The customers that had to be notified of incidents of one month of awareness (UTC)."""

    #: ``2026-11``
    name: str
    owed: int
    in_time: int
    #: notified after a time that is to be met where possible, or after the provider's own target
    after_aim: int = 0
    #: notified after a limit of the agreement
    late: int = 0
    missing: int = 0

    @property
    def percent(self) -> int:
        """The share in time, rounded down: 100 means all."""
        return _PERCENT * self.in_time // self.owed


@dataclass(frozen=True, slots=True)
class NotificationCharts:
    """Both charts, each with the numbers of its table."""

    spans: tuple[Span, ...]
    span_chart: Chart
    months: tuple[Month, ...]
    month_chart: Chart

    @property
    def notices(self) -> int:
        """The number of notices in the distribution."""
        return sum(span.notices for span in self.spans)


def charts_of(report: NotificationReport) -> NotificationCharts:
    """Return the charts of a report.

    The distribution counts each customer that was notified, by the time from awareness to the first notice. A month
    counts each customer whose deadline is over or that was notified. Incidents without a stated awareness are left out.
    """
    spans, months = _spans(report), _months(report)
    return NotificationCharts(
        spans,
        bar_chart([Bar(_hours(span), span.notices, str(span.notices)) for span in spans]),
        months,
        bar_chart([Bar(month.name, month.percent, f"{month.percent}%") for month in months], top=_PERCENT),
    )


def _hours(span: Span) -> str:
    return f"> {span.from_hours} h" if span.to_hours is None else f"≤ {span.to_hours} h"


def _spans(report: NotificationReport) -> tuple[Span, ...]:
    counts = [0] * (len(_SPAN_ENDS) + 1)
    for taken in _times_taken(report):
        counts[next((number for number, end in enumerate(_SPAN_ENDS) if taken <= end), len(_SPAN_ENDS))] += 1
    hours = [0, *(int(end.total_seconds()) // 3600 for end in _SPAN_ENDS)]
    ends = [*hours[1:], None]
    return tuple(Span(begin, end, count) for begin, end, count in zip(hours, ends, counts, strict=True))


def _times_taken(report: NotificationReport) -> Iterator[timedelta]:
    aware = _aware(report)
    for line in report.lines:
        if line.notified_at is not None and (aware_at := aware.get(line.incident)) is not None:
            yield line.notified_at - aware_at


def _months(report: NotificationReport) -> tuple[Month, ...]:
    aware = _aware(report)
    counted: dict[str, Counter[ReportStatus]] = {}
    for line in report.with_status(*_COUNTED):
        if (aware_at := aware.get(line.incident)) is not None:
            counted.setdefault(f"{aware_at:%Y-%m}", Counter())[line.status] += 1
    found = [Month(name, by.total(), *(by[status] for status in _COUNTED)) for name, by in sorted(counted.items())]
    return tuple(found[-_MONTHS_MAX:])


def _aware(report: NotificationReport) -> dict[str, datetime]:
    return {item.incident: item.aware_at for item in report.incidents if item.aware_at is not None}
