"""Webhook endpoints of customers and the secrets that sign what is sent to them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class EndpointState(StrEnum):
    """Whether an endpoint is sent to."""

    ACTIVE = "active"
    #: by a person
    DISABLED = "disabled"
    #: by this service, after it failed for too long
    FAILING = "failing"
    #: by this service, because the endpoint answered 410
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """An address of a customer's own system that notices are posted to."""

    id: UUID
    customer_id: UUID
    #: https, without userinfo or fragment
    url: str
    description: str
    state: EndpointState
    #: why it is not active, in one line; None while it is
    state_reason: str | None
    created_at: datetime
    created_by: str
    #: since when every attempt failed; None when the last one did not
    failing_since: datetime | None = None
    last_success_at: datetime | None = None
    #: from 1; the entity tag
    version: int = 1


class SignatureKind(StrEnum):
    """Signature schemes of Standard Webhooks."""

    #: HMAC-SHA256 under a shared secret
    V1 = "v1"
    #: Ed25519
    V1A = "v1a"


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """One key that signs what goes to an endpoint; several at once while they are rotated."""

    id: UUID
    endpoint_id: UUID
    kind: SignatureKind
    #: the secret or private key, encrypted at rest
    sealed: bytes
    #: what the receiver verifies ``v1a`` with; None for ``v1``
    public_key: str | None
    created_at: datetime
    #: when it signs no more; None for not yet decided
    expires_at: datetime | None = None
