"""Memberships as the account sees them: offered, accepted or declined, and left.

Nobody becomes a member without its own consent. Until then an offer gives no permission.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from notifications.errors import NotFoundError
from notifications.use_cases.audit_context import AuditContext
from service.auth.accounts import grant_entry, offer_entry
from service.ports.accounts import CUSTOMER_ROLES, Grant, Membership
from service.ports.store import AccessTransaction


@dataclass(frozen=True, slots=True)
class OwnMembership:
    """A membership of the caller, or the offer of one."""

    membership: Membership
    customer_name: str

    @property
    def is_accepted(self) -> bool:
        """Whether the account acts for the customer."""
        return isinstance(self.membership, Grant)


def own_memberships(tx: AccessTransaction, account_id: UUID) -> Sequence[OwnMembership]:
    """Return the memberships of an account, accepted ones first."""
    found: list[Membership] = [grant for grant in tx.accounts.grants(account_id) if grant.role in CUSTOMER_ROLES]
    found += tx.accounts.offers(account_id)
    return [
        OwnMembership(each, tx.customers.require(each.customer_id).name)
        for each in found
        if each.customer_id is not None
    ]


def accept_membership(tx: AccessTransaction, act: AuditContext, account_id: UUID, membership_id: UUID) -> OwnMembership:
    """Accept an offered membership; a second time changes nothing. Raises NotFoundError for any other identifier."""
    own = require_own_membership(tx, account_id, membership_id)
    offer = own.membership
    if isinstance(offer, Grant):
        return own
    tx.accounts.remove_offer(offer.id)
    held = next(
        (
            grant
            for grant in tx.accounts.grants(account_id)
            if grant.role is offer.role and grant.customer_id == offer.customer_id
        ),
        None,
    )
    if held is not None:
        # An identity provider granted the same role in the meantime.
        return OwnMembership(held, own.customer_name)
    grant = Grant(offer.id, account_id, offer.role, offer.customer_id, None, None, act.now, offer.offered_by)
    tx.accounts.add_grant(grant)
    tx.audit.append([grant_entry(tx, act, "role.granted", grant)])
    return OwnMembership(grant, own.customer_name)


def leave_membership(tx: AccessTransaction, act: AuditContext, account_id: UUID, membership_id: UUID) -> None:
    """End a membership or decline its offer; raises NotFoundError. The last manager may leave too.

    A role from the claims of an identity provider is granted again at the next sign-in, while the claims contain it.
    """
    own = require_own_membership(tx, account_id, membership_id).membership
    if isinstance(own, Grant):
        tx.accounts.remove_grant(own.id)
        tx.audit.append([grant_entry(tx, act, "role.revoked", own)])
    else:
        tx.accounts.remove_offer(own.id)
        tx.audit.append([offer_entry(tx, act, "membership.declined", own)])


def require_own_membership(tx: AccessTransaction, account_id: UUID, membership_id: UUID) -> OwnMembership:
    """Return a membership of an account, or its offer; raises NotFoundError."""
    for own in own_memberships(tx, account_id):
        if own.membership.id == membership_id:
            return own
    raise NotFoundError("membership", membership_id)
