"""The pages of the log's entries: a filtered list, newest first, and one entry with its bytes and its proof."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from notifications.audit.merkle import leaf_hash
from notifications.use_cases.evidence.prove_entry import entry_at
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.console.catalogues import text
from service.web.console.failures import PageRoute
from service.web.console.pages.audit.entry_query import EntryQuery, known_types, parsed_query, typed_values
from service.web.console.pages.audit.shown_entries import ShownEntry, names_in, shown
from service.web.console.rendering import page, reader_language

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayReadLog = Annotated[Access, Depends(Requires(Permission.LOG_READ))]
Index = Annotated[int, Path(ge=0, le=2**53)]

_PATH = "/audit/entries"
_LISTED = 25


@router.get("/audit/entries")
async def entries_page(request: Request, access: MayReadLog) -> Response:
    """Show the entries that the filters of the address mean, newest first."""
    values, cursor = typed_values(request.query_params), request.query_params.get("cursor") or None

    def work(tx: AccessTransaction) -> tuple[EntryQuery, list[ShownEntry], str | None, int]:
        query = parsed_query(tx, access, values)
        if query.errors:
            return query, [], None, 0
        found, following = tx.audit.matching(query.filter, access.page(_LISTED, cursor), newest_first=True)
        names = names_in(tx, access, found)
        return query, [shown(entry, names) for entry in found], following, tx.log.size()

    query, entries, following, size = await access.read(work)
    filters = {name: value for name, value in values.items() if value}
    return page(
        request,
        "audit_entries",
        access.caller,
        {
            "query": query,
            "values": values,
            "filters": filters,
            "types": _types(reader_language(request, access.caller)),
            "entries": entries,
            "size": size,
            "newest_path": f"{_PATH}?{urlencode(filters)}" if cursor else None,
            "older_path": _older(access, filters, following),
        },
        status=422 if query.errors else 200,
    )


def _types(language: str) -> list[tuple[str, str]]:
    words = [(kind, text(f"entry_kind.{kind}", language)) for kind in known_types()]
    return [("", text("audit_trail.any", language)), *sorted(words, key=lambda pair: pair[1].casefold())]


def _older(access: Access, filters: dict[str, str], following: str | None) -> str | None:
    cursor = access.next_cursor(following)
    return None if cursor is None else f"{_PATH}?{urlencode(filters | {'cursor': cursor})}"


@router.get("/audit/entries/{index}")
async def entry_page(request: Request, access: MayReadLog, index: Index) -> Response:
    """Show one entry: its bytes, its leaf hash, and how its proof is checked."""

    def work(tx: AccessTransaction) -> dict[str, Any]:
        entry = entry_at(tx, index)
        return {
            "entry": shown(entry, names_in(tx, access, [entry])),
            "leaf_hash": leaf_hash(entry.leaf).hex(),
            "size": tx.log.size(),
        }

    return page(request, "audit_entry", access.caller, await access.read(work))
