"""Issued reports: what the report of a period says for ever, and what was corrected later."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class IssuedReport:
    """A report as it was issued. The log has the SHA-256 of its content."""

    #: ``2026-11`` or ``2026``
    period: str
    #: the customer's pseudonym; empty for the report on all customers
    customer: str
    #: 1 for the report, a higher number for a correction, which is issued with a later report
    number: int
    starts_at: datetime
    #: end of the period (exclusive)
    ends_at: datetime
    #: canonical JSON
    content: bytes
    #: the entry ``report.issued`` or ``report.corrected``
    entry_id: UUID
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class ReportPdf:
    """The signed PDF of an issued report, as it was made for its first reader. The log has its SHA-256."""

    period: str
    #: the customer's pseudonym; empty for the report on all customers
    customer: str
    #: that of the last document that the PDF shows: 1 for the report only, a higher one with corrections beside it;
    #: 0 if there was nothing to report on the customer
    number: int
    language: str
    content: bytes
    #: the entry ``report.pdf_made``
    entry_id: UUID


class ReportRepository(Protocol):
    """Issued reports. They are never changed."""

    def add(self, report: IssuedReport) -> None:
        """Store a report, or a correction of one."""
        ...

    def of_period(self, period: str, customer: str) -> Sequence[IssuedReport]:
        """Return the report of a period on one customer, or (empty) on all customers, and then its corrections."""
        ...

    def add_pdf(self, pdf: ReportPdf) -> None:
        """Store a PDF; raises StateConflictError if there is one."""
        ...

    def pdf(self, period: str, customer: str, number: int, language: str) -> bytes | None:
        """Return the bytes of a PDF that was made."""
        ...

    def periods(self) -> Sequence[str]:
        """Return the periods with a report on all customers, oldest first."""
        ...
