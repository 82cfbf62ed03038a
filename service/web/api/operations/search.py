"""Search over everything that the caller may read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, get_args
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.ports.search import SearchHit, SearchKind
from service.ports.store import AccessTransaction
from service.web.api.fields import Out
from service.web.api.requests import Cursor, Limit, Oneself, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/search", tags=["search"])

QUERY_CHARACTERS = 200
#: Things of one kind beside those of others.
_OF_EACH = 5
SEARCH_KINDS: tuple[SearchKind, ...] = get_args(SearchKind)
_PERMISSIONS: dict[SearchKind, Permission] = {
    "incident": Permission.INCIDENT_READ,
    "effect": Permission.INCIDENT_READ,
    "customer": Permission.CUSTOMER_READ,
    "contact": Permission.CONTACT_READ,
    "notice": Permission.NOTICE_READ,
}


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that was found, with the name of its customer."""

    hit: SearchHit
    #: None where it belongs to no customer, or where the reader may not read customers
    customer_name: str | None


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """What was found of one kind, newest first."""

    kind: SearchKind
    items: Sequence[Found]
    #: the store's cursor of what follows
    following: str | None


async def search_all(
    access: Access, query: str, kind: SearchKind | None, *, limit: int | None, cursor: str | None
) -> list[FoundGroup]:
    """Return what is found of each kind that the caller may read, each under its own permission and in its scope.

    Of several kinds the first few of each; of one ``kind`` a page.
    """
    groups = []
    for each in SEARCH_KINDS if kind is None else (kind,):
        reading = access.under(_PERMISSIONS[each])
        if reading is not None and (reading.scope.at_provider or each not in {"incident", "effect"}):
            groups.append(await _group(reading, query, each, _OF_EACH if kind is None else limit or 50, cursor))
    return groups


async def _group(access: Access, query: str, kind: SearchKind, limit: int, cursor: str | None) -> FoundGroup:
    names_customers = kind != "customer" and access.may(Permission.CUSTOMER_READ)

    def work(tx: AccessTransaction) -> FoundGroup:
        hits, following = tx.search.find(access.page(limit, cursor), kind, query)
        wanted = {hit.customer_id for hit in hits if hit.customer_id is not None} if names_customers else ()
        named = {each: customer.name for each in wanted if (customer := tx.customers.get(each)) is not None}
        items = [Found(hit, None if hit.customer_id is None else named.get(hit.customer_id)) for hit in hits]
        return FoundGroup(kind, items, following)

    return await access.read(work)


class HitOut(Out):
    """One thing that was found."""

    id: UUID = Field(description="Of the incident, customer, contact or notice; of the incident for an `effect`.")
    customer_id: UUID | None
    customer_name: str | None
    ticket: str | None = None
    title: dict[str, str] | None = None
    state: str | None = None
    sequence: int | None = None
    notice_kind: str | None = None
    name: str | None = None
    email: str | None = None
    role: str | None = None
    active: bool | None = None


class GroupOut(Out):
    """What was found of one kind, newest first."""

    kind: SearchKind
    items: list[HitOut]
    more: bool = Field(description="Whether there are others. State `kind` for pages of them.")
    next_cursor: str | None = Field(description="Only where the query states a `kind`.")


class SearchOut(Out):
    """What was found, by kind."""

    groups: list[GroupOut]


def _hit_out(found: Found) -> HitOut:
    shown = dict(found.hit.shown)
    notice_kind = shown.pop("kind", None)
    return HitOut.model_construct(
        id=found.hit.subject_id,
        customer_id=found.hit.customer_id,
        customer_name=found.customer_name,
        notice_kind=notice_kind,
        **shown,
    )


@router.get("", response_model=SearchOut, summary="Search by words")
async def search(
    access: Oneself,
    q: Annotated[
        str,
        Query(
            max_length=QUERY_CHARACTERS,
            description="Each word must begin a word of what is found. Case and accents do not matter.",
        ),
    ],
    kind: SearchKind | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Search tickets, titles, facts, customers, contacts and sealed notices: what the caller may read, and no more."""
    groups = await search_all(access, q, kind, limit=limit, cursor=cursor if kind is not None else None)
    return json_response(
        SearchOut.model_construct(
            groups=[
                GroupOut.model_construct(
                    kind=group.kind,
                    items=[_hit_out(found) for found in group.items],
                    more=group.following is not None,
                    next_cursor=None if kind is None else access.next_cursor(group.following),
                )
                for group in groups
            ]
        )
    )
