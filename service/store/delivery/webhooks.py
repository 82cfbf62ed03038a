"""Webhook endpoints, and the secrets that sign the messages to them."""

from collections.abc import Sequence
from uuid import UUID

from notifications.delivery.webhook import WebhookEndpoint, WebhookSecret
from notifications.errors import NotFoundError
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled_text
from service.store.tables import WebhookEndpointRow, WebhookSecretRow

ENDPOINTS, SECRETS = FlatTable(WebhookEndpoint, WebhookEndpointRow), FlatTable(WebhookSecret, WebhookSecretRow)
ENDPOINT_BY_ID = ENDPOINTS.by("id")
SECRETS_OF_ENDPOINT = SECRETS.by("endpoint_id", ordered=True)
_OF_CUSTOMER = ENDPOINTS.by("customer_id", ordered=True)
_ALL_ENDPOINTS, _ALL_SECRETS = ENDPOINTS.by(ordered=True), SECRETS.by(ordered=True)
_CHANGED = ("url", "description", "state", "state_reason", "failing_since", "last_success_at", "takes_exercises")
_UPDATE = compiled_text(
    "UPDATE webhook_endpoints SET url = :url, description = :description, state = :state,"
    " state_reason = :state_reason, failing_since = :failing_since, last_success_at = :last_success_at,"
    " takes_exercises = :takes_exercises, version = :version WHERE id = :id AND version = :expected",
    *_CHANGED, "version", "id", "expected",
)  # fmt: skip
_VERSION = compiled_text("SELECT version FROM webhook_endpoints WHERE id = :id", "id")
_UPDATE_SECRET = SECRETS.update("sealed", "expires_at")
_DROP_SECRET = compiled_text("DELETE FROM webhook_secrets WHERE id = :id", "id")


class WebhookRecords(Records):
    """Webhooks; see ``notifications.ports``."""

    def add(self, endpoint: WebhookEndpoint) -> None:
        """Store a new endpoint."""
        self._session.execute(ENDPOINTS.insert, ENDPOINTS.values(endpoint))
        self._changed("webhooks")

    def get(self, endpoint_id: UUID) -> WebhookEndpoint | None:
        """Return the endpoint."""
        row = self._session.one(ENDPOINT_BY_ID, (endpoint_id.bytes,))
        return None if row is None else ENDPOINTS.record(row)

    def save(self, endpoint: WebhookEndpoint, expected_version: int) -> None:
        """Replace the endpoint; raises VersionMismatchError."""
        self._replace(
            "webhook endpoint",
            endpoint.id,
            expected_version,
            endpoint.version,
            _VERSION,
            _UPDATE,
            ENDPOINTS.some_values(endpoint, *_CHANGED),
        )
        self._changed("webhooks")

    def endpoints(self, customer_id: UUID | None) -> Sequence[WebhookEndpoint]:
        """Return the endpoints of a customer, or of all, oldest first."""
        if customer_id is None:
            rows = self._session.all(_ALL_ENDPOINTS)
        else:
            rows = self._session.all(_OF_CUSTOMER, (customer_id.bytes,))
        return [ENDPOINTS.record(row) for row in rows]

    def add_secret(self, secret: WebhookSecret) -> None:
        """Store a new secret."""
        self._session.execute(SECRETS.insert, SECRETS.values(secret))
        self._changed("webhooks")

    def secrets(self, endpoint_id: UUID | None) -> Sequence[WebhookSecret]:
        """Return the secrets of an endpoint, or of all, oldest first."""
        if endpoint_id is None:
            rows = self._session.all(_ALL_SECRETS)
        else:
            rows = self._session.all(SECRETS_OF_ENDPOINT, (endpoint_id.bytes,))
        return [SECRETS.record(row) for row in rows]

    def save_secret(self, secret: WebhookSecret) -> None:
        """Replace what is sealed and when it expires; raises NotFoundError."""
        values = SECRETS.some_values(secret, "sealed", "expires_at", "id")
        if self._session.execute(_UPDATE_SECRET, values).rowcount != 1:
            raise NotFoundError("webhook secret", secret.id)
        self._changed("webhooks")

    def drop_secret(self, secret_id: UUID) -> bool:
        """Remove a secret; returns whether there was one."""
        removed: int = self._session.execute(_DROP_SECRET, (secret_id.bytes,)).rowcount
        if removed:
            self._changed("webhooks")
        return removed > 0
