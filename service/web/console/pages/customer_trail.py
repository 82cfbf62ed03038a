"""What the log says about a customer, on pages: each entry with its proof."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.customer.records import Customer
from notifications.ports import SequencedEntry
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.notices.questions import names_of
from service.web.console.catalogues import has_text
from service.web.console.failures import PageRoute
from service.web.console.rendering import page

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayReadTrail = Annotated[Access, Depends(Requires(Permission.TRAIL_READ))]

_LISTED_MAX = 50


@dataclass(frozen=True, slots=True)
class TrailLine:
    """One entry as the page shows it."""

    index: int
    type: str
    at: datetime
    actor: str
    #: the name behind the actor, where it acts for the customer or is the reader
    name: str | None
    notice_id: str | None
    detail: Mapping[str, Any]
    #: whether there are words for the kind
    has_words: bool
    #: the exact bytes of the leaf, which its proof is checked with
    leaf_base64: str


@router.get("/customers/{customer_id}/trail")
async def trail_page(request: Request, access: MayReadTrail, customer_id: UUID, cursor: str = "") -> Response:
    """Show the entries that name the customer, oldest first, a page at a time."""

    def work(tx: AccessTransaction) -> tuple[Customer, list[TrailLine], str | None]:
        customer = tx.customers.require(customer_id)
        wanted = access.page(_LISTED_MAX, cursor or None)
        found, following = tx.audit.about("customer", tx.customers.pseudonym(customer_id), wanted)
        own = _own_people(tx, customer_id)
        named = names_of(tx)
        return customer, [_line(entry, own, named) for entry in found], access.next_cursor(following)

    customer, lines, following = await access.read(work)
    values = {"customer": customer, "lines": lines, "following": following, "is_first": not cursor}
    return page(request, "trail", access.caller, values)


def _own_people(tx: AccessTransaction, customer_id: UUID) -> frozenset[str]:
    """Return the actors that act for the customer: the others are identifiers to it, without a name."""
    return frozenset(f"account:{grant.account_id}" for grant in tx.accounts.grants_at(customer_id))


def _line(entry: SequencedEntry, own: frozenset[str], named: Any) -> TrailLine:
    leaf = json.loads(entry.leaf)
    actor = leaf["actor"]
    return TrailLine(
        index=entry.index,
        type=leaf["type"],
        at=datetime.fromisoformat(leaf["at"]),
        actor=actor,
        name=named(actor) if actor in own else None,
        notice_id=leaf["subjects"].get("notice"),
        detail={name: value for name, value in leaf["detail"].items() if value is not None},
        has_words=has_text(f"entry_kind.{leaf['type']}", "en"),
        leaf_base64=base64.b64encode(entry.leaf).decode(),
    )
