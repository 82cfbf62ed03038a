"""Cells that spreadsheets read and write: encodings, and cells that would be formulas."""

import csv
import io
import re
from collections.abc import Iterable

#: Places where a spreadsheet may begin a cell: at the start, and after a character that it may read as a separator.
_CELL_BEGINS = r"((?:^|[;,|\t\r\n])[ \"]*)"
#: A spreadsheet reads a cell that begins so as a formula. The export puts one apostrophe before it; the import removes
#: the apostrophe.
_FORMULA_BEGINS = r"[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]"
_FORMULA = re.compile(f"{_CELL_BEGINS}(?='*{_FORMULA_BEGINS})")
_GUARDED = re.compile(f"{_CELL_BEGINS}'(?='*{_FORMULA_BEGINS})")


def decoded(content: bytes) -> str | None:
    """Return the text of a file by its byte order mark, else as UTF-8, else as Windows-1252; None if it is not text."""
    encodings = ("utf-16",) if content.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def guarded(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return _FORMULA.sub(r"\1'", cell)


def unguarded(cell: str) -> str:
    """Return a cell that was read, without the apostrophe that guards it."""
    return _GUARDED.sub(r"\1", cell) if "'" in cell else cell


def line_of(cells: Iterable[str]) -> str:
    """Return a line of CSV (RFC 4180), each cell guarded."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerow([guarded(cell) for cell in cells])
    return buffer.getvalue()
