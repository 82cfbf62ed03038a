"""Accounts, grants and credentials: the stored records of who may use the service."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class AccountKind(StrEnum):
    """Whether an account is for a person or for a program."""

    #: signs in, and may issue API tokens to itself
    PERSON = "person"
    #: a program; uses only API tokens
    SERVICE = "service"


class Role(StrEnum):
    """What an account may do; ``service.auth.permissions`` defines the permissions of each role."""

    #: declares incidents, changes facts, prepares notices
    ANALYST = "analyst"
    #: releases notices
    APPROVER = "approver"
    #: manages customers, accounts, keys and settings; sees no incident content
    ADMINISTRATOR = "administrator"
    #: reads the data of its customer
    CUSTOMER_MEMBER = "customer_member"
    #: a member that also manages its customer's contacts, profile and members
    CUSTOMER_MANAGER = "customer_manager"
    #: reads everything or the data of one customer, of all time or of a period; every read is logged
    AUDITOR = "auditor"
    #: a program of the provider; each token has a subset of the role's permissions
    SERVICE_ACCOUNT = "service_account"


#: Roles that always belong to one customer.
CUSTOMER_ROLES = frozenset({Role.CUSTOMER_MEMBER, Role.CUSTOMER_MANAGER})


@dataclass(frozen=True, slots=True)
class Account:
    """A person or a program that may use the service."""

    id: UUID
    kind: AccountKind
    name: str
    #: normalised address with which a person signs in and to which mails go; None for a service account
    email: str | None
    #: one of ``LANGUAGES``
    language: str
    #: an account is deactivated, never deleted, because the log names it
    active: bool
    created_at: datetime
    created_by: str
    #: from 1; the entity tag
    version: int = 1


@dataclass(frozen=True, slots=True)
class Grant:
    """One role of one account. An account with a role for several customers has one grant per customer."""

    id: UUID
    account_id: UUID
    role: Role
    #: the customer of the role; None for a role at the provider, or for an auditor of everything
    customer_id: UUID | None
    #: start of an auditor's period (inclusive); None for no start
    starts_at: datetime | None
    #: end of an auditor's period (exclusive); None for no end
    ends_at: datetime | None
    granted_at: datetime
    granted_by: str
    #: whether it comes from the claims of an identity provider; it is removed when they no longer contain it
    from_claims: bool = False


@dataclass(frozen=True, slots=True)
class Password:
    """The password of a local account."""

    account_id: UUID
    #: argon2id, in the PHC string format
    hash: str = field(repr=False)
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Totp:
    """A time-based one-time-password generator (RFC 6238)."""

    account_id: UUID
    #: the seed, encrypted by ``service.crypto.secret_box`` for this account
    sealed_seed: bytes = field(repr=False)
    created_at: datetime
    #: when its owner first entered a valid code; None before that
    confirmed_at: datetime | None
    #: time step of the last accepted code, so that no code is accepted twice
    last_step: int


@dataclass(frozen=True, slots=True)
class Passkey:
    """A WebAuthn credential."""

    id: UUID
    account_id: UUID
    credential_id: bytes
    #: COSE key
    public_key: bytes
    sign_count: int
    name: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """A single-use code that replaces a lost second factor."""

    account_id: UUID
    #: SHA-256 of the code; it has 80 random bits, so that a fast digest hides it
    digest: bytes = field(repr=False)
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person in one browser."""

    id: UUID
    account_id: UUID
    #: SHA-256 of the cookie's value
    digest: bytes = field(repr=False)
    #: how the person signed in: ``password``, ``password+totp``, ``password+recovery_code``, ``passkey``, ``oidc``
    method: str
    #: the browser's User-Agent, shortened; its owner distinguishes sessions by it
    user_agent: str
    created_at: datetime
    last_seen_at: datetime
    #: absolute end, even if the session is in use
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A bearer token. The token itself is shown once and never stored."""

    id: UUID
    account_id: UUID
    name: str
    #: SHA-256 of the token; it has 256 random bits, so that a fast digest hides it
    digest: bytes = field(repr=False)
    #: its first characters, so that its owner can recognise it
    hint: str
    #: its permissions by name; the account must have them too
    permissions: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A single-use link that was given or mailed to a person."""

    id: UUID
    #: ``invitation`` (set a first password or passkey), ``reset``, ``address`` (confirm a contact's address)
    purpose: str
    #: account or contact
    subject_id: UUID
    #: SHA-256 of the secret in the link
    digest: bytes = field(repr=False)
    #: the address that it was sent to; the link is invalid once this address has changed
    binding: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """A pending sign-in: it waits for a second factor, a passkey or the identity provider."""

    id: UUID
    #: SHA-256 of the cookie that binds it to one browser
    digest: bytes = field(repr=False)
    #: ``second_factor``, ``passkey``, ``passkey_enrolment`` or ``oidc``
    purpose: str
    #: None as long as the person is not known
    account_id: UUID | None
    #: state, nonce, code verifier or challenge, encrypted by ``service.crypto.secret_box``
    sealed_data: bytes = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Throttle:
    """The number of failed attempts, and the time from which another attempt is allowed."""

    #: keyed digest of what is throttled, so that no address or name is stored in clear
    key: bytes
    failures: int
    last_failed_at: datetime
    retry_at: datetime


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """The identity of an account at an OpenID provider."""

    issuer: str
    #: the provider's ``sub``. It never changes its owner; an address can.
    subject: str
    account_id: UUID
    linked_at: datetime
