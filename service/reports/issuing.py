"""Issue the report of each month and year that is over, once; and with it corrections of earlier reports.

A report is computed from the entries that were recorded before its cut, some days after the end of the period. The log
gets one entry for the report on all customers and one for each report on a customer, with the SHA-256 of its canonical
JSON and the size of the tree that it is computed from. So nobody can change a report, and everybody with the log can
compute it again. When a report is due, the earlier reports are computed again from the same entries. If a number
differs, the new numbers are issued as a correction beside the report, which stays as it is.

The task runs on the leader. If the process was down when a report was due, it is issued later from the same entries.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

import structlog

from notifications.audit.entry import parse_leaf
from notifications.canonical_json import canonicalize, timestamp_text
from notifications.ports import Clock, Identifiers
from notifications.reporting.corrections import corrections_of
from notifications.reporting.measuring import MeasuredPeriod
from notifications.reporting.period import Period, month_of, parse_period
from notifications.reporting.report import (
    PeriodReport,
    customer_reports,
    empty_report,
    report_json,
    report_of,
    version_of,
)
from notifications.use_cases.audit_context import AuditContext
from service.ports.reports import IssuedReport
from service.ports.store import AccessStore, AccessTransaction
from service.reports.reading import measure, size_before
from service.settings.reports import ReportSettings
from service.system.periodic import PeriodicTask

_log = structlog.get_logger(__name__)

ACTOR = "system:reports"
#: An entry has the moment at which its change began. After this time every change that began before the cut is in the
#: log.
SETTLED = timedelta(hours=1)
#: How long after its end a report is computed again to find corrections.
CORRECTED_FOR = timedelta(days=400)
_REPORTS_AT_ONCE = 500
_DECEMBER = 12


class ReportIssue(PeriodicTask):
    """Issues the reports that are due."""

    name = "reports"
    kinds: ClassVar[frozenset[str]] = frozenset()
    poll_seconds = 900.0
    shortest_seconds = 0.0

    def __init__(self, store: AccessStore, settings: ReportSettings, *, clock: Clock, identifiers: Identifiers) -> None:
        super().__init__(clock)
        self._store, self._settings, self._identifiers = store, settings, identifiers

    async def look(self) -> datetime | None:
        """Issue every report that is due, oldest first; returns when the next one is due."""
        following = None
        for period in await self._unissued():
            if period.cut_at + SETTLED > self._clock.now():
                following = period.cut_at + SETTLED
                break
            await self._issue(period)
        return following

    async def _unissued(self) -> list[Period]:
        """Return the periods without a report, from that of the first entry on, by their cut; the last is not over."""
        first = await self._store.read(lambda tx: tx.audit.at(0))
        if first is None:
            return []
        issued = set(await self._store.read(lambda tx: tx.reports.periods()))
        zone, after = self._settings.time_zone, timedelta(days=self._settings.issued_after_days)
        names = _names_between(month_of(parse_leaf(first.leaf).at, zone), month_of(self._clock.now(), zone))
        found = [parse_period(name, zone, after) for name in names if name not in issued]
        return sorted(found, key=lambda period: (period.cut_at, period.is_year))

    async def _issue(self, period: Period) -> None:
        """Issue corrections of earlier reports, then the report of a period.

        The period counts as issued once its own report on all customers is stored. What an earlier run did before it
        was stopped is not done again.

        1. Measure earlier periods from the entries before the cut, and issue what differs from the last that was
           issued.
        2. Measure the period from the same entries, and issue the report on all customers and those on each customer
           that it concerns.
        """
        size = await size_before(self._store.read, period.cut_at)
        # 1.
        for name in await self._store.read(lambda tx: tx.reports.periods()):
            latest = await self._latest(name)
            stated, ended_at = json.loads(latest[""].content), latest[""].ends_at
            if stated["tree_size"] < size and period.cut_at - ended_at <= CORRECTED_FOR:
                earlier = Period(name, stated["time_zone"], latest[""].starts_at, ended_at, period.cut_at)
                # A correction is in the form of the report that it corrects.
                version = version_of(stated["schema"])
                measured = await measure(self._store.read, earlier, period.cut_at, size, version=version)
                await self._store_documents(measured, latest)
        # 2.
        await self._store_documents(await measure(self._store.read, period, period.cut_at, size), {})
        _log.info("reports.issued", period=period.name, tree_size=size)

    async def _latest(self, name: str) -> dict[str, IssuedReport]:
        """Return the last issued document of a period, by pseudonym; empty for the report on all customers."""

        def work(tx: AccessTransaction) -> dict[str, IssuedReport]:
            wholes = tx.reports.of_period(name, "")
            found = {"": wholes[-1]}
            # Also a customer that a correction took out of the report: its own documents count on.
            for each in sorted({customer for whole in wholes for customer in _customers_of(whole)}):
                if documents := tx.reports.of_period(name, each):
                    found[each] = documents[-1]
            return found

        return await self._store.read(work)

    async def _store_documents(self, measured: MeasuredPeriod, latest: Mapping[str, IssuedReport]) -> None:
        """Store the documents of a measurement, with their entries; only those that differ from the latest, if any.

        The report on all customers comes last.
        """
        wanted = list(_documents(measured, latest))
        for start in range(0, len(wanted), _REPORTS_AT_ONCE):
            some = wanted[start : start + _REPORTS_AT_ONCE]
            act = AuditContext(ACTOR, self._clock.now(), self._identifiers)
            await self._store.write(lambda tx, some=some, act=act: _add(tx, act, measured, some))  # type: ignore[misc]  # mypy knows no defaults of lambdas


def _names_between(first: str, last: str) -> Iterator[str]:
    """Yield the months from the first until before the last that is not over, and each year whose December is there."""
    year, month = int(first[:4]), int(first[5:])
    while (name := f"{year:04d}-{month:02d}") <= last:
        yield name
        if month == _DECEMBER:
            yield f"{year:04d}"
        year, month = (year + 1, 1) if month == _DECEMBER else (year, month + 1)


def _customers_of(whole: IssuedReport) -> list[str]:
    return [item["customer"] for item in json.loads(whole.content)["customers"]]


def _documents(
    measured: MeasuredPeriod, latest: Mapping[str, IssuedReport]
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield (pseudonym, number, JSON form) of each document to store; a customer that is new in a correction has one.

    A customer that was in the report and is not any more gets a correction that says so.
    Statistics of a year are for the authority: there is one document, on all customers.
    """
    whole = report_of(measured)
    reports: dict[str, PeriodReport] = {} if measured.period.is_year else customer_reports(measured)
    reports |= {customer: empty_report(measured, customer) for customer in latest if customer not in {"", *reports}}
    for customer, report in (*reports.items(), ("", whole)):
        stated: dict[str, Any] = report_json(report)
        known = latest.get(customer)
        if known is None:
            yield customer, 1 if not latest else latest[""].number + 1, stated
        elif corrections_of(json.loads(known.content), stated):
            yield customer, known.number + 1, stated


def _add(
    tx: AccessTransaction, act: AuditContext, measured: MeasuredPeriod, documents: list[tuple[str, int, dict[str, Any]]]
) -> None:
    period = measured.period
    for customer, number, stated in documents:
        if any(each.number >= number for each in tx.reports.of_period(period.name, customer)):
            continue
        content = canonicalize(stated)
        entry = act.entry(
            "report.issued" if number == 1 else "report.corrected",
            subjects={"customer": customer} if customer else {},
            detail={
                "report": stated["schema"],
                "period": period.name,
                "number": number,
                "time_zone": period.time_zone,
                "starts_at": timestamp_text(period.starts_at),
                "ends_at": timestamp_text(period.ends_at),
                "as_of": timestamp_text(measured.as_of),
                "tree_size": measured.tree_size,
                "sha256": hashlib.sha256(content).hexdigest(),
            },
        )
        tx.audit.append([entry])
        tx.reports.add(
            IssuedReport(period.name, customer, number, period.starts_at, period.ends_at, content, entry.id, act.now)
        )
