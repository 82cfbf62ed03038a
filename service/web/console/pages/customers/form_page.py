"""The form of a customer: to register one, and to change what is stated of one."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from notifications.customer.records import Customer, NewsChannel
from notifications.errors import Fault, InvalidInputError, VersionMismatchError
from notifications.incident import LANGUAGES
from notifications.time_zones import time_zone_names
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.customer_entries import CustomerDraft
from notifications.use_cases.customers.manage_customers import change_customer, register_customer
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.api.customers.customer_schemas import CustomerIn
from service.web.api.requests import Context, MayChangeCustomers
from service.web.console.failures import PageRoute, invalid_fields
from service.web.console.forms import Form, form_of, new_form_id, stated_number, write_once
from service.web.console.pages.customers.agreement_fields import FIELDS, agreement_fields, stated_terms
from service.web.console.pages.customers.days import start_of_day
from service.web.console.rendering import page, reader_language

router = APIRouter(prefix="/customers", route_class=PageRoute, include_in_schema=False)

_UNPROCESSABLE, _OUTDATED = 422, 412
_SECONDS_PER_MINUTE = 60
_LISTS = ("services", "regions", "availability_zones")
_FIELDS = ("name", "language", "time_zone", *_LISTS, "acknowledge_within_minutes", "four_eyes", "news_channel")
#: What the browser proposes; every IANA zone is taken.
_PROPOSED_ZONES = sorted(name for name in time_zone_names() if name.startswith("Europe/"))


@router.get("/new")
async def new(request: Request, context: Context, access: MayChangeCustomers) -> Response:
    """Show the empty form."""
    provider = context.settings.provider
    entered = {"language": provider.default_language, "time_zone": "Europe/Paris"}
    entered["agreement_id"] = context.agreements.reference_id
    return _shown(request, context, access, entered)


@router.post("/new")
async def register(request: Request, context: Context, access: MayChangeCustomers) -> Response:
    """Register a customer with its first agreement."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        draft = customer_draft(form)
        effective_at = start_of_day(form["effective_on"], draft.time_zone, "effective_on")
        made = register_customer(
            tx, act, draft, form["agreement_id"], effective_at, context.agreements, **stated_terms(form)
        )
        return f"/customers/{made.id}?done=registered"

    try:
        return await write_once(access, form, work)
    except InvalidInputError as error:
        entered = {name: form[name] for name in (*_FIELDS, *FIELDS, "form_id")}
        return _shown(request, context, access, entered, error=error, products=form.all("products"))


@router.get("/{customer_id}/change")
async def change(request: Request, context: Context, access: MayChangeCustomers, customer_id: UUID) -> Response:
    """Show the form with what is stated now."""
    customer = await access.read(lambda tx: tx.customers.require(customer_id))
    return _shown(request, context, access, _entered(customer), customer=customer)


@router.post("/{customer_id}/change")
async def save(request: Request, context: Context, access: MayChangeCustomers, customer_id: UUID) -> Response:
    """Replace what is stated of a customer; what somebody else changed meanwhile is not overwritten."""
    form = await form_of(request)
    customer = await access.read(lambda tx: tx.customers.require(customer_id))

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        change_customer(tx, act, customer_id, _version(form["version"]), customer_draft(form))
        return f"/customers/{customer_id}?done=changed"

    try:
        return await write_once(access, form, work)
    except (InvalidInputError, VersionMismatchError) as error:
        entered = {name: form[name] for name in (*_FIELDS, "version", "form_id")}
        return _shown(request, context, access, entered, customer=customer, error=error)


def customer_draft(form: Form) -> CustomerDraft:
    """Return the customer that a form states; raises InvalidInputError with the names of the fields."""
    stated: dict[str, Any] = {
        "name": form["name"],
        "language": form["language"],
        "time_zone": form["time_zone"].strip(),
        "four_eyes": form["four_eyes"] == "yes",
        "news_channel": form["news_channel"] or NewsChannel.SAME.value,
        "acknowledge_within_seconds": _seconds(form["acknowledge_within_minutes"].strip()),
        **{name: tuple(re.split(r"[\s,;]+", form[name].strip())) if form[name].strip() else () for name in _LISTS},
    }
    try:
        return CustomerIn.model_validate(stated).to_domain()
    except ValidationError as error:
        names = {str(item["loc"][0]) for item in error.errors(include_url=False, include_input=False)}
        renamed = {"acknowledge_within_seconds": "acknowledge_within_minutes"}
        raise InvalidInputError(*(Fault(renamed.get(name, name), "is not right") for name in sorted(names))) from None


def _seconds(minutes: str) -> int | None:
    if not minutes:
        return None
    try:
        return round(float(minutes.replace(",", ".")) * _SECONDS_PER_MINUTE)
    except (ValueError, OverflowError):
        raise InvalidInputError(Fault("acknowledge_within_minutes", "must be a number")) from None


def _version(text: str) -> int:
    version = stated_number(text)
    if version is None:
        raise InvalidInputError(Fault("version", "the form names no version"))
    return version


def _entered(customer: Customer) -> dict[str, str]:
    within = customer.acknowledge_within_seconds
    return {
        "name": customer.name,
        "language": customer.language,
        "time_zone": customer.time_zone,
        "four_eyes": "yes" if customer.four_eyes else "",
        "news_channel": customer.news_channel.value,
        "acknowledge_within_minutes": "" if within is None else f"{within / _SECONDS_PER_MINUTE:.10g}",
        "version": str(customer.version),
        **{name: ", ".join(getattr(customer, name)) for name in _LISTS},
    }


def _shown(
    request: Request,
    context: Context,
    access: Access,
    entered: Mapping[str, str],
    *,
    customer: Customer | None = None,
    error: InvalidInputError | VersionMismatchError | None = None,
    products: Sequence[str] = (),
) -> Response:
    language = reader_language(request, access.caller)
    values = {
        "customer": customer,
        "entered": dict.fromkeys((*_FIELDS, *FIELDS, "version"), "") | dict(entered),
        "form_id": entered.get("form_id") or new_form_id(),
        "languages": list(LANGUAGES),
        "news_channels": list(NewsChannel),
        "zones": _PROPOSED_ZONES,
        "wrong": invalid_fields(error) if isinstance(error, InvalidInputError) else set(),
        "is_outdated": isinstance(error, VersionMismatchError),
    } | agreement_fields(context.agreements, language, products)
    status = 200 if error is None else _UNPROCESSABLE if isinstance(error, InvalidInputError) else _OUTDATED
    return page(request, "customer_form", access.caller, values, status=status)
