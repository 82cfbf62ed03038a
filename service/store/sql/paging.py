"""Cursors: opaque for callers; for the store, the sort key of the last item."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from notifications.errors import Fault, InvalidInputError
from notifications.ports import Page

ItemT = TypeVar("ItemT")

_CONTENT = re.compile(rb"[a-z]{1,20}:([0-9]{1,18})")
#: below every sort key, for lists in increasing order
FIRST = -1
#: above every sort key, for lists in decreasing order
LAST = 2**62


def cursor_of(listing: str, key: int) -> str:
    """Return the cursor after an item: base64url without padding."""
    return base64.urlsafe_b64encode(f"{listing}:{key}".encode()).rstrip(b"=").decode()


def parse_cursor(listing: str, cursor: str) -> int:
    """Return the sort key; raises InvalidInputError for anything that ``cursor_of`` did not make for this list."""
    try:
        raw = cursor.encode("ascii")
        content = base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        content = b""
    match = _CONTENT.fullmatch(content)
    if match is None or cursor_of(listing, int(match[1])) != cursor:
        raise InvalidInputError(Fault("cursor", "is not a cursor of this list"))
    return int(match[1])


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
