"""Find documents by words, newest first."""

import json
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import literal_column

from notifications.ports import Page
from service.ports.search import SearchHit, SearchKind
from service.store.search.terms import sought_words
from service.store.sql.encoding import from_microseconds, from_optional_bytes
from service.store.sql.paging import LAST, Shape, extent_values, paged, shapes_of, start_of, within_extents
from service.store.sql.records import Records
from service.store.sql.statements import compiled

_COLUMNS = "d.position, d.kind, d.subject_id, d.customer_id, d.at, d.shown"


@lru_cache(maxsize=256)
def _statement(matching: str, order: str, shapes: tuple[Shape, ...] | None) -> str:
    """Return the statement of a page: the engine's own condition on words, and the extents."""
    return f"SELECT {_COLUMNS} FROM {matching}{_within(shapes)} ORDER BY {order} LIMIT ?"  # noqa: S608 - this package's own words


@lru_cache(maxsize=256)
def _own_statement(customers: int, words: int, shapes: tuple[Shape, ...] | None) -> str:
    """Return the statement of a page of the documents of few customers, which reads no others.

    So a customer's search costs the same whatever others have.
    """
    conditions = [f"d.customer_id IN ({', '.join('?' * customers)})", "d.kind = ?"]
    conditions += ["' ' || d.terms || ' ' LIKE ?"] * words
    documents = f"search_documents d WHERE {' AND '.join(conditions)} AND d.position < ?"
    return _statement(documents, "d.position DESC", shapes)


def _within(shapes: tuple[Shape, ...] | None) -> str:
    """Return the condition that limits documents to extents."""
    if shapes is None:
        return ""
    covered, names = within_extents(
        shapes,
        at=literal_column("d.at"),
        customer_id=literal_column("d.customer_id"),
        # A notice is indexed when it is sealed; incidents are never served.
        served=literal_column("(d.kind <> 'incident' AND d.kind <> 'effect')"),
    )
    return f" AND ({compiled(covered, *names)})"


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
        shapes, limits = shapes_of(page), (*extent_values(page), page.limit + 1)
        customers = {extent.customer_id for extent in page.within or ()}
        own = [customer_id.bytes for customer_id in customers if customer_id is not None]
        if own and len(own) == len(customers):
            # Terms have no sign that LIKE gives a meaning. A single letter is a whole word, as in the index.
            patterns = [f"% {word}%" if len(word) > 1 else f"% {word} %" for word in words]
            statement = _own_statement(len(own), len(words), shapes)
            rows = self._session.all(statement, (*own, kind, *patterns, before, *limits))
        else:
            statement = _statement(self._session.search_from(kind), self._session.SEARCH_ORDER, shapes)
            rows = self._session.all(statement, (self._session.search_query(kind, [], words), before, *limits))
        return paged("search", page, rows, _hit_of_row)
