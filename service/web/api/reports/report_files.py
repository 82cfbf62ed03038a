"""What the API and the pages share about reports: whose report is meant, and the files."""

import asyncio
from uuid import UUID

from starlette.responses import Response

from notifications.canonical_json import parse_timestamp
from notifications.errors import Fault, InvalidInputError, PdfUnavailableError
from service.auth.route_guard import Access
from service.notice_pdf.installation import ADVICE, is_installed
from service.reports.charts import charts_of
from service.reports.files import csv_rows, xlsx_bytes
from service.reports.shown_report import ReportState, ShownReport
from service.reports.signed_pdf import signed_pdf
from service.reports.tables import tables_of
from service.reports.wording import about_lines, table_words
from service.web.api.context import ApiContext
from service.web.api.spreadsheets import line_of

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def verify_kind(name: str, *, year: bool) -> None:
    """Raise InvalidInputError if a month is named as a year, or the other way."""
    if ("-" not in name) is not year:
        field, example = ("year", "2026") if year else ("month", "2026-11")
        raise InvalidInputError(Fault(field, f"must be a {field} such as {example}"))


def wanted_customer(access: Access, customer_id: UUID | None) -> UUID | None:
    """Return the customer whose report is meant; None for all customers.

    A caller that acts for one customer means that one. Raises InvalidInputError if it acts for several and names none.
    """
    if customer_id is not None or access.scope.at_provider:
        return customer_id
    of = access.scope.customer_ids or frozenset()
    if len(of) != 1:
        raise InvalidInputError(Fault("customer_id", "state which of your customers is meant"))
    return next(iter(of))


def csv_of(shown: ShownReport) -> Response:
    """Return a report as CSV (RFC 4180) in UTF-8 with a byte order mark, by which spreadsheets read it."""
    content = "".join(line_of(row) for row in csv_rows(shown)).encode("utf-8-sig")
    return Response(content, media_type="text/csv; charset=utf-8", headers=_download(shown, "csv"))


def json_of(shown: ShownReport) -> Response:
    """Return the canonical JSON of a report."""
    return Response(shown.content, media_type="application/json", headers=_download(shown, "json"))


async def xlsx_of(context: ApiContext, shown: ShownReport, language: str) -> Response:
    """Return a report as a workbook."""
    words = table_words(language, context.agreements, shown)
    content = await asyncio.to_thread(
        xlsx_bytes,
        tables_of(shown, words),
        about_lines(shown, words, language, context.settings.provider.name),
        str(shown.stated["time_zone"]),
        parse_timestamp(shown.stated["as_of"]),
    )
    return Response(content, media_type=_XLSX, headers=_download(shown, "xlsx"))


async def pdf_of(context: ApiContext, shown: ShownReport, language: str, number: int | None = None) -> Response:
    """Return a report as PDF, signed if it is issued; raises PdfUnavailableError without the optional extra.

    ``number``: that of the last document to show, for the bytes that were given out before a later correction.
    """
    if number is not None:
        shown = shown.as_it_was(number)
    if shown.state is ReportState.PROVISIONAL:
        content = await _laid_out(context, shown, language)
    else:
        content = await signed_pdf(
            context.unit_of_work, context.sealing, shown, language, lambda: _laid_out(context, shown, language)
        )
    return Response(content, media_type="application/pdf", headers=_download(shown, "pdf"))


async def _laid_out(context: ApiContext, shown: ShownReport, language: str) -> bytes:
    if not is_installed():
        raise PdfUnavailableError(ADVICE)
    from service.reports.report_pdf import report_pdf  # noqa: PLC0415 - its imports are in the optional extra

    words = table_words(language, context.agreements, shown)
    return await asyncio.to_thread(
        report_pdf,
        charts_of(shown, words, language),
        tables_of(shown, words),
        about_lines(shown, words, language, context.settings.provider.name),
        words.say(f"report.state.{shown.state.value}"),
        language=language,
        zone=str(shown.stated["time_zone"]),
        made_at=parse_timestamp(shown.stated["as_of"]),
        documents={"report.json": shown.content}
        | {f"correction-{each.issued.number - 1}.json": each.issued.content for each in shown.corrections},
    )


def _download(shown: ShownReport, ending: str) -> dict[str, str]:
    """Return the headers of a file: its name has the period and the beginning of the pseudonym, never a name."""
    of = f"-{shown.customer[:16]}" if shown.customer else ""
    return {"Content-Disposition": f'attachment; filename="report-{shown.stated["period"]}{of}.{ending}"'}
