"""The page of a customer's contacts, with the results of the last checks and the test of its second channel."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.customer.records import Contact, Customer
from notifications.delivery.reachability import CheckSubject, SecondChannelKind
from notifications.errors import Fault, InvalidInputError
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.record_checks import record_second_channel_call
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.customers.reachability import ReachabilityOut, reachability_of
from service.web.api.requests import Context
from service.web.console.failures import PageRoute
from service.web.console.forms import form_of, write_once
from service.web.console.rendering import page

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayRecordCall = Annotated[Access, Depends(Requires(Permission.CALL_CHANGE))]
MayReadContacts = Annotated[Access, Depends(Requires(Permission.CONTACT_READ))]


@router.get("/customers/{customer_id}/reachability")
async def reachability_page(
    request: Request, context: Context, access: MayReadContacts, customer_id: UUID, done: str = ""
) -> Response:
    """Show the results of the last checks, failed checks first."""

    def work(tx: AccessTransaction) -> tuple[Customer, ReachabilityOut, dict[UUID, Contact], dict[UUID, str]]:
        customer = tx.customers.require(customer_id)
        contacts = {contact.id: contact for contact in tx.customers.contacts(customer_id)}
        endpoints = {endpoint.id: endpoint.url for endpoint in tx.webhooks.endpoints(customer_id)}
        return customer, reachability_of(tx, customer_id, every_days), contacts, endpoints

    every_days = context.settings.contact_checks.second_channel_days
    customer, found, contacts, endpoints = await access.read(work)
    values: dict[str, Any] = {
        "customer": customer,
        "found": found,
        "may_call": access.may(Permission.CALL_CHANGE),
        "done": done == "called",
        "second_channel": ""
        if found.second_channel is None
        else _about(found.second_channel.kind, found.second_channel.subject_id, contacts, endpoints),
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


@router.post("/customers/{customer_id}/second-channel-calls")
async def record_call(request: Request, access: MayRecordCall, customer_id: UUID) -> Response:
    """Record the test call to a customer's telephone, once for each time that the form was shown."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        if form["reached"] not in {"yes", "no"}:
            raise InvalidInputError(Fault("reached", "must be yes or no"))
        record_second_channel_call(tx, act, customer_id, reached=form["reached"] == "yes")
        return f"/customers/{customer_id}/reachability?done=called"

    return await write_once(access, form, work)


def _about(
    kind: SecondChannelKind, subject_id: UUID, contacts: Mapping[UUID, Contact], endpoints: Mapping[UUID, str]
) -> str:
    """Return the URL, the address or the number of a second channel."""
    if kind is SecondChannelKind.WEBHOOK:
        return endpoints.get(subject_id, "")
    contact = contacts[subject_id]
    return (
        f"{contact.name} {contact.phone}"
        if kind is SecondChannelKind.TELEPHONE
        else f"{contact.name} <{contact.email}>"
    )
