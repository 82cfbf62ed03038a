"""Contacts of a customer: whom notices are served on."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.customer import Contact
from notifications.errors import NotFoundError
from notifications.ports import Transaction
from notifications.use_cases.act import Act
from notifications.use_cases.keep_customers import add_contact, change_contact, existing_customer
from service.api.customer_schemas import ContactIn, ContactList, ContactOut, contact_out
from service.api.requests import (
    Answer,
    IdempotencyKey,
    IfMatch,
    MayChangeContacts,
    MayReadContacts,
    change,
    etag,
    expected_version,
    json_response,
)

router = APIRouter(prefix="/customers", tags=["customers"])


@router.post("/{customer_id}/contacts", status_code=201, response_model=ContactOut, summary="Add a contact")
async def add(
    request: Request,
    access: MayChangeContacts,
    customer_id: UUID,
    contact: ContactIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Add a contact that notices are served to, each by its own mail."""

    def work(tx: Transaction, act: Act) -> Answer:
        added = add_contact(tx, act, customer_id, contact.to_domain())
        return Answer(contact_out(added), 201, {"ETag": etag(added.version)})

    return await change(request, access, idempotency_key, work)


@router.get("/{customer_id}/contacts", response_model=ContactList, summary="Contacts of a customer")
async def list_contacts(access: MayReadContacts, customer_id: UUID) -> Response:
    """Return the contacts by escalation order."""

    def work(tx: Transaction) -> ContactList:
        existing_customer(tx, customer_id)
        return ContactList.model_construct(items=[contact_out(item) for item in tx.contacts(customer_id)])

    return json_response(await access.read(work))


def _contact_of(tx: Transaction, customer_id: UUID, contact_id: UUID) -> Contact:
    contact = tx.contact(contact_id)
    if contact is None or contact.customer_id != customer_id:
        raise NotFoundError("contact", contact_id)
    return contact


@router.get("/{customer_id}/contacts/{contact_id}", response_model=ContactOut, summary="Read a contact")
async def read_contact(access: MayReadContacts, customer_id: UUID, contact_id: UUID) -> Response:
    """Return one contact."""
    contact = await access.read(lambda tx: _contact_of(tx, customer_id, contact_id))
    return json_response(contact_out(contact), {"ETag": etag(contact.version)})


@router.put("/{customer_id}/contacts/{contact_id}", response_model=ContactOut, summary="Change a contact")
async def put_contact(
    request: Request,
    access: MayChangeContacts,
    customer_id: UUID,
    contact_id: UUID,
    contact: ContactIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Replace what is stated of a contact; `active: false` takes it out of service and keeps its record."""

    def work(tx: Transaction, act: Act) -> Answer:
        version = expected_version(if_match, lambda: _contact_of(tx, customer_id, contact_id).version)
        changed = change_contact(tx, act, customer_id, contact_id, version, contact.to_domain())
        return Answer(contact_out(changed), headers={"ETag": etag(changed.version)})

    return await change(request, access, idempotency_key, work)
