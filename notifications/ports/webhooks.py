"""The webhook endpoints of customers, and the secrets that sign the messages to them."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from notifications.delivery.webhook import WebhookEndpoint, WebhookSecret


class WebhookRepository(Protocol):
    """The webhook endpoints of customers, and the secrets that sign the messages to them."""

    def add(self, endpoint: WebhookEndpoint) -> None:
        """Store a new endpoint."""
        ...

    def get(self, endpoint_id: UUID) -> WebhookEndpoint | None:
        """Return the endpoint."""
        ...

    def save(self, endpoint: WebhookEndpoint, expected_version: int) -> None:
        """Replace the endpoint; ``Transaction`` has the rule for versions."""
        ...

    def endpoints(self, customer_id: UUID | None) -> Sequence[WebhookEndpoint]:
        """Return the endpoints of a customer, or (None) of all customers, oldest first."""
        ...

    def add_secret(self, secret: WebhookSecret) -> None:
        """Store a new secret."""
        ...

    def secrets(self, endpoint_id: UUID | None) -> Sequence[WebhookSecret]:
        """Return the secrets of an endpoint, or (None) of all endpoints, oldest first."""
        ...

    def save_secret(self, secret: WebhookSecret) -> None:
        """Replace the encrypted secret and its expiry; raises NotFoundError."""
        ...

    def drop_secret(self, secret_id: UUID) -> bool:
        """Remove a secret. Returns whether it existed."""
        ...
