"""Search within a scope."""

from dataclasses import replace

from notifications.ports import Extent, Page
from service.auth.scope.visibility import ScopedRepository
from service.ports.search import SearchHit, SearchKind


class ScopedSearch(ScopedRepository):
    """What is within: incidents only at the provider, a customer's own records, and the notices that were served."""

    _name = "search"

    def find(self, page: Page, kind: SearchKind, query: str) -> tuple[list[SearchHit], str | None]:
        if kind in {"incident", "effect"}:
            self._verify_at_provider("find")
            return self._tx.search.find(self._of_provider(page), kind, query)
        if kind == "notice":
            return self._tx.search.find(self._of_customer(page, None), kind, query)
        # A customer and its contacts have no moment.
        extents = dict.fromkeys(Extent(reach.customer_id) for reach in self._scope.reaches)
        return self._tx.search.find(replace(page, within=tuple(extents)), kind, query)
