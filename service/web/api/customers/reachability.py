"""Whether a customer could be notified now: the results of the last checks of its contacts and webhooks."""

from uuid import UUID

from pydantic import Field
from starlette.responses import Response

from notifications.delivery.reachability import CheckSubject
from notifications.delivery.webhook import EndpointState
from notifications.ports import Transaction
from notifications.use_cases.customers.record_checks import is_reachable, latest_by_subject
from service.web.api.fields import Moment, Out
from service.web.api.requests import MayReadContacts, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/customers", tags=["customers"])


class CheckOut(Out):
    """The last check of one active contact, certificate or webhook endpoint."""

    subject: CheckSubject
    subject_id: UUID = Field(description="The contact, or the endpoint.")
    checked_at: Moment
    ok: bool
    code: int | None = Field(description="What the relay or the receiver answered, where it did.")
    reason: str | None = Field(description="What is wrong, or soon will be; null where nothing is.")


class ReachabilityOut(Out):
    """The results of the last checks of a customer."""

    reachable: bool = Field(description="Whether a notice would reach somebody by mail or webhook, as far as is known.")
    never_checked: int = Field(description="Active contacts whose address was not checked yet.")
    items: list[CheckOut]


@router.get(
    "/{customer_id}/reachability", response_model=ReachabilityOut, summary="Whether a customer could be notified"
)
async def read_reachability(access: MayReadContacts, customer_id: UUID) -> Response:
    """Return the last check of each active contact, certificate and webhook. An accepted address may still bounce."""
    return json_response(await access.read(lambda tx: reachability_of(tx, customer_id)))


def reachability_of(tx: Transaction, customer_id: UUID) -> ReachabilityOut:
    """Return the checks of a customer for the API and the console; raises NotFoundError."""
    tx.customers.require(customer_id)
    contacts = tx.customers.contacts(customer_id)
    active = {contact.id for contact in contacts if contact.active}
    with_certificate = {contact.id for contact in contacts if contact.active and contact.smime_certificate is not None}
    endpoints = [item.id for item in tx.webhooks.endpoints(customer_id) if item.state is EndpointState.ACTIVE]
    latest = latest_by_subject(tx.customers.latest_reachability_checks(customer_id))
    in_service = {
        CheckSubject.CONTACT: active,
        CheckSubject.CERTIFICATE: with_certificate,
        CheckSubject.WEBHOOK: set(endpoints),
    }
    shown = [check for (subject, subject_id), check in latest.items() if subject_id in in_service[subject]]
    return ReachabilityOut(
        reachable=is_reachable(contacts, endpoints, latest),
        never_checked=sum((CheckSubject.CONTACT, contact_id) not in latest for contact_id in active),
        items=[CheckOut.model_validate(check) for check in sorted(shown, key=lambda check: (check.ok, check.subject))],
    )
