"""The order to erase a customer at the end of its contract: given and taken back on the customer's page."""

from typing import NoReturn
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.customer.erasure import ServedBy
from notifications.errors import Fault, InvalidInputError, StateConflictError
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.erase_customer import order_erasure, withdraw_erasure
from service.customers.erasure_notice import order_by_mail
from service.ports.store import AccessTransaction
from service.web.api.requests import Context, MayChangeCustomers
from service.web.console.failures import PageRoute
from service.web.console.forms import form_of, write_once
from service.web.console.pages.customers.days import start_of_day
from service.web.console.pages.customers.overview_page import customer_page

router = APIRouter(prefix="/customers", route_class=PageRoute, include_in_schema=False)

_REASON_CHARACTERS = 200
_FIELDS = ("served_by", "notice_id", "reference", "served_on", "confirmed", "form_id")


@router.post("/{customer_id}/erasure")
async def order(request: Request, context: Context, access: MayChangeCustomers, customer_id: UUID) -> Response:
    """Order the erasure on a sealed notice, by mail or by letter; the person who orders types the customer's name."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        customer = tx.customers.require(customer_id)
        if form["confirmed"].strip() != customer.name:
            _refuse("confirmed", "is not the name of the customer")
        if form["served_by"] == ServedBy.NOTICE:
            try:
                notice_id = UUID(form["notice_id"])
            except ValueError:
                _refuse("notice_id", "is no notice")
            order_erasure(tx, act, customer_id, context.agreements, served_by=ServedBy.NOTICE, notice_id=notice_id)
        elif form["served_by"] == ServedBy.LETTER:
            served_at = start_of_day(form["served_on"], customer.time_zone, "served_on")
            order_erasure(
                tx,
                act,
                customer_id,
                context.agreements,
                served_by=ServedBy.LETTER,
                reference=form["reference"],
                served_at=served_at,
            )
        else:
            order_by_mail(tx, act, customer_id, context.settings.provider, context.agreements)
        return f"/customers/{customer_id}?done=erasure_ordered#erasure"

    try:
        return await write_once(access, form, work)
    except (InvalidInputError, StateConflictError) as error:
        entered = {name: form[name] for name in _FIELDS}
        return await customer_page(request, context, access, customer_id, error=_on_form(error), entered=entered)


@router.post("/{customer_id}/erasure/withdraw")
async def withdraw(request: Request, context: Context, access: MayChangeCustomers, customer_id: UUID) -> Response:
    """Keep the customer; the person who withdraws the order informs the customer."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        reason = form["reason"].strip()
        if not reason or len(reason) > _REASON_CHARACTERS or not reason.isprintable():
            _refuse("reason", "must be one line")
        withdraw_erasure(tx, act, customer_id, reason=reason)
        return f"/customers/{customer_id}?done=erasure_withdrawn#erasure"

    try:
        return await write_once(access, form, work)
    except InvalidInputError as error:
        entered = {"reason": form["reason"], "form_id": form["form_id"]}
        return await customer_page(request, context, access, customer_id, error=error, entered=entered)


def _refuse(field: str, reason: str) -> NoReturn:
    raise InvalidInputError(Fault(field, reason))


def _on_form(error: InvalidInputError | StateConflictError) -> InvalidInputError | StateConflictError:
    """Return the error with the names of the form's own fields: it takes a day where the API takes a moment."""
    if isinstance(error, StateConflictError):
        return error
    names = {"served_at": "served_on"}
    return InvalidInputError(*(Fault(names.get(item.field, item.field), item.reason) for item in error.faults))
