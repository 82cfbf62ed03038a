"""The contacts of a customer on pages: added, changed, taken out of service, their addresses confirmed."""

from base64 import encodebytes
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from notifications.customer.records import Contact, ContactRole, Customer, MailContent, recipients
from notifications.errors import InvalidInputError, StateConflictError, VersionMismatchError
from notifications.incident import LANGUAGES
from notifications.mail.enveloped import certificate_pem
from notifications.time_zones import time_zone_names
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.customer_entries import ContactDraft
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.customers.contacts import (
    added_contact,
    asked_again,
    changed_contact,
    contact_of,
    stated_contact,
)
from service.web.api.customers.customer_schemas import ContactIn, ContactOut, contact_out
from service.web.api.requests import Context
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, see_other, stated, write_once
from service.web.console.rendering import page

router = APIRouter(prefix="/customers/{customer_id}/contacts", route_class=PageRoute, include_in_schema=False)

MayReadContacts = Annotated[Access, Depends(Requires(Permission.CONTACT_READ))]
MayChangeContacts = Annotated[Access, Depends(Requires(Permission.CONTACT_CHANGE))]

_CONFLICT, _UNPROCESSABLE = 409, 422
_MAX_VERSION_CHARACTERS = 12
_MAX_CERTIFICATE_BYTES = 20_000
#: What a page may say of what was done just before.
_DONE = frozenset({"added", "changed", "removed", "asked"})
#: Fields with words of their own for what is wrong with them.
_FIELDS = ("name", "role", "email", "language", "order", "time_zone", "mail_content", "smime_certificate", "phone")
_BOXES = ("active", "fallback", "takes_exercises", "address_confirmed")


@router.get("")
async def contacts_page(
    request: Request, context: Context, access: MayReadContacts, customer_id: UUID, done: str = ""
) -> Response:
    """Show the contacts by escalation order; those out of service last."""
    return await _list(request, context, access, customer_id, done=done if done in _DONE else "")


@router.get("/new")
async def new_contact_page(request: Request, access: MayChangeContacts, customer_id: UUID) -> Response:
    """Show the form of a new contact, in the customer's language."""
    customer = await access.read(lambda tx: tx.customers.require(customer_id))
    entered = dict.fromkeys((*_FIELDS, *_BOXES), "")
    entered |= {
        "language": customer.language,
        "role": "security",
        "order": "1",
        "mail_content": "full",
        "active": "yes",
    }
    return _form(request, access, customer, None, entered)


@router.post("")
async def add(request: Request, context: Context, access: MayChangeContacts, customer_id: UUID) -> Response:
    """Add a contact, once for each time that the form was shown; its address has to be confirmed by a mailed link."""
    form = await form_of(request)
    fields = await _fields(request, form)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        added_contact(tx, act, context, customer_id, _draft(access, fields))
        return f"/customers/{customer_id}/contacts?done=added"

    try:
        return await write_once(access, form, work)
    except InvalidInputError as error:
        refused = error
    customer = await access.read(lambda tx: tx.customers.require(customer_id))
    return _form(request, access, customer, None, fields, form_id=form["form_id"], error=refused)


@router.get("/{contact_id}")
async def contact_page(request: Request, access: MayChangeContacts, customer_id: UUID, contact_id: UUID) -> Response:
    """Show the form of a contact."""
    customer, contact = await _read(access, customer_id, contact_id)
    return _form(request, access, customer, contact, _entered(contact))


@router.post("/{contact_id}")
async def change(
    request: Request, context: Context, access: MayChangeContacts, customer_id: UUID, contact_id: UUID
) -> Response:
    """Replace what is stated of a contact; what somebody else changed in the meantime is not overwritten."""
    form = await form_of(request)
    fields = await _fields(request, form)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        before = contact_of(tx, customer_id, contact_id)
        changed_contact(tx, act, context, before, _version(form), _draft(access, fields))

    try:
        await access.write(work)
    except (InvalidInputError, VersionMismatchError) as error:
        customer, contact = await _read(access, customer_id, contact_id)
        return _form(request, access, customer, contact, fields, error=error)
    return see_other(f"/customers/{customer_id}/contacts?done=changed")


@router.post("/{contact_id}/remove")
async def remove(
    request: Request, context: Context, access: MayChangeContacts, customer_id: UUID, contact_id: UUID
) -> Response:
    """Take a contact out of service; its record is kept, and it can be put back on its own page."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        before = contact_of(tx, customer_id, contact_id)
        changed_contact(tx, act, context, before, _version(form), replace(_draft_of(before), active=False))

    try:
        await access.write(work)
    except (InvalidInputError, VersionMismatchError):
        return await _list(request, context, access, customer_id, problem="contacts.problem_conflict")
    return see_other(f"/customers/{customer_id}/contacts?done=removed")


@router.post("/{contact_id}/confirmation")
async def ask_again(
    request: Request, context: Context, access: MayChangeContacts, customer_id: UUID, contact_id: UUID
) -> Response:
    """Mail the link that confirms the address again."""
    try:
        await access.write(lambda tx, act: asked_again(tx, act, context, customer_id, contact_id))
    except StateConflictError:
        return await _list(request, context, access, customer_id, problem="contacts.problem_not_asked")
    return see_other(f"/customers/{customer_id}/contacts?done=asked")


async def _list(
    request: Request, context: ApiContext, access: Access, customer_id: UUID, *, done: str = "", problem: str = ""
) -> Response:
    now = context.clock.now()

    def work(tx: AccessTransaction) -> tuple[Customer, list[ContactOut], set[UUID]]:
        customer, contacts = tx.customers.require(customer_id), tx.customers.contacts(customer_id)
        served = {contact.id for contact in recipients(contacts)}
        shown = [contact_out(contact, now) for contact in contacts]
        return customer, sorted(shown, key=lambda item: not item.active), served

    customer, contacts, served = await access.read(work)
    values = {
        "customer": customer,
        "contacts": contacts,
        "served": served,
        "may_change": access.may(Permission.CONTACT_CHANGE),
        "done": done,
        "problem": problem,
    }
    return page(request, "contacts", access.caller, values, status=_CONFLICT if problem else 200)


def _form(
    request: Request,
    access: Access,
    customer: Customer,
    contact: Contact | None,
    entered: Mapping[str, str],
    *,
    form_id: str = "",
    error: Exception | None = None,
) -> Response:
    faults = {fault.field: fault.reason for fault in error.faults} if isinstance(error, InvalidInputError) else {}
    values: dict[str, Any] = {
        "customer": customer,
        "contact": contact,
        "entered": entered,
        "form_id": form_id,
        "faults": faults,
        "other_faults": {name: reason for name, reason in faults.items() if name not in _FIELDS},
        "conflict": error is not None and not faults,
        "roles": tuple(ContactRole),
        "mail_contents": tuple(MailContent),
        "languages": LANGUAGES,
        "time_zones": sorted(time_zone_names()),
        "may_vouch": access.may(Permission.CUSTOMER_CHANGE),
    }
    status = 200 if error is None else _UNPROCESSABLE if faults else _CONFLICT
    return page(request, "contact", access.caller, values, status=status)


async def _read(access: Access, customer_id: UUID, contact_id: UUID) -> tuple[Customer, Contact]:
    return await access.read(lambda tx: (tx.customers.require(customer_id), contact_of(tx, customer_id, contact_id)))


async def _fields(request: Request, form: Form) -> dict[str, str]:
    """Return the fields of the form as they were filled in; an uploaded certificate is as if it had been pasted."""
    fields = {name: form[name] for name in (*_FIELDS, *_BOXES)}
    sent = await request.form()
    file = sent.get("certificate_file")
    if isinstance(file, UploadFile) and file.filename:
        fields["smime_certificate"] = _as_pem(await file.read(_MAX_CERTIFICATE_BYTES + 1))
    await sent.close()
    return fields


def _as_pem(content: bytes) -> str:
    """Return a certificate file as PEM, whichever form it has; what is none is refused where it is read."""
    if content.lstrip().startswith(b"-----"):
        return content.decode("ascii", "replace")
    return f"-----BEGIN CERTIFICATE-----\n{encodebytes(content).decode()}-----END CERTIFICATE-----\n"


def _draft(access: Access, fields: Mapping[str, str]) -> ContactDraft:
    """Return what a form states, as the API takes it; raises InvalidInputError."""
    given: dict[str, object] = {name: fields[name].strip() or None for name in _FIELDS}
    given = {name: value for name, value in given.items() if value is not None or name in {"name", "email"}}
    given |= {name: fields[name] == "yes" for name in _BOXES}
    given |= {name: fields[name].strip() for name in ("name", "email")}
    return stated_contact(access, stated(ContactIn, given))


def _draft_of(contact: Contact) -> ContactDraft:
    return ContactDraft(
        name=contact.name,
        role=contact.role,
        email=contact.email,
        language=contact.language,
        order=contact.order,
        active=contact.active,
        time_zone=contact.time_zone,
        fallback=contact.fallback,
        mail_content=contact.mail_content,
        smime_certificate=contact.smime_certificate,
        phone=contact.phone,
        takes_exercises=contact.takes_exercises,
    )


def _entered(contact: Contact) -> dict[str, str]:
    """Return a contact as its form is filled."""
    certificate = contact.smime_certificate
    return {
        "name": contact.name,
        "role": contact.role.value,
        "email": contact.email,
        "language": contact.language,
        "order": str(contact.order),
        "time_zone": contact.time_zone or "",
        "mail_content": contact.mail_content.value,
        "smime_certificate": "" if certificate is None else certificate_pem(certificate),
        "phone": contact.phone or "",
        "active": "yes" if contact.active else "",
        "fallback": "yes" if contact.fallback else "",
        "takes_exercises": "yes" if contact.takes_exercises else "",
        "address_confirmed": "",
    }


def _version(form: Form) -> int:
    """Return the version that a form was made from; a form without one is of no version."""
    text = form["version"]
    return int(text) if text.isascii() and text.isdigit() and len(text) < _MAX_VERSION_CHARACTERS else 0
