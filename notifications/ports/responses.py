"""The answers that are kept under idempotency keys."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The answer that was given to a request with an idempotency key."""

    #: SHA-256 of method, path and body
    fingerprint: bytes
    status: int
    #: the response body, verbatim
    body: bytes
    #: response headers that belong to the answer: ETag, Location
    headers: tuple[tuple[str, str], ...]


class ResponseRepository(Protocol):
    """The answers that were given to requests with an idempotency key."""

    def get(self, key: str) -> StoredResponse | None:
        """Return the answer recorded under the key, or None."""
        ...

    def add(self, key: str, response: StoredResponse, at: datetime) -> None:
        """Record the answer under the key, in this unit of work."""
        ...
