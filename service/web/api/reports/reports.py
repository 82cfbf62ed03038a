"""Monthly reports (SLA 8) and yearly statistics for the authority."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query
from pydantic import Field
from starlette.responses import Response

from notifications.reporting.corrections import Correction
from service.auth.route_guard import Access
from service.reports.finding import find_report
from service.reports.shown_report import ReportState, ShownReport
from service.web.api.context import ApiContext
from service.web.api.fields import Language, Moment, Out
from service.web.api.reports.report_files import csv_of, json_of, pdf_of, verify_kind, wanted_customer, xlsx_of
from service.web.api.requests import Context, MayReadReports, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/reports", tags=["reports"])

Month = Annotated[str, Path(max_length=10, description="Such as `2026-11`.", examples=["2026-11"])]
Year = Annotated[str, Path(max_length=10, description="Such as `2026`.", examples=["2026"])]
OfCustomer = Annotated[
    UUID | None,
    Query(description="The report on one customer. Without it: on all customers, or on one's own customer."),
]
Current = Annotated[
    bool, Query(description="Compute the numbers from the log as it is now, also where a report is issued.")
]

PdfNumber = Annotated[
    int | None,
    Query(
        ge=0,
        le=1_000_000,
        description="Of the last document to show: the PDF as it was before later corrections. Without it: with all.",
    ),
]


class ChangeOut(Out):
    """One number that differs from the report."""

    table: str
    customer: str | None = Field(description="The customer's pseudonym; null for all customers.")
    row: list[str]
    measure: str
    before: int | bool | str | None
    after: int | bool | str | None


class CorrectionOut(Out):
    """Numbers that were issued later as corrections. The report keeps its own."""

    number: int
    issued_at: Moment
    entry_id: UUID = Field(description="The entry `report.corrected` of the log.")
    changes: list[ChangeOut]


class ReportOut(Out):
    """A report with what is said beside it."""

    state: ReportState
    issued_at: Moment | None
    entry_id: UUID | None = Field(description="The entry `report.issued` of the log, which has `sha256`.")
    sha256: str = Field(description="SHA-256 of the canonical JSON of `report` (RFC 8785).")
    report: dict[str, Any] = Field(
        description="`greffier.monthly_report/2` or `greffier.yearly_statistics/2`; `/1` if issued before."
    )
    corrections: list[CorrectionOut]
    unissued_changes: list[ChangeOut] = Field(
        description="With `current`: what the log says now otherwise than what was issued last."
    )


class PeriodList(Out):
    """The periods with an issued report, oldest first."""

    months: list[str]
    years: list[str]


@router.get("", response_model=PeriodList, summary="List the issued periods")
async def list_periods(access: MayReadReports) -> Response:
    """Return the months and years whose report is issued."""
    found = await access.read(lambda tx: tx.reports.periods())
    return json_response(
        PeriodList.model_construct(
            months=[name for name in found if "-" in name], years=[name for name in found if "-" not in name]
        )
    )


@router.get("/monthly/{month}.csv", response_class=Response, summary="Monthly report as CSV")
async def monthly_csv(
    context: Context, access: MayReadReports, month: Month, customer_id: OfCustomer = None, current: Current = False
) -> Response:
    """Return a CSV file (RFC 4180) with one number a line; corrections have their own lines."""
    return csv_of(await _found(context, access, month, customer_id, year=False, current=current))


@router.get("/monthly/{month}.xlsx", response_class=Response, summary="Monthly report as XLSX")
async def monthly_xlsx(
    context: Context,
    access: MayReadReports,
    month: Month,
    customer_id: OfCustomer = None,
    current: Current = False,
    language: Language | None = None,
) -> Response:
    """Return a workbook with the tables of the report, in the caller's language or the one that is asked for."""
    shown = await _found(context, access, month, customer_id, year=False, current=current)
    return await xlsx_of(context, shown, language or access.caller.language)


@router.get("/monthly/{month}.pdf", response_class=Response, summary="Monthly report as PDF")
async def monthly_pdf(
    context: Context,
    access: MayReadReports,
    month: Month,
    customer_id: OfCustomer = None,
    current: Current = False,
    language: Language | None = None,
    number: PdfNumber = None,
) -> Response:
    """Return the charts and tables of the report as a tagged PDF/A-3, signed as PAdES B-T if the report is issued.

    The first request in a language makes it, and later ones get the same bytes. Its SHA-256 is in the entry
    `report.pdf_made` of the log, and the report itself is embedded. Numbers that are not issued are not signed. 501
    without the optional extra `pdf`; 503 without a key or a timestamp.
    """
    shown = await _found(context, access, month, customer_id, year=False, current=current)
    return await pdf_of(context, shown, language or access.caller.language, number)


@router.get("/monthly/{month}.json", response_class=Response, summary="Monthly report, the exact bytes")
async def monthly_document(
    context: Context, access: MayReadReports, month: Month, customer_id: OfCustomer = None, current: Current = False
) -> Response:
    """Return the canonical JSON of the report, byte for byte: its SHA-256 is the one in the log."""
    shown = await _found(context, access, month, customer_id, year=False, current=current)
    return json_of(shown)


@router.get("/monthly/{month}", response_model=ReportOut, summary="Monthly report")
async def monthly(
    context: Context, access: MayReadReports, month: Month, customer_id: OfCustomer = None, current: Current = False
) -> Response:
    """Return the GTI against its target, the times to notice and the share in time, for a calendar month (SLA 8).

    An issued report never changes. What the log got later is in `corrections`. 404 before a report is issued, except
    for the provider, which gets the present numbers as provisional.
    """
    return _json(await _found(context, access, month, customer_id, year=False, current=current))


@router.get("/yearly/{year}.csv", response_class=Response, summary="Yearly statistics as CSV")
async def yearly_csv(context: Context, access: MayReadReports, year: Year, current: Current = False) -> Response:
    """Return a CSV file (RFC 4180) with one number a line."""
    return csv_of(await _found(context, access, year, None, year=True, current=current))


@router.get("/yearly/{year}.xlsx", response_class=Response, summary="Yearly statistics as XLSX")
async def yearly_xlsx(
    context: Context, access: MayReadReports, year: Year, current: Current = False, language: Language | None = None
) -> Response:
    """Return a workbook with the tables of the year."""
    shown = await _found(context, access, year, None, year=True, current=current)
    return await xlsx_of(context, shown, language or access.caller.language)


@router.get("/yearly/{year}.pdf", response_class=Response, summary="Yearly statistics as PDF")
async def yearly_pdf(
    context: Context,
    access: MayReadReports,
    year: Year,
    current: Current = False,
    language: Language | None = None,
    number: PdfNumber = None,
) -> Response:
    """Return the charts and tables of the year as a tagged PDF/A-3, signed and kept like that of a month."""
    shown = await _found(context, access, year, None, year=True, current=current)
    return await pdf_of(context, shown, language or access.caller.language, number)


@router.get("/yearly/{year}.json", response_class=Response, summary="Yearly statistics, the exact bytes")
async def yearly_document(context: Context, access: MayReadReports, year: Year, current: Current = False) -> Response:
    """Return the canonical JSON of the statistics, byte for byte."""
    shown = await _found(context, access, year, None, year=True, current=current)
    return json_of(shown)


@router.get("/yearly/{year}", response_model=ReportOut, summary="Yearly statistics for the authority")
async def yearly(context: Context, access: MayReadReports, year: Year, current: Current = False) -> Response:
    """Return the incidents of a year by nature, priority, RSIT class and breach, and its notices in time."""
    return _json(await _found(context, access, year, None, year=True, current=current))


async def _found(
    context: ApiContext, access: Access, name: str, customer_id: UUID | None, *, year: bool, current: bool
) -> ShownReport:
    verify_kind(name, year=year)
    of = customer_id if year else wanted_customer(access, customer_id)
    return await find_report(access, context.settings.reports, name, of, current=current)


def _json(shown: ShownReport) -> Response:
    issued = shown.issued
    return json_response(
        ReportOut.model_construct(
            state=shown.state,
            issued_at=shown.issued_at,
            entry_id=None if issued is None else issued.entry_id,
            sha256=shown.sha256,
            report=dict(shown.stated),
            corrections=[
                CorrectionOut.model_construct(
                    number=each.issued.number,
                    issued_at=each.issued.issued_at,
                    entry_id=each.issued.entry_id,
                    changes=[_change_out(change) for change in each.changes],
                )
                for each in shown.corrections
            ],
            unissued_changes=[_change_out(change) for change in shown.unissued_changes],
        )
    )


def _change_out(change: Correction) -> ChangeOut:
    figure = change.figure
    return ChangeOut.model_construct(
        table=figure.table,
        customer=figure.customer or None,
        row=list(figure.row),
        measure=figure.measure,
        before=change.before,
        after=change.after,
    )
