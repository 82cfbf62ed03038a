"""Issued reports."""

from collections.abc import Sequence

from sqlalchemy import literal_column, select

from service.ports.reports import IssuedReport, ReportPdf
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled
from service.store.tables import IssuedReportRow, ReportPdfRow, table

_REPORTS, _PDFS = FlatTable(IssuedReport, IssuedReportRow), FlatTable(ReportPdf, ReportPdfRow)
_reports = table(IssuedReportRow).c
_OF_PERIOD = _REPORTS.by("period", "customer", ordered=True)
_PDF = _PDFS.by("period", "customer", "number", "language")
_PERIODS = compiled(
    select(_reports.period)
    .where(_reports.customer == literal_column("''"), _reports.number == literal_column("1"))
    .order_by(_reports.period)
)


class IssuedReportRecords(Records):
    """Implements ``service.ports.reports.ReportRepository``."""

    def add(self, report: IssuedReport) -> None:
        """Store a report."""
        self._session.execute(_REPORTS.insert, _REPORTS.values(report))
        self._changed("reports")

    def of_period(self, period: str, customer: str) -> Sequence[IssuedReport]:
        """Return the report of a period on one customer, or on all customers, and then its corrections."""
        return [_REPORTS.record(row) for row in self._session.all(_OF_PERIOD, (period, customer))]

    def add_pdf(self, pdf: ReportPdf) -> None:
        """Store a PDF."""
        self._session.execute(_PDFS.insert, _PDFS.values(pdf))
        self._changed("reports")

    def pdf(self, period: str, customer: str, number: int, language: str) -> bytes | None:
        """Return the bytes of a PDF that was made."""
        row = self._session.one(_PDF, (period, customer, number, language))
        return None if row is None else _PDFS.record(row).content

    def periods(self) -> Sequence[str]:
        """Return the periods with an issued report, oldest first."""
        return [period for (period,) in self._session.all(_PERIODS)]
