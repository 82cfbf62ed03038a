"""Customers, their agreement bindings and console inbox."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from starlette.responses import Response

from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.manage_customers import (
    bind_agreement,
    change_customer,
    choose_profile,
    register_customer,
)
from service.customers.directory import CustomerFilter, CustomerOrder, CustomerState, find_customers
from service.ports.store import AccessTransaction
from service.web.api.customers.customer_schemas import (
    AgreementIn,
    BindingList,
    BindingOut,
    CustomerIn,
    CustomerOut,
    CustomerPage,
    InboxItemOut,
    InboxPage,
    NewCustomerIn,
    binding_out,
    choices,
    customer_out,
)
from service.web.api.requests import (
    Answer,
    Context,
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    MayChangeCustomers,
    MayReadCustomers,
    MayReadNotices,
    change,
    etag,
    expected_version,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/customers", tags=["customers"])


@router.post("", status_code=201, response_model=CustomerOut, summary="Register a customer")
async def register(
    request: Request,
    context: Context,
    access: MayChangeCustomers,
    customer: NewCustomerIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Register a customer, bind it to an agreement version from a date, and record the levels that it chose, if any."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        bound = customer.agreement
        registered = register_customer(
            tx,
            act,
            customer.to_domain(),
            bound.agreement_id,
            bound.effective_at,
            context.agreements,
            dpa_id=bound.dpa_id,
            products=bound.products,
        )
        if customer.profile is not None:
            effective_at = customer.profile.effective_at or bound.effective_at
            choose_profile(tx, act, registered.id, choices(customer.profile), effective_at, context.agreements)
        return Answer(
            customer_out(registered, list(tx.customers.bindings(registered.id))),
            201,
            {"ETag": etag(1), "Location": f"/api/v1/customers/{registered.id}"},
        )

    return await change(request, access, idempotency_key, work)


@router.get("", response_model=CustomerPage, summary="List customers")
async def list_customers(
    access: MayReadCustomers,
    limit: Limit = 50,
    cursor: Cursor = None,
    text: Annotated[str, Query(max_length=200, description="Part of the name, or the identifier.")] = "",
    agreement_id: Annotated[str | None, Query(max_length=100, description="Of the agreement in force now.")] = None,
    state: Annotated[CustomerState | None, Query(description="Whether its erasure is ordered.")] = None,
    order: CustomerOrder = CustomerOrder.REGISTERED,
    *,
    unreachable: Annotated[bool, Query(description="Only customers without an active contact.")] = False,
) -> Response:
    """Return customers by registration, oldest first, or by name; all of them, or those that match."""
    wanted, now = CustomerFilter(text, agreement_id, state, unreachable), access.clock.now()

    def work(tx: AccessTransaction) -> CustomerPage:
        found = find_customers(tx, wanted, access.page(limit, cursor), now, order, at_provider=access.scope.at_provider)
        items = [customer_out(item.customer, list(item.bindings)) for item in found.items]
        return CustomerPage.model_construct(items=items, next_cursor=access.next_cursor(found.following))

    return json_response(await access.read(work))


@router.get("/{customer_id}", response_model=CustomerOut, summary="Read a customer")
async def read(access: MayReadCustomers, customer_id: UUID) -> Response:
    """Return the customer with its agreement bindings."""
    customer, bindings = await access.read(
        lambda tx: (tx.customers.require(customer_id), list(tx.customers.bindings(customer_id)))
    )
    return json_response(customer_out(customer, bindings), {"ETag": etag(customer.version)})


@router.put("/{customer_id}", response_model=CustomerOut, summary="Change a customer")
async def put(
    request: Request,
    access: MayChangeCustomers,
    customer_id: UUID,
    customer: CustomerIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Replace the fields of a customer. Agreement and profile have their own routes and history."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        version = expected_version(if_match, lambda: tx.customers.require(customer_id).version)
        changed = change_customer(tx, act, customer_id, version, customer.to_domain())
        return Answer(
            customer_out(changed, list(tx.customers.bindings(customer_id))), headers={"ETag": etag(changed.version)}
        )

    return await change(request, access, idempotency_key, work)


@router.post("/{customer_id}/agreements", status_code=201, response_model=BindingOut, summary="Bind to an agreement")
async def bind(
    request: Request,
    context: Context,
    access: MayChangeCustomers,
    customer_id: UUID,
    binding: AgreementIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Bind the customer to an agreement version, a DPA and products, from a moment on."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        bound = bind_agreement(
            tx,
            act,
            customer_id,
            binding.agreement_id,
            binding.effective_at,
            context.agreements,
            dpa_id=binding.dpa_id,
            products=binding.products,
        )
        return Answer(binding_out(bound), 201)

    return await change(request, access, idempotency_key, work)


@router.get("/{customer_id}/agreements", response_model=BindingList, summary="Agreement bindings")
async def list_bindings(access: MayReadCustomers, customer_id: UUID) -> Response:
    """Return every binding of the customer."""

    def work(tx: Transaction) -> BindingList:
        tx.customers.require(customer_id)
        return BindingList.model_construct(items=[binding_out(item) for item in tx.customers.bindings(customer_id)])

    return json_response(await access.read(work))


@router.get("/{customer_id}/inbox", response_model=InboxPage, summary="Console inbox")
async def inbox(access: MayReadNotices, customer_id: UUID, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Return the notices placed in the customer's console, newest first."""

    def work(tx: Transaction) -> InboxPage:
        tx.customers.require(customer_id)
        items, following = tx.deliveries.inbox(customer_id, access.page(limit, cursor))
        return InboxPage.model_construct(
            items=[
                InboxItemOut(
                    notice_id=item.notice_id,
                    placed_at=item.placed_at,
                    document=f"/api/v1/notices/{item.notice_id}/document",
                )
                for item in items
            ],
            next_cursor=access.next_cursor(following),
        )

    return json_response(await access.read(work))
