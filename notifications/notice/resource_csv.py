"""The affected resources as CSV (RFC 4180) that a spreadsheet program opens without running any formula."""

import csv
import io
from collections.abc import Sequence

from notifications.incident import Resource

#: Number of resources that the document lists. If there are more, the table contains all of them.
RESOURCES_LISTED_MAX = 50

_COLUMNS = ("kind", "id", "name", "region", "availability_zone")
#: Spreadsheet programs take a cell that begins with one of these for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def resources_csv(resources: Sequence[Resource]) -> bytes:
    """Return the table: header row, CRLF line ends, UTF-8, one row per resource in the order given.

    A value that a spreadsheet would run as a formula is preceded by an apostrophe. So the table is for reading only;
    the list in the document is exact.
    """
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for resource in resources:
        writer.writerow([_harmless(getattr(resource, column) or "") for column in _COLUMNS])
    return table.getvalue().encode("utf-8")


def _harmless(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
