"""Accounts, grants, credentials, sessions of ``service.ports.accounts``: one column per field, with its name."""

from sqlalchemy import Index
from sqlmodel import SQLModel

from service.store.tables import columns


class AccountRow(SQLModel, table=True):
    """``Account``."""

    __tablename__ = "accounts"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    kind: str = columns.text()
    name: str = columns.text()
    email: str | None = columns.text(nullable=True, unique=True)
    language: str = columns.text()
    active: bool = columns.boolean()
    created_at: int = columns.integer()
    created_by: str = columns.text()
    version: int = columns.integer()
    time_zone: str | None = columns.text(nullable=True)


class GrantRow(SQLModel, table=True):
    """``Grant``. ``held_at`` is the customer's id, or empty, because a unique constraint ignores NULL."""

    __tablename__ = "grants"
    __table_args__ = (
        Index("uq_grants_account_id_role_held_at", "account_id", "role", "held_at", unique=True),
        Index("ix_grants_customer_id", "customer_id"),
        Index("ix_grants_role", "role"),
    )
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    account_id: bytes = columns.identifier("accounts.id")
    role: str = columns.text()
    customer_id: bytes | None = columns.identifier("customers.id", nullable=True)
    starts_at: int | None = columns.integer(nullable=True)
    ends_at: int | None = columns.integer(nullable=True)
    granted_at: int = columns.integer()
    granted_by: str = columns.text()
    from_claims: bool = columns.boolean()
    held_at: bytes = columns.binary()


class MembershipOfferRow(SQLModel, table=True):
    """``MembershipOffer``."""

    __tablename__ = "membership_offers"
    __table_args__ = (
        Index("uq_membership_offers_account_id_customer_id", "account_id", "customer_id", unique=True),
        Index("ix_membership_offers_customer_id", "customer_id"),
    )
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    account_id: bytes = columns.identifier("accounts.id")
    customer_id: bytes = columns.identifier("customers.id")
    role: str = columns.text()
    offered_at: int = columns.integer()
    offered_by: str = columns.text()


class PasswordRow(SQLModel, table=True):
    """``Password``."""

    __tablename__ = "passwords"
    account_id: bytes = columns.identifier("accounts.id", primary_key=True)
    hash: str = columns.text()
    changed_at: int = columns.integer()


class TotpRow(SQLModel, table=True):
    """``Totp``."""

    __tablename__ = "totps"
    account_id: bytes = columns.identifier("accounts.id", primary_key=True)
    sealed_seed: bytes = columns.binary()
    created_at: int = columns.integer()
    confirmed_at: int | None = columns.integer(nullable=True)
    last_step: int = columns.integer()


class PasskeyRow(SQLModel, table=True):
    """``Passkey``."""

    __tablename__ = "passkeys"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    account_id: bytes = columns.identifier("accounts.id", index=True)
    credential_id: bytes = columns.binary(unique=True)
    public_key: bytes = columns.binary()
    sign_count: int = columns.integer()
    name: str = columns.text()
    created_at: int = columns.integer()
    last_used_at: int | None = columns.integer(nullable=True)


class RecoveryCodeRow(SQLModel, table=True):
    """``RecoveryCode``."""

    __tablename__ = "recovery_codes"
    position: int | None = columns.position()
    account_id: bytes = columns.identifier("accounts.id", index=True)
    digest: bytes = columns.binary(unique=True)
    created_at: int = columns.integer()
    used_at: int | None = columns.integer(nullable=True)


class ExternalIdentityRow(SQLModel, table=True):
    """``ExternalIdentity``."""

    __tablename__ = "external_identities"
    issuer: str = columns.text(primary_key=True)
    subject: str = columns.text(primary_key=True)
    account_id: bytes = columns.identifier("accounts.id", index=True)
    linked_at: int = columns.integer()


class SessionRow(SQLModel, table=True):
    """``Session``."""

    __tablename__ = "sessions"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    account_id: bytes = columns.identifier("accounts.id", index=True)
    digest: bytes = columns.binary(unique=True)
    method: str = columns.text()
    user_agent: str = columns.text()
    created_at: int = columns.integer()
    last_seen_at: int = columns.integer()
    expires_at: int = columns.integer(index=True)


class ApiTokenRow(SQLModel, table=True):
    """``ApiToken``."""

    __tablename__ = "api_tokens"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    account_id: bytes = columns.identifier("accounts.id", index=True)
    name: str = columns.text()
    digest: bytes = columns.binary(unique=True)
    hint: str = columns.text()
    permissions: str = columns.text()
    created_at: int = columns.integer()
    created_by: str = columns.text()
    expires_at: int = columns.integer()
    last_used_at: int | None = columns.integer(nullable=True)
    revoked_at: int | None = columns.integer(nullable=True)


class LinkRow(SQLModel, table=True):
    """``Link``."""

    __tablename__ = "links"
    __table_args__ = (Index("ix_links_subject_id_purpose", "subject_id", "purpose"),)
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    purpose: str = columns.text()
    subject_id: bytes = columns.identifier()
    digest: bytes = columns.binary(unique=True)
    binding: str = columns.text()
    created_at: int = columns.integer()
    expires_at: int = columns.integer(index=True)
    used_at: int | None = columns.integer(nullable=True)


class PendingSignInRow(SQLModel, table=True):
    """``PendingSignIn``."""

    __tablename__ = "pending_sign_ins"
    position: int | None = columns.position()
    id: bytes = columns.identifier(unique=True)
    digest: bytes = columns.binary(unique=True)
    purpose: str = columns.text()
    account_id: bytes | None = columns.identifier("accounts.id", nullable=True)
    sealed_data: bytes = columns.binary()
    expires_at: int = columns.integer(index=True)


class ThrottleRow(SQLModel, table=True):
    """``Throttle``."""

    __tablename__ = "throttles"
    key: bytes = columns.binary(primary_key=True)
    failures: int = columns.integer()
    last_failed_at: int = columns.integer()
    retry_at: int = columns.integer(index=True)
