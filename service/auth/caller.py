"""The caller of a request and the scope of each of its permissions. Pure: computed only from the grants."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from service.auth.permissions import PERMISSIONS_OF_PEOPLE, Permission, permissions_of
from service.ports.accounts import CUSTOMER_ROLES, AccountKind, Grant, Role


@dataclass(frozen=True, slots=True)
class Reach:
    """The records that one grant covers for one permission."""

    #: one customer, or None for every customer
    customer_id: UUID | None
    #: start of the records (inclusive); None for no start
    starts_at: datetime | None
    #: end of the records (exclusive); None for no end
    ends_at: datetime | None
    #: whether it includes the provider's own records (drafts, incidents); otherwise only what was served
    at_provider: bool
    #: every read by this grant is logged
    logged: bool

    def covers(self, customer_id: UUID | None, at: datetime | None) -> bool:
        """Return whether it covers a record of a customer (None: of no single one) and a time (None: timeless)."""
        if self.customer_id is not None and self.customer_id != customer_id:
            return False
        if at is None:
            return True
        return (self.starts_at is None or self.starts_at <= at) and (self.ends_at is None or at < self.ends_at)


@dataclass(frozen=True, slots=True)
class Scope:
    """The records that a caller's permission covers, over all its grants. Never empty."""

    reaches: tuple[Reach, ...]

    @property
    def is_unlimited(self) -> bool:
        """Whether it covers everything, including all of the provider's own records."""
        return any(_is_unlimited(reach) for reach in self.reaches)

    @property
    def is_logged(self) -> bool:
        """Whether reads must be logged, because an auditor's grant may be the reason for them."""
        return any(reach.logged for reach in self.reaches) and not any(
            _is_unlimited(reach) and not reach.logged for reach in self.reaches
        )

    @property
    def at_provider(self) -> bool:
        """Whether at least one grant includes the provider's own records."""
        return any(reach.at_provider for reach in self.reaches)

    @property
    def customer_ids(self) -> frozenset[UUID] | None:
        """The customers that it covers, or None for all."""
        if any(reach.customer_id is None for reach in self.reaches):
            return None
        return frozenset(reach.customer_id for reach in self.reaches if reach.customer_id is not None)

    def covers_customer(self, customer_id: UUID) -> bool:
        """Return whether it covers the customer in any period."""
        return any(reach.covers(customer_id, None) for reach in self.reaches)

    def covers(self, customer_id: UUID | None, at: datetime, *, served: bool = True) -> bool:
        """Return whether it covers a record: its customer, its time and, if not served, the provider's own records."""
        return any(reach.covers(customer_id, at) and (served or reach.at_provider) for reach in self.reaches)


def customer_scope(customer_id: UUID) -> Scope:
    """Return the scope of a customer itself, for output that another person makes for it."""
    return Scope((Reach(customer_id, None, None, at_provider=False, logged=False),))


def _is_unlimited(reach: Reach) -> bool:
    return reach.customer_id is None and reach.starts_at is None and reach.ends_at is None and reach.at_provider


#: Sign-in methods with only one factor of this service.
_ONE_FACTOR = frozenset({"password"})


def must_enrol(method: str, grants: tuple[Grant, ...]) -> bool:
    """Return whether a session must enrol a second factor first: it has a role at the provider and only a password.

    An identity provider decides about the factors of its users, so ``oidc`` needs no further factor here.
    """
    return method in _ONE_FACTOR and any(grant.role not in CUSTOMER_ROLES for grant in grants)


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated account, by a session or a token."""

    account_id: UUID
    kind: AccountKind
    name: str
    language: str
    grants: tuple[Grant, ...]
    #: the permissions of the token; None for a session, which has all permissions of the account
    token_permissions: frozenset[str] | None = None
    token_id: UUID | None = None
    session_id: UUID | None = None
    #: CSRF token, which proves that a page of this service sent the request; None for a bearer token
    csrf_token: str | None = field(default=None, repr=False)
    #: whether the session must enrol a second factor first; it has no role until then
    must_enrol: bool = False
    #: zone of the times that it reads and types: its own, else that of the customer it acts for; None for neither
    time_zone: str | None = None

    @property
    def actor(self) -> str:
        """The name in the audit log: the account, for any of its credentials."""
        return f"account:{self.account_id}"

    def roles(self) -> frozenset[Role]:
        """Return all roles, at the provider and for customers."""
        return frozenset(grant.role for grant in self.grants)

    def scope(self, permission: Permission) -> Scope | None:
        """Return the scope of a permission, or None if the caller does not have it."""
        if self.token_permissions is not None and permission.value not in self.token_permissions:
            return None
        if self.kind is AccountKind.SERVICE and permission in PERMISSIONS_OF_PEOPLE:
            return None
        if permission is Permission.SELF:
            return Scope((Reach(None, None, None, at_provider=False, logged=False),))
        reaches = tuple(
            _reach(grant)
            for grant in self.grants
            if permission in permissions_of(grant.role, at_one_customer=grant.customer_id is not None)
        )
        return Scope(reaches) if reaches else None


def _reach(grant: Grant) -> Reach:
    return Reach(
        customer_id=grant.customer_id,
        starts_at=grant.starts_at,
        ends_at=grant.ends_at,
        at_provider=grant.role not in CUSTOMER_ROLES and grant.customer_id is None,
        logged=grant.role is Role.AUDITOR,
    )
