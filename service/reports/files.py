"""A report as a file: CSV with one number a line, and XLSX with the tables of the page.

No cell is a formula: a CSV cell that would be one is guarded as in every export of this service, and an XLSX cell is
written as text or as a number by its type. The same report gives the same bytes.
"""

import io
from collections.abc import Iterator
from datetime import datetime

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from notifications.canonical_json import parse_timestamp
from notifications.reporting.corrections import Number, figures_of
from notifications.time_zones import time_zone
from service.reports.report_table import Cell, Duration, Moment, ReportTable, Share
from service.reports.shown_report import ShownReport

CSV_COLUMNS = ("period", "state", "number", "table", "customer", "name", "row", "of", "measure", "value", "before")
_SECONDS_OF_A_DAY = 86_400
_WIDEST, _NARROWEST = 60, 9
#: Characters that a sheet's name may not have.
_NOT_IN_NAMES = str.maketrans(dict.fromkeys("[]:*?/\\'", " "))
_SHEET_NAME_CHARACTERS = 31


def csv_rows(shown: ShownReport) -> Iterator[tuple[str, ...]]:
    """Yield the header and a row for each number: the report has number 1, each correction a higher one.

    A correction has only the numbers that it changes, each with the number before. Words are codes, so that programs
    read them; moments are in UTC.
    """
    yield CSV_COLUMNS
    period, state = shown.stated["period"], shown.state.value
    for figure in figures_of(shown.stated):
        name = shown.names.get(figure.customer, "")
        row, of = (*figure.row, "", "")[:2]
        yield (
            period, state, "1", figure.table, figure.customer, name, row, of, figure.measure, _plain(figure.value), "",
        )  # fmt: skip
    for correction in shown.corrections:
        for change in correction.changes:
            figure = change.figure
            row, of = (*figure.row, "", "")[:2]
            yield (
                period, "corrected", str(correction.issued.number), figure.table, figure.customer,
                shown.names.get(figure.customer, ""), row, of, figure.measure, _plain(change.after),
                _plain(change.before),
            )  # fmt: skip


def _plain(value: Number) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def xlsx_bytes(tables: list[ReportTable], about: list[tuple[str, str]], zone: str, made_at: datetime) -> bytes:
    """Return a workbook: a sheet with what it is about, and a sheet for each table. Moments are in the time zone."""
    buffer = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(buffer, options) as book:
        # Without it the file would have the moment at which it was written.
        book.set_properties({"created": made_at.replace(tzinfo=None), "title": about[0][1]})
        bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
        formats = {
            Duration: book.add_format({"num_format": "[h]:mm:ss"}),
            Share: book.add_format({"num_format": "0.0%"}),
            Moment: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        }
        sheet = book.add_worksheet(_sheet_name(about[0][0], set()))
        for number, (label, value) in enumerate(about):
            sheet.write_string(number, 0, label, bold)
            sheet.write_string(number, 1, value)
        sheet.set_column(0, 0, 28)
        sheet.set_column(1, 1, 80)
        taken: set[str] = {_sheet_name(about[0][0], set()).casefold()}
        for table in tables:
            name = _sheet_name(table.title, taken)
            taken.add(name.casefold())
            _write_table(book.add_worksheet(name), table, bold, formats, zone)
    return buffer.getvalue()


def _write_table(sheet: Worksheet, table: ReportTable, bold: Format, formats: dict[type, Format], zone: str) -> None:
    for column, title in enumerate(table.head):
        sheet.write_string(0, column, title, bold)
        longest = max([len(title) // 2, *(len(row[column]) for row in table.rows if isinstance(row[column], str))])  # type: ignore[arg-type]  # checked
        sheet.set_column(column, column, max(_NARROWEST + 4, min(_WIDEST, longest + 2)))
    for number, row in enumerate(table.rows, 1):
        for column, cell in enumerate(row):
            _write_cell(sheet, number, column, cell, formats, zone)
    sheet.freeze_panes(1, table.names)


def _write_cell(sheet: Worksheet, row: int, column: int, cell: Cell, formats: dict[type, Format], zone: str) -> None:
    match cell:
        case str():
            sheet.write_string(row, column, cell)
        case int():
            sheet.write_number(row, column, cell)
        case Duration(seconds):
            sheet.write_number(row, column, seconds / _SECONDS_OF_A_DAY, formats[Duration])
        case Share(permille):
            sheet.write_number(row, column, permille / 1000, formats[Share])
        case Moment(text):
            local = parse_timestamp(text).astimezone(time_zone(zone)).replace(tzinfo=None, microsecond=0)
            sheet.write_datetime(row, column, local, formats[Moment])
        case None:
            pass


def _sheet_name(title: str, taken: set[str]) -> str:
    name = " ".join(title.translate(_NOT_IN_NAMES).split())[:_SHEET_NAME_CHARACTERS].strip()
    number = 2
    unique = name
    while unique.casefold() in taken:
        unique = f"{name[: _SHEET_NAME_CHARACTERS - 4].strip()} ({number})"
        number += 1
    return unique
