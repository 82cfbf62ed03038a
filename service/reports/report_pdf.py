"""A report as a tagged PDF/A-3 by Typst, with the charts and tables of the page. Needs the optional extra ``pdf``.

The documents whose digests the log has are embedded. The PDF is not signed here: ``signed_pdf`` signs that of a report
which is issued, and numbers that are not issued stay unsigned.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files

from service.notice_pdf.typesetting import compiled_pdf
from service.reports.charts import ReportBar, ReportChart
from service.reports.report_table import ReportTable, condensed
from service.reports.wording import cell_text, report_text

_TEMPLATE = (files(__package__) / "report.typ").read_bytes()
#: Rows of one table on paper; the files have all.
_ROWS_MAX = 500
#: As in the PDF of a notice, in English for every reader.
_EMBEDDED = "The document whose SHA-256 is in the log"
_NARROW, _WIDE, _WIDE_CHARACTERS = 10, 20, 13


def report_pdf(
    charts: list[ReportChart],
    tables: list[ReportTable],
    about: list[tuple[str, str]],
    state: str,
    *,
    language: str,
    zone: str,
    made_at: datetime,
    documents: Mapping[str, bytes],
) -> bytes:
    """Return the PDF; the same report gives the same bytes.

    ``about``: as ``about_lines``, its first line the title. ``documents``: the embedded JSON by the name of its file.
    """
    data = {
        "language": language,
        "title": about[0][1],
        "author": about[1][1],
        "subtitle": about[3][1],
        "state": state,
        "charts": [{"caption": chart.caption, "bars": [_bar(bar, chart) for bar in chart.bars]} for chart in charts],
        "tables": [_table(condensed(table), language, zone) for table in tables],
        "about_title": report_text("report.about", language),
        "about": about[1:],
        "files": [{"name": name, "description": _EMBEDDED} for name in documents],
    }
    return compiled_pdf(
        {"main.typ": _TEMPLATE, **documents}, "page.json", json.dumps(data, ensure_ascii=False), at=made_at
    )


def _bar(bar: ReportBar, chart: ReportChart) -> dict[str, str | int]:
    top = chart.top or max(each.value for each in chart.bars) or 1
    return {"label": bar.name, "shown": bar.detail, "permille": min(1000, round(1000 * bar.value / top))}


def _table(table: ReportTable, language: str, zone: str) -> dict[str, object]:
    rows = [[cell_text(cell, language, zone) for cell in row] for row in table.rows[:_ROWS_MAX]]
    longest = [max(len(row[column]) for row in rows) for column in range(len(table.head))]
    note = table.note
    if len(table.rows) > _ROWS_MAX:
        note += " " + report_text("report.more_rows", language, count=len(table.rows) - _ROWS_MAX)
    return {
        "title": table.title,
        "note": note,
        "names": table.names,
        "head": list(table.head),
        "rows": rows,
        "widths": [_WIDE if length > _WIDE_CHARACTERS else _NARROW for length in longest],
    }
