"""The table of customers as a spreadsheet: written as CSV, and read from a file or from what was pasted."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from notifications.incident import UNKNOWN
from notifications.wording import words
from service.web.api.spreadsheets import line_of, unguarded
from service.web.console.catalogues import CATALOGUES, text
from service.web.console.pages.incident.customer_answers import CODES, COLUMNS, COUNTS, Row, differing, is_code

#: Columns that are written for the reader; reading them changes nothing.
_SHOWN = ("services", "regions", "availability_zones", "verdict")
_NAMED = ("customer_id", "customer")
_ALL = (*_NAMED, *_SHOWN, *COLUMNS)
#: Columns of lines without a first line that names them.
_BY_DEFAULT = ("customer", *COLUMNS)
_SEPARATORS = ("\t", ";", ",")
LINES_MAX = 20_000
_CELL_MAX = 500


@dataclass(frozen=True, slots=True)
class Line:
    """One line that was read: whom it is about and what it would change, or what is wrong with it."""

    number: int
    name: str
    row: Row | None = None
    codes: Mapping[str, str] | None = None
    #: (column, before, after)
    changes: Sequence[tuple[str, str, str]] = ()
    #: (column, what is wrong with it, the cell); ``incident.line.<what>`` are the words
    faults: Sequence[tuple[str, str, str]] = ()


def format_table(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the table as CSV, line by line, in the codes of the API."""
    yield line_of(_ALL)
    for row in rows:
        customer, codes = row.customer, row.codes
        places = (";".join(getattr(customer, name)) for name in _SHOWN[:-1])
        stated = [codes.get(column, "") for column in COLUMNS]
        yield line_of([str(customer.id), customer.name, *places, row.decision.verdict.value, *stated])


def read_table(content: str, rows: Sequence[Row]) -> list[Line]:
    """Return what each line of CSV or of a pasted table would change.

    1. The separator is what the first line has: tab, semicolon or comma.
    2. A first line that names columns, in codes or in the words of a page, says what the others hold. Without one they
       hold the customer and its answers, in the order of the table.
    3. A customer is named by its id or by its name. An empty cell changes nothing.
    """
    # 1.
    content = content.lstrip("\ufeff")
    first = content.lstrip("\r\n").partition("\n")[0]
    separator = next((each for each in _SEPARATORS if each in first), ",")
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator)
    columns: Sequence[str | None] | None = None
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(row.customer.name.strip().casefold(), []).append(row)
    known = _Known({str(row.customer.id): row for row in rows}, by_name)
    lines: list[Line] = []
    seen: dict[UUID, int] = {}
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                # 2.
                named = [_column(cell) for cell in cells]
                columns = named if any(each in _NAMED for each in named) else _BY_DEFAULT
                if columns is named:
                    continue
            if len(lines) == LINES_MAX:
                return [*lines, Line(reader.line_num, "", faults=[("", "too_many", str(LINES_MAX))])]
            # 3.
            lines.append(_line(reader.line_num, columns, cells, known, seen))
    except csv.Error:
        lines.append(Line(reader.line_num, "", faults=[("", "no_table", "")]))
    return lines


@dataclass(frozen=True, slots=True)
class _Known:
    by_id: Mapping[str, Row]
    by_name: Mapping[str, Sequence[Row]]


def _line(
    number: int, columns: Sequence[str | None], cells: Sequence[str], known: _Known, seen: dict[UUID, int]
) -> Line:
    stated: dict[str, str] = {}
    faults: list[tuple[str, str, str]] = []
    for column, cell in zip(columns, cells, strict=False):
        if column is not None:
            stated[column] = unguarded(cell[:_CELL_MAX]).strip()
    if [cell for cell in cells[len(columns) :] if cell.strip()]:
        faults.append(("", "too_many_cells", ""))
    name = stated.get("customer") or stated.get("customer_id", "")
    codes = {}
    for column in COLUMNS:
        if cell := stated.get(column, ""):
            code = _code(column, cell)
            if code is None:
                faults.append((column, "no_answer", cell))
            else:
                codes[column] = code
    found = _named(stated, known)
    if isinstance(found, str):
        return Line(number, name, faults=[("customer", found, name), *faults])
    if found.customer.id in seen:
        faults.append(("customer", "twice", str(seen[found.customer.id])))
    seen.setdefault(found.customer.id, number)
    changes = [] if faults else differing(found, codes)
    return Line(number, found.customer.name, found, codes, changes, faults)


def _named(stated: Mapping[str, str], known: _Known) -> Row | str:
    """Return the row of the customer that a line names, or what is wrong with the name."""
    if customer_id := stated.get("customer_id", "").lower():
        return known.by_id.get(customer_id, "no_customer")
    name = stated.get("customer", "")
    found = known.by_name.get(name.casefold(), ()) or [row for row in [known.by_id.get(name.lower())] if row]
    if len(found) == 1:
        return found[0]
    return "several_customers" if found else "no_customer"


def _column(cell: str) -> str | None:
    """Return the column that a cell of the first line names, by its code or by its words in any language."""
    name = cell.strip().casefold()
    for column in _ALL:
        said = (text(f"incident.column.{column}", language).casefold() for language in CATALOGUES)
        if name == column or name in said:
            return column
    return None


def _code(column: str, cell: str) -> str | None:
    """Return the code of an answer, from the code or its words in any language; None for what is no answer."""
    if column in COUNTS:
        cell = cell.replace(" ", "").replace("\u00a0", "").replace("\u202f", "")
    name = cell.casefold()
    if is_code(column, name):
        return name
    if name in {"?", "-"}:
        return UNKNOWN
    return _codes_by_words(column).get(name)


@cache
def _codes_by_words(column: str) -> Mapping[str, str]:
    vocabulary = column if column in {"breach", "controller"} else "answer"
    return {
        words(f"{vocabulary}.{code}", language).casefold(): code
        for language in CATALOGUES
        for code in CODES.get(column, (UNKNOWN,))
    }
