"""What an installation says of its OpenID provider, and the one error by which a sign-in there is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

#: Largest difference of clocks that may be allowed for.
MAX_CLOCK_SKEW_SECONDS = 60


class OidcRefusedError(Exception):
    """The sign-in is refused; ``reason`` is a code for the log, and nothing that the provider or a URL said."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the sign-in by the OpenID provider was refused: {reason}")


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """One provider, one client at it, and what its claims mean here."""

    #: exactly as the provider names itself
    issuer: str
    client_id: str
    #: None for a public client, which has PKCE alone
    client_secret: str | None = field(repr=False)
    #: registered at the provider, compared there character by character
    redirect_uri: str
    scopes: str = "openid email profile"
    #: dotted path of the claim with roles or groups
    role_claim: str | None = None
    #: value of that claim to the name of a role, or ``customer_auditor``
    roles: Mapping[str, str] = field(default_factory=dict)
    #: dotted path of the claim that says for which customers somebody acts
    customer_claim: str | None = None
    #: value of that claim to a customer; empty where the values are the customers' ids themselves
    customers: Mapping[str, UUID] = field(default_factory=dict)
    #: whether somebody whom nobody registered here gets an account
    create_accounts: bool = False
    #: the provider lets nobody state an address that is not theirs, and says so by no ``email_verified``
    trust_email: bool = False
    clock_skew_seconds: float = 30
    #: one of these authentication contexts is asked for and must be stated; empty for whatever the provider does
    require_acr: tuple[str, ...] = ()
    #: one of these methods must have been used (RFC 8176)
    require_amr: tuple[str, ...] = ()
    #: CA bundle for the provider's certificate; None for the system's
    ca_file: Path | None = None
    #: for each question to the provider, from first to last byte
    timeout_seconds: float = 10
    #: how long a person may take at the provider
    pending_seconds: float = 600
    #: language of an account whose claims name none that there is
    default_language: str = "fr"
