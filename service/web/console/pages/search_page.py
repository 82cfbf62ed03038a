"""Search: what was found, by kind, with links."""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.web.api.operations.search import QUERY_CHARACTERS, SEARCH_KINDS, Found, FoundGroup, search_all
from service.web.console.failures import PageRoute
from service.web.console.listing import in_language
from service.web.console.rendering import page, reader_language

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_LISTED = 25


@dataclass(frozen=True, slots=True)
class ShownHit:
    """One thing that was found, in the language of the reader."""

    found: Found
    path: str
    title: str
    #: language of the title, where it is not the reader's
    title_language: str | None


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """What was found of one kind."""

    kind: str
    hits: list[ShownHit]
    #: where there are more; empty where there are none
    more: str


@router.get("/search")
async def search_page(
    request: Request,
    access: Annotated[Access, Depends(Requires(Permission.SELF))],
    q: str = "",
    kind: str = "",
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Show what is found of everything that the reader may read."""
    query = q.strip()[:QUERY_CHARACTERS]
    wanted = next((each for each in SEARCH_KINDS if each == kind), None)
    language = reader_language(request, access.caller)
    groups: list[FoundGroup] = []
    if query:
        part = cursor if wanted is not None else None
        groups = await search_all(access, query, wanted, limit=_LISTED, cursor=part)

    def more(group: FoundGroup) -> str:
        if group.following is None:
            return ""
        following = {} if wanted is None else {"cursor": access.next_cursor(group.following) or ""}
        return f"/search?{urlencode({'q': q, 'kind': group.kind, **following})}"

    values: dict[str, Any] = {
        "query": query,
        "search_query": query,
        "kind": wanted or "",
        "groups": [
            ShownGroup(group.kind, [_shown(found, language) for found in group.items], more(group))
            for group in groups
            if group.items
        ],
    }
    return page(request, "search", access.caller, values)


def _shown(found: Found, language: str) -> ShownHit:
    hit = found.hit
    title, title_language = in_language(hit.shown.get("title") or {}, language)
    return ShownHit(found, _path(hit.kind, hit.subject_id, hit.customer_id), title, title_language)


def _path(kind: str, subject_id: UUID, customer_id: UUID | None) -> str:
    if kind == "notice":
        return f"/notices/{subject_id}"
    if kind in {"customer", "contact"}:
        return f"/customers/{customer_id}/reachability"
    of_customer = f"/customers/{customer_id}" if kind == "effect" else ""
    return f"/incidents/{subject_id}{of_customer}"
