"""The settings of the OpenID provider."""

from pathlib import Path
from uuid import UUID

from pydantic import Field, SecretStr

from service.settings.part import Part, read_text


class OidcSettings(Part):
    """Sign-in by an OpenID provider: one provider, one client at it, and what its claims mean here."""

    issuer: str = Field(
        default="",
        description="The issuer, exactly as the provider's discovery document says, by https (http on loopback only). "
        "Without it, people sign in at this service only.",
    )
    client_id: str = Field(default="", description="Id of the client. Needed with `issuer`.")
    client_secret: SecretStr | None = Field(
        default=None,
        description="Secret of the client. Without it and its file, the client is public and has PKCE only.",
    )
    client_secret_file: Path | None = Field(default=None, description="File that holds the secret of the client.")
    scopes: str = Field(default="openid email profile", description="Scopes to ask for, with `openid` among them.")
    role_claim: str | None = Field(
        default=None, description="Dotted path of the claim with roles or groups, such as `realm_access.roles`."
    )
    roles: dict[str, str] = Field(
        default_factory=dict,
        description="Value of that claim to `analyst`, `approver`, `administrator`, `auditor`, `customer_member`, "
        "`customer_manager` or `customer_auditor`.",
    )
    customer_claim: str | None = Field(
        default=None, description="Dotted path of the claim that names the customers for which a person acts."
    )
    customers: dict[str, UUID] = Field(
        default_factory=dict,
        description="Value of that claim to the id of a customer. Without it, the values are the ids.",
    )
    create_accounts: bool = Field(
        default=False, description="A person who is not registered gets an account, if the claims give a role."
    )
    trust_email: bool = Field(
        default=False,
        description="The provider states no `email_verified`, and lets nobody state an address of another person.",
    )
    clock_skew_seconds: float = Field(default=30, ge=0, le=60, description="Largest difference between the two clocks.")
    require_acr: tuple[str, ...] = Field(
        default=(), description="One of these must be the `acr` of a sign-in. Without it, any."
    )
    require_amr: tuple[str, ...] = Field(
        default=(), description="One of these must be among the `amr` of a sign-in. Without it, any."
    )
    ca_file: Path | None = Field(
        default=None,
        description="CA bundle for the provider's certificate. Without it, the CA certificates of the system.",
    )
    timeout_seconds: float = Field(default=10, gt=0, le=60, description="Time for one answer of the provider.")

    def secret(self) -> str | None:
        """Return the secret of the client, or None for a public client; raises InvalidInputError."""
        if self.client_secret is not None:
            return self.client_secret.get_secret_value()
        if self.client_secret_file is None:
            return None
        return read_text(self.client_secret_file, "oidc.client_secret_file").strip() or None
