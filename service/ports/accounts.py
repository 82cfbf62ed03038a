"""Accounts, grants and credentials: frozen records of who may call, as stored."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class AccountKind(StrEnum):
    """What stands behind an account."""

    #: signs in, and may issue itself API tokens
    PERSON = "person"
    #: automation, by API tokens alone
    SERVICE = "service"


class Role(StrEnum):
    """What an account may do; the permissions of each stand in ``service.auth.permissions``."""

    #: declares incidents, changes facts, prepares notices
    ANALYST = "analyst"
    #: releases notices
    APPROVER = "approver"
    #: keeps customers, accounts, keys and settings; sees no incident content
    ADMINISTRATOR = "administrator"
    #: reads what concerns its customer
    CUSTOMER_MEMBER = "customer_member"
    #: a member that also keeps its customer's contacts, profile and members
    CUSTOMER_MANAGER = "customer_manager"
    #: reads, of everything or of one customer, of all time or of a period; every read is logged
    AUDITOR = "auditor"
    #: automation at the provider; each token names which of the role's permissions it has
    SERVICE_ACCOUNT = "service_account"


#: Roles that are held at a customer, never at large.
CUSTOMER_ROLES = frozenset({Role.CUSTOMER_MEMBER, Role.CUSTOMER_MANAGER})


@dataclass(frozen=True, slots=True)
class Account:
    """Someone or something that may call."""

    id: UUID
    kind: AccountKind
    name: str
    #: normalised address by which a person signs in and is reached; None for a service account
    email: str | None
    #: one of ``LANGUAGES``
    language: str
    #: an account is made inactive, never removed: the log names it
    active: bool
    created_at: datetime
    created_by: str
    #: from 1; the entity tag
    version: int = 1


@dataclass(frozen=True, slots=True)
class Grant:
    """One role of one account; a group of customers is one grant for each."""

    id: UUID
    account_id: UUID
    role: Role
    #: the customer that the role is held at; None for a role at the provider, or an auditor of everything
    customer_id: UUID | None
    #: an auditor's period: records from this moment on, None without a beginning
    starts_at: datetime | None
    #: and before this moment, None without an end
    ends_at: datetime | None
    granted_at: datetime
    granted_by: str
    #: whether it comes from the claims of an identity provider, and is taken away when they no longer give it
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
    #: None until a code of it was given once
    confirmed_at: datetime | None
    #: the last time step a code was taken for: no code is taken twice
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
    """A code for the day when no second factor is at hand; taken once."""

    account_id: UUID
    #: SHA-256 of the code; it has 80 random bits, so that a fast digest hides it
    digest: bytes = field(repr=False)
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Session:
    """A person who signed in, in one browser."""

    id: UUID
    account_id: UUID
    #: SHA-256 of the cookie's value
    digest: bytes = field(repr=False)
    #: how the person signed in: ``password``, ``password+totp``, ``password+recovery_code``, ``passkey``, ``oidc``
    method: str
    #: as the browser named itself, shortened; what its owner tells sessions apart by
    user_agent: str
    created_at: datetime
    last_seen_at: datetime
    #: end, whatever happens
    expires_at: datetime


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


@dataclass(frozen=True, slots=True)
class Link:
    """A single-use link that was handed or mailed to someone."""

    id: UUID
    #: ``invitation`` (set a first password or passkey), ``reset``, ``address`` (confirm a contact's address)
    purpose: str
    #: account or contact
    subject_id: UUID
    #: SHA-256 of the secret in the link
    digest: bytes = field(repr=False)
    #: what must be unchanged for the link to hold: the address it was sent to
    binding: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """A sign-in half way: the first factor is given, or a challenge or an identity provider is being answered."""

    id: UUID
    #: SHA-256 of the cookie that binds it to one browser
    digest: bytes = field(repr=False)
    #: ``second_factor``, ``passkey``, ``passkey_enrolment`` or ``oidc``
    purpose: str
    #: None where the person is not known yet
    account_id: UUID | None
    #: state, nonce, code verifier or challenge, encrypted by ``service.crypto.secret_box``
    sealed_data: bytes = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Throttle:
    """How often something failed, and from when it may be tried again."""

    #: keyed digest of what is throttled: no address and no name in clear
    key: bytes
    failures: int
    last_failed_at: datetime
    retry_at: datetime


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """An account as an OpenID provider knows it."""

    issuer: str
    #: the provider's ``sub``: an address may change hands, this does not
    subject: str
    account_id: UUID
    linked_at: datetime
