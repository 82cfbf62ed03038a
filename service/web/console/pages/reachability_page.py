"""The page of a customer's contacts, with the results of the last checks."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.customer.records import Contact, Customer
from notifications.delivery.reachability import CheckSubject
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.customers.reachability import ReachabilityOut, reachability_of
from service.web.console.failures import PageRoute
from service.web.console.rendering import page

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayReadContacts = Annotated[Access, Depends(Requires(Permission.CONTACT_READ))]


@router.get("/customers/{customer_id}/reachability")
async def reachability_page(request: Request, access: MayReadContacts, customer_id: UUID) -> Response:
    """Show the results of the last checks, failed checks first."""

    def work(tx: AccessTransaction) -> tuple[Customer, ReachabilityOut, dict[UUID, Contact], dict[UUID, str]]:
        customer = tx.customers.require(customer_id)
        contacts = {contact.id: contact for contact in tx.customers.contacts(customer_id)}
        endpoints = {endpoint.id: endpoint.url for endpoint in tx.webhooks.endpoints(customer_id)}
        return customer, reachability_of(tx, customer_id), contacts, endpoints

    customer, found, contacts, endpoints = await access.read(work)
    values: dict[str, Any] = {
        "customer": customer,
        "found": found,
        "checks": [
            (
                check,
                endpoints.get(check.subject_id, "")
                if check.subject is CheckSubject.WEBHOOK
                else f"{contacts[check.subject_id].name} <{contacts[check.subject_id].email}>",
            )
            for check in found.items
        ],
    }
    return page(request, "reachability", access.caller, values)
