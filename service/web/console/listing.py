"""Lists on pages: notices, each from its own sealed document, and the way to the next page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request

from notifications.customer.records import Customer
from notifications.incident import LANGUAGES
from notifications.notice import Notice
from notifications.ports import Page
from notifications.wording.formats import on_one_line
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction

#: Notices of one customer on the first page.
LISTED_MAX = 50


@dataclass(frozen=True, slots=True)
class ListedNotice:
    """A notice in a list."""

    notice: Notice
    ticket: str
    title: str
    #: language of the title, if it is not the reader's
    title_language: str | None
    tlp: str
    #: when the notice was placed in the console; None before
    served_at: datetime | None


@dataclass(frozen=True, slots=True)
class CustomerSide:
    """The notices of one customer."""

    customer: Customer
    notices: tuple[ListedNotice, ...]
    #: whether there are older notices
    more: bool


def access_under(access: Access, permission: Permission) -> Access | None:
    """Return the access of the same caller under another permission, or None if the caller does not have it.

    For pages that show objects of several kinds. Each kind is read under its own permission and within its own scope.
    """
    return access.under(permission)


def customer_side(tx: AccessTransaction, customer_id: UUID, language: str) -> CustomerSide | None:
    """Return the newest notices that were served on a customer, or None if the customer is outside the scope."""
    customer = tx.customers.get(customer_id)
    if customer is None:
        return None
    found, following = tx.notices.page(Page(LISTED_MAX), customer_id=customer_id, state="sealed")
    placed, _ = tx.deliveries.inbox(customer_id, Page(LISTED_MAX))
    placed_at = {item.notice_id: item.placed_at for item in placed}
    listed = []
    for notice in found:
        sealed = tx.notices.seal(notice.id)
        if sealed is not None:
            listed.append(_listed(notice, json.loads(sealed.document), placed_at.get(notice.id), language))
    return CustomerSide(customer, tuple(listed), following is not None)


def _listed(notice: Notice, document: Mapping[str, Any], served_at: datetime | None, language: str) -> ListedNotice:
    title, title_language = in_language(document["title"], language)
    return ListedNotice(
        notice=notice,
        ticket=document["ticket"],
        title=title,
        title_language=title_language,
        tlp=document["tlp"],
        served_at=served_at,
    )


def in_language(texts: Mapping[str, str], language: str) -> tuple[str, str | None]:
    """Return a text of an analyst on one visible line, and its language if it is not the reader's."""
    if language in texts:
        return on_one_line(texts[language]), None
    other = next((each for each in LANGUAGES if each in texts), None)
    return (on_one_line(texts[other]), other) if other is not None else ("", None)


def following_path(request: Request, cursor: str | None) -> str:
    """Return the address of the next page of the list that a request reads; empty at its end.

    The filters stay as they are in the address: a cursor belongs to them.
    """
    if cursor is None:
        return ""
    kept = [item for item in request.query_params.multi_items() if item[0] != "cursor"]
    return f"{request.url.path}?{urlencode([*kept, ('cursor', cursor)])}"
