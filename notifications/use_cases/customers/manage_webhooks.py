"""Manage a customer's webhook endpoints and secrets. An endpoint that fails for too long is disabled."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from notifications.delivery.delivery import Outcome, OutcomeKind
from notifications.delivery.webhook import EndpointState, SignatureKind, WebhookEndpoint, WebhookSecret
from notifications.delivery.webhook_message import verify_url
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext

_GONE = 410
#: A customer has few systems; a longer list is a mistake.
_MAX_ENDPOINTS = 20
_MAX_SECRETS = 4
_SUCCESS_RECORDED_EVERY = timedelta(minutes=5)
#: An endpoint that failed for this time, without a success, is disabled.
FAILING_FOR = timedelta(days=5)


@dataclass(frozen=True, slots=True)
class EndpointDraft:
    """The editable data of an endpoint."""

    url: str
    description: str
    #: whether notices are sent to it
    active: bool = True
    takes_exercises: bool = False


def existing_endpoint(tx: Transaction, customer_id: UUID, endpoint_id: UUID) -> WebhookEndpoint:
    """Return an endpoint of a customer; raises NotFoundError."""
    endpoint = tx.webhooks.get(endpoint_id)
    if endpoint is None or endpoint.customer_id != customer_id:
        raise NotFoundError("webhook endpoint", endpoint_id)
    return endpoint


def add_endpoint(tx: Transaction, act: AuditContext, customer_id: UUID, draft: EndpointDraft) -> WebhookEndpoint:
    """Add an endpoint for the notices that are sealed from now on; raises InvalidInputError, StateConflictError."""
    tx.customers.require(customer_id)
    verify_url(draft.url)
    others = tx.webhooks.endpoints(customer_id)
    if len(others) >= _MAX_ENDPOINTS:
        raise StateConflictError(f"a customer has at most {_MAX_ENDPOINTS} webhook endpoints")
    if any(other.url == draft.url for other in others):
        raise InvalidInputError(Fault("url", "is an endpoint of this customer already"))
    endpoint = WebhookEndpoint(
        id=act.identifiers.new_id(),
        customer_id=customer_id,
        url=draft.url,
        description=draft.description,
        state=EndpointState.ACTIVE if draft.active else EndpointState.DISABLED,
        state_reason=None if draft.active else "disabled as it was added",
        created_at=act.now,
        created_by=act.actor,
        takes_exercises=draft.takes_exercises,
    )
    tx.webhooks.add(endpoint)
    _log(tx, act, "webhook.added", endpoint)
    return endpoint


def change_endpoint(
    tx: Transaction, act: AuditContext, endpoint: WebhookEndpoint, draft: EndpointDraft, expected_version: int
) -> WebhookEndpoint:
    """Replace the editable data of an endpoint; raises InvalidInputError, VersionMismatchError.

    When an endpoint is activated again or gets another URL, its time of failing starts again.
    """
    verify_url(draft.url)
    if any(other.url == draft.url for other in tx.webhooks.endpoints(endpoint.customer_id) if other.id != endpoint.id):
        raise InvalidInputError(Fault("url", "is an endpoint of this customer already"))
    if draft.active:
        state, reason = EndpointState.ACTIVE, None
    elif endpoint.state is EndpointState.ACTIVE:
        state, reason = EndpointState.DISABLED, "disabled by a person"
    else:
        state, reason = endpoint.state, endpoint.state_reason
    starts_again = draft.url != endpoint.url or (draft.active and endpoint.state is not EndpointState.ACTIVE)
    changed = replace(
        endpoint,
        url=draft.url,
        description=draft.description,
        state=state,
        state_reason=reason,
        failing_since=None if starts_again else endpoint.failing_since,
        version=expected_version + 1,
        takes_exercises=draft.takes_exercises,
    )
    tx.webhooks.save(changed, expected_version)
    _log(tx, act, "webhook.changed", changed)
    return changed


def add_secret(
    tx: Transaction, act: AuditContext, endpoint: WebhookEndpoint, secret: WebhookSecret, overlap: timedelta | None
) -> None:
    """Add a secret. The other secrets of its kind expire after ``overlap``; with None they keep their expiry.

    Raises StateConflictError if there are too many.
    """
    others = tx.webhooks.secrets(endpoint.id)
    in_force = [other for other in others if other.expires_at is None or other.expires_at > act.now]
    if len(in_force) >= _MAX_SECRETS:
        raise StateConflictError(f"an endpoint has at most {_MAX_SECRETS} secrets in force: let one expire first")
    if overlap is not None:
        for other in in_force:
            if other.kind is secret.kind:
                ends_at = act.now + overlap
                if other.expires_at is None or other.expires_at > ends_at:
                    tx.webhooks.save_secret(replace(other, expires_at=ends_at))
    tx.webhooks.add_secret(secret)
    _log(tx, act, "webhook.secret_added", endpoint, {"secret": str(secret.id), "kind": secret.kind.value})


def drop_secret(tx: Transaction, act: AuditContext, endpoint: WebhookEndpoint, secret_id: UUID) -> None:
    """Remove a secret immediately; raises NotFoundError, and StateConflictError if none would be left that stays.

    Without a secret nothing is sent, so the endpoint would fail as soon as the remaining secrets expire.
    """
    secrets = tx.webhooks.secrets(endpoint.id)
    if all(secret.id != secret_id for secret in secrets):
        raise NotFoundError("webhook secret", secret_id)
    if all(item.id == secret_id or item.expires_at is not None for item in secrets):
        raise StateConflictError("this is the last secret that does not expire: add another one first")
    tx.webhooks.drop_secret(secret_id)
    _log(tx, act, "webhook.secret_removed", endpoint, {"secret": str(secret_id)})


def after_attempt(
    endpoint: WebhookEndpoint, outcome: Outcome, now: datetime, failing_for: timedelta = FAILING_FOR
) -> WebhookEndpoint:
    """Return the endpoint after an attempt; the same object if nothing has to be stored."""
    if outcome.kind is OutcomeKind.ACCEPTED:
        last = endpoint.last_success_at
        if endpoint.failing_since is None and last is not None and now - last < _SUCCESS_RECORDED_EVERY:
            return endpoint
        return replace(endpoint, failing_since=None, last_success_at=now)
    if outcome.kind is OutcomeKind.REFUSED_HERE or endpoint.state is not EndpointState.ACTIVE:
        return endpoint
    if outcome.code == _GONE:
        return replace(endpoint, state=EndpointState.GONE, state_reason="the endpoint answered 410 Gone")
    since = endpoint.failing_since or now
    if now - since >= failing_for:
        days = round(failing_for / timedelta(days=1), 1)
        reason = f"it failed for {days:g} days, at last: {outcome.code or ''} {outcome.text}".strip()
        return replace(endpoint, failing_since=since, state=EndpointState.FAILING, state_reason=reason)
    return endpoint if endpoint.failing_since is not None else replace(endpoint, failing_since=since)


def record_attempt_at(
    tx: Transaction, act: AuditContext, endpoint_id: UUID, outcome: Outcome, failing_for: timedelta = FAILING_FOR
) -> WebhookEndpoint | None:
    """Store the endpoint after an attempt. Returns it if the attempt disabled it, so that people can be notified."""
    before = tx.webhooks.get(endpoint_id)
    if before is None:
        return None
    after = after_attempt(before, outcome, act.now, failing_for)
    if after is before:
        return None
    after = replace(after, version=before.version + 1)
    tx.webhooks.save(after, before.version)
    if after.state is before.state:
        return None
    _log(tx, act, "webhook.disabled", after)
    return after


def new_secret_record(
    act: AuditContext, endpoint: WebhookEndpoint, key: UUID, kind: SignatureKind, sealed: bytes, public_key: str | None
) -> WebhookSecret:
    """Return the record of a secret. ``sealed`` is already encrypted for ``key``, the secret's id."""
    return WebhookSecret(key, endpoint.id, kind, sealed, public_key, act.now)


def _log(
    tx: Transaction, act: AuditContext, kind: str, endpoint: WebhookEndpoint, detail: Mapping[str, str] | None = None
) -> None:
    entry = act.entry(
        kind,
        subjects={"customer": tx.customers.pseudonym(endpoint.customer_id), "endpoint": str(endpoint.id)},
        detail={"state": endpoint.state.value} | dict(detail or {}),
        private={"url": endpoint.url, "description": endpoint.description, "reason": endpoint.state_reason},
    )
    tx.audit.append([entry])
