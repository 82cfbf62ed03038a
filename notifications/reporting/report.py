"""The monthly report and the yearly statistics, from a measured period, and their canonical JSON.

The JSON form is ``greffier.monthly_report/2`` or ``greffier.yearly_statistics/2``. Version 1 had no announcements, and
judged by the first notice (``ReportBuilder``); what was issued with it stays so, and so do its corrections. Names of
customers are not in it: a customer is its pseudonym in the log, so an erased customer stays in every number.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from notifications.agreement import DeadlineBinding
from notifications.canonical_json import Json, timestamp_text
from notifications.evidence.notification_report import ReportStatus
from notifications.reporting.figures import (
    AnnouncementRow,
    Figures,
    InterventionOutcome,
    NoticeOutcome,
    ServiceLevelRow,
    TimelinessRow,
    TimeSpread,
    spread_of,
)
from notifications.reporting.measuring import (
    COUNTED,
    REPORT_VERSION,
    AnnouncementMeasure,
    InterventionMeasure,
    MeasuredIncident,
    MeasuredPeriod,
    NoticeMeasure,
    seconds_between,
)

MONTHLY_SCHEMA, YEARLY_SCHEMA = "greffier.monthly_report", "greffier.yearly_statistics"


@dataclass(frozen=True, slots=True)
class Statistics:
    """How many incidents of what kind there were; by code, None where it is not established or not recorded."""

    incidents: int
    by_nature: tuple[tuple[str | None, int], ...]
    #: by the reference agreement
    by_priority: tuple[tuple[str | None, int], ...]
    by_rsit_class: tuple[tuple[str | None, int], ...]
    by_personal_data_breach: tuple[tuple[str | None, int], ...]
    #: significant or not under Implementing Regulation 2024/2690, by the provider's last assessment
    by_significance: tuple[tuple[str | None, int], ...]
    #: customers that were notified at least once
    customers_notified: int


@dataclass(frozen=True, slots=True)
class PeriodReport:
    """The report of a period: on all customers, or on one."""

    measured: MeasuredPeriod
    #: the customer's pseudonym; None for the report on all customers
    customer: str | None
    figures: Figures
    statistics: Statistics
    incidents: tuple[MeasuredIncident, ...]
    #: the figures of each customer, by pseudonym; empty in a report on one customer
    customers: Mapping[str, Figures]


def report_of(measured: MeasuredPeriod) -> PeriodReport:
    """Return the report on all customers."""
    return PeriodReport(
        measured,
        None,
        _figures(measured.incidents, measured.announcements),
        _statistics(measured.incidents),
        measured.incidents,
        {customer: _figures(*found) for customer, found in _by_customer(measured).items()},
    )


def customer_reports(measured: MeasuredPeriod) -> dict[str, PeriodReport]:
    """Return the report on each customer that was notified, or had to be, by pseudonym.

    A report on a customer says nothing of another: it has the incidents of which the customer was or had to be
    notified, by its own agreement, and no facts that may concern others (the nature of their breach). A notice whose
    deadline is not over is not in it, because nobody may have released it yet.
    """
    return {
        customer: PeriodReport(
            measured, customer, _figures(incidents, announced), _statistics_of_one(incidents), incidents, {}
        )
        for customer, (incidents, announced) in _by_customer(measured).items()
    }


def empty_report(measured: MeasuredPeriod, customer: str) -> PeriodReport:
    """Return the report on a customer of whom there is nothing to report."""
    return replace(report_of(replace(measured, incidents=(), exercises=0, announcements=())), customer=customer)


_OfCustomer = tuple[tuple[MeasuredIncident, ...], tuple[AnnouncementMeasure, ...]]


def _by_customer(measured: MeasuredPeriod) -> dict[str, _OfCustomer]:
    incidents: dict[str, list[MeasuredIncident]] = {}
    for incident in measured.incidents:
        for notice in incident.notices:
            if notice.outcome is not NoticeOutcome.AWAITED:
                incidents.setdefault(notice.customer, []).append(_as_seen_by(incident, notice))
    announced: dict[str, list[AnnouncementMeasure]] = {}
    for each in measured.announcements:
        announced.setdefault(each.customer, []).append(each)
    return {
        customer: (tuple(incidents.get(customer, ())), tuple(announced.get(customer, ())))
        for customer in sorted({*incidents, *announced})
    }


def _as_seen_by(incident: MeasuredIncident, notice: NoticeMeasure) -> MeasuredIncident:
    # A customer whose products have no priority (PaaS) has no GTI, although the agreement has one for others.
    own = tuple(
        each
        for each in incident.interventions
        if each.level.agreement == notice.agreement and (notice.has_priority or each.level.priority is None)
    )
    return replace(incident, priority=own[0].level.priority if own else None, interventions=own, notices=(notice,))


def _figures(incidents: Sequence[MeasuredIncident], announced: Sequence[AnnouncementMeasure]) -> Figures:
    notices = [(incident, notice) for incident in incidents for notice in incident.notices]
    notified = [(incident, notice.notified_at) for incident, notice in notices if notice.notified_at is not None]
    detected = [seconds_between(item.detected_at, at) for item, at in notified if item.detected_at is not None]
    aware = [seconds_between(item.aware_at, at) for item, at in notified if item.aware_at is not None]
    return Figures(
        _service_levels(measure for incident in incidents for measure in incident.interventions),
        spread_of(detected, len(notified) - len(detected)),
        spread_of(aware, len(notified) - len(aware)),
        tuple(_timeliness(binding, [notice for _, notice in notices]) for binding in DeadlineBinding),
        _announcements(announced),
    )


def _announcements(measures: Sequence[AnnouncementMeasure]) -> tuple[AnnouncementRow, ...]:
    counts: dict[str | None, Counter[ReportStatus]] = {}
    for each in measures:
        counts.setdefault(each.kind, Counter())[each.status] += 1
    return tuple(
        AnnouncementRow(kind, *(counts[kind][status] for status in COUNTED))
        for kind in sorted(counts, key=lambda kind: (kind is None, kind or ""))
    )


def _service_levels(measures: Iterable[InterventionMeasure]) -> tuple[ServiceLevelRow, ...]:
    rows: dict[tuple[str, str | None, int | None, int | None], list[InterventionMeasure]] = {}
    for measure in measures:
        level = measure.level
        key = (level.agreement, level.priority, level.gti_seconds, level.target_percent)
        rows.setdefault(key, []).append(measure)
    # A priority that is not established comes last.
    ordered = sorted(rows, key=lambda key: (key[0], key[1] is None, key[1] or "", key[2] or 0, key[3] or 0))
    return tuple(_service_level(key, rows[key]) for key in ordered)


def _service_level(
    key: tuple[str, str | None, int | None, int | None], measures: Sequence[InterventionMeasure]
) -> ServiceLevelRow:
    counts = Counter(measure.outcome for measure in measures)
    return ServiceLevelRow(
        *key,
        in_time=counts[InterventionOutcome.IN_TIME],
        late=counts[InterventionOutcome.LATE],
        missing=counts[InterventionOutcome.MISSING],
        running=counts[InterventionOutcome.RUNNING],
        not_recorded=counts[InterventionOutcome.NOT_RECORDED],
        without_gti=counts[InterventionOutcome.WITHOUT_GTI],
        changed=sum(measure.is_changed for measure in measures),
    )


def _timeliness(binding: DeadlineBinding, notices: Iterable[NoticeMeasure]) -> TimelinessRow:
    counts = Counter(notice.outcome for notice in notices if notice.binding is binding)
    return TimelinessRow(
        binding, counts[NoticeOutcome.IN_TIME], counts[NoticeOutcome.AFTER], counts[NoticeOutcome.MISSING]
    )


def _statistics(incidents: Sequence[MeasuredIncident]) -> Statistics:
    notified = {
        notice.customer for incident in incidents for notice in incident.notices if notice.notified_at is not None
    }
    return Statistics(
        len(incidents),
        _counted(incident.nature for incident in incidents),
        _counted(incident.priority for incident in incidents),
        _counted(incident.rsit_class for incident in incidents),
        _counted(incident.personal_data_breach for incident in incidents),
        _counted(incident.significant for incident in incidents),
        len(notified),
    )


def _statistics_of_one(incidents: Sequence[MeasuredIncident]) -> Statistics:
    whole = _statistics(incidents)
    return Statistics(whole.incidents, (), whole.by_priority, (), (), (), whole.customers_notified)


def _counted(codes: Iterable[str | None]) -> tuple[tuple[str | None, int], ...]:
    counts = Counter(codes)
    return tuple(sorted(counts.items(), key=lambda item: (item[0] is None, item[0] or "")))


def report_json(report: PeriodReport) -> dict[str, Json]:
    """Return the JSON form of a report, for ``canonicalize``."""
    measured, period = report.measured, report.measured.period
    stated: dict[str, Json] = {
        "schema": f"{YEARLY_SCHEMA if period.is_year else MONTHLY_SCHEMA}/{measured.version}",
        "period": period.name,
        "time_zone": period.time_zone,
        "starts_at": timestamp_text(period.starts_at),
        "ends_at": timestamp_text(period.ends_at),
        "as_of": timestamp_text(measured.as_of),
        "tree_size": measured.tree_size,
        "customer": report.customer,
        "figures": _figures_json(report.figures, measured.version),
        "statistics": _statistics_json(report.statistics),
        "incidents": [_incident_json(incident, report.customer) for incident in report.incidents],
    }
    if report.customer is not None:
        return stated
    return stated | {
        "exercises": measured.exercises,
        "customers": [
            {"customer": customer, "figures": _figures_json(found, measured.version)}
            for customer, found in report.customers.items()
        ],
    }


def version_of(schema: str) -> int:
    """Return the version of the JSON form of a report by its schema, such as ``greffier.monthly_report/1``."""
    version = schema.rpartition("/")[2]
    return int(version) if version.isascii() and version.isdigit() else 1


def _figures_json(figures: Figures, version: int) -> Json:
    stated: dict[str, Json] = {
        "service_levels": [
            {
                "agreement": row.agreement,
                "priority": row.priority,
                "gti_seconds": row.gti_seconds,
                "target_percent": row.target_percent,
                "opened": row.opened,
                "measured": row.measured,
                "in_time": row.in_time,
                "late": row.late,
                "missing": row.missing,
                "running": row.running,
                "not_recorded": row.not_recorded,
                "without_gti": row.without_gti,
                "changed": row.changed,
                "share_permille": row.share_permille,
                "target_met": row.is_target_met,
            }
            for row in figures.service_levels
        ],
        "from_detection": _spread_json(figures.from_detection),
        "from_awareness": _spread_json(figures.from_awareness),
        "timeliness": [
            {
                "binding": row.binding.value,
                "due": row.due,
                "in_time": row.in_time,
                "after": row.after,
                "missing": row.missing,
                "share_permille": row.share_permille,
            }
            for row in figures.timeliness
        ],
    }
    if version < REPORT_VERSION:
        return stated
    announcements: list[Json] = [
        {
            "kind": row.kind,
            "due": row.due,
            "in_time": row.in_time,
            "after_aim": row.after_aim,
            "late": row.late,
            "missing": row.missing,
            "share_permille": row.share_permille,
        }
        for row in figures.announcements
    ]
    return stated | {"announcements": announcements}


def _spread_json(spread: TimeSpread) -> Json:
    return {
        "notices": spread.notices,
        "not_recorded": spread.not_recorded,
        "minimum_seconds": spread.minimum_seconds,
        "mean_seconds": spread.mean_seconds,
        "percentile_95_seconds": spread.percentile_95_seconds,
        "maximum_seconds": spread.maximum_seconds,
    }


def _statistics_json(statistics: Statistics) -> Json:
    def counted(items: tuple[tuple[str | None, int], ...]) -> Json:
        return [{"code": code, "incidents": count} for code, count in items]

    return {
        "incidents": statistics.incidents,
        "by_nature": counted(statistics.by_nature),
        "by_priority": counted(statistics.by_priority),
        "by_rsit_class": counted(statistics.by_rsit_class),
        "by_personal_data_breach": counted(statistics.by_personal_data_breach),
        "by_significance": counted(statistics.by_significance),
        "customers_notified": statistics.customers_notified,
    }


def _incident_json(incident: MeasuredIncident, customer: str | None) -> Json:
    stated: dict[str, Json] = {
        "incident": incident.incident,
        "ticket": incident.ticket,
        "opened_at": timestamp_text(incident.opened_at),
        "aware_at": None if incident.aware_at is None else timestamp_text(incident.aware_at),
        "detected_at": None if incident.detected_at is None else timestamp_text(incident.detected_at),
        "intervened_at": None if incident.intervened_at is None else timestamp_text(incident.intervened_at),
        "corrected": incident.is_corrected,
        "service_levels": [
            {
                "agreement": each.level.agreement,
                "opened_priority": each.opened_priority,
                "priority": each.level.priority,
                "gti_seconds": each.level.gti_seconds,
                "elapsed_seconds": each.elapsed_seconds,
                "outcome": each.outcome.value,
            }
            for each in incident.interventions
        ],
    }
    if customer is None:
        return stated
    (notice,) = incident.notices
    return stated | {
        "binding": notice.binding.value,
        "due_at": None if notice.due_at is None else timestamp_text(notice.due_at),
        "notified_at": None if notice.notified_at is None else timestamp_text(notice.notified_at),
        "outcome": notice.outcome.value,
    }
