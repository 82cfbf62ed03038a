"""Webhook endpoints of a customer: the addresses to which notices are posted, and the secrets that sign the posts."""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Request
from pydantic import Field, StringConstraints
from starlette.responses import Response

from notifications.delivery.delivery import Delivery, Outcome
from notifications.delivery.webhook import EndpointState, SignatureKind, WebhookEndpoint, WebhookSecret
from notifications.delivery.webhook_message import public_key_text, shared_secret_text, trial_event
from notifications.errors import NotFoundError, StateConflictError
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.manage_webhooks import (
    EndpointDraft,
    add_endpoint,
    add_secret,
    change_endpoint,
    drop_secret,
    existing_endpoint,
    new_secret_record,
)
from notifications.use_cases.notices.replay_notice import replay_notice
from service.auth.route_guard import Access
from service.channels.webhook_https import seal_secret
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.fields import Line, Moment, Out, Schema
from service.web.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
    IfMatch,
    MayChangeWebhooks,
    MayReadWebhooks,
    change,
    etag,
    expected_version,
    inspect_request,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/customers", tags=["webhooks"])

_SECRET_BYTES = 32
_OVERLAP_DAYS = 7


class WebhookIn(Schema):
    """The fields of an endpoint that a caller states."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    description: Line = ""
    active: bool = True
    takes_exercises: bool = Field(
        default=False, description="Post the notices of exercises too, as `greffier.exercise.v1`."
    )

    def to_domain(self) -> EndpointDraft:
        """Return the draft."""
        return EndpointDraft(self.url, self.description, self.active, self.takes_exercises)


class SecretIn(Schema):
    """The kind of secret to add, and how long the other secrets of this kind also sign."""

    kind: Literal["v1", "v1a"] = "v1"
    overlap_days: Annotated[float, Field(ge=0, le=90)] = _OVERLAP_DAYS


class ReplayIn(Schema):
    """The notice to post again."""

    notice_id: UUID


class SecretOut(Out):
    """A secret without its bytes. `public_key` verifies signatures of kind `v1a`."""

    id: UUID
    kind: str
    public_key: str | None
    created_at: Moment
    expires_at: Moment | None


class NewSecretOut(SecretOut):
    """A secret that was just created. `secret` is shown only this once."""

    secret: str | None


class WebhookOut(Out):
    """An endpoint in its present state."""

    id: UUID
    url: str
    description: str
    takes_exercises: bool
    state: str
    state_reason: str | None
    created_at: Moment
    failing_since: Moment | None
    last_success_at: Moment | None
    version: int
    secrets: list[SecretOut]


class NewWebhookOut(WebhookOut):
    """An endpoint that was just added, with its first secret."""

    new_secret: NewSecretOut


class WebhookList(Out):
    """The endpoints of a customer."""

    items: list[WebhookOut]


class TrialOut(Out):
    """The outcome of a test, with the answer of the receiver."""

    outcome: str
    code: int | None
    text: str
    tls_version: str | None
    remote: str | None


class ReplayOut(Out):
    """The queued delivery. It has the same `webhook-id` as before."""

    delivery_id: UUID
    notice_id: UUID
    endpoint_id: UUID


def secret_out(secret: WebhookSecret) -> SecretOut:
    """Return the schema of a secret, without its bytes."""
    return SecretOut(
        id=secret.id,
        kind=secret.kind.value,
        public_key=secret.public_key,
        created_at=secret.created_at,
        expires_at=secret.expires_at,
    )


def webhook_out(endpoint: WebhookEndpoint, secrets: Sequence[WebhookSecret]) -> WebhookOut:
    """Return the schema of an endpoint."""
    return WebhookOut(
        id=endpoint.id,
        url=endpoint.url,
        description=endpoint.description,
        takes_exercises=endpoint.takes_exercises,
        state=endpoint.state.value,
        state_reason=endpoint.state_reason,
        created_at=endpoint.created_at,
        failing_since=endpoint.failing_since,
        last_success_at=endpoint.last_success_at,
        version=endpoint.version,
        secrets=[secret_out(secret) for secret in secrets],
    )


def new_secret(
    context: ApiContext, act: AuditContext, endpoint: WebhookEndpoint, kind: SignatureKind
) -> tuple[WebhookSecret, NewSecretOut]:
    """Return a new secret to store, and its schema, which shows the bytes only this once."""
    key = act.identifiers.new_id()
    if kind is SignatureKind.V1:
        plaintext, public = os.urandom(_SECRET_BYTES), None
    else:
        plaintext = Ed25519PrivateKey.generate().private_bytes_raw()
        public = public_key_text(plaintext)
    sealed = seal_secret(context.secret_box, kind, str(key), plaintext)
    secret = new_secret_record(act, endpoint, key, kind, sealed, public)
    # A receiver of v1a needs only the public key. The private key never leaves this service.
    shown = shared_secret_text(plaintext) if kind is SignatureKind.V1 else None
    return secret, NewSecretOut(**secret_out(secret).model_dump(), secret=shown)


def added_webhook(
    tx: AccessTransaction, act: AuditContext, context: ApiContext, customer_id: UUID, draft: EndpointDraft
) -> tuple[WebhookEndpoint, WebhookSecret, NewSecretOut]:
    """Add an endpoint with its first secret; returns both. The secret is shown only this once."""
    endpoint = add_endpoint(tx, act, customer_id, draft)
    secret, shown = new_secret(context, act, endpoint, SignatureKind.V1)
    add_secret(tx, act, endpoint, secret, None)
    return endpoint, secret, shown


def added_secret(
    tx: AccessTransaction,
    act: AuditContext,
    context: ApiContext,
    customer_id: UUID,
    endpoint_id: UUID,
    kind: SignatureKind,
    overlap: timedelta,
) -> NewSecretOut:
    """Add a secret and return it; it is shown only this once. Other secrets of its kind sign until the overlap ends."""
    endpoint = existing_endpoint(tx, customer_id, endpoint_id)
    made, shown = new_secret(context, act, endpoint, kind)
    add_secret(tx, act, endpoint, made, overlap)
    return shown


async def posted_trial(context: ApiContext, access: Access, customer_id: UUID, endpoint_id: UUID) -> Outcome:
    """Post a test event once, record it, and return the answer of the receiver; raises StateConflictError."""
    if context.webhook is None:
        raise StateConflictError("webhooks are not set up in this installation")
    endpoint, secrets = await access.read(
        lambda tx: (existing_endpoint(tx, customer_id, endpoint_id), tx.webhooks.secrets(endpoint_id))
    )
    act = access.act()
    message_id = f"<test-{act.identifiers.new_id().hex}@{context.sealing.mail_domain}>"
    source = context.sealing.provider.console_url or f"mailto:{context.sealing.sender}"
    outcome = await context.webhook.post(
        endpoint=endpoint,
        secrets=secrets,
        message_id=message_id,
        content=trial_event(message_id=message_id, source=source, at=act.now),
    )

    def record(tx: AccessTransaction, act: AuditContext) -> None:
        pseudonym = tx.customers.pseudonym(customer_id)
        subjects = {"customer": pseudonym, "endpoint": str(endpoint_id)}
        detail = {"outcome": outcome.kind.value, "code": outcome.code}
        tx.audit.append([act.entry("webhook.tested", subjects=subjects, detail=detail)])

    await access.write(record)
    return outcome


def queued_replay(
    tx: AccessTransaction, act: AuditContext, context: ApiContext, customer_id: UUID, endpoint_id: UUID, notice_id: UUID
) -> Delivery:
    """Queue a sealed notice of a customer to its endpoint again; raises NotFoundError, StateConflictError."""
    endpoint = existing_endpoint(tx, customer_id, endpoint_id)
    if endpoint.state is not EndpointState.ACTIVE:
        raise StateConflictError("the endpoint is out of use")
    notice = tx.notices.get(notice_id)
    if notice is None or notice.customer_id != customer_id:
        raise NotFoundError("notice", notice_id)
    return replay_notice(tx, act, notice, endpoint, context.sealing.mail_domain)


@router.post("/{customer_id}/webhooks", status_code=201, response_model=NewWebhookOut, summary="Add a webhook endpoint")
async def add(
    request: Request,
    context: Context,
    access: MayChangeWebhooks,
    customer_id: UUID,
    webhook: WebhookIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Add an endpoint with a first `v1` secret, shown only this once. Notices sealed from now on are posted to it."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        endpoint, secret, shown = added_webhook(tx, act, context, customer_id, webhook.to_domain())
        stated = webhook_out(endpoint, [secret]).model_dump()
        return Answer(
            NewWebhookOut(**stated, new_secret=shown),
            201,
            {"ETag": etag(endpoint.version)},
            kept=NewWebhookOut(**stated, new_secret=shown.model_copy(update={"secret": None})),
        )

    return await change(request, access, idempotency_key, work)


@router.get("/{customer_id}/webhooks", response_model=WebhookList, summary="Webhook endpoints of a customer")
async def list_webhooks(access: MayReadWebhooks, customer_id: UUID) -> Response:
    """Return the endpoints, oldest first, each with its state and its secrets without their bytes."""

    def work(tx: Transaction) -> WebhookList:
        tx.customers.require(customer_id)
        endpoints = tx.webhooks.endpoints(customer_id)
        return WebhookList(items=[webhook_out(item, tx.webhooks.secrets(item.id)) for item in endpoints])

    return json_response(await access.read(work))


@router.get("/{customer_id}/webhooks/{endpoint_id}", response_model=WebhookOut, summary="Read a webhook endpoint")
async def read_webhook(access: MayReadWebhooks, customer_id: UUID, endpoint_id: UUID) -> Response:
    """Return one endpoint."""

    def work(tx: Transaction) -> WebhookOut:
        endpoint = existing_endpoint(tx, customer_id, endpoint_id)
        return webhook_out(endpoint, tx.webhooks.secrets(endpoint_id))

    stated = await access.read(work)
    return json_response(stated, {"ETag": etag(stated.version)})


@router.put("/{customer_id}/webhooks/{endpoint_id}", response_model=WebhookOut, summary="Change a webhook endpoint")
async def put_webhook(
    request: Request,
    access: MayChangeWebhooks,
    customer_id: UUID,
    endpoint_id: UUID,
    webhook: WebhookIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Replace the fields of an endpoint. `active: false` disables it. `active: true` enables it again, even if the
    service had disabled it.
    """

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        before = existing_endpoint(tx, customer_id, endpoint_id)
        version = expected_version(if_match, lambda: before.version)
        changed = change_endpoint(tx, act, before, webhook.to_domain(), version)
        return Answer(webhook_out(changed, tx.webhooks.secrets(endpoint_id)), headers={"ETag": etag(changed.version)})

    return await change(request, access, idempotency_key, work)


@router.post(
    "/{customer_id}/webhooks/{endpoint_id}/secrets",
    status_code=201,
    response_model=NewSecretOut,
    summary="Add a secret, and let the others of its kind expire",
)
async def rotate(
    request: Request,
    context: Context,
    access: MayChangeWebhooks,
    customer_id: UUID,
    endpoint_id: UUID,
    secret: SecretIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Add a secret, shown only this once. Until the other secrets expire, each post has a signature by each secret."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        overlap = timedelta(days=secret.overlap_days)
        shown = added_secret(tx, act, context, customer_id, endpoint_id, SignatureKind(secret.kind), overlap)
        return Answer(shown, 201, kept=shown.model_copy(update={"secret": None}))

    return await change(request, access, idempotency_key, work)


@router.delete(
    "/{customer_id}/webhooks/{endpoint_id}/secrets/{secret_id}", response_model=WebhookOut, summary="Remove a secret"
)
async def remove_secret(
    request: Request,
    access: MayChangeWebhooks,
    customer_id: UUID,
    endpoint_id: UUID,
    secret_id: UUID,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Remove a secret immediately, for example a leaked one; 409 for the last one that does not expire."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        endpoint = existing_endpoint(tx, customer_id, endpoint_id)
        drop_secret(tx, act, endpoint, secret_id)
        return Answer(webhook_out(endpoint, tx.webhooks.secrets(endpoint_id)))

    return await change(request, access, idempotency_key, work)


@router.post("/{customer_id}/webhooks/{endpoint_id}/test", response_model=TrialOut, summary="Post a test event")
async def try_webhook(
    request: Request,
    context: Context,
    access: MayChangeWebhooks,
    customer_id: UUID,
    endpoint_id: UUID,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Post a test event once, and return the answer of the receiver; 409 if nothing can be sent to the endpoint.

    The event says that it is a test and carries no notice. It neither disables nor enables the endpoint. A repeated
    request posts another event, and gets the answer of the first.
    """
    outcome = await posted_trial(context, access, customer_id, endpoint_id)
    said = TrialOut(
        outcome=outcome.kind.value,
        code=outcome.code,
        text=outcome.text,
        tls_version=outcome.tls_version,
        remote=outcome.remote,
    )
    return await inspect_request(request, access, idempotency_key, lambda _tx: said)


@router.post(
    "/{customer_id}/webhooks/{endpoint_id}/replays",
    status_code=202,
    response_model=ReplayOut,
    summary="Post a notice again",
)
async def replay(
    request: Request,
    context: Context,
    access: MayChangeWebhooks,
    customer_id: UUID,
    endpoint_id: UUID,
    wanted: ReplayIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue a sealed notice to the endpoint again; 409 if it is queued already or the endpoint is disabled."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        delivery = queued_replay(tx, act, context, customer_id, endpoint_id, wanted.notice_id)
        return Answer(ReplayOut(delivery_id=delivery.id, notice_id=delivery.notice_id, endpoint_id=endpoint_id), 202)

    return await change(request, access, idempotency_key, work)
