"""The webhook endpoints of the customers within a scope."""

from collections.abc import Sequence
from uuid import UUID

from notifications.delivery.webhook import WebhookEndpoint, WebhookSecret
from notifications.errors import NotFoundError
from service.auth.scope.visibility import OutOfScopeError, ScopedRepository


class ScopedWebhooks(ScopedRepository):
    """The endpoints within, and their secrets."""

    _name = "webhooks"

    def endpoints(self, customer_id: UUID | None) -> Sequence[WebhookEndpoint]:
        return self._tx.webhooks.endpoints(customer_id) if self._covers_one(customer_id) else ()

    def get(self, endpoint_id: UUID) -> WebhookEndpoint | None:
        endpoint = self._tx.webhooks.get(endpoint_id)
        return endpoint if endpoint is not None and self._scope.covers_customer(endpoint.customer_id) else None

    def add(self, endpoint: WebhookEndpoint) -> None:
        self._verify_customer(endpoint.customer_id)
        self._tx.webhooks.add(endpoint)

    def save(self, endpoint: WebhookEndpoint, expected_version: int) -> None:
        self._verify_endpoint(endpoint.id)
        self._verify_customer(endpoint.customer_id)
        self._tx.webhooks.save(endpoint, expected_version)

    def secrets(self, endpoint_id: UUID | None) -> Sequence[WebhookSecret]:
        if endpoint_id is None:
            raise OutOfScopeError("a list over every customer")
        return () if self.get(endpoint_id) is None else self._tx.webhooks.secrets(endpoint_id)

    def add_secret(self, secret: WebhookSecret) -> None:
        self._verify_endpoint(secret.endpoint_id)
        self._tx.webhooks.add_secret(secret)

    def save_secret(self, secret: WebhookSecret) -> None:
        self._verify_endpoint(secret.endpoint_id)
        if all(known.id != secret.id for known in self._tx.webhooks.secrets(secret.endpoint_id)):
            raise NotFoundError("webhook secret", secret.id)
        self._tx.webhooks.save_secret(secret)

    def drop_secret(self, secret_id: UUID) -> bool:
        within = (
            secret.id
            for customer_id in self._scope.customer_ids or ()
            for endpoint in self._tx.webhooks.endpoints(customer_id)
            for secret in self._tx.webhooks.secrets(endpoint.id)
        )
        return secret_id in within and self._tx.webhooks.drop_secret(secret_id)

    def _verify_endpoint(self, endpoint_id: UUID) -> None:
        if self.get(endpoint_id) is None:
            raise NotFoundError("webhook endpoint", endpoint_id)
