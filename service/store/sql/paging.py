"""Pages: cursors, and the extents that limit a list.

A cursor of the store holds the sort key of the last item. It stays inside: ``service.auth.cursors`` encrypts it.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, bindparam, literal_column, or_

from notifications.errors import Fault, InvalidInputError
from notifications.ports import Extent, Page
from service.store.sql.encoding import to_microseconds

ItemT = TypeVar("ItemT")
#: Which limits an extent has: a customer, a start, an end, only what was served. Statements are cached by shapes.
Shape = tuple[bool, bool, bool, bool]

_CONTENT = re.compile(rb"[a-z]{1,20}((?::[0-9]{1,18})+)")
#: below every sort key, for lists in increasing order
FIRST = -1
#: above every sort key, for lists in decreasing order
LAST = 2**62

# As text: SQLAlchemy would leave the other conditions out beside a constant.
EVERYTHING: ColumnElement[bool] = literal_column("(1 = 1)")
NOTHING: ColumnElement[bool] = literal_column("(1 = 0)")


def cursor_of(listing: str, *keys: int) -> str:
    """Return the cursor after an item, by its sort key of one or more numbers: base64url without padding."""
    content = ":".join((listing, *map(str, keys)))
    return base64.urlsafe_b64encode(content.encode()).rstrip(b"=").decode()


def parse_cursor(listing: str, cursor: str) -> int:
    """Return the sort key; raises InvalidInputError for anything that ``cursor_of`` did not make for this list."""
    (key,) = parse_keys(listing, cursor, 1)
    return key


def parse_keys(listing: str, cursor: str, count: int) -> tuple[int, ...]:
    """As ``parse_cursor``, for a sort key of several numbers."""
    try:
        raw = cursor.encode("ascii")
        content = base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        content = b""
    match = _CONTENT.fullmatch(content)
    keys = () if match is None else tuple(int(part) for part in match[1].split(b":")[1:])
    if len(keys) != count or cursor_of(listing, *keys) != cursor:
        raise InvalidInputError(Fault("cursor", "is not a cursor of this list"))
    return keys


def start_of(listing: str, page: Page, first: int) -> int:
    """Return the sort key after which the page starts; raises InvalidInputError for a bad cursor or a limit below 1."""
    if page.limit < 1:
        raise InvalidInputError(Fault("limit", "must be at least 1"))
    return first if page.cursor is None else parse_cursor(listing, page.cursor)


def paged(
    listing: str, page: Page, rows: Sequence[tuple[object, ...]], decode: Callable[..., ItemT]
) -> tuple[list[ItemT], str | None]:
    """Return the items of at most ``limit + 1`` rows (sort key first), and a cursor if there is one row too many."""
    kept = rows[: page.limit]
    last_key = kept[-1][0] if len(rows) > page.limit else None
    return [decode(*row[1:]) for row in kept], cursor_of(listing, last_key) if isinstance(last_key, int) else None


def shapes_of(page: Page) -> tuple[Shape, ...] | None:
    """Return the shapes of the extents of a page; None for a list without limits."""
    return None if page.within is None else tuple(map(_shape, page.within))


def extent_values(page: Page) -> list[object]:
    """Return the parameters of ``within_extents`` for a page, in order."""
    values: list[object] = []
    for extent in page.within or ():
        values += [] if extent.customer_id is None else [extent.customer_id.bytes]
        values += [to_microseconds(moment) for moment in (extent.starts_at, extent.ends_at) if moment is not None]
    return values


def within_extents(
    shapes: tuple[Shape, ...],
    *,
    at: ColumnElement[Any],
    customer_id: ColumnElement[Any] | None = None,
    served: ColumnElement[bool] | None = None,
) -> tuple[ColumnElement[bool], tuple[str, ...]]:
    """Return the condition that at least one extent covers a row, and the names of its parameters in order.

    ``at`` is the column of the row's moment. Rows without ``customer_id`` belong to no single customer; rows without
    ``served`` are never served.
    """
    covered: list[ColumnElement[bool]] = []
    names: list[str] = []
    for number, (of_customer, has_start, has_end, served_only) in enumerate(shapes):
        if (of_customer and customer_id is None) or (served_only and served is None):
            raise ValueError("these rows are in no extent of a customer: leave it out")
        parts: list[ColumnElement[bool]] = []
        if of_customer and customer_id is not None:
            parts.append(customer_id == bindparam(f"customer_id_{number}"))
            names.append(f"customer_id_{number}")
        if has_start:
            parts.append(at >= bindparam(f"starts_at_{number}"))
            names.append(f"starts_at_{number}")
        if has_end:
            parts.append(at < bindparam(f"ends_at_{number}"))
            names.append(f"ends_at_{number}")
        if served_only and served is not None:
            parts.append(served)
        covered.append(and_(*parts) if parts else EVERYTHING)
    return or_(*covered) if covered else NOTHING, tuple(names)


def _shape(extent: Extent) -> Shape:
    return extent.customer_id is not None, extent.starts_at is not None, extent.ends_at is not None, extent.served_only
