"""One customer: what is stated of it, its agreements from their dates, and the ways to everything that is its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.customer.records import AgreementBinding, Contact
from notifications.errors import InvalidInputError, StateConflictError
from notifications.notice import NoticeState
from notifications.ports import Page
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.erase_customer import ErasureTerms, announced_erasure, erasure_terms
from notifications.use_cases.customers.manage_customers import bind_agreement
from notifications.use_cases.incidents.customer_decider import Agreements
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.customers.directory import ListedCustomer, listed_customer
from service.ports.store import AccessTransaction
from service.web.api.customers.erasures import ErasureOrderOut, standing_order
from service.web.api.requests import Context, MayChangeCustomers, MayReadCustomers
from service.web.console.failures import PageRoute, invalid_fields
from service.web.console.forms import form_of, new_form_id, write_once
from service.web.console.listing import access_under
from service.web.console.pages.customers.agreement_fields import FIELDS, agreement_fields, stated_terms
from service.web.console.pages.customers.days import day_shown, start_of_day
from service.web.console.rendering import page, reader_language

router = APIRouter(prefix="/customers", route_class=PageRoute, include_in_schema=False)

_CONFLICT, _UNPROCESSABLE = 409, 422
#: What the page may say of what was done just before.
_DONE = frozenset({"registered", "changed", "bound", "erasure_ordered", "erasure_withdrawn"})
#: Newest notices of a customer among which the page looks for those that an erasure can rest on.
_NOTICES = 100


@dataclass(frozen=True, slots=True)
class _OfferedNotice:
    """A sealed notice that an erasure can rest on."""

    notice_id: UUID
    ticket: str
    sequence: int
    planned_at: datetime


@dataclass(frozen=True, slots=True)
class _Overview:
    listed: ListedCustomer
    contacts: tuple[Contact, ...] | None
    erasure: ErasureOrderOut | None
    #: None once an erasure is ordered, and where no agreement says how it is announced
    erasure_terms: ErasureTerms | None
    #: newest first; empty for who may not order
    erasure_notices: tuple[_OfferedNotice, ...] = ()


@router.get("/{customer_id}")
async def overview(
    request: Request, context: Context, access: MayReadCustomers, customer_id: UUID, done: str = ""
) -> Response:
    """Show the customer; the forms are there for callers who may use them."""
    return await customer_page(request, context, access, customer_id, done=done if done in _DONE else "")


@router.post("/{customer_id}/agreements")
async def bind(request: Request, context: Context, access: MayChangeCustomers, customer_id: UUID) -> Response:
    """Bind the customer to an agreement version from a day; earlier bindings do not change."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        zone = tx.customers.require(customer_id).time_zone
        effective_at = start_of_day(form["effective_on"], zone, "effective_on")
        bind_agreement(
            tx, act, customer_id, form["agreement_id"], effective_at, context.agreements, **stated_terms(form)
        )
        return f"/customers/{customer_id}?done=bound#agreements"

    try:
        return await write_once(access, form, work)
    except InvalidInputError as error:
        entered = {name: form[name] for name in (*FIELDS, "form_id")}
        return await customer_page(
            request, context, access, customer_id, error=error, entered=entered, products=form.all("products")
        )


async def customer_page(
    request: Request,
    context: Context,
    access: Access,
    customer_id: UUID,
    *,
    done: str = "",
    error: InvalidInputError | StateConflictError | None = None,
    entered: Mapping[str, str] | None = None,
    products: Sequence[str] = (),
) -> Response:
    """Return the page of a customer, also after a form that was not right: ``entered`` is what it held.

    ``products``: the ids that were ticked in it.
    """
    now, language = access.clock.now(), reader_language(request, access.caller)
    orders = access_under(access, Permission.CUSTOMER_CHANGE) is not None
    reads_contacts = access_under(access, Permission.CONTACT_READ) is not None

    def work(tx: AccessTransaction) -> _Overview:
        listed = listed_customer(tx, tx.customers.require(customer_id), now)
        contacts = tuple(tx.customers.contacts(customer_id)) if reads_contacts else None
        is_ordered = tx.erasures.order(customer_id) is not None
        if is_ordered:
            return _Overview(listed, contacts, standing_order(tx, customer_id), None)
        terms = _erasure_terms(tx, context.agreements, customer_id, now)
        notices = _offered_notices(tx, customer_id, terms.kind_id) if orders and terms is not None else ()
        return _Overview(listed, contacts, None, terms, notices)

    found = await access.read(work)
    values: dict[str, Any] = {
        "listed": found.listed,
        "customer": found.listed.customer,
        "bindings": sorted(found.listed.bindings, key=_in_time, reverse=True),
        "contacts": found.contacts,
        "erasure": found.erasure,
        "erasure_terms": found.erasure_terms,
        "erasure_notices": found.erasure_notices,
        "titles": {item.id: item.title.in_language(language)[1] for item in context.agreements.by_id.values()},
        "day": day_shown(language),
        "now": now,
        "done": done,
        "wrong": invalid_fields(error) if isinstance(error, InvalidInputError) else set(),
        "is_refused": isinstance(error, StateConflictError),
        "dpa_titles": {item.id: item.title.in_language(language)[1] for item in context.agreements.dpas.values()},
        "entered": {"agreement_id": "", "dpa_id": "", "effective_on": "", "served_by": "", "notice_id": "",
                    "reference": "", "served_on": "", "confirmed": "", "reason": ""} | dict(entered or {}),
        "form_id": (entered or {}).get("form_id") or new_form_id(),
    } | agreement_fields(context.agreements, language, products)  # fmt: skip
    status = 200 if error is None else _UNPROCESSABLE if isinstance(error, InvalidInputError) else _CONFLICT
    return page(request, "customer", access.caller, values, status=status)


def _erasure_terms(
    tx: AccessTransaction, agreements: Agreements, customer_id: UUID, now: datetime
) -> ErasureTerms | None:
    """Return what the agreement says of an erasure; None if no agreement does."""
    try:
        return erasure_terms(tx, agreements, customer_id, now)
    except StateConflictError:
        return None


def _offered_notices(tx: AccessTransaction, customer_id: UUID, kind_id: str) -> tuple[_OfferedNotice, ...]:
    """Return the sealed notices that an erasure can rest on, among the newest of the customer."""
    found = []
    for notice in tx.notices.page(Page(_NOTICES), customer_id=customer_id, state=NoticeState.SEALED)[0]:
        # Most notices are of incidents: they need no further read.
        if notice.announces:
            try:
                _, planned_at = announced_erasure(tx, customer_id, kind_id, notice.id)
            except InvalidInputError:
                continue
            ticket = tx.incidents.require_announcement(notice.incident_id).ticket
            found.append(_OfferedNotice(notice.id, ticket, notice.sequence, planned_at))
    return tuple(found)


def _in_time(binding: AgreementBinding) -> tuple[Any, Any]:
    return binding.effective_at, binding.recorded_at
