"""Rows of a CSV file as programs and spreadsheets save it.

Read: RFC 4180 in UTF-8 with commas; and what spreadsheets save in France and Germany: semicolons or tabs, Windows-1252
or UTF-16, a ``sep=`` line, empty columns or rows at the end.
"""

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from typing import IO

_SEPARATORS = (",", ";", "\t")
_SEPARATOR_LINE = re.compile(r"\"?sep=([,;\t|])\"?\r?\n?", re.IGNORECASE)
_CHUNK_BYTES = 1 << 18


class SheetError(Exception):
    """The file cannot be read on from a line."""

    def __init__(self, line: int, reason: str) -> None:
        self.line, self.reason = line, reason
        super().__init__(reason)


def sheet_rows(file: IO[bytes], columns: Collection[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of each row that is not empty, the header first; a row at a time is in memory.

    Empty cells after the last column are left out. Raises SheetError.
    """
    with io.TextIOWrapper(file, _encoding(file), newline="") as text:
        first = text.readline()
        while first and not first.strip("\r\n"):
            first = text.readline()
        named = _SEPARATOR_LINE.fullmatch(first)
        skipped = 0 if named is None else 1
        if named is None:
            text.seek(0)
        reader = csv.reader(text, delimiter=_separator(first, columns) if named is None else named[1], strict=True)
        width = 0
        while True:
            number = reader.line_num + skipped + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                raise SheetError(number, f"is no CSV as RFC 4180 has it: {error}") from error
            # Spreadsheets end a file with rows of separators.
            if any(cells):
                cells = _without_empty_end(cells, width)
                width = width or len(cells)
                yield number, cells
        if not width:
            raise SheetError(1, "the file is empty: its first line names the columns")


def header_faults(header: list[str], columns: Collection[str], required: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield (column, reason) for columns that are unknown, repeated or missing."""
    known = ", ".join(columns)
    for position, name in enumerate(header):
        if name not in columns:
            yield name[:100], f"is no column; known are {known}"
        elif name in header[:position]:
            yield name, "stands twice"
    for name in required:
        if name not in header:
            yield name, "is missing"


def _encoding(file: IO[bytes]) -> str:
    """Return the encoding by the byte order mark, else UTF-8, else Windows-1252; raises SheetError where it is none."""
    begin = file.read(2)
    for encoding in ("utf-16",) if begin in {b"\xff\xfe", b"\xfe\xff"} else ("utf-8-sig", "cp1252"):
        file.seek(0)
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        file.seek(0)
        return encoding
    raise SheetError(1, "is neither UTF-8 nor UTF-16 nor Windows-1252: save the file as CSV UTF-8")


def _separator(first: str, columns: Collection[str]) -> str:
    """Return the separator by which the first line names most columns; a comma where none does."""
    names = first.replace('"', "").strip()

    def named(separator: str) -> int:
        return len(set(names.split(separator)) & set(columns))

    return max(_SEPARATORS, key=named)


def _without_empty_end(cells: list[str], least: int) -> list[str]:
    """Return the cells without the empty ones at the end, but at least so many."""
    end = len(cells)
    while end > least and not cells[end - 1]:
        end -= 1
    return cells[:end]
