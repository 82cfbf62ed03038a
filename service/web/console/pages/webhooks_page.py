"""The page of a customer's webhook endpoints: set up, test, replay; each secret is shown once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.customer.records import Customer
from notifications.delivery.delivery import ChannelKind, Delivery, DeliveryState, Outcome, OutcomeKind, delivery_id
from notifications.delivery.webhook import EndpointState, SignatureKind, WebhookEndpoint, WebhookSecret
from notifications.errors import (
    Fault,
    InvalidInputError,
    NotFoundError,
    StateConflictError,
    VersionMismatchError,
)
from notifications.notice import Notice, NoticeState
from notifications.ports import Page
from notifications.use_cases.customers.manage_webhooks import (
    EndpointDraft,
    change_endpoint,
    drop_secret,
    existing_endpoint,
)
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.customers.webhooks import NewSecretOut, added_secret, added_webhook, posted_trial, queued_replay
from service.web.api.requests import Context
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, see_other, stated_number
from service.web.console.rendering import page

router = APIRouter(prefix="/customers/{customer_id}/webhooks", route_class=PageRoute, include_in_schema=False)

MayReadWebhooks = Annotated[Access, Depends(Requires(Permission.WEBHOOK_READ))]
MayChangeWebhooks = Annotated[Access, Depends(Requires(Permission.WEBHOOK_CHANGE))]

_NOTICES_SHOWN = 10
_DESCRIPTION_CHARACTERS = 200
_MAX_OVERLAP_DAYS = 90
_CONFLICT, _UNPROCESSABLE = 409, 422
#: Messages about the last change that a page may show.
_DONE = frozenset({"changed", "removed", "replayed"})


@dataclass(frozen=True, slots=True)
class Served:
    """One notice, and the state of its delivery to one endpoint."""

    notice: Notice
    ticket: str
    delivery: Delivery | None
    may_replay: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One endpoint on the page."""

    endpoint: WebhookEndpoint
    secrets: Sequence[WebhookSecret]
    notices: Sequence[Served]

    @property
    def host(self) -> str:
        """The host of the endpoint, used as heading if the endpoint has no description."""
        return urlsplit(self.endpoint.url).hostname or ""

    @property
    def troubled(self) -> bool:
        """Whether the delivery of a notice to this endpoint failed."""
        return any(item.delivery is not None and item.delivery.state is DeliveryState.FAILED for item in self.notices)


@dataclass(frozen=True, slots=True)
class WebhookTest:
    """The outcome of a test."""

    endpoint_id: UUID
    outcome: Outcome

    @property
    def taken(self) -> bool:
        """Whether the receiver accepted the test event."""
        return self.outcome.kind is OutcomeKind.ACCEPTED


@router.get("")
async def webhooks_page(request: Request, access: MayReadWebhooks, customer_id: UUID, done: str = "") -> Response:
    """Show the endpoints, with the forms that the caller may use."""
    return await _shown(request, access, customer_id, done=done if done in _DONE else "")


@router.post("")
async def add(request: Request, context: Context, access: MayChangeWebhooks, customer_id: UUID) -> Response:
    """Add an endpoint and show its first secret, only this once."""
    form = await form_of(request)
    try:
        draft = _draft(form, active=True)
        _, _, made = await access.write(lambda tx, act: added_webhook(tx, act, context, customer_id, draft))
    except (InvalidInputError, StateConflictError) as error:
        return await _shown(request, access, customer_id, error=error, entered=form)
    return _once(request, access, customer_id, made)


@router.post("/{endpoint_id}")
async def change(request: Request, access: MayChangeWebhooks, customer_id: UUID, endpoint_id: UUID) -> Response:
    """Replace the fields of an endpoint. A change that another person made meanwhile is not overwritten."""
    form = await form_of(request)
    try:
        draft, version = _draft(form, active=form["active"] == "yes"), _version(form["version"])
        await access.write(
            lambda tx, act: change_endpoint(tx, act, existing_endpoint(tx, customer_id, endpoint_id), draft, version)
        )
    except (InvalidInputError, StateConflictError, VersionMismatchError) as error:
        return await _shown(request, access, customer_id, error=error)
    return see_other(f"/customers/{customer_id}/webhooks?done=changed")


@router.post("/{endpoint_id}/test")
async def test(
    request: Request, context: Context, access: MayChangeWebhooks, customer_id: UUID, endpoint_id: UUID
) -> Response:
    """Post a test event and show the answer of the receiver, word for word."""
    try:
        outcome = await posted_trial(context, access, customer_id, endpoint_id)
    except StateConflictError as error:
        return await _shown(request, access, customer_id, error=error)
    return await _shown(request, access, customer_id, trial=WebhookTest(endpoint_id, outcome))


@router.post("/{endpoint_id}/secrets")
async def add_secret(
    request: Request, context: Context, access: MayChangeWebhooks, customer_id: UUID, endpoint_id: UUID
) -> Response:
    """Create another secret and show it, only this once."""
    form = await form_of(request)
    try:
        kind, overlap = _kind(form["kind"]), _overlap(form["overlap_days"].strip())
        made = await access.write(
            lambda tx, act: added_secret(tx, act, context, customer_id, endpoint_id, kind, overlap)
        )
    except (InvalidInputError, StateConflictError) as error:
        return await _shown(request, access, customer_id, error=error)
    return _once(request, access, customer_id, made)


@router.post("/{endpoint_id}/secrets/{secret_id}/remove")
async def remove_secret(
    request: Request, access: MayChangeWebhooks, customer_id: UUID, endpoint_id: UUID, secret_id: UUID
) -> Response:
    """Remove a secret immediately; the last one that does not expire cannot be removed."""
    try:
        await access.write(
            lambda tx, act: drop_secret(tx, act, existing_endpoint(tx, customer_id, endpoint_id), secret_id)
        )
    except StateConflictError as error:
        return await _shown(request, access, customer_id, error=error)
    return see_other(f"/customers/{customer_id}/webhooks?done=removed")


@router.post("/{endpoint_id}/replays")
async def replay(
    request: Request, context: Context, access: MayChangeWebhooks, customer_id: UUID, endpoint_id: UUID
) -> Response:
    """Send a notice to the endpoint again."""
    try:
        notice_id = UUID((await form_of(request))["notice_id"])
    except ValueError:
        raise NotFoundError("notice", "") from None
    try:
        await access.write(lambda tx, act: queued_replay(tx, act, context, customer_id, endpoint_id, notice_id))
    except StateConflictError as error:
        return await _shown(request, access, customer_id, error=error)
    return see_other(f"/customers/{customer_id}/webhooks?done=replayed")


def _draft(form: Form, *, active: bool) -> EndpointDraft:
    """Return the endpoint that a form states; raises InvalidInputError. The use case checks the address."""
    description = form["description"].strip()
    if len(description) > _DESCRIPTION_CHARACTERS or not description.isprintable():
        raise InvalidInputError(Fault("description", "must be one line"))
    return EndpointDraft(form["url"].strip(), description, active, form["takes_exercises"] == "yes")


def _version(text: str) -> int:
    """Return the version that the form was made from; raises InvalidInputError if it is malformed."""
    version = stated_number(text)
    if version is None:
        raise InvalidInputError(Fault("url", "the form names no version"))
    return version


def _kind(text: str) -> SignatureKind:
    try:
        return SignatureKind(text)
    except ValueError:
        raise InvalidInputError(Fault("kind", "is not known")) from None


def _overlap(text: str) -> timedelta:
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= _MAX_OVERLAP_DAYS):  # noqa: PLR2004 - two digits
        raise InvalidInputError(Fault("overlap", f"must be from 0 to {_MAX_OVERLAP_DAYS}"))
    return timedelta(days=int(text))


def _once(request: Request, access: Access, customer_id: UUID, made: NewSecretOut) -> Response:
    values = {"secret": made.secret, "public_key": made.public_key, "customer_id": customer_id}
    return page(request, "webhook_secret", access.caller, values)


async def _shown(
    request: Request,
    access: Access,
    customer_id: UUID,
    *,
    done: str = "",
    error: Exception | None = None,
    trial: WebhookTest | None = None,
    entered: Form | None = None,
) -> Response:
    sees_notices, may_change = access.may(Permission.NOTICE_READ), access.may(Permission.WEBHOOK_CHANGE)

    def work(tx: AccessTransaction) -> tuple[Customer, list[Shown]]:
        customer = tx.customers.require(customer_id)
        notices: list[tuple[Notice, str]] = []
        if sees_notices:
            notices = _latest(tx, customer_id)
        return customer, [_endpoint(tx, endpoint, notices) for endpoint in tx.webhooks.endpoints(customer_id)]

    customer, endpoints = await access.read(work)
    faults = error.faults if isinstance(error, InvalidInputError) else ()
    values: dict[str, Any] = {
        "customer": customer,
        "endpoints": endpoints,
        "now": access.clock.now(),
        "may_change": may_change,
        "done": done,
        "trial": trial,
        "problems": sorted({f"webhooks.problem_{fault.field}" for fault in faults}),
        "conflict": "" if error is None or faults else str(error),
        "entered_url": "" if entered is None else entered["url"],
        "entered_exercises": entered is not None and entered["takes_exercises"] == "yes",
        "entered_description": "" if entered is None else entered["description"],
    }
    status = 200 if error is None else _UNPROCESSABLE if faults else _CONFLICT
    return page(request, "webhooks", access.caller, values, status=status)


def _latest(tx: AccessTransaction, customer_id: UUID) -> list[tuple[Notice, str]]:
    found, _ = tx.notices.page(Page(_NOTICES_SHOWN), customer_id=customer_id, state=NoticeState.SEALED.value)
    return [(notice, _ticket(tx, notice)) for notice in found]


def _ticket(tx: AccessTransaction, notice: Notice) -> str:
    """Return the ticket from the sealed document, because customers may not read incidents."""
    sealed = tx.notices.seal(notice.id)
    return "" if sealed is None else str(json.loads(sealed.document)["ticket"])


def _endpoint(tx: AccessTransaction, endpoint: WebhookEndpoint, notices: Sequence[tuple[Notice, str]]) -> Shown:
    active = endpoint.state is EndpointState.ACTIVE
    served = []
    for notice, ticket in notices:
        delivery = tx.deliveries.get(delivery_id(notice.id, ChannelKind.WEBHOOK, None, endpoint.id))
        on_its_way = delivery is not None and delivery.state is DeliveryState.QUEUED
        served.append(Served(notice, ticket, delivery, active and not on_its_way))
    return Shown(endpoint, tx.webhooks.secrets(endpoint.id), served)
