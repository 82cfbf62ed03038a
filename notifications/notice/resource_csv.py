"""The affected resources as a table that a spreadsheet opens without running anything (RFC 4180)."""

import csv
import io
from collections.abc import Sequence

from notifications.incident import Resource

#: So many resources stand in the document itself; where there are more, all of them go into the table too.
RESOURCES_LISTED_MAX = 50

_COLUMNS = ("kind", "id", "name", "region", "availability_zone")
#: A cell that begins so is taken for a formula by spreadsheet programs.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def resources_csv(resources: Sequence[Resource]) -> bytes:
    """Return the table: header row, CRLF line ends, UTF-8, one row per resource in the order given.

    A value that a spreadsheet would run as a formula is preceded by an apostrophe, so the table is for reading: the
    document's own list is exact.
    """
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for resource in resources:
        writer.writerow([_harmless(getattr(resource, column) or "") for column in _COLUMNS])
    return table.getvalue().encode("utf-8")


def _harmless(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
