"""Members act for a customer; its managers manage them. Managers learn nothing about an account's other roles."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from notifications.errors import NotFoundError, StateConflictError
from notifications.use_cases.audit_context import AuditContext
from service.auth.accounts import AccountDraft, grant_entry, open_account
from service.auth.sign_in.invitations import invite_new, tell_membership
from service.ports.accounts import CUSTOMER_ROLES, AccountKind, Grant, Role
from service.ports.store import AccessTransaction


@dataclass(frozen=True, slots=True)
class Member:
    """One role of one account for one customer."""

    grant: Grant
    email: str | None


def members_of(tx: AccessTransaction, customer_id: UUID) -> Sequence[Member]:
    """Return who acts for a customer; raises NotFoundError."""
    tx.customers.require(customer_id)
    found = []
    for grant in tx.accounts.grants_at(customer_id):
        if grant.role in CUSTOMER_ROLES:
            account = tx.accounts.get(grant.account_id)
            found.append(Member(grant, None if account is None else account.email))
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
    """Make the owner of an address a member of a customer.

    1. An address that is already a member is refused; the managers can see the members anyway.
    2. If the address has an account, the account gets the role. Otherwise an account is created and invited.

    The response and the customer's trail are equal in both cases, so they do not reveal whether there was an account.

    Raises NotFoundError, StateConflictError for 1.
    """
    # 1.
    if any(member.email == email for member in members_of(tx, customer_id)):
        raise StateConflictError("this address acts for the customer already: remove the member first")
    # 2.
    account = tx.accounts.by_email(email)
    if account is None:
        account = open_account(tx, act, AccountDraft(AccountKind.PERSON, email, email, language))
        invite_new(tx, act, account, secret=secret, console_url=console_url, provider_name=provider_name)
    else:
        tell_membership(tx, act, account, console_url=console_url, provider_name=provider_name)
    grant = Grant(act.identifiers.new_id(), account.id, role, customer_id, None, None, act.now, act.actor)
    tx.accounts.add_grant(grant)
    tx.audit.append([grant_entry(tx, act, "role.granted", grant)])
    return Member(grant, email)


def remove_member(tx: AccessTransaction, act: AuditContext, customer_id: UUID, grant_id: UUID) -> None:
    """End a membership; raises NotFoundError, or StateConflictError for the last manager that removes itself.

    An administrator may remove the last manager, for a customer whose people have all left.
    """
    members = members_of(tx, customer_id)
    member = next((member for member in members if member.grant.id == grant_id), None)
    if member is None:
        raise NotFoundError("member", grant_id)
    grant = member.grant
    managers = [other for other in members if other.grant.role is Role.CUSTOMER_MANAGER]
    if grant.role is Role.CUSTOMER_MANAGER and len(managers) == 1 and act.actor == f"account:{grant.account_id}":
        raise StateConflictError("the last manager cannot leave: name another one first, or ask the provider")
    tx.accounts.remove_grant(grant_id)
    tx.audit.append([grant_entry(tx, act, "role.revoked", grant)])
