"""Find the report that a caller asks for, within what it may see."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from notifications.errors import NotFoundError
from notifications.reporting.corrections import corrections_of
from notifications.reporting.measuring import REPORT_VERSION, MeasuredPeriod
from notifications.reporting.period import Period, parse_period
from notifications.reporting.report import PeriodReport, customer_reports, empty_report, report_of, version_of
from service.auth.caller import Scope
from service.auth.route_guard import Access
from service.ports.reports import IssuedReport
from service.ports.store import AccessTransaction
from service.reports.reading import measure
from service.reports.shown_report import ReportState, ShownReport, computed_report, issued_report
from service.settings.reports import ReportSettings

#: Most entries that one request reads for numbers that are not issued yet.
_ENTRIES_MAX = 100_000
_LAST_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the store has of a report."""

    pseudonym: str
    documents: tuple[IssuedReport, ...]
    is_issued: bool


async def find_report(
    access: Access, settings: ReportSettings, name: str, customer_id: UUID | None, *, current: bool = False
) -> ShownReport:
    """Return the report of a period, on all customers or on one; the read of an auditor is logged.

    ``current``: the numbers as the log has them now, with what they change. Numbers that are not issued are for readers
    whose scope has no limit: they tell of notices that nobody has released.

    1. Look up the customer and the period, both within the scope.
    2. Find the issued documents.
    3. Else compute the numbers now.

    Raises InvalidInputError for no period, NotFoundError, TooManyEntriesError.
    """
    # 1.
    period = parse_period(name, settings.time_zone, timedelta(days=settings.issued_after_days))
    stored = await access.store.read(lambda tx: _stored(access.view(tx), name, customer_id))
    if not _covers(access.scope, customer_id, period):
        raise NotFoundError("report", name)
    # 2.
    found = None
    if stored.documents:
        found = issued_report(stored.documents)
    elif stored.is_issued and customer_id is not None and not period.is_year:
        # Others may have documents of version 1, which say nothing of announcements: so this says nothing either.
        nothing = MeasuredPeriod(period, period.cut_at, 0, (), 0, version=1)
        found = computed_report(_of_customer(nothing, stored.pseudonym), ReportState.ISSUED_EMPTY)
    # 3.
    if found is None or current:
        found = await _computed(access, period, stored)
    await access.trace()
    return await _named(access, found)


def _stored(tx: AccessTransaction, name: str, customer_id: UUID | None) -> _Stored:
    pseudonym = ""
    if customer_id is not None:
        tx.customers.require(customer_id)
        pseudonym = tx.customers.pseudonym(customer_id)
    documents = tuple(tx.reports.of_period(name, pseudonym))
    return _Stored(pseudonym, documents, name in set(tx.reports.periods()))


def _covers(scope: Scope, customer_id: UUID | None, period: Period) -> bool:
    """Return whether one grant covers the whole period, for this customer, or at the provider for all customers."""
    return any(
        (reach.at_provider if customer_id is None else True)
        and reach.covers(customer_id, period.starts_at)
        and reach.covers(customer_id, period.ends_at - _LAST_MOMENT)
        for reach in scope.reaches
    )


async def _computed(access: Access, period: Period, stored: _Stored) -> ShownReport:
    now = access.clock.now()
    if not access.scope.is_unlimited or period.starts_at > now:
        raise NotFoundError("report", period.name)
    size = await access.store.read(lambda tx: tx.log.size())
    known = json.loads(stored.documents[-1].content) if stored.documents else {}
    version = version_of(known["schema"]) if known else REPORT_VERSION
    measured = await measure(access.store.read, period, now, size, entries_max=_ENTRIES_MAX, version=version)
    report = _of_customer(measured, stored.pseudonym) if stored.pseudonym else report_of(measured)
    shown = computed_report(report, ReportState.PROVISIONAL)
    if not stored.documents:
        return shown
    issued = issued_report(stored.documents)
    changes = corrections_of(known, shown.stated)
    return replace(shown, issued=issued.issued, corrections=issued.corrections, unissued_changes=changes)


def _of_customer(measured: MeasuredPeriod, pseudonym: str) -> PeriodReport:
    whole = customer_reports(measured).get(pseudonym)
    return empty_report(measured, pseudonym) if whole is None else whole


async def _named(access: Access, shown: ShownReport) -> ShownReport:
    """Add the names of the customers that the caller may see."""
    wanted = {shown.customer} if shown.customer else {item["customer"] for item in shown.stated["customers"]}
    found = await access.store.read(lambda tx: access.view(tx).customers.by_pseudonyms(wanted))
    return replace(shown, names={pseudonym: customer.name for pseudonym, customer in found.items()})
