"""Find documents by words, newest first."""

import json
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import literal_column

from notifications.ports import Page
from service.ports.search import SearchHit, SearchKind
from service.store.search.terms import customer_facet, sought_words
from service.store.sql.encoding import from_microseconds, from_optional_bytes
from service.store.sql.paging import LAST, Shape, extent_values, paged, shapes_of, start_of, within_extents
from service.store.sql.records import Records
from service.store.sql.statements import compiled


@lru_cache(maxsize=256)
def _statement(matching: str, order: str, shapes: tuple[Shape, ...] | None) -> str:
    """Return the statement of a page: the engine's own condition on words, and the extents."""
    conditions = [""]
    if shapes is not None:
        covered, names = within_extents(
            shapes,
            at=literal_column("d.at"),
            customer_id=literal_column("d.customer_id"),
            # A notice is indexed when it is sealed; incidents are never served.
            served=literal_column("(d.kind <> 'incident' AND d.kind <> 'effect')"),
        )
        conditions.append(f"({compiled(covered, *names)})")
    return (
        f"SELECT d.position, d.kind, d.subject_id, d.customer_id, d.at, d.shown FROM {matching}"  # noqa: S608 - this package's own words
        f"{' AND '.join(conditions)} ORDER BY {order} LIMIT ?"
    )


def _hit_of_row(kind: Any, subject_id: Any, customer_id: Any, at: Any, shown: Any) -> SearchHit:
    return SearchHit(
        kind, UUID(bytes=subject_id), from_optional_bytes(customer_id), from_microseconds(at), json.loads(shown)
    )


class SearchRecords(Records):
    """Implements ``service.ports.search.SearchRepository``."""

    def find(self, page: Page, kind: SearchKind, query: str) -> tuple[list[SearchHit], str | None]:
        """Return things of a kind that have every word of a query at the beginning of a word, newest first."""
        before = start_of("search", page, LAST)
        words = sought_words(query)
        if not words:
            return [], None
        customers = [extent.customer_id for extent in page.within or ()]
        # The engine then reads only the part of its index that belongs to these customers.
        named = [customer_facet(customer_id) for customer_id in customers if customer_id is not None]
        required = [named] if named and len(named) == len(customers) else []
        statement = _statement(self._session.search_from(kind), self._session.SEARCH_ORDER, shapes_of(page))
        match = self._session.search_query(kind, required, words)
        rows = self._session.all(statement, (match, before, *extent_values(page), page.limit + 1))
        return paged("search", page, rows, _hit_of_row)
