"""The interim guard: one bearer token from settings, until accounts, roles and tenants take over."""

import hashlib
import hmac
from dataclasses import dataclass

#: The actor of every act done with the interim token, as the audit log names it.
INTERIM_ACTOR = "token:interim"


@dataclass(frozen=True, slots=True, repr=False)
class BearerGuard:
    """Holds the digest of the token, never the token."""

    token_sha256: bytes

    @classmethod
    def of(cls, token: str) -> "BearerGuard":
        """Build from the token."""
        return cls(hashlib.sha256(token.encode()).digest())

    def actor(self, authorization: str | None) -> str | None:
        """Return the actor that an Authorization header proves, or None; compares in constant time."""
        scheme, _, token = (authorization or "").partition(" ")
        offered = hashlib.sha256(token.strip().encode("utf-8", "surrogatepass")).digest()
        matches = hmac.compare_digest(offered, self.token_sha256)
        return INTERIM_ACTOR if matches and scheme.lower() == "bearer" else None
