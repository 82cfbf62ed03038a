"""Accounts: who signs in, and what they may do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from notifications.ports.paging import Page


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
    #: IANA name of the zone in which the person reads and types times; None while none is chosen
    time_zone: str | None = None


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
class MembershipOffer:
    """A membership that the account has not accepted yet. It gives no permission."""

    #: also the identifier of the grant, once it is accepted
    id: UUID
    account_id: UUID
    customer_id: UUID
    #: one of ``CUSTOMER_ROLES``
    role: Role
    offered_at: datetime
    offered_by: str


#: A membership, accepted or only offered; or another role.
Membership = Grant | MembershipOffer


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """The identity of an account at an OpenID provider."""

    issuer: str
    #: the provider's ``sub``. It never changes its owner; an address can.
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

    def add_offer(self, offer: MembershipOffer) -> None:
        """Store an offer; a second one to the same account for the same customer raises StateConflictError."""
        ...

    def remove_offer(self, offer_id: UUID) -> None:
        """Remove an offer; one that is gone already changes nothing."""
        ...

    def offers(self, account_id: UUID) -> Sequence[MembershipOffer]:
        """Return the offers to an account, oldest first."""
        ...

    def offers_at(self, customer_id: UUID) -> Sequence[MembershipOffer]:
        """Return the offers of memberships for a customer, oldest first."""
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
