"""The inbox of a customer's own people: what waits for the reader first; several customers side by side."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.canonical_json import timestamp_text
from notifications.customer.records import Customer
from notifications.notice.inbox import InboxCounts, InboxFilter, InboxNotice
from notifications.ports import Page
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.notices.inbox import SEARCH_MAX_CHARACTERS
from service.web.api.requests import Context
from service.web.api.spreadsheets import line_of
from service.web.console.failures import PageRoute
from service.web.console.listing import in_language
from service.web.console.rendering import page, reader_language

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayReadNotices = Annotated[Access, Depends(Requires(Permission.NOTICE_READ))]

#: Notices of one customer: on a page of its own, and beside others.
_LISTED_MAX, _BESIDE_MAX = 30, 8
#: Lines of one download.
_DOWNLOADED_MAX = 5000
#: What may be shown, and the filter for it.
SHOWS: Mapping[str, InboxFilter] = {
    "all": InboxFilter(),
    "unread": InboxFilter(unread=True),
    "acknowledge": InboxFilter(to_acknowledge=True),
    "open": InboxFilter(open=True),
}
_COLUMNS = (
    "customer", "ticket", "number", "kind", "title", "tlp", "sealed_at", "due_at", "read", "acknowledged",
    "acknowledge_by", "open", "notice_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One notice as the page lists it."""

    shown: InboxNotice
    ticket: str
    tlp: str
    title: str
    #: language of the title, where it is not the reader's
    title_language: str | None


@dataclass(frozen=True, slots=True)
class Side:
    """One customer's part of the page."""

    customer: Customer
    counts: InboxCounts
    lines: Sequence[Line]
    #: path of what follows; empty at the end
    following: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the address asks for."""

    show: str
    contains: str
    #: None for every customer of the reader
    customer_id: UUID | None

    @property
    def filter(self) -> InboxFilter:
        """The filter of the store."""
        return replace(SHOWS[self.show], contains=self.contains)

    def query(self, **changes: str) -> str:
        """Return the address's query with some parts changed; an empty part is left out."""
        stated = {
            "contains": self.contains,
            "customer": "" if self.customer_id is None else str(self.customer_id),
            "show": "" if self.show == "all" else self.show,
        }
        return urlencode(sorted((name, value) for name, value in (stated | changes).items() if value))


@router.get("/inbox")
async def inbox(
    request: Request,
    context: Context,
    access: MayReadNotices,
    show: str = "",
    contains: str = "",
    customer: str = "",
    cursor: str = "",
) -> Response:
    """Show the notices of the reader's customers: unread, to acknowledge, of open incidents, then the others."""
    wanted, language = _wanted(show, contains, customer), reader_language(request, access.caller)
    limit = _BESIDE_MAX if wanted.customer_id is None and len(_own(access)) > 1 else _LISTED_MAX
    found = await access.read(
        lambda tx: _read(tx, _of_list(access, wanted), wanted, language, limit, cursor=cursor or None)
    )
    values: dict[str, Any] = {
        "sides": found if wanted.customer_id is None else [each for each in found if each.lines or len(found) == 1],
        "several": len(_own(access)) > 1,
        "wanted": wanted,
        "shows": tuple(SHOWS),
        "total": sum((each.counts.all for each in found), 0),
        "is_first": not cursor,
        "makes_pdfs": context.sealing.pdf_maker is not None,
    }
    return page(request, "inbox", access.caller, values)


@router.get("/inbox.csv")
async def download(
    request: Request, access: MayReadNotices, show: str = "", contains: str = "", customer: str = ""
) -> Response:
    """Return the same list as a table, without pages."""
    wanted, language = _wanted(show, contains, customer), reader_language(request, access.caller)
    found = await access.read(lambda tx: _read(tx, access, wanted, language, _DOWNLOADED_MAX))
    rows = (_row(side.customer, line) for side in found for line in side.lines)
    table = "".join(map(line_of, (_COLUMNS, *rows)))
    headers = {"Content-Disposition": 'attachment; filename="inbox.csv"', "Cache-Control": "no-store"}
    return Response(table, media_type="text/csv; charset=utf-8", headers=headers)


def _wanted(show: str, contains: str, customer: str) -> Wanted:
    try:
        customer_id = UUID(customer) if customer else None
    except ValueError:
        # No customer has it, as one that is not the reader's.
        customer_id = UUID(int=0)
    words = "".join(letter for letter in contains if letter.isprintable()).strip()
    return Wanted(show if show in SHOWS else "all", words[:SEARCH_MAX_CHARACTERS], customer_id)


def _own(access: Access) -> frozenset[UUID]:
    """Return the customers that the reader acts for or audits; nobody at the provider has an inbox."""
    return frozenset(grant.customer_id for grant in access.caller.grants if grant.customer_id is not None)


def _of_list(access: Access, wanted: Wanted) -> Access:
    """Return the access for the cursors of a list, whose address has its parts in one form."""
    return replace(access, listing=f"/inbox?{wanted.query()}")


def _read(
    tx: AccessTransaction, access: Access, wanted: Wanted, language: str, limit: int, cursor: str | None = None
) -> list[Side]:
    """Return the parts of the page by three statements, however many customers and notices there are."""
    own = _own(access)
    if wanted.customer_id is not None:
        own &= {wanted.customer_id}
    customers = tx.customers.some(own)
    ids = [customer.id for customer in customers]
    counts = tx.notices.inbox_counts(ids, access.actor, Page(1))
    found = tx.notices.inbox(ids, access.actor, wanted.filter, access.page(limit, cursor))
    sides = []
    for customer in customers:
        shown, following = found[customer.id]
        of_one = replace(wanted, customer_id=customer.id)
        sealed = _of_list(access, of_one).next_cursor(following)
        path = "" if sealed is None else f"/inbox?{of_one.query()}&{urlencode({'cursor': sealed})}"
        sides.append(Side(customer, counts[customer.id], [_line(each, language) for each in shown], path))
    return sides


def _line(shown: InboxNotice, language: str) -> Line:
    document = json.loads(shown.document)
    title, title_language = in_language(document["title"], language)
    return Line(shown, document["ticket"], document["tlp"], title, title_language)


def _row(customer: Customer, line: Line) -> tuple[str, ...]:
    shown, notice = line.shown, line.shown.notice
    sealed_at, acknowledge_by = notice.sealed_at, shown.acknowledge_by
    return (
        customer.name,
        line.ticket,
        str(notice.sequence),
        notice.kind.value,
        line.title,
        line.tlp,
        "" if sealed_at is None else timestamp_text(sealed_at),
        timestamp_text(notice.due_at),
        _yes(shown.read),
        _yes(shown.acknowledged),
        "" if acknowledge_by is None else timestamp_text(acknowledge_by),
        _yes(shown.open),
        str(notice.id),
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"
