"""Webhook endpoints of customers, and the secrets that sign the messages to them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class EndpointState(StrEnum):
    """Whether messages are sent to an endpoint, and if not, why."""

    ACTIVE = "active"
    #: disabled by a person
    DISABLED = "disabled"
    #: disabled by this service, after it failed for too long
    FAILING = "failing"
    #: disabled by this service, because the endpoint answered 410
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """A URL of a customer's system to which notices are posted."""

    id: UUID
    customer_id: UUID
    #: https, without userinfo or fragment
    url: str
    description: str
    state: EndpointState
    #: why it is not active, in one line; None if it is active
    state_reason: str | None
    created_at: datetime
    created_by: str
    #: since when every attempt failed; None if the last attempt succeeded
    failing_since: datetime | None = None
    last_success_at: datetime | None = None
    #: from 1; the entity tag
    version: int = 1
    #: whether notices of exercises are posted to it
    takes_exercises: bool = False


class SignatureKind(StrEnum):
    """Signature schemes of Standard Webhooks."""

    #: HMAC-SHA256 under a shared secret
    V1 = "v1"
    #: Ed25519
    V1A = "v1a"


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """One key that signs the messages to an endpoint; there are several during a rotation."""

    id: UUID
    endpoint_id: UUID
    kind: SignatureKind
    #: the secret or private key, encrypted at rest
    sealed: bytes
    #: key with which the receiver verifies ``v1a``; None for ``v1``
    public_key: str | None
    created_at: datetime
    #: when it stops signing; None if that is not decided yet
    expires_at: datetime | None = None
