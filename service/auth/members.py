"""Members act for a customer; its managers manage them. Managers learn nothing about an account's other roles."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from notifications.errors import NotFoundError, StateConflictError
from notifications.use_cases.audit_context import AuditContext
from service.auth.accounts import AccountDraft, grant_entry, offer_membership, open_account, withdraw_offer
from service.auth.sign_in.invitations import invite_new, tell_membership
from service.ports.accounts import CUSTOMER_ROLES, AccountKind, Grant, Membership, MembershipOffer, Role
from service.ports.store import AccessTransaction


@dataclass(frozen=True, slots=True)
class Member:
    """One role of one account for one customer, accepted or only offered."""

    membership: Membership
    email: str | None


def members_of(tx: AccessTransaction, customer_id: UUID) -> Sequence[Member]:
    """Return who acts for a customer, then who is invited to; raises NotFoundError."""
    tx.customers.require(customer_id)
    memberships: list[Membership] = [
        grant for grant in tx.accounts.grants_at(customer_id) if grant.role in CUSTOMER_ROLES
    ]
    memberships += tx.accounts.offers_at(customer_id)
    found = []
    for membership in memberships:
        account = tx.accounts.get(membership.account_id)
        found.append(Member(membership, None if account is None else account.email))
    return found


def invite_member(
    tx: AccessTransaction,
    act: AuditContext,
    customer_id: UUID,
    *,
    email: str,
    role: Role,
    language: str,
    secret: str,
    console_url: str | None,
    provider_name: str,
) -> Member:
    """Offer the owner of an address to act for a customer. It is no member until it accepts.

    1. An address that is a member or invited already is refused; the managers can see the members anyway.
    2. If the address has an account, the account gets the offer. Otherwise an account is created and invited.

    The response and the customer's trail are equal in both cases, so they do not reveal whether there was an account.

    Raises NotFoundError, StateConflictError for 1.
    """
    # 1.
    if any(member.email == email for member in members_of(tx, customer_id)):
        raise StateConflictError("this address is a member or invited already: remove the member first")
    # 2.
    account = tx.accounts.by_email(email)
    if account is None:
        account = open_account(tx, act, AccountDraft(AccountKind.PERSON, email, email, language))
        invite_new(tx, act, account, secret=secret, console_url=console_url, provider_name=provider_name)
    else:
        tell_membership(tx, act, account, console_url=console_url, provider_name=provider_name)
    offer = MembershipOffer(act.identifiers.new_id(), account.id, customer_id, role, act.now, act.actor)
    offer_membership(tx, act, offer)
    return Member(offer, email)


def remove_member(tx: AccessTransaction, act: AuditContext, customer_id: UUID, membership_id: UUID) -> None:
    """End a membership, or withdraw its offer; raises NotFoundError, StateConflictError.

    The last manager does not remove itself here, so that no customer loses its managers by mistake. It can still leave:
    ``memberships.leave_membership``. An administrator may remove it.
    """
    members = members_of(tx, customer_id)
    membership = next((member.membership for member in members if member.membership.id == membership_id), None)
    if membership is None:
        raise NotFoundError("member", membership_id)
    if not isinstance(membership, Grant):
        withdraw_offer(tx, act, membership)
        return
    managers = [other for other in members if other.membership.role is Role.CUSTOMER_MANAGER]
    is_oneself = act.actor == f"account:{membership.account_id}"
    if membership.role is Role.CUSTOMER_MANAGER and len(managers) == 1 and is_oneself:
        raise StateConflictError(
            "you are the last manager: invite another one first, or leave the customer on the page of your account"
        )
    tx.accounts.remove_grant(membership.id)
    tx.audit.append([grant_entry(tx, act, "role.revoked", membership)])
