"""Settings of the OpenID provider, and the error for every refused sign-in through it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

#: Largest difference of clocks that the settings may allow.
MAX_CLOCK_SKEW_SECONDS = 60


class OidcRefusedError(Exception):
    """The sign-in is refused; ``reason`` is a code for the log, and never text from the provider or a URL."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the sign-in by the OpenID provider was refused: {reason}")


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """One provider, this service's client there, and the mapping of its claims."""

    #: the issuer, exactly as the provider states it
    issuer: str
    client_id: str
    #: None for a public client, which uses only PKCE
    client_secret: str | None = field(repr=False)
    #: as registered at the provider, which compares it character by character
    redirect_uri: str
    scopes: str = "openid email profile"
    #: dotted path of the claim with roles or groups
    role_claim: str | None = None
    #: value of that claim to the name of a role, or ``customer_auditor``
    roles: Mapping[str, str] = field(default_factory=dict)
    #: dotted path of the claim that names the customers for which a person acts
    customer_claim: str | None = None
    #: value of that claim to a customer; empty if the values are the customers' ids
    customers: Mapping[str, UUID] = field(default_factory=dict)
    #: whether a person without an account gets one
    create_accounts: bool = False
    #: whether addresses are trusted without ``email_verified``, because the provider verifies every address
    trust_email: bool = False
    clock_skew_seconds: float = 30
    #: one of these authentication contexts is requested, and the token must state it; empty for no requirement
    require_acr: tuple[str, ...] = ()
    #: the token must state one of these methods (RFC 8176); empty for no requirement
    require_amr: tuple[str, ...] = ()
    #: CA bundle for the provider's certificate; None for the system's
    ca_file: Path | None = None
    #: timeout of each request to the provider, from first to last byte
    timeout_seconds: float = 10
    #: time that a person may take at the provider
    pending_seconds: float = 600
    #: language of a new account if the claims name no supported one
    default_language: str = "fr"
