"""The page from which a customer takes along everything that this service has about it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.web.console.failures import PageRoute
from service.web.console.rendering import page

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayReadCustomers = Annotated[Access, Depends(Requires(Permission.CUSTOMER_READ))]


@router.get("/customers/{customer_id}/data")
async def data_page(request: Request, access: MayReadCustomers, customer_id: UUID) -> Response:
    """Show what there is to download; the API gives the files."""
    customer = await access.read(lambda tx: tx.customers.require(customer_id))
    return page(request, "customer_data", access.caller, {"customer": customer})
