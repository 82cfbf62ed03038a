"""Accounts: who signs in, and what they may do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from notifications.ports.paging import Page


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
class ExternalIdentity:
    """An account as an OpenID provider knows it."""

    issuer: str
    #: the provider's ``sub``: an address may change hands, this does not
    subject: str
    account_id: UUID
    linked_at: datetime


class AccountRepository(Protocol):
    """Accounts, their grants, and how identity providers know them."""

    def add(self, account: Account) -> None:
        """Store a new account; an address that another account has raises StateConflictError."""
        ...

    def get(self, account_id: UUID) -> Account | None:
        """Return the account."""
        ...

    def require(self, account_id: UUID) -> Account:
        """Return the account; raises NotFoundError where there is none."""
        ...

    def by_email(self, email: str) -> Account | None:
        """Return the account by its normalised address."""
        ...

    def save(self, account: Account, expected_version: int) -> None:
        """Replace the account; ``Transaction`` has the rule for versions."""
        ...

    def page(self, page: Page) -> tuple[list[Account], str | None]:
        """Return accounts, oldest first."""
        ...

    def add_grant(self, grant: Grant) -> None:
        """Store a grant; the same role of the same account at the same customer raises StateConflictError."""
        ...

    def remove_grant(self, grant_id: UUID) -> None:
        """Take a grant away; one that is gone already changes nothing."""
        ...

    def grants(self, account_id: UUID) -> Sequence[Grant]:
        """Return the grants of an account."""
        ...

    def grants_at(self, customer_id: UUID) -> Sequence[Grant]:
        """Return the grants held at a customer."""
        ...

    def holders(self, role: Role) -> Sequence[Account]:
        """Return the active accounts that hold a role anywhere, each once."""
        ...

    def add_external_identity(self, identity: ExternalIdentity) -> None:
        """Store how a provider knows an account; the same issuer and subject raise StateConflictError."""
        ...

    def external_identity(self, issuer: str, subject: str) -> ExternalIdentity | None:
        """Return the identity by issuer and subject."""
        ...

    def external_identities(self, account_id: UUID) -> Sequence[ExternalIdentity]:
        """Return the identities of an account."""
        ...
