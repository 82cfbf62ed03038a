"""The customers that a person confirmed in a look-up of the inventory, on the way to another page."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.web.console.listing import access_under


class ConfirmedQuery:
    """The query that names them: themselves, or the look-up that has them."""

    def __init__(self, customers: Annotated[str, Query(max_length=8000)] = "", lookup: UUID | None = None) -> None:
        self._customers, self._lookup = customers, lookup

    async def ids(self, access: Access) -> list[str]:
        """Return their identifiers as text; of a look-up none to a caller that may not read it."""
        if self._lookup is None:
            return [customer_id for customer_id in self._customers.split(",") if customer_id]
        reading, lookup_id = access_under(access, Permission.RESOURCE_READ), self._lookup
        found = None if reading is None else await reading.read(lambda tx: tx.resources.lookup(lookup_id))
        return [] if found is None else [str(customer_id) for customer_id in found.confirmed or ()]


Confirmed = Annotated[ConfirmedQuery, Depends()]
