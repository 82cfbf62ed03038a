"""Who calls, and how far each of its permissions reaches. Pure: what is granted goes in, what is allowed comes out."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from service.auth.permissions import Permission, permissions_of
from service.ports.accounts import CUSTOMER_ROLES, AccountKind, Grant, Role


@dataclass(frozen=True, slots=True)
class Reach:
    """How far one grant carries one permission."""

    #: one customer, or None for every customer
    customer_id: UUID | None
    #: records from this moment on; None without a beginning
    starts_at: datetime | None
    #: and before this one; None without an end
    ends_at: datetime | None
    #: sees the provider's side: drafts, incidents; else only what was served
    at_provider: bool
    #: every read by this grant is logged
    logged: bool

    def covers(self, customer_id: UUID | None, at: datetime | None) -> bool:
        """Whether a record of a customer (None: of no single one) and of a moment (None: timeless) is within."""
        if self.customer_id is not None and self.customer_id != customer_id:
            return False
        if at is None:
            return True
        return (self.starts_at is None or self.starts_at <= at) and (self.ends_at is None or at < self.ends_at)


@dataclass(frozen=True, slots=True)
class Scope:
    """How far a caller's permission reaches, over all its grants. Never empty."""

    reaches: tuple[Reach, ...]

    @property
    def is_unlimited(self) -> bool:
        """Whether everything of the provider's side is within."""
        return any(_is_unlimited(reach) for reach in self.reaches)

    @property
    def is_logged(self) -> bool:
        """Whether a read has to be logged: it may be by an auditor's grant."""
        return any(reach.logged for reach in self.reaches) and not any(
            _is_unlimited(reach) and not reach.logged for reach in self.reaches
        )

    @property
    def at_provider(self) -> bool:
        """Whether some grant of the provider's side is among them."""
        return any(reach.at_provider for reach in self.reaches)

    @property
    def customer_ids(self) -> frozenset[UUID] | None:
        """The customers within, or None for every one."""
        if any(reach.customer_id is None for reach in self.reaches):
            return None
        return frozenset(reach.customer_id for reach in self.reaches if reach.customer_id is not None)

    def covers_customer(self, customer_id: UUID) -> bool:
        """Whether the customer is within, whatever the period."""
        return any(reach.covers(customer_id, None) for reach in self.reaches)

    def covers(self, customer_id: UUID | None, at: datetime, *, served: bool = True) -> bool:
        """Whether a record is within: its customer, its moment, and, unless it was served, the provider's side."""
        return any(reach.covers(customer_id, at) and (served or reach.at_provider) for reach in self.reaches)


def customer_scope(customer_id: UUID) -> Scope:
    """Return what a customer itself sees, for what is made for it by somebody else."""
    return Scope((Reach(customer_id, None, None, at_provider=False, logged=False),))


def _is_unlimited(reach: Reach) -> bool:
    return reach.customer_id is None and reach.starts_at is None and reach.ends_at is None and reach.at_provider


#: Ways to sign in that rest on one factor of ours.
_ONE_FACTOR = frozenset({"password"})


def must_enrol(method: str, grants: tuple[Grant, ...]) -> bool:
    """Whether a session by this method needs a second factor before anything else: at the provider, by password alone.

    What an identity provider asks of its users is that provider's affair: ``oidc`` is not asked for more.
    """
    return method in _ONE_FACTOR and any(grant.role not in CUSTOMER_ROLES for grant in grants)


@dataclass(frozen=True, slots=True)
class Caller:
    """An account that has proven itself, by a session or a token."""

    account_id: UUID
    kind: AccountKind
    name: str
    language: str
    grants: tuple[Grant, ...]
    #: what the token carries; None for a session, which carries all that the account holds
    token_permissions: frozenset[str] | None = None
    token_id: UUID | None = None
    session_id: UUID | None = None
    #: the value that proves that a form or a script of ours sent the request; None for a token, which needs none
    csrf_token: str | None = field(default=None, repr=False)
    #: a session that has to enrol a second factor first: it carries no role until then
    must_enrol: bool = False

    @property
    def actor(self) -> str:
        """The name in the audit log: the account, whichever credential it used."""
        return f"account:{self.account_id}"

    def roles(self) -> frozenset[Role]:
        """Return the roles held anywhere."""
        return frozenset(grant.role for grant in self.grants)

    def scope(self, permission: Permission) -> Scope | None:
        """Return how far a permission reaches, or None where it is not had."""
        if self.token_permissions is not None and permission.value not in self.token_permissions:
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
