"""Pages of monthly reports and yearly statistics: the list of periods, and one report with charts, tables and files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from notifications.errors import Fault, InvalidInputError
from notifications.reporting.period import month_of
from service.auth.route_guard import Access
from service.notice_pdf.installation import is_installed
from service.ports.store import AccessTransaction
from service.reports.charts import ReportChart, charts_of
from service.reports.finding import find_report
from service.reports.report_table import condensed
from service.reports.shown_report import ReportState, ShownReport
from service.reports.tables import tables_of
from service.reports.wording import about_lines, cell_text, table_words
from service.web.api.reports.report_files import wanted_customer
from service.web.api.requests import Context, MayReadReports
from service.web.console.charts import Bar, Chart, bar_chart
from service.web.console.failures import PageRoute
from service.web.console.rendering import page, reader_language

router = APIRouter(route_class=PageRoute, include_in_schema=False)

#: Longest table on the page. The files have every row.
_SHOWN = 200
_FILES = ("csv", "xlsx", "json")


@dataclass(frozen=True, slots=True)
class ShownChart:
    """A chart of a table: its caption, its description, and the chart."""

    name: str
    caption: str
    described: str
    chart: Chart
    #: (label, value in words), the same numbers as in the chart
    rows: Sequence[tuple[str, str]]


@router.get("/reports")
async def reports_page(request: Request, context: Context, access: MayReadReports) -> Response:
    """Show the periods with an issued report, newest first, and for the provider the month that runs."""

    def work(tx: AccessTransaction) -> tuple[Sequence[str], Sequence[tuple[UUID, str]]]:
        return tx.reports.periods(), _own_customers(tx, access)

    periods, customers = await access.read(work)
    running = month_of(access.clock.now(), context.settings.reports.time_zone)
    values: dict[str, Any] = {
        "months": [name for name in reversed(periods) if "-" in name],
        "years": [name for name in reversed(periods) if "-" not in name],
        "running": running if access.scope.is_unlimited else "",
        "at_provider": access.scope.at_provider,
        "customers": customers,
        "issued_after_days": context.settings.reports.issued_after_days,
    }
    return page(request, "reports", access.caller, values)


def _own_customers(tx: AccessTransaction, access: Access) -> Sequence[tuple[UUID, str]]:
    """Return id and name of the customers that the caller acts for; none for the provider's side."""
    if access.scope.at_provider:
        return ()
    own = access.scope.customer_ids or frozenset()
    found = (tx.customers.get(customer_id) for customer_id in sorted(own))
    return [(each.id, each.name) for each in found if each is not None]


@router.get("/reports/{period}")
async def report_page(
    request: Request,
    context: Context,
    access: MayReadReports,
    period: str,
    customer_id: UUID | None = None,
    current: Annotated[str, Query(max_length=5)] = "",
) -> Response:
    """Show one report: what it says of itself, charts, tables, corrections, and its files."""
    of = wanted_customer(access, customer_id)
    if of is not None and "-" not in period:
        raise InvalidInputError(Fault("period", "statistics of a year are on all customers"))
    shown = await find_report(access, context.settings.reports, period, of, current=current == "yes")
    index = await _entry_index(access, shown)
    ids = await _customer_ids(access, shown)
    language = reader_language(request, access.caller)
    words = table_words(language, context.agreements, shown)
    zone = str(shown.stated["time_zone"])
    tables = [condensed(table) for table in tables_of(shown, words)]
    values: dict[str, Any] = {
        "shown": shown,
        "period": period,
        "is_year": "-" not in period,
        "of_customer": words.customer(shown.customer) if shown.customer else "",
        "customer_id": of,
        "customer_links": ids,
        "about": about_lines(shown, words, language, context.settings.provider.name, index=index),
        "index": index,
        "tables": tables,
        "charts": [_drawn(chart) for chart in charts_of(shown, words, language)],
        "shown_max": _SHOWN,
        "cell": lambda value: cell_text(value, language, zone),
        "files": _files(shown, of, current=current == "yes", language=language),
        "is_signed": is_installed() and shown.state is not ReportState.PROVISIONAL,
        "is_provisional": shown.state is ReportState.PROVISIONAL,
        "can_be_current": access.scope.is_unlimited and shown.state is not ReportState.PROVISIONAL,
    }
    return page(request, "report", access.caller, values)


async def _entry_index(access: Access, shown: ShownReport) -> int | None:
    """Return the entry of the log that has the digest of an issued report, once it is sequenced."""
    issued = shown.issued
    if issued is None:
        return None
    entry = await access.store.read(lambda tx: access.view(tx).audit.get(issued.entry_id))
    return None if entry is None else entry.index


async def _customer_ids(access: Access, shown: ShownReport) -> dict[str, UUID]:
    """Return the customers of the table by their place in it, for links to their reports."""
    wanted = {item["customer"] for item in shown.stated.get("customers", ())}
    found = await access.store.read(lambda tx: access.view(tx).customers.by_pseudonyms(wanted))
    return {pseudonym: customer.id for pseudonym, customer in found.items()}


def _files(shown: ShownReport, of: UUID | None, *, current: bool, language: str) -> list[tuple[str, str]]:
    """Return (ending, path) of the files of a report."""
    period = shown.stated["period"]
    kind = "monthly" if "-" in period else "yearly"
    asked = {} if of is None else {"customer_id": str(of)}
    asked |= {"current": "true"} if current else {}
    return [
        (ending, f"/api/v1/reports/{kind}/{period}.{ending}?{urlencode(asked | _choices(shown, ending, language))}")
        for ending in (*_FILES, *(("pdf",) if is_installed() else ()))
    ]


def _choices(shown: ShownReport, ending: str, language: str) -> dict[str, str]:
    if ending not in {"xlsx", "pdf"}:
        return {}
    # With its number a kept link gives the same PDF also after a later correction.
    is_kept = ending == "pdf" and shown.state is ReportState.ISSUED
    return {"language": language} | ({"number": str(shown.number)} if is_kept else {})


def _drawn(chart: ReportChart) -> ShownChart:
    """Return a chart of the report as the SVG of the page."""
    bars = [Bar(bar.label, bar.value, bar.shown) for bar in chart.bars]
    rows = [(bar.name, bar.detail) for bar in chart.bars]
    return ShownChart(chart.name, chart.caption, chart.described, bar_chart(bars, top=chart.top), rows)
