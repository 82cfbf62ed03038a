"""API tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A bearer token; the token itself is shown once and stored nowhere."""

    id: UUID
    account_id: UUID
    name: str
    #: SHA-256 of the token; it has 256 random bits, so that a fast digest hides it
    digest: bytes = field(repr=False)
    #: its first characters, by which its owner tells it apart
    hint: str
    #: names of permissions that it carries; the account must hold them too
    permissions: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class TokenRepository(Protocol):
    """API tokens of accounts."""

    def add(self, token: ApiToken) -> None:
        """Store a token."""
        ...

    def get(self, digest: bytes) -> ApiToken | None:
        """Return the token by its digest, whatever its state."""
        ...

    def of_account(self, account_id: UUID) -> Sequence[ApiToken]:
        """Return the tokens of an account, revoked ones too."""
        ...

    def touch(self, token_id: UUID, at: datetime) -> None:
        """Record that the token was used."""
        ...

    def revoke(self, token_id: UUID, at: datetime) -> None:
        """Revoke a token; one that is revoked keeps its time."""
        ...
