"""Stored responses to requests with an idempotency key."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The response that was sent to a request with an idempotency key."""

    #: SHA-256 of method, path and body
    fingerprint: bytes
    status: int
    #: the response body, verbatim
    body: bytes
    #: stored response headers: ETag, Location
    headers: tuple[tuple[str, str], ...]


class ResponseRepository(Protocol):
    """The stored responses to requests with an idempotency key."""

    def get(self, key: str) -> StoredResponse | None:
        """Return the response that is stored under the key, or None."""
        ...

    def add(self, key: str, response: StoredResponse, at: datetime) -> None:
        """Store the response under the key, in this unit of work."""
        ...
