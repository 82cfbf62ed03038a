"""Contacts of a customer: the people and mailboxes that notices are sent to."""

import hashlib
from datetime import timedelta
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from notifications.customer.records import Contact
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.customer_entries import ContactDraft
from notifications.use_cases.customers.manage_customers import add_contact, change_contact
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.auth.sign_in.links import new_link_secret
from service.customers.address_confirmation import send_address_link
from service.ports.sessions import Throttle
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.customers.customer_schemas import ContactIn, ContactList, ContactOut, contact_out
from service.web.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
    IfMatch,
    MayChangeContacts,
    MayReadContacts,
    change,
    etag,
    expected_version,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/customers", tags=["customers"])

#: Shortest time between two links to the same contact, so that this service does not fill a mailbox.
_BETWEEN_LINKS = timedelta(minutes=5)


@router.post("/{customer_id}/contacts", status_code=201, response_model=ContactOut, summary="Add a contact")
async def add(
    request: Request,
    context: Context,
    access: MayChangeContacts,
    customer_id: UUID,
    contact: ContactIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Add a contact. Notices are sent to each contact in a separate mail.

    A link that confirms the address is mailed to the contact, unless the caller answers for the address
    (`address_confirmed`) or the installation has no pages.
    """
    draft = stated_contact(access, contact)

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        added = added_contact(tx, act, context, customer_id, draft)
        return Answer(contact_out(added, act.now), 201, {"ETag": etag(added.version)})

    return await change(request, access, idempotency_key, work)


@router.get("/{customer_id}/contacts", response_model=ContactList, summary="Contacts of a customer")
async def list_contacts(context: Context, access: MayReadContacts, customer_id: UUID) -> Response:
    """Return the contacts by escalation order."""
    now = context.clock.now()

    def work(tx: Transaction) -> ContactList:
        tx.customers.require(customer_id)
        return ContactList.model_construct(
            items=[contact_out(item, now) for item in tx.customers.contacts(customer_id)]
        )

    return json_response(await access.read(work))


def contact_of(tx: Transaction, customer_id: UUID, contact_id: UUID) -> Contact:
    """Return a contact of a customer; raises NotFoundError."""
    contact = tx.customers.contact(contact_id)
    if contact is None or contact.customer_id != customer_id:
        raise NotFoundError("contact", contact_id)
    return contact


@router.get("/{customer_id}/contacts/{contact_id}", response_model=ContactOut, summary="Read a contact")
async def read_contact(context: Context, access: MayReadContacts, customer_id: UUID, contact_id: UUID) -> Response:
    """Return one contact, and the present form of its mails."""
    contact = await access.read(lambda tx: contact_of(tx, customer_id, contact_id))
    return json_response(contact_out(contact, context.clock.now()), {"ETag": etag(contact.version)})


@router.put("/{customer_id}/contacts/{contact_id}", response_model=ContactOut, summary="Change a contact")
async def put_contact(
    request: Request,
    context: Context,
    access: MayChangeContacts,
    customer_id: UUID,
    contact_id: UUID,
    contact: ContactIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Replace the fields of a contact. `active: false` stops notices to the contact and keeps its record.

    A changed address must be confirmed again.
    """
    draft = stated_contact(access, contact)

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        before = contact_of(tx, customer_id, contact_id)
        version = expected_version(if_match, lambda: before.version)
        changed = changed_contact(tx, act, context, before, version, draft)
        return Answer(contact_out(changed, act.now), headers={"ETag": etag(changed.version)})

    return await change(request, access, idempotency_key, work)


@router.post(
    "/{customer_id}/contacts/{contact_id}/confirmation",
    response_model=ContactOut,
    summary="Mail the link that confirms an address again",
)
async def ask_again(
    request: Request,
    context: Context,
    access: MayChangeContacts,
    customer_id: UUID,
    contact_id: UUID,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue a new link and make earlier links invalid; 409 if the address is confirmed or a link was just sent."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        contact = asked_again(tx, act, context, customer_id, contact_id)
        return Answer(contact_out(contact, act.now), headers={"ETag": etag(contact.version)})

    return await change(request, access, idempotency_key, work)


def added_contact(
    tx: AccessTransaction, act: AuditContext, context: ApiContext, customer_id: UUID, draft: ContactDraft
) -> Contact:
    """Add a contact, and mail the link that confirms its address where that is still open."""
    added = add_contact(tx, act, customer_id, draft)
    _ask_where_unconfirmed(tx, act, context, added)
    return added


def changed_contact(
    tx: AccessTransaction, act: AuditContext, context: ApiContext, before: Contact, version: int, draft: ContactDraft
) -> Contact:
    """Replace what is stated of a contact; a changed address has to be confirmed again."""
    changed = change_contact(tx, act, before.customer_id, before.id, version, draft)
    if changed.email != before.email:
        _ask_where_unconfirmed(tx, act, context, changed)
    return changed


def asked_again(
    tx: AccessTransaction, act: AuditContext, context: ApiContext, customer_id: UUID, contact_id: UUID
) -> Contact:
    """Queue a new link that confirms an address; raises StateConflictError where none is wanted now."""
    contact = contact_of(tx, customer_id, contact_id)
    console_url = context.sealing.provider.console_url
    if console_url is None:
        raise StateConflictError("there are no pages to link to: set provider.console_url")
    throttle = tx.sessions.throttle(_throttle_key(contact))
    if contact.verified_at is not None:
        raise StateConflictError("the address is confirmed already")
    if throttle is not None and act.now < throttle.retry_at:
        raise StateConflictError("a link was mailed a few minutes ago")
    _ask(tx, act, context, contact, console_url)
    return contact


def stated_contact(access: Access, contact: ContactIn) -> ContactDraft:
    """Return what is stated; raises InvalidInputError where the caller may not answer for an address."""
    if contact.address_confirmed and not access.may(Permission.CUSTOMER_CHANGE):
        raise InvalidInputError(Fault("address_confirmed", "is taken from whoever may change customers, alone"))
    return contact.to_domain()


def _ask_where_unconfirmed(tx: AccessTransaction, act: AuditContext, context: ApiContext, contact: Contact) -> None:
    console_url = context.sealing.provider.console_url
    if contact.verified_at is None and contact.active and console_url is not None:
        _ask(tx, act, context, contact, console_url)


def _ask(tx: AccessTransaction, act: AuditContext, context: ApiContext, contact: Contact, console_url: str) -> None:
    send_address_link(
        tx,
        act,
        contact,
        secret=new_link_secret(),
        console_url=console_url,
        provider_name=context.sealing.provider.name,
    )
    tx.sessions.save_throttle(Throttle(_throttle_key(contact), 1, act.now, act.now + _BETWEEN_LINKS))


def _throttle_key(contact: Contact) -> bytes:
    return hashlib.sha256(b"address-link\n" + contact.id.bytes).digest()
